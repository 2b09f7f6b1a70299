"""Overlaps of stored regions: by pixels, as the VOT toolkit counts them, and by exact areas.

A region is in the coordinates of the annotation files: an array of 4 values is a rectangle (x, y, width, height), one
of N x 2 values a convex polygon, and a `PlacedMask` is its pixels. From the answers of vot-toolkit 0.7.4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from d3s_vot.mask_codes import PlacedMask

Shape = NDArray[np.float64]  # 4, or N x 2
Region = Shape | PlacedMask


@dataclass(frozen=True)
class _Rows:
    """The pixels of a shape inside an image: in row `top + i` those from left[i] to right[i] - 1."""

    top: int
    left: NDArray[np.int64]
    right: NDArray[np.int64]


Bounds = tuple[int, int, int, int]  # first and last column, first and last row


def _bounds(region: Region | None) -> Bounds:
    """Of the pixels that the toolkit counts. A region of none is a point to it, of no region (0, 0)."""
    if region is None:
        return 0, 0, 0, 0
    if isinstance(region, PlacedMask):
        return region.bounds or (region.x, region.x, region.y, region.y)
    if region.ndim == 1:
        x, y, w, h = (int(value) for value in np.rint(region))
        return x, x + w - 1, y, y + h - 1
    corners = np.rint(region)
    (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
    return int(x0), int(x1), int(y0), int(y1)


def _inside(bounds: Bounds, width: int, height: int) -> Bounds:
    return max(bounds[0], 0), min(bounds[1], width - 1), max(bounds[2], 0), min(bounds[3], height - 1)


def _around(a: Bounds, b: Bounds) -> Bounds:
    return min(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), max(a[3], b[3])


def _thin(bounds: Bounds) -> bool:
    """Whether they hold nothing, or a single row or column."""
    return bounds[1] <= bounds[0] or bounds[3] <= bounds[2]


def _rows(region: Shape, width: int, height: int) -> _Rows:
    """The pixels that the VOT toolkit counts: of rounded corners, which belong to a polygon."""
    box = _inside(_bounds(region), width, height)
    top, bottom = box[2], box[3] + 1
    if bottom <= top or box[1] < box[0]:
        nothing = np.zeros(0, np.int64)
        return _Rows(0, nothing, nothing)
    if region.ndim == 1:
        return _Rows(top, np.full(bottom - top, box[0]), np.full(bottom - top, box[1] + 1))
    row = np.arange(top, bottom, dtype=np.float64)[:, None]  # rows x edges
    corners = np.rint(region)
    ax, ay = corners.T
    bx, by = np.roll(corners, -1, axis=0).T
    crossed = (row >= np.minimum(ay, by)) & (row <= np.maximum(ay, by))
    level = ay == by
    slope_y = np.where(level, 1.0, ay - by)
    crossing = bx + (row - by) / slope_y * (ax - bx)  # of a row and an edge
    first = np.where(crossed, np.where(level, np.minimum(ax, bx), crossing), np.inf).min(axis=1)
    last = np.where(crossed, np.where(level, np.maximum(ax, bx), crossing), -np.inf).max(axis=1)
    left = np.clip(np.floor(first), 0, width).astype(np.int64)
    right = np.clip(np.trunc(last) + 1, left, width).astype(np.int64)
    right = np.where(last > -1, right, left)
    return _Rows(top, left, right)


def _window(region: Region | None, bounds: Bounds) -> NDArray[np.bool_]:
    """The pixels of a region inside bounds, rows x columns."""
    x0, x1, y0, y1 = bounds
    width, height = x1 - x0 + 1, y1 - y0 + 1
    if region is None:
        return np.zeros((height, width), bool)
    if isinstance(region, PlacedMask):
        return region.window(x0, y0, width, height)
    shift = (x0, y0, 0, 0) if region.ndim == 1 else (x0, y0)
    rows = _rows(np.rint(region) - shift, width, height)  # rounded before: half goes to the even number
    column = np.arange(width)
    full = np.zeros((height, width), bool)
    full[rows.top : rows.top + len(rows.left)] = (column >= rows.left[:, None]) & (column < rows.right[:, None])
    return full


def pixel_overlap(
    a: Region | None,
    b: Region | None,
    width: int,
    height: int,
    *,
    ignored: Region | None = None,
    bounded: bool = True,
) -> float:
    """Intersection over union, in pixels, of the parts of two regions inside an image; 0..1.

    As in the toolkit, regions that together touch a single row or column are the same (1), also of no pixel and however
    far apart, and those that do so within the image alone do not overlap (0).

    Args:
        a, b: regions; None: none, as of a code.
        width, height: of the image.
        ignored: its pixels do not count.
        bounded: whether pixels outside the image do not count either.

    >>> pixel_overlap(np.array([0.0, 0, 10, 10]), np.array([5.0, 0, 10, 10]), 40, 30) == 1 / 3
    True
    """
    both = _around(_bounds(a), _bounds(b))
    if _thin(both):
        return 1.0
    seen = _inside(both, width, height) if bounded else both
    if _thin(seen):
        return 0.0
    shapes = isinstance(a, np.ndarray) and isinstance(b, np.ndarray)
    if not shapes or ignored is not None or not bounded:
        p, q = _window(a, seen), _window(b, seen)
        counted = ~_window(ignored, seen)
        union = int(np.count_nonzero((p | q) & counted))
        return int(np.count_nonzero(p & q & counted)) / union if union else 0.0
    assert isinstance(a, np.ndarray) and isinstance(b, np.ndarray)
    return _shapes_overlap(_rows(a, width, height), _rows(b, width, height))


def _shapes_overlap(p: _Rows, q: _Rows) -> float:
    """Overlap by the ends of the rows, without drawing them."""
    top, bottom = max(p.top, q.top), min(p.top + len(p.left), q.top + len(q.left))
    inside = 0
    if bottom > top:
        of_p, of_q = slice(top - p.top, bottom - p.top), slice(top - q.top, bottom - q.top)
        common = np.minimum(p.right[of_p], q.right[of_q]) - np.maximum(p.left[of_p], q.left[of_q])
        inside = int(common.clip(min=0).sum())
    union = int((p.right - p.left).sum() + (q.right - q.left).sum()) - inside
    return inside / union if union else 0.0


def _shape(region: Shape) -> shapely.Geometry:
    """The area of a region; a polygon that crosses itself is mended."""
    if region.ndim == 1:
        x, y, w, h = region.tolist()
        return shapely.box(x, y, x + w, y + h)
    return shapely.make_valid(shapely.Polygon(region))


def exact_overlap(a: Region, b: Region, width: int, height: int) -> float:
    """Intersection over union of the areas of two regions inside an image; 0..1. With a mask pixels are counted.

    >>> exact_overlap(np.array([0.0, 0, 10, 10]), np.array([5.5, 0, 10, 10]), 40, 30) == 4.5 / 15.5
    True
    """
    if isinstance(a, PlacedMask) or isinstance(b, PlacedMask):
        seen = _inside(_around(_bounds(a), _bounds(b)), width, height)
        if seen[1] < seen[0] or seen[3] < seen[2]:
            return 0.0
        first, second = _window(a, seen), _window(b, seen)
        either = np.count_nonzero(first | second)
        return np.count_nonzero(first & second) / either if either else 0.0
    p, q = (shapely.clip_by_rect(_shape(region), 0, 0, width, height) for region in (a, b))
    inside = p.intersection(q).area
    union = p.area + q.area - inside
    return min(max(inside / union, 0.0), 1.0) if union > 0 else 0.0
