"""The folder of a run: whole files, one writer, no mixing, and what a full or forbidden disk does."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from d3s_vot.errors import D3SError, InputError
from d3s_vot.evaluation.runs.store import Manifest, Store

SETTINGS = {"tracker": "D3S", "threads": 1, "versions": {"torch": "2.0", "numpy": "2.1"}}


def manifest(sequences: dict[str, int] | None = None, **settings: object) -> Manifest:
    return Manifest({**SETTINGS, **settings}, {"root": "data"}, sequences or {"cat": 50, "dog": 70})


def begun(folder: Path, restart: bool = False, **settings: object) -> Store:
    store = Store(folder)
    with store.locked():
        store.begin(manifest(**settings), restart)
    return store


def test_files_are_written_and_found(tmp_path: Path) -> None:
    store = begun(tmp_path / "runs" / "val")
    assert not store.finished(["D3S/cat.txt", "D3S/times/cat.txt"])
    store.write({"D3S/cat.txt": b"1,2,3,4\n"})
    assert not store.finished(["D3S/cat.txt", "D3S/times/cat.txt"])
    store.write({"D3S/times/cat.txt": b"0.1\n"})
    assert store.finished(["D3S/cat.txt", "D3S/times/cat.txt"])
    assert (store.results / "D3S" / "cat.txt").read_bytes() == b"1,2,3,4\n"
    assert not list(store.folder.rglob("*.part"))
    written = json.loads((store.folder / "manifest.json").read_text())
    assert written["settings"] == SETTINGS and written["sequences"] == {"cat": 50, "dog": 70}


def test_later_run_adds_sequences_and_keeps_the_date(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.locked():
        store.begin(Manifest(SETTINGS, {"created": "monday", "root": "old"}, {"cat": 50}))
    with store.locked():
        store.begin(Manifest(SETTINGS, {"created": "friday", "root": "new"}, {"dog": 70}))
    written = json.loads((tmp_path / "manifest.json").read_text())
    assert written["sequences"] == {"cat": 50, "dog": 70}
    assert written["information"] == {"created": "monday", "root": "new"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"threads": 2}, "threads was 1, is 2"),
        ({"versions": {"torch": "2.1", "numpy": "2.1"}}, "versions torch was 2.0, is 2.1"),
        ({"versions": {"torch": "2.0"}}, "versions numpy was 2.1, is None"),
        ({"sequences": {"cat": 49}}, "cat had 50 frames, has 49"),
    ],
)
def test_other_settings_do_not_mix(tmp_path: Path, changes: dict, said: str) -> None:
    store = begun(tmp_path)
    store.write({"cat.txt": b"1"})
    before = (tmp_path / "manifest.json").read_bytes()
    with pytest.raises(InputError, match=f"{said}.*--restart"):
        begun(tmp_path, **changes)
    assert (tmp_path / "manifest.json").read_bytes() == before and store.finished(["cat.txt"])


def test_many_differences_are_cut(tmp_path: Path) -> None:
    begun(tmp_path, configuration={str(k): k for k in range(20)})
    with pytest.raises(InputError) as caught:
        begun(tmp_path, configuration={})
    assert str(caught.value).count(" was ") == 8 and "; ...)" in str(caught.value)


def test_restart_removes_the_run_and_nothing_else(tmp_path: Path) -> None:
    store = begun(tmp_path)
    store.write({"cat.txt": b"1"})
    (tmp_path / "report").mkdir()
    for name in ("report/table.txt", "D3S.zip", "notes.md"):
        (tmp_path / name).write_text("x")
    begun(tmp_path, restart=True, threads=2)
    assert sorted(os.listdir(tmp_path)) == [".lock", "manifest.json", "notes.md"]
    assert json.loads((tmp_path / "manifest.json").read_text())["settings"]["threads"] == 2


def test_restart_keeps_what_was_not_asked_for(tmp_path: Path) -> None:
    begun(tmp_path).write({"dog.txt": b"1"})
    with pytest.raises(InputError, match=r"results of 1 other sequences \(dog"):
        begun(tmp_path, restart=True, sequences={"cat": 50})
    assert (tmp_path / "results" / "dog.txt").exists()


@pytest.mark.parametrize("restart", [False, True])
def test_folder_of_somebody_else(tmp_path: Path, restart: bool) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "theirs.txt").write_text("x")
    with pytest.raises(InputError, match=r"holds results but no manifest\.json"):
        begun(tmp_path, restart=restart)
    assert (tmp_path / "results" / "theirs.txt").exists()


DAMAGED = [
    "",
    "{",
    "[]",
    '{"settings": {}}',
    '{"settings": [], "information": {}, "sequences": {}}',
    '{"settings": {}, "information": {}, "sequences": {}, "data": {"cat": []}}',
    "[" * 100_000,
]


@pytest.mark.parametrize("text", DAMAGED)
def test_damaged_manifest(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(InputError, match=r"manifest\.json is damaged"):
        begun(tmp_path)


def test_leftovers_of_a_kill_are_removed(tmp_path: Path) -> None:
    store = begun(tmp_path)
    store.write({"D3S/cat.txt": b"1"})
    (store.results / "D3S" / ".dog.txt.part").write_bytes(b"half")
    (tmp_path / ".manifest.json.part").write_bytes(b"half")
    begun(tmp_path)
    assert not list(tmp_path.rglob(".*.part")) and store.finished(["D3S/cat.txt"])


def test_one_run_at_a_time(tmp_path: Path) -> None:
    """The lock holds against another process too, and goes with the process that has it."""
    text = (
        "import sys; from pathlib import Path; from d3s_vot.evaluation.runs.store import Store\n"
        f"with Store(Path({str(tmp_path)!r})).locked(): print('locked', flush=True); sys.stdin.read()"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", text], stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "locked\n"
        with pytest.raises(InputError, match="another run is writing"), Store(tmp_path).locked():
            pass
        other.kill()
    with Store(tmp_path).locked():
        assert (tmp_path / ".lock").exists()


def test_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert (begun(tmp_path).folder / "manifest.json").exists()


@pytest.mark.parametrize("place", ["file/runs", "/proc/runs"])
def test_folder_that_cannot_be_made(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"output folder .* cannot be used .*; choose another one"):
        begun(tmp_path / place)


def test_full_disk_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written becomes durable, or an error, at the latest in fsync."""
    store = begun(tmp_path)
    store.write({"cat.txt": b"old"})

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(D3SError, match=r"cat\.txt cannot be written \(No space left on device\)") as caught:
        store.write({"cat.txt": b"new"})
    assert not isinstance(caught.value, InputError)  # a failed run, not a user's mistake
    assert (store.results / "cat.txt").read_bytes() == b"old" and not list(tmp_path.rglob(".*.part"))
    with pytest.raises(InputError, match="No space left"):
        begun(tmp_path)


def of_data(first: str, **data: str) -> Manifest:
    return Manifest(SETTINGS, {}, {"cat": 50, "dog": 70}, {"cat": {"first box": first, **data}})


def test_other_data_do_not_mix(tmp_path: Path) -> None:
    """Results stay until their sequence is seen to have none, which then takes its new data."""
    store = Store(tmp_path)
    with store.locked():
        store.begin(of_data("1,2,3,4", frames="ab"))
        store.begin(of_data("1,2,3,4", frames="ab"))
        before = (tmp_path / "manifest.json").read_bytes()
        for other, said in ((of_data("1,2,3,9"), "first box of cat was 1,2,3,4, is 1,2,3,9"),
                            (of_data("1,2,3,4", frames="cd"), "frames of cat was ab, is cd")):  # fmt: skip
            with pytest.raises(InputError, match=rf"holds results of other data \({said}\); remove those of these seq"):
                store.begin(other)
            with pytest.raises(InputError, match=said):
                store.agree_on_data(other.data)
        assert (tmp_path / "manifest.json").read_bytes() == before
        store.begin(of_data("1,2,3,9", frames="ab"), again=["cat"])
        store.agree_on_data({"cat": {"first box": "1,2,3,9"}, "dog": {"first box": "5,6,7,8"}})


def test_nothing_is_known_of_the_data_of_earlier_versions(tmp_path: Path) -> None:
    store = begun(tmp_path)
    text = json.loads((tmp_path / "manifest.json").read_text())
    del text["data"]
    (tmp_path / "manifest.json").write_text(json.dumps(text))
    with store.locked():
        store.begin(of_data("1,2,3,4"))
    with store.locked(), pytest.raises(InputError, match="first box of cat was 1,2,3,4, is 0"):
        store.begin(of_data("0"))


def test_a_sequence_that_lost_its_results_may_have_other_frames(tmp_path: Path) -> None:
    store = begun(tmp_path)
    with store.locked():
        store.begin(manifest({"cat": 49}), again=["cat"])
    assert json.loads((tmp_path / "manifest.json").read_text())["sequences"] == {"cat": 49, "dog": 70}
