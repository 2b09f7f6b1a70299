"""The square crop around a box, black outside the image (OSTrack, DropTrack)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from d3s_vot.compute.timing import stage
from d3s_vot.crops.squares import MAX_SQUARE, Image
from d3s_vot.regions import Box


@dataclass(frozen=True)
class BlackSquare:
    """Where a crop lies in the image.

    Attributes:
        corner_xy: of its first pixel, whole.
        side: in the image, whole pixels.
        size: of the crop, pixels.
    """

    corner_xy: tuple[int, int]
    side: int
    size: int

    @classmethod
    def around(cls, box: Box, factor: float, size: int) -> BlackSquare:
        """The square of side ceil(factor sqrt(w h)) around a box.

        >>> BlackSquare.around(Box(10.0, 20.0, 30.0, 30.0), 2.0, 128)
        BlackSquare(corner_xy=(-5, 5), side=60, size=128)
        """
        side = max(math.ceil(math.sqrt(box.w * box.h) * factor), 1)
        # Python rounds halves to even, as the published code does.
        corner = (round(box.x + 0.5 * box.w - side * 0.5), round(box.y + 0.5 * box.h - side * 0.5))
        return cls(corner, side, size)

    @property
    def factor(self) -> float:
        """Pixels of the crop per pixel of the image."""
        return self.size / self.side

    @stage("crop")
    def cut(self, image: Image) -> Image:
        """The crop (size x size x 3) of an H x W x 3 uint8 image.

        As published, the image's last column or row is black too where the square reaches that edge.
        """
        step = math.ceil(self.side / MAX_SQUARE)  # 1 but for giants, of which every second pixel is looked at, or fewer
        (rows, top, bottom), (columns, left, right) = (
            _shown(corner, self.side, length, step)
            for corner, length in zip(reversed(self.corner_xy), image.shape[:2], strict=True)
        )
        part = image[rows, columns]
        if 0 in part.shape:
            return np.zeros((self.size, self.size, 3), np.uint8)
        if top or bottom or left or right:
            part = np.asarray(cv2.copyMakeBorder(part, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(0, 0, 0)))
        return np.asarray(cv2.resize(part, (self.size, self.size), interpolation=cv2.INTER_LINEAR), np.uint8)


def _shown(start: int, side: int, length: int, step: int) -> tuple[slice, int, int]:
    """Which pixels along an axis a square shows, and how many black ones come before and after, by steps."""
    end = start + side
    last = end if end < length else max(length - 1, 0)
    first = min(max(start, 0), max(last, 0))
    shown = slice(first, max(last, first), step)
    count = len(range(first, max(last, first), step))
    before = max(-start, 0) // step
    return shown, before, max(math.ceil(side / step) - before - count, 0)
