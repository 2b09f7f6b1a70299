"""Where the result files of a data set lie, how they are written and how they are read.

Boxes are text, a line a frame from the first on, "x,y,w,h" in the data set's own convention of the top-left
pixel. Times are text, seconds a frame, the first of the initialisation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from d3s_vot.errors import D3SError, InputError
from d3s_vot.files import write_whole

BLANKS = re.compile(r"\s*,\s*|\s+")


@dataclass(frozen=True)
class Layout:
    """The result files of one data set, as the got10k toolkit or the data set's server has them.

    Attributes:
        folder: of the data set, under the folder of results.
        nested: SEQ/SEQ_001.txt beside SEQ/SEQ_time.txt, or SEQ.txt and times/SEQ_time.txt.
        decimals: of the numbers of a box.
    """

    folder: str
    nested: bool = False
    decimals: int = 3

    def boxes(self, results: Path, tracker: str, sequence: str) -> Path:
        """The file of a sequence's boxes under the folder `results`."""
        inner = f"{sequence}/{sequence}_001.txt" if self.nested else f"{sequence}.txt"
        return results / self.folder / tracker / inner

    def times(self, results: Path, tracker: str, sequence: str) -> Path:
        """The file of a sequence's times under the folder `results`."""
        return results / self.folder / tracker / (sequence if self.nested else "times") / f"{sequence}_time.txt"


LAYOUTS = {
    "got10k-val": Layout("GOT-10k", nested=True),
    "got10k-test": Layout("GOT-10k", nested=True),
    "trackingnet": Layout("TrackingNet", decimals=2),
    "trackingnet-train": Layout("TrackingNet-train", decimals=2),
    "otb50": Layout("OTBtb50"),
    "otb100": Layout("OTBtb100"),
    "uav123": Layout("UAV123"),
    "lasot": Layout("LaSOT"),
    "lasot-extension": Layout("LaSOT-extension"),
    "nfs30": Layout("NfS/30"),
    "nfs240": Layout("NfS/240"),
    "avist": Layout("AVisT"),
    "tcolor128": Layout("TColor128"),
    "dtb70": Layout("DTB70"),
}


def format_boxes(boxes: NDArray[np.float64], decimals: int) -> str:
    """N x 4 numbers as text.

    >>> format_boxes(np.array([[1.0, 2.5, 30, 40]]), 2)
    '1.00,2.50,30.00,40.00\\n'
    """
    return "".join(",".join(f"{value:.{decimals}f}" for value in box) + "\n" for box in boxes.tolist())


def format_times(seconds: NDArray[np.float64]) -> str:
    """N times as text."""
    return "".join(f"{value:.8f}\n" for value in seconds.tolist())


def parse_numbers(text: str, columns: int, blanks: bool = False) -> NDArray[np.float64]:
    """Lines of numbers parted by commas.

    Args:
        text: whole; the last line may end without a line end.
        columns: how many numbers a line has.
        blanks: whether tabs and spaces part them too, as in files of others.

    Returns:
        N x columns, finite.

    Raises:
        ValueError: with a clause that says which line is wrong, and how.
    """
    lines = text.removesuffix("\n").split("\n") if text.strip() else []
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            row = [float(value) for value in (BLANKS.split(line.strip()) if blanks else line.split(","))]
        except ValueError:
            row = []
        if len(row) != columns or "_" in line:
            parted = "commas, tabs or spaces" if blanks else "commas"
            wanted = f"{columns} numbers parted by {parted}" if columns > 1 else "one number"
            raise ValueError(f"line {number} is not {wanted}: {line.strip()[:60]!r}")
        if not np.isfinite(row).all():
            raise ValueError(f"line {number} has a number that is not finite: {line.strip()[:60]!r}")
        rows.append(row)
    return np.array(rows, np.float64).reshape(-1, columns)


def _read(path: Path, columns: int, count: int | None) -> NDArray[np.float64]:
    """The numbers in a file."""
    try:
        numbers = parse_numbers(path.read_text("ascii"), columns)
    except FileNotFoundError:
        raise InputError(f"{path} is missing; track this sequence first") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a text file; remove it and track the sequence again") from None
    except ValueError as error:
        raise InputError(f"{path}: {error}; remove the file and track the sequence again") from None
    if count is not None and len(numbers) != count:
        raise InputError(
            f"{path} has {len(numbers)} lines for {count} frames; remove the file and track the sequence again"
        )
    return numbers


def read_boxes(path: Path, count: int | None = None) -> NDArray[np.float64]:
    """The boxes of one sequence, N x 4.

    Args:
        path: the file.
        count: how many there must be.

    Raises:
        InputError: the file is missing or damaged, or has another number of lines, NaN or a negative size.
    """
    boxes = _read(path, 4, count)
    if (boxes[:, 2:] < 0).any():
        line = int(np.flatnonzero((boxes[:, 2:] < 0).any(axis=1))[0]) + 1
        raise InputError(f"{path}: line {line} has a negative size; remove the file and track the sequence again")
    return boxes


def read_times(path: Path, count: int | None = None) -> NDArray[np.float64]:
    """The times of one sequence, N seconds.

    Args:
        path: the file.
        count: how many there must be.

    Raises:
        InputError: the file is missing or damaged, or has another number of lines or a time that is not positive.
    """
    times = _read(path, 1, count)[:, 0]
    if (times <= 0).any():
        line = int(np.flatnonzero(times <= 0)[0]) + 1
        raise InputError(f"{path}: line {line} is no positive time; remove the file and track the sequence again")
    return times


def write_file(path: Path, content: bytes) -> None:
    """Write a file whole, and its folder.

    Raises:
        D3SError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        raise D3SError(f"{path} cannot be written ({error.strerror}); mend that and run the command again") from error
