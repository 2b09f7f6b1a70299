"""The square crop with context, corner to corner and filled with one colour outside the image (SiamFC++)."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from d3s_vot.compute.timing import stage
from d3s_vot.crops.squares import Image
from d3s_vot.errors import InputError

Pair = NDArray[np.floating]  # two numbers: x, y or w, h


def context_side(wh: Pair) -> float:
    """Side of the square that holds a target of width and height w, h and its context, in the same unit.

    The context is half of w + h: sqrt((w + c)(h + c)) with c = (w + h) / 2.

    >>> context_side(np.array([30.0, 30.0]))
    60.0
    """
    w, h = (float(side) for side in wh)
    context = 0.5 * (w + h)
    return math.sqrt((w + context) * (h + context))


def context_square(center_xy: Pair, scale: float, size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Where a crop lies: its pixel i shows the image at first + i * step.

    In float32, as published: another rounding changes a few values of a crop by 1.

    Args:
        center_xy: of the square, pixels of the image.
        scale: pixels of the crop per pixel of the image.
        size: of the crop, pixels.

    Returns:
        first and step, (x, y) each.

    Raises:
        InputError: the scale is not a positive number.
    """
    if not (math.isfinite(scale) and scale > 0):
        raise InputError(f"cannot cut a crop at scale {scale}")
    side = np.float32(round(size / scale))  # Python rounds halves to even, as the published code does
    half = (side - np.float32(1)) / np.float32(2)
    first, last = np.asarray(center_xy, np.float32) - half, np.asarray(center_xy, np.float32) + half
    return first, (last - first) / np.float32(size - 1)


@stage("crop")
def context_crop(image: Image, center_xy: Pair, scale: float, size: int, fill: Pair) -> Image:
    """The square around a point, corner to corner: its first and last pixel are the crop's first and last.

    Bilinear without antialiasing, as OpenCV's `warpAffine` samples; beyond the image's edge the samples blend with the
    fill colour.

    Args:
        image: H x W x 3, uint8.
        center_xy: of the square, pixels of the image.
        scale: pixels of the crop per pixel of the image.
        size: of the crop, pixels.
        fill: the colour outside the image, truncated to whole numbers.

    Returns:
        size x size x 3, uint8.

    Raises:
        InputError: the scale is not a positive number.
    """
    first, step = context_square(center_xy, scale, size)
    matrix = np.array([[step[0], 0, first[0]], [0, step[1], first[1]]], np.float64)
    colour = tuple(int(value) for value in fill)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    crop = cv2.warpAffine(image, matrix, (size, size), None, flags, cv2.BORDER_CONSTANT, colour)
    return np.asarray(crop, np.uint8)
