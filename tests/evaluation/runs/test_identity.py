"""What tells the data of one run from those of another."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from d3s_vot.evaluation.runs import identity


@pytest.fixture
def frames(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "a" / f"{number:04d}.jpg" for number in range(1, 8)]
    paths[0].parent.mkdir()
    for path in paths:
        path.write_bytes(path.name.encode() * 9)
    return paths


def test_a_copy_elsewhere_is_the_same(frames: list[Path], tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    copies = [tmp_path / "b" / path.name for path in frames]
    assert identity.of_frames(copies) == identity.of_frames(frames)


def test_what_is_noticed(frames: list[Path]) -> None:
    seen = {identity.of_frames(frames), identity.of_frames(frames[:-1]), identity.of_frames(frames[::-1])}
    for index in (0, 3, 6):  # another picture of the same number of bytes
        content = frames[index].read_bytes()
        frames[index].write_bytes(content[::-1])
        seen.add(identity.of_frames(frames))
        frames[index].write_bytes(content)
    frames[2].write_bytes(b"longer" * 20)
    seen.add(identity.of_frames(frames))
    frames[2].unlink()
    seen.add(identity.of_frames(frames))
    assert len(seen) == 8


def test_no_frames_and_no_file(tmp_path: Path) -> None:
    assert identity.of_frames([]) and identity.of_file(tmp_path / "nothing") == ""
