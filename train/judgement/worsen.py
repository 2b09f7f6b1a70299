"""Pictures made worse, as cameras and files make them: blurred, grey, coarse, of low contrast, noisy, compressed.

What is asked of the head must not hang on how good a picture is: a blurred video of a target is a video of the target.
So of a template's crops either all are worsened in one way or none, those with the target and those without.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # H x W x 3 RGB
Change = Callable[[Image], Image]


def draw_change(rng: np.random.Generator, length: float) -> Change:
    """Draw a way to worsen pictures; it worsens all alike.

    Args:
        rng: the source of chance.
        length: sqrt(w h) of the target in them, pixels.
    """
    match int(rng.integers(8)):
        case 0 | 6 | 7:  # by far the commonest in videos
            kernel = motion(rng, max(round(length * rng.uniform(0.05, 0.4)), 3))
            return lambda image: np.asarray(cv2.filter2D(image, -1, kernel), np.uint8)
        case 1:
            sigma = length * float(rng.uniform(0.01, 0.05)) + 0.5
            return lambda image: np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)
        case 2:
            return _grey
        case 3:
            factor = float(rng.uniform(0.2, 0.6))
            return lambda image: _coarse(image, factor)
        case 4:
            contrast, noise, seed = float(rng.uniform(0.2, 0.6)), float(rng.uniform(0, 8)), int(rng.integers(1 << 30))
            return lambda image: _dim(image, contrast, noise, seed)
        case _:
            quality = int(rng.integers(8, 35))
            return lambda image: _compressed(image, quality)


def motion(rng: np.random.Generator, length: int) -> NDArray[np.float32]:
    """A kernel that blurs along some direction, over so many pixels."""
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1
    turn = cv2.getRotationMatrix2D(((length - 1) / 2, (length - 1) / 2), float(rng.uniform(0, 180)), 1.0)
    turned = np.asarray(cv2.warpAffine(kernel, turn, (length, length)), np.float32)
    return turned / turned.sum()


def _grey(image: Image) -> Image:
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB).astype(np.uint8)


def _coarse(image: Image, factor: float) -> Image:
    height, width = image.shape[:2]
    size = (max(round(factor * width), 16), max(round(factor * height), 16))
    few = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return cv2.resize(few, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8)


def _dim(image: Image, contrast: float, noise: float, seed: int) -> Image:
    level = image.mean(axis=(0, 1))
    grain = np.random.default_rng(seed).normal(0, noise, image.shape)
    return np.rint(level + contrast * (image - level) + grain).clip(0, 255).astype(np.uint8)


def _compressed(image: Image, quality: int) -> Image:
    _, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
