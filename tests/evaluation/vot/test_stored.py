"""Sequences in VOT layout as people have them: absent targets, frames of any name, facts that are missing or wrong."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from d3s_vot.errors import InputError
from d3s_vot.evaluation.vot.stored import Sequence, read_truth

BOX = "41,41,30,24"


def write(folder: Path, truth: list[str], facts: str | None = None, names: list[str] = ()) -> Path:  # type: ignore[assignment]
    """A sequence with frames of 16 x 12 pixels of these names."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "groundtruth.txt").write_text("\n".join(truth) + "\n")
    if facts is not None:
        (folder / "sequence").write_text(facts)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), np.zeros((12, 16, 3), np.uint8))
    return folder


@pytest.mark.parametrize(
    "line",
    ["NaN,NaN,NaN,NaN", "nan,nan,nan,nan", "0,0,0,0", "0", "41,41,0,24", "41,41,-1,-1", ",".join(["nan"] * 8),
     ",".join(["0"] * 8), "m0,0,0,0,0", "m4,4,2,2,4"],
)  # fmt: skip
def test_an_absent_target(tmp_path: Path, line: str) -> None:
    write(tmp_path, [BOX, line, BOX])
    first, second, third = read_truth(tmp_path / "groundtruth.txt")
    assert second is None
    assert first is not None and third is not None and first.tolist() == third.tolist() == [41, 41, 30, 24]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "is empty"),
        (["0,0,0,0", BOX], "gives no target in the first frame"),
        ([BOX, "1,2,3,inf"], "holds a value that is not finite in frame 2"),
        ([BOX, "nan,2,3,4"], "holds a value that is not finite in frame 2"),
        ([BOX, "", BOX], "line 2 is empty"),
        ([BOX, "2"], "has the code 2 in frame 2, which is of results"),
        ([BOX, "m1,2,3,b"], "is no ground truth: invalid literal"),
        ([BOX, "m1,2,3,4,7,8"], "the runs of a mask cover 15 pixels of a box of 3 x 4"),
        ([BOX, "1,2,3,4,5"], "5 numbers are no region"),
        (["41\u00b0,41,30,24"], "is no ground truth: 'ascii' codec"),
    ],
)
def test_what_is_no_ground_truth(tmp_path: Path, lines: list[str], words: str) -> None:
    (tmp_path / "groundtruth.txt").write_text("\n".join(lines) + "\n", "utf-8")
    with pytest.raises(InputError, match=words) as caught:
        read_truth(tmp_path / "groundtruth.txt")
    assert "\n" not in str(caught.value)


def test_empty_lines_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "groundtruth.txt").write_text(f"{BOX}\n{BOX}\n\n  \n")
    assert len(read_truth(tmp_path / "groundtruth.txt")) == 2


@pytest.mark.parametrize(
    ("facts", "names"),
    [
        (None, ["color/00000001.jpg", "color/00000002.jpg"]),
        (None, ["00000001.jpg", "00000002.jpg"]),
        ("fps=30\n", ["color/00000001.jpg", "color/00000002.jpg"]),
        ("channels.color=color/%06d.png\n", ["color/000001.png", "color/000002.png"]),
        ("channels.color=img-%d.jpg\n", ["img-1.jpg", "img-2.jpg"]),
        ("channels.color=color/\n", ["color/00000001.jpg", "color/00000002.jpg"]),
        ("channels.color=color\n", ["color/00000001.jpg", "color/00000002.jpg"]),
        ("channels.color=color\\%08d.jpg\n", ["color/00000001.jpg", "color/00000002.jpg"]),
        ("channels.ir=ir/%08d.png\n", ["ir/00000001.png", "ir/00000002.png"]),
        ("channels.ir=ir/%08d.png\nchannels.color=%04d.png\n", ["0001.png", "0002.png"]),
        ("channels.color=color/%06d.png\n", ["color/000000.png", "color/000001.png"]),
    ],
)
def test_frames_of_any_name(tmp_path: Path, facts: str | None, names: list[str]) -> None:
    """Neither width nor height is written, so that the first frame is looked at."""
    sequence = Sequence.load(write(tmp_path / "100%", [BOX] * 2, facts, names))
    assert [sequence.frame(index) for index in range(2)] == [tmp_path / "100%" / name for name in names]
    assert (sequence.width, sequence.height) == (16, 12)


@pytest.mark.parametrize(
    "pattern", ["frame.jpg", "%s/%d.jpg", "%d-%d.jpg", "%q.jpg", "100%.jpg", "%%d.jpg", "%99999999999d.jpg"]
)
def test_a_pattern_that_names_no_frames(tmp_path: Path, pattern: str) -> None:
    write(tmp_path, [BOX], f"channels.color={pattern}\nwidth=16\nheight=12\n")
    with pytest.raises(InputError, match=r"a pattern such as color/%08d\.jpg is meant"):
        Sequence.load(tmp_path)


@pytest.mark.parametrize("size", ["width=0\nheight=12\n", "width=16\nheight=-12\n", "width=wide\nheight=12\n"])
def test_a_size_that_is_none(tmp_path: Path, size: str) -> None:
    write(tmp_path, [BOX], size)
    with pytest.raises(InputError, match=r"sequence gives "):
        Sequence.load(tmp_path)


def test_a_name_that_no_folder_can_have(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be read \(File name too long"):
        Sequence.load(tmp_path / ("x" * 300))


def test_ground_truth_of_another_name(tmp_path: Path) -> None:
    write(tmp_path, [BOX], "width=16\nheight=12\ngroundtruth=boxes.txt\n")
    (tmp_path / "groundtruth.txt").rename(tmp_path / "boxes.txt")
    assert len(Sequence.load(tmp_path).truth) == 1


def test_a_folder_given_as_text(tmp_path: Path) -> None:
    write(tmp_path, [BOX], "width=16\nheight=12\n")
    assert Sequence.load(str(tmp_path)).frame(0) == tmp_path / "color" / "00000001.jpg"  # type: ignore[arg-type]
