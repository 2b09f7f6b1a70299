"""Files that are whole or not there, also beside a second run and after a killed one."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from d3s_vot import files
from d3s_vot.errors import InputError
from d3s_vot.files import Partial, write_whole


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_has_its_name_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    partial = Partial(path)
    partial.file.write(b"half")
    assert names(path.parent) == [partial.temporary.name] and partial.temporary.name.startswith(".a.txt.")
    partial.finish()
    assert path.read_bytes() == b"half" and names(path.parent) == ["a.txt"]
    write_whole(path, b"whole")
    assert path.read_bytes() == b"whole" and names(path.parent) == ["a.txt"]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


def test_what_comes_to_nothing_leaves_nothing(tmp_path: Path) -> None:
    Partial(tmp_path / "deep" / "folder" / "a.txt").discard()
    assert not names(tmp_path)
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "a", tmp_path / "x" / ("a" * 300)):
        with pytest.raises(OSError):
            Partial(path)
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("name", ["a.txt", "a" * 250, "\u00e4" * 120, "a[1]*.txt"])
def test_one_run_at_a_time(tmp_path: Path, name: str) -> None:
    first = Partial(tmp_path / name)
    with pytest.raises(InputError, match="by another run"):
        Partial(tmp_path / name)
    other = Partial(tmp_path / f"b{name[1:]}")  # another file, with a name alike
    assert len(names(tmp_path)) == 2
    for partial in first, other:
        partial.file.write(b"x")
        partial.finish()
    assert names(tmp_path) == sorted([name, f"b{name[1:]}"])
    Partial(tmp_path / name).discard()  # and then the next


def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path: Path) -> None:
    program = "import os, sys, pathlib; from d3s_vot.files import Partial; "
    program += "Partial(pathlib.Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    root = Path(files.__file__).parents[1]
    for name in "ab":
        subprocess.run([sys.executable, "-c", program, str(tmp_path / name)], cwd=root)
    assert len(names(tmp_path)) == 2
    first = Partial(tmp_path / "a")
    assert len(names(tmp_path)) == 2  # that of b is none of its business
    first.discard()
    assert len(names(tmp_path)) == 1


def test_a_failure_to_write_whole_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_whole(tmp_path / "a", b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError):
        write_whole(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old" and names(tmp_path) == ["a"]
