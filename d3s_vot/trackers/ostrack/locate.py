"""From the network's maps to the target's box: pure functions of numbers (paper section 3.3, published code)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from d3s_vot.regions import Box

Float32 = NDArray[np.float32]


def hann_window(side: int) -> Float32:
    """Weights of the locations, side x side, row by row; largest in the middle, above zero everywhere."""
    at = np.arange(1, side + 1, dtype=np.float64)
    line = 0.5 * (1 - np.cos(2 * np.pi * at / (side + 1)))
    return (line[:, None] * line).astype(np.float32)


@dataclass(frozen=True)
class Found:
    """The chosen location.

    Attributes:
        best: its index, row by row.
        score: of the network there, without the window, 0..1.
        windowed: score times window there.
        box: cx, cy, w, h there, shares of the crop.
    """

    best: int
    score: float
    windowed: float
    box: tuple[float, float, float, float]


def decode(maps: Float32, window: Float32 | None = None) -> Found:
    """The box at the best score.

    Args:
        maps: 5 x s x s: score, width, height, offset x, y.
        window: s x s, on the choice of the location alone; None: none.
    """
    side = maps.shape[-1]
    response = maps[0] if window is None else maps[0] * window
    best = int(np.argmax(response))  # the first of equals
    row, column = divmod(best, side)
    score, w, h, dx, dy = (float(value) for value in maps[:, row, column])
    return Found(best, score, float(response[row, column]), ((column + dx) / side, (row + dy) / side, w, h))


def map_back(state: Box, box: tuple[float, float, float, float], side: float) -> Box:
    """A box of the crop in the image; the crop's middle is the exact centre of the state.

    Args:
        state: the box that the crop was cut around.
        box: cx, cy, w, h, shares of the crop.
        side: of the crop, pixels of the image.
    """
    cx, cy, w, h = (value * side for value in box)
    middle_x, middle_y = state.x + 0.5 * state.w - 0.5 * side, state.y + 0.5 * state.h - 0.5 * side
    return Box(middle_x + cx - 0.5 * w, middle_y + cy - 0.5 * h, w, h)


def clip(box: Box, image_hw: tuple[int, int], margin: float) -> Box:
    """A box that stays in the image, at least `margin` pixels of it, and is as wide and high as that."""
    (x, w), (y, h) = (
        _clip(start, length, limit, margin)
        for start, length, limit in ((box.x, box.w, image_hw[1]), (box.y, box.h, image_hw[0]))
    )
    return Box(x, y, w, h)


def _clip(start: float, length: float, limit: int, margin: float) -> tuple[float, float]:
    first = min(max(0.0, start), limit - margin)
    last = min(max(margin, start + length), float(limit))
    return first, max(margin, last - first)
