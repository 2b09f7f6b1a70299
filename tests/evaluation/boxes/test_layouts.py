"""Result files: where they lie, what is written is read back, and what is wrong with a file is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from d3s_vot.errors import D3SError, InputError
from d3s_vot.evaluation.boxes.layouts import LAYOUTS, format_boxes, format_times, read_boxes, read_times, write_file

BOXES = np.array([[1.0, 2.5, 30, 40.125], [-3.25, 0, 0.5, 1e4]])


@pytest.mark.parametrize(
    ("name", "boxes", "times"),
    [
        ("got10k-val", "GOT-10k/D3S/cat/cat_001.txt", "GOT-10k/D3S/cat/cat_time.txt"),
        ("got10k-test", "GOT-10k/D3S/cat/cat_001.txt", "GOT-10k/D3S/cat/cat_time.txt"),
        ("trackingnet", "TrackingNet/D3S/cat.txt", "TrackingNet/D3S/times/cat_time.txt"),
        ("otb100", "OTBtb100/D3S/cat.txt", "OTBtb100/D3S/times/cat_time.txt"),
        ("nfs30", "NfS/30/D3S/cat.txt", "NfS/30/D3S/times/cat_time.txt"),
        ("nfs240", "NfS/240/D3S/cat.txt", "NfS/240/D3S/times/cat_time.txt"),
        ("avist", "AVisT/D3S/cat.txt", "AVisT/D3S/times/cat_time.txt"),
    ],
)
def test_places(name: str, boxes: str, times: str) -> None:
    assert LAYOUTS[name].boxes(Path("r"), "D3S", "cat") == Path("r", boxes)
    assert LAYOUTS[name].times(Path("r"), "D3S", "cat") == Path("r", times)


def test_read_back(tmp_path: Path) -> None:
    write_file(tmp_path / "a" / "boxes.txt", format_boxes(BOXES, 3).encode())
    write_file(tmp_path / "times.txt", format_times(np.array([0.5, 0.03125])).encode())
    assert (tmp_path / "a" / "boxes.txt").read_text() == "1.000,2.500,30.000,40.125\n-3.250,0.000,0.500,10000.000\n"
    assert np.array_equal(read_boxes(tmp_path / "a" / "boxes.txt", 2), BOXES)
    assert read_times(tmp_path / "times.txt", 2).tolist() == [0.5, 0.03125]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "boxes.txt", "times.txt"]


def test_line_ends_of_windows(tmp_path: Path) -> None:
    (tmp_path / "boxes.txt").write_bytes(b"1,2,3,4\r\n5,6,7,8")
    assert read_boxes(tmp_path / "boxes.txt", 2).tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"1,2,3,4\n", "has 1 lines for 2 frames"),
        (b"", "has 0 lines for 2 frames"),
        (b"1,2,3,4\n\n", "line 2 is not 4 numbers"),
        (b"1,2,3,4\n1,2,3\n", "line 2 is not 4 numbers"),
        (b"1 2 3 4\n1 2 3 4\n", "line 1 is not 4 numbers"),
        (b"1,2,3,4\n1,2,nan,4\n", "line 2 has a number that is not finite"),
        (b"1,2,3,inf\n1,2,3,4\n", "line 1 has a number that is not finite"),
        (b"1,2,3,1_0\n1,2,3,4\n", "line 1 is not 4 numbers"),
        (b"1,2,3,4\n1,2,-3,4\n", "line 2 has a negative size"),
        (b"\xff\xd8\xff\xe0", "is not a text file"),
    ],
)
def test_damaged_boxes(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "cat.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=reason) as caught:
        read_boxes(path, 2)
    assert str(path) in str(caught.value)


def test_no_boxes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cat\.txt is missing; track"):
        read_boxes(tmp_path / "cat.txt")
    with pytest.raises(InputError, match="cannot be read"):
        read_boxes(tmp_path)


@pytest.mark.parametrize("second", ["0.0", "-1", "nan", "0.1,0.2"])
def test_damaged_times(tmp_path: Path, second: str) -> None:
    (tmp_path / "times.txt").write_text(f"0.5\n{second}\n")
    with pytest.raises(InputError, match="line 2"):
        read_times(tmp_path / "times.txt", 2)


def test_unwritable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(D3SError, match="cannot be written"):
        write_file(tmp_path / "file" / "boxes.txt", b"")
