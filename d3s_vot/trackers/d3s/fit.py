"""Mask -> rotated rectangle or box (paper section 3.4), in pixels of the crop, 0-based.

Corners are pixel centres: a mask of columns 3 .. 5 has corners at x = 3 and x = 5.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from d3s_vot.compute.timing import stage
from d3s_vot.errors import InputError
from d3s_vot.trackers.d3s.config import D3SConfig

Corners = NDArray[np.float64]  # 4 x 2


@stage("fit")
def largest_contour(mask: NDArray[Any]) -> NDArray[np.int32] | None:
    """Outer contour of the largest component of a mask.

    Args:
        mask: H x W, bool or uint8, non-zero on the target.

    Returns:
        N x 1 x 2 contour, (x, y); None where the mask is empty.
    """
    contours, _ = cv2.findContours(_as_uint8(mask), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(max(contours, key=cv2.contourArea), np.int32) if contours else None


@stage("fit")
def largest_part(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What the outer contour of a mask's largest component encloses, as far as it is mask: H x W, with its holes."""
    contour = largest_contour(mask)
    if contour is None:
        return np.zeros_like(mask)
    filled = np.zeros(mask.shape, np.uint8)
    cv2.drawContours(filled, [contour], -1, 1, cv2.FILLED)
    return mask & (filled > 0)


@stage("fit")
def min_area_corners(contour: NDArray[np.int32]) -> Corners:
    """R0: the 4 x 2 corners of the minimum-area rectangle of an N x 1 x 2 contour."""
    return cv2.boxPoints(cv2.minAreaRect(contour)).astype(np.float64)


@stage("fit")
def fit_axis_aligned(mask: NDArray[Any]) -> NDArray[np.int32]:
    """R1 for box initialisation: the min-max box of the mask's largest component.

    Args:
        mask: H x W, bool or uint8, non-zero on the target.

    Returns:
        4 x 2 corners, clockwise from the top left.

    Raises:
        InputError: the mask is empty.
    """
    x, y, w, h = cv2.boundingRect(_outline(mask))
    x1, y1 = x + w - 1, y + h - 1
    return np.array([(x, y), (x1, y), (x1, y1), (x, y1)], np.int32)


@stage("fit")
def fit_rotated(mask: NDArray[Any], config: D3SConfig) -> Corners:
    """R1 for polygon initialisation: the rectangle that the mask's largest component fills best.

    An ellipse gives centre and angle; the component, filled, is turned upright about that centre, and its
    min-max box shrinks side by side while the score of the paper improves.

    Args:
        mask: H x W, bool or uint8, non-zero on the target.
        config: its `fit_*` constants.

    Returns:
        4 x 2 corners, clockwise; the first side lies along the ellipse's first axis.

    Raises:
        InputError: the mask is empty.
    """
    contour = _outline(mask)
    center, angle = _center_and_angle(contour, config.fit_max_axis * max(mask.shape))
    filled = np.zeros(mask.shape, np.uint8)
    cv2.drawContours(filled, [contour], -1, 1, cv2.FILLED)
    turn = cv2.getRotationMatrix2D(center, angle, 1.0)
    # The canvas moves to hold all of the turned component: by whole pixels, so the samples stay as they are.
    turned = cv2.transform(contour.astype(np.float64), turn)[:, 0]  # N x 2
    shift = 1 - np.floor(turned.min(axis=0))
    turn[:, 2] += shift
    width, height = (np.ceil(turned.max(axis=0)) + shift + 2).astype(int).tolist()
    # Bilinear on 0 and 1, rounded by OpenCV: the target is where more than half of a pixel is target.
    upright = np.asarray(cv2.warpAffine(filled, turn, (width, height), flags=cv2.INTER_LINEAR), np.uint8)
    if not upright.any():  # a line can be thinner than half a pixel everywhere
        return min_area_corners(contour)
    x0, y0, x1, y1 = _shrink(upright, config)
    corners = np.array([(x0, y0, 1), (x1, y0, 1), (x1, y1, 1), (x0, y1, 1)], np.float64)
    return corners @ cv2.invertAffineTransform(turn).T


def _as_uint8(mask: NDArray[Any]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(mask).view(np.uint8) if mask.dtype == np.bool_ else mask.astype(np.uint8)


def _outline(mask: NDArray[Any]) -> NDArray[np.int32]:
    contour = largest_contour(mask)
    if contour is None:
        raise InputError("no rectangle can be fitted to an empty mask; check its area first")
    return contour


def _center_and_angle(contour: NDArray[np.int32], max_axis: float) -> tuple[tuple[float, float], float]:
    """Centre (x, y) and angle in degrees of the ellipse, or of R0 where the ellipse is not believed."""
    if len(contour) >= 5:  # what an ellipse takes
        (x, y), axes, angle = cv2.fitEllipse(contour)
        if all(map(math.isfinite, (x, y, *axes, angle))) and max(axes) <= max_axis:
            return (x, y), angle
    (x, y), _, angle = cv2.minAreaRect(contour)
    return (x, y), angle


def _shrink(mask: NDArray[np.uint8], config: D3SConfig) -> tuple[int, int, int, int]:
    """First and last column and row (x0, y0, x1, y1) of the box with the best score N1 / (a (A - N1) + N).

    The sides take turns, top, left, bottom, right, each moving by one pixel where that improves the score.

    Args:
        mask: H x W of 0 and 1, not empty.
    """
    x, y, w, h = cv2.boundingRect(mask)
    # sums[j, i]: pixels of the target above row j and left of column i, so that any box costs four look-ups.
    sums = cv2.integral(mask[y : y + h, x : x + w]).tolist()
    total = sums[h][w]

    def score(top: int, left: int, bottom: int, right: int) -> float:
        if top >= bottom or left >= right:
            return 0.0
        inside = sums[bottom][right] - sums[top][right] - sums[bottom][left] + sums[top][left]
        if inside < config.fit_min_inside * total:
            return 0.0
        area = (bottom - top) * (right - left)
        return inside / (config.fit_alpha * (area - inside) + total)

    sides = [0, 0, h, w]  # top, left, bottom, right; the last two exclusive
    best = score(*sides)
    moved = True
    while moved:
        moved = False
        for side, step in enumerate((1, 1, -1, -1)):
            sides[side] += step
            if (candidate := score(*sides)) > best:
                best, moved = candidate, True
            else:
                sides[side] -= step
    top, left, bottom, right = sides
    return x + left, y + top, x + right - 1, y + bottom - 1
