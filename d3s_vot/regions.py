"""Boxes, polygons and masks: conversions, areas, overlaps; the only room that knows corner conventions.

Inside the package coordinates are 0-based: pixel (0, 0) is the top-left one, and `Box(x, y, w, h)` covers the
pixels x .. x + w - 1. OTB, GOT-10k and the rectangles of VOT2013-2018 count from 1, TrackingNet from 0;
`Box.counted_from` and `Box.count_from` convert them at the edge of the package. Polygons of VOT are taken as they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from d3s_vot.errors import InputError
from d3s_vot.numbers import array_of, number

FAR = 2.0**20  # pixels; no picture that is read is as long


@dataclass(frozen=True)
class Box:
    """An axis-aligned box: left, top, width and height in pixels, 0-based; its middle is x + w / 2, y + h / 2.

    >>> Box(2, 3, 4, 5).area
    20.0
    >>> Box.from_one_based(1, 1, 4, 4)
    Box(x=0.0, y=0.0, w=4.0, h=4.0)

    Raises:
        InputError: a value is no finite number, or width or height is not positive.
    """

    x: float
    y: float
    w: float
    h: float

    def __post_init__(self) -> None:
        for name in ("x", "y", "w", "h"):
            object.__setattr__(self, name, number(getattr(self, name)))
        if not all(map(math.isfinite, self)):
            raise InputError(f"box {tuple(self)} holds a value that is not finite; give x, y, w, h as numbers")
        if self.w <= 0 or self.h <= 0:
            raise InputError(f"box {tuple(self)} is empty; width and height must be positive")

    def __iter__(self):
        return iter((self.x, self.y, self.w, self.h))

    @classmethod
    def counted_from(cls, origin: float, x: float, y: float, w: float, h: float) -> Box:
        """The box of an annotation that counts the top-left pixel as `origin`, 1 or 0."""
        return cls(number(x) - origin, number(y) - origin, w, h)

    def count_from(self, origin: float) -> tuple[float, float, float, float]:
        """x, y, w, h as an annotation has them that counts the top-left pixel as `origin`."""
        return self.x + origin, self.y + origin, self.w, self.h

    @classmethod
    def from_one_based(cls, x: float, y: float, w: float, h: float) -> Box:
        """The box of a 1-based annotation (OTB, VOT2013-2018, GOT-10k)."""
        return cls.counted_from(1, x, y, w, h)

    def one_based(self) -> tuple[float, float, float, float]:
        """x, y, w, h with the corner counted from 1."""
        return self.count_from(1)

    @classmethod
    def from_center(cls, cx: float, cy: float, w: float, h: float) -> Box:
        """The box of size w, h whose middle is (cx, cy)."""
        cx, cy, w, h = (number(value) for value in (cx, cy, w, h))
        return cls(cx - w / 2, cy - h / 2, w, h)

    @property
    def center(self) -> tuple[float, float]:
        """(x, y) of the middle."""
        return self.x + self.w / 2, self.y + self.h / 2

    @property
    def area(self) -> float:
        """Width times height, in pixels."""
        return self.w * self.h

    def resized(self, down: float, right: float) -> Box:
        """The same place in an image that shows the same view at another size."""
        return Box(self.x * right, self.y * down, self.w * right, self.h * down)

    @property
    def box(self) -> Box:
        """The box itself; every region has one."""
        return self

    @property
    def polygon(self) -> Polygon:
        """The four corners, clockwise from the top left; same area as the box."""
        x1, y1 = self.x + self.w, self.y + self.h
        return Polygon([(self.x, self.y), (x1, self.y), (x1, y1), (self.x, y1)])

    def overlaps_image(self, height: int, width: int) -> bool:
        """Whether any part of the box lies inside an image of that size."""
        return self.x < width and self.y < height and self.x + self.w > 0 and self.y + self.h > 0

    def inside_image(self, height: int, width: int) -> Box:
        """The part inside an image of that size.

        Raises:
            InputError: there is none.
        """
        x, y = max(self.x, 0.0), max(self.y, 0.0)
        return Box(x, y, min(self.x + self.w, width) - x, min(self.y + self.h, height) - y)


class Polygon:
    """A polygon of three or more corners, (x, y) in pixels.

    Args:
        points: N x 2 corners, or the flat 2 N numbers of a VOT annotation; copied.

    Raises:
        InputError: fewer than three corners, a value that is no finite number, or no area.
    """

    def __init__(self, points: ArrayLike | Iterable[Sequence[float]]) -> None:
        array = array_of(points, "the polygon's corners", np.float64)
        if array.size < 6 or array.size % 2 or array.ndim > 2 or (array.ndim == 2 and array.shape[1] != 2):
            raise InputError(f"a polygon needs three or more x, y corners, not an array of shape {array.shape}")
        if not np.isfinite(array).all():
            raise InputError("the polygon holds a value that is not finite; give its corners as numbers")
        self.points: NDArray[np.float64] = array.reshape(-1, 2)  # N x 2
        self.points.flags.writeable = False
        if np.ptp(self.points, axis=0).min() <= 0:
            raise InputError("the polygon is a line or a point; it must enclose an area")

    def __repr__(self) -> str:
        return f"Polygon({self.points.round(3).tolist()})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Polygon) and np.array_equal(self.points, other.points)

    def __hash__(self) -> int:
        return hash(self.points.tobytes())

    @property
    def center(self) -> tuple[float, float]:
        """(x, y): the mean of the corners."""
        x, y = self.points.mean(axis=0)
        return float(x), float(y)

    @property
    def area(self) -> float:
        """Enclosed area in pixels."""
        x, y = self.points.T
        return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)

    @property
    def box(self) -> Box:
        """The smallest axis-aligned box around the corners."""
        (x0, y0), (x1, y1) = self.points.min(axis=0), self.points.max(axis=0)
        return Box(x0, y0, x1 - x0, y1 - y0)

    @property
    def polygon(self) -> Polygon:
        """The polygon itself; every region has one."""
        return self

    def flat(self) -> list[float]:
        """x0, y0, x1, y1, ... as the VOT text formats have it."""
        return self.points.ravel().tolist()

    def quadrilateral(self) -> Polygon:
        """Itself where it has four corners, else its minimum-area rectangle."""
        if len(self.points) == 4:
            return self
        return Polygon(cv2.boxPoints(cv2.minAreaRect(self.points.astype(np.float32))))


@dataclass(frozen=True, eq=False)
class Mask:
    """A region given pixel by pixel.

    Args:
        array: H x W, non-zero (or > 0.5) on the target: an array, a tensor, or nested lists of numbers; copied as bool.

    Raises:
        InputError: no numbers, not two-dimensional, not finite, or empty.
    """

    array: NDArray[np.bool_]

    def __post_init__(self) -> None:
        array = array_of(self.array, "the mask")
        if array.dtype.kind not in "biuf":
            raise InputError(f"the mask is of the type {array.dtype}; give numbers, 0 outside the target")
        if array.ndim != 2:
            raise InputError(f"a mask must be H x W, not of shape {array.shape}")
        if not np.isfinite(array).all():
            raise InputError("the mask holds values that are not finite")
        array = array > (0.5 if array.dtype.kind == "f" else 0)
        if not array.any():
            raise InputError("the mask is empty; mark at least one pixel of the target")
        object.__setattr__(self, "array", array)

    @property
    def area(self) -> float:
        """Number of pixels."""
        return float(np.count_nonzero(self.array))

    @property
    def box(self) -> Box:
        """The smallest box around the pixels."""
        x, y, w, h = cv2.boundingRect(self.array.astype(np.uint8))
        return Box(x, y, w, h)

    @property
    def polygon(self) -> Polygon:
        """The corners of its box."""
        return self.box.polygon

    @property
    def center(self) -> tuple[float, float]:
        """(x, y) of the middle pixel of its box: the mean of the outermost pixels' indices."""
        box = self.box
        return box.x + (box.w - 1) / 2, box.y + (box.h - 1) / 2


Region = Box | Polygon | Mask


def from_vot(numbers: ArrayLike) -> Box | Polygon:
    """The region of a VOT annotation: a rectangle, which counts from 1, or the corners of a polygon, taken as they are.

    Args:
        numbers: x, y, w, h, or x0, y0, x1, y1, x2, y2 ... in any shape.

    Raises:
        InputError: they are no region, or an empty one.
    """
    values = np.asarray(numbers, np.float64).ravel()
    return Box.from_one_based(*values.tolist()) if len(values) == 4 else Polygon(values)


def rasterize(region: Region, height: int, width: int) -> NDArray[np.bool_]:
    """H x W boolean mask of a region; a polygon's corners are cut to whole pixels, as published, and belong to it."""
    if isinstance(region, Mask):
        if region.array.shape != (height, width):
            raise InputError(f"the mask is {region.array.shape[::-1]} pixels, the image {(width, height)}")
        return region.array
    canvas = np.zeros((height, width), np.uint8)
    if isinstance(region, Box):
        x0, y0 = round(region.x), round(region.y)
        x1, y1 = max(x0 + 1, round(region.x + region.w)), max(y0 + 1, round(region.y + region.h))
        canvas[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = 1
    else:
        # OpenCV walks along every row of it, and C's integers end somewhere.
        points = _within(region.points, FAR) if np.abs(region.points).max() > FAR else region.points
        if len(points):
            cv2.fillPoly(canvas, [points.astype(np.int32)], 1)
    return canvas.astype(bool)


def _within(points: NDArray[np.float64], reach: float) -> NDArray[np.float64]:
    """The corners of the part of a polygon whose coordinates are -reach to reach, N x 2; maybe none."""
    points = points.clip(-1e15, 1e15)  # beyond, doubles are coarser than pixels
    for axis, side in ((0, -1), (0, 1), (1, -1), (1, 1)):
        kept = []
        for a, b in zip(points, np.roll(points, -1, axis=0), strict=True):
            if side * a[axis] <= reach:
                kept.append(a)
            if (side * a[axis] <= reach) != (side * b[axis] <= reach):
                share = (side * reach - a[axis]) / (b[axis] - a[axis])
                kept.append(np.rint((1 - share) * a + share * b))
        points = np.array(kept, np.float64).reshape(-1, 2)
    return points


def box_iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, 0..1.

    >>> box_iou(Box(0, 0, 2, 2), Box(1, 0, 2, 2)) == 1 / 3
    True
    """
    w = min(a.x + a.w, b.x + b.w) - max(a.x, b.x)
    h = min(a.y + a.h, b.y + b.h) - max(a.y, b.y)
    inter = max(w, 0.0) * max(h, 0.0)
    return inter / (a.area + b.area - inter)


def polygon_iou(a: Polygon, b: Polygon) -> float:
    """Intersection over union of two polygons, 0..1.

    >>> polygon_iou(Box(0, 0, 2, 2).polygon, Box(1, 0, 2, 2).polygon) == 1 / 3
    True
    """
    # A polygon that crosses itself is mended first; shapely refuses to intersect it.
    first, second = (shapely.make_valid(shapely.Polygon(p.points)) for p in (a, b))
    inter = first.intersection(second).area
    return inter / (first.area + second.area - inter)


def mask_iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Intersection over union of two H x W masks, 0..1; two empty masks agree (1)."""
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 1.0
