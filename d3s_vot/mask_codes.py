"""Masks as the VOT toolkit writes them: a part of the image with its place, coded by its runs.

    mX,Y,W,H,r0,r1,...

is a box of W x H pixels whose top left pixel is (X, Y), counted from 0; the runs go row by row over the box: so many
zeros (0 where the first pixel is set), so many ones, in turn. Runs that are missing at the end are zeros. In binary
files a run has 16 bits: a longer one is split by runs of 0.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

LONGEST_RUN = 65025  # that the toolkit writes in one piece into a binary file
MOST_RUNS = 65535  # of a mask in a binary file
FURTHEST = 32767  # offset in a binary file
LARGEST = 1 << 30  # pixels of a box; what is larger is a damaged code and not worth the memory
_PLACE = struct.Struct("<hhHHH")  # x, y, width, height, number of runs


@dataclass(frozen=True, eq=False)
class PlacedMask:
    """The pixels of a region: a part of the image, which may stick out of it.

    Attributes:
        x, y: of the part's top left pixel, counted from 0.
        array: h x w bool.
    """

    x: int
    y: int
    array: NDArray[np.bool_]

    @classmethod
    def of(cls, mask: NDArray[np.bool_]) -> PlacedMask:
        """That of an H x W mask of the whole image, cropped to its pixels; of no pixels 0 x 0."""
        mask = np.asarray(mask, bool)
        x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
        return cls(x, y, np.array(mask[y : y + h, x : x + w]))

    def __eq__(self, other: object) -> bool:
        """Whether both are the same pixels of the same box."""
        return (
            isinstance(other, PlacedMask)
            and (self.x, self.y) == (other.x, other.y)
            and np.array_equal(self.array, other.array)
        )

    def __hash__(self) -> int:
        return hash((self.x, self.y, self.array.tobytes()))

    @property
    def bounds(self) -> tuple[int, int, int, int] | None:
        """First and last column, first and last row of the pixels; None: there are none."""
        x, y, w, h = cv2.boundingRect(self.array.astype(np.uint8)) if self.array.size else (0, 0, 0, 0)
        return (self.x + x, self.x + x + w - 1, self.y + y, self.y + y + h - 1) if w else None

    def window(self, left: int, top: int, width: int, height: int) -> NDArray[np.bool_]:
        """The pixels of a window, height x width.

        >>> PlacedMask(-1, 0, np.ones((2, 3), bool)).window(0, 0, 4, 2).astype(int).tolist()
        [[1, 1, 0, 0], [1, 1, 0, 0]]
        """
        full = np.zeros((height, width), bool)
        rows, columns = self.array.shape
        x, y = self.x - left, self.y - top
        x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + columns, width), min(y + rows, height)
        if x1 > x0 and y1 > y0:
            full[y0:y1, x0:x1] = self.array[y0 - y : y1 - y, x0 - x : x1 - x]
        return full


def runs_of(array: NDArray[np.bool_]) -> list[int]:
    """The runs of an h x w array, zeros first.

    >>> runs_of(np.array([[1, 0], [0, 1]], bool))
    [0, 1, 2, 1]
    """
    flat = array.ravel()
    if not flat.size:
        return [0]
    ends = np.append(np.flatnonzero(flat[1:] != flat[:-1]) + 1, flat.size)
    runs = np.diff(ends, prepend=0).tolist()
    return [0, *runs] if flat[0] else runs


def array_of(runs: Iterable[int], width: int, height: int) -> NDArray[np.bool_]:
    """The h x w array of runs.

    Raises:
        ValueError: the box has a negative size or is too large, a run is negative, or they leave the box.

    >>> array_of([1, 2], 2, 2).astype(int).tolist()
    [[0, 1], [1, 0]]
    """
    if width < 0 or height < 0 or width * height > LARGEST:
        raise ValueError(f"a mask's box is {width} x {height} pixels")
    lengths = np.array(list(runs), np.int64)
    if (lengths < 0).any():
        raise ValueError(f"a mask has a run of {lengths.min()}")
    if (total := int(lengths.sum())) > width * height:
        raise ValueError(f"the runs of a mask cover {total} pixels of a box of {width} x {height}")
    flat = np.zeros(width * height, bool)
    values = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    flat[: len(values)] = values
    return flat.reshape(height, width)


def to_code(mask: PlacedMask) -> str:
    """The code of a mask, cropped to its pixels, as the toolkit has it.

    >>> to_code(PlacedMask(2, 1, np.array([[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]], bool)))
    'm2,1,4,3,0,2,3,1,5,1'
    >>> to_code(PlacedMask(3, 3, np.zeros((2, 2), bool)))
    'm0,0,0,0,0'
    """
    if (bounds := mask.bounds) is None:
        return "m0,0,0,0,0"
    left, right, top, bottom = bounds
    part = mask.array[top - mask.y : bottom - mask.y + 1, left - mask.x : right - mask.x + 1]
    return "m" + ",".join(map(str, (left, top, part.shape[1], part.shape[0], *runs_of(part))))


def from_code(code: str) -> PlacedMask:
    """The mask of a code.

    Raises:
        ValueError: it is none, or its runs leave its box.
    """
    if not code.startswith("m"):
        raise ValueError(f"{code[:20]!r} is no code of a mask")
    numbers = [int(field) for field in code[1:].split(",")]
    if len(numbers) < 4:
        raise ValueError(f"{len(numbers)} numbers are no mask")
    x, y, width, height, *runs = numbers
    return PlacedMask(x, y, array_of(runs, width, height))


def to_bytes(mask: PlacedMask) -> bytes:
    """The mask in a binary file, without the kind in front of it.

    Raises:
        ValueError: it has more runs, a larger box or lies further off than the file can say; see `storable`.
    """
    runs: list[int] = []
    for run in runs_of(mask.array):
        while run > LONGEST_RUN:
            runs += [LONGEST_RUN, 0]
            run -= LONGEST_RUN
        runs.append(run)
    height, width = mask.array.shape
    try:
        return _PLACE.pack(mask.x, mask.y, width, height, len(runs)) + struct.pack(f"<{len(runs)}H", *runs)
    except struct.error:
        raise ValueError(
            f"a mask of {len(runs)} runs, {width} x {height} pixels at {mask.x},{mask.y}, does not fit the file"
        ) from None


def from_bytes(data: bytes, place: int) -> tuple[PlacedMask, int]:
    """The mask at a place of a binary file, and the place behind it.

    Raises:
        ValueError: its runs leave its box.
        struct.error: the file ends before it does.
    """
    x, y, width, height, count = _PLACE.unpack_from(data, place)
    place += _PLACE.size
    runs = struct.unpack_from(f"<{count}H", data, place)
    return PlacedMask(x, y, array_of(runs, width, height)), place + 2 * count


def count_runs(array: NDArray[np.bool_]) -> int:
    """How many runs a binary file takes for an h x w array."""
    lengths = np.array(runs_of(array), np.int64)
    return len(lengths) + 2 * int(np.maximum((lengths - 1) // LONGEST_RUN, 0).sum())


def storable(mask: PlacedMask) -> PlacedMask:
    """A mask that the toolkit can store in a binary file, the same where it can store this one.

    Of one with too many runs the smallest pieces go, then the holes, until the rest fits; where that is not enough its
    outline gets coarser. To one that begins too far off a pixel is added where it may begin: the toolkit crops every
    mask to its pixels.

    Raises:
        ValueError: the mask reaches further than 65535 pixels from there, which no file can say.
    """
    if count_runs(mask.array) >= MOST_RUNS - 1:  # with one pixel more
        mask = PlacedMask(mask.x, mask.y, _simpler(mask.array))
    if (bounds := mask.bounds) is not None and max(bounds[0], bounds[2]) > FURTHEST:
        left, top = (max(first - FURTHEST, 0) for first in (bounds[0], bounds[2]))
        x, y = bounds[0] - left, bounds[2] - top
        width, height = bounds[1] - x + 1, bounds[3] - y + 1
        array = mask.window(x, y, width, height) if max(width, height) <= MOST_RUNS else np.zeros((0, 0), bool)
        if not array.size:
            raise ValueError(f"a mask of {width} x {height} pixels from {x},{y} on does not fit the file")
        array[0, 0] = True
        mask = PlacedMask(x, y, array)
    return mask


def _simpler(array: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The array without specks: pieces and holes below the smallest size that leaves few enough runs."""
    size = 2
    while size < array.size:
        kept = _without_specks(array, size)
        solid = ~_without_specks(~kept, size)
        if count_runs(solid) < MOST_RUNS - 1:
            return solid
        size *= 4
    block = np.ones((3, 3), np.uint8)
    while count_runs(array) >= MOST_RUNS - 1:  # one piece of a jagged outline
        array = cv2.morphologyEx(array.astype(np.uint8), cv2.MORPH_CLOSE, block) > 0
        block = np.ones((2 * len(block) + 1,) * 2, np.uint8)
    return array


def _without_specks(array: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """The array without pieces of fewer pixels than `size`; the largest stays."""
    count, labels, facts, _ = cv2.connectedComponentsWithStats(array.astype(np.uint8), connectivity=4)
    areas = facts[:, cv2.CC_STAT_AREA]
    keep = areas >= size
    keep[0] = False
    if count > 1:
        keep[1 + int(areas[1:].argmax())] = True
    return keep[labels]
