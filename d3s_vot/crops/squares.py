"""The segmentation crop with its way back to the image, and the upload of images.

The crop replicates the image's border; it is OpenCV's uint8 bilinear resize, as published.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from d3s_vot.compute.timing import stage

Image = NDArray[np.uint8]

# Pixels, a little more than around a target as large as a 4K frame (0.5 GB); of a larger square every second pixel is
# looked at, or fewer.
MAX_SQUARE = 12288


@dataclass(frozen=True)
class Crop:
    """Where a square segmentation crop lies in the image.

    Attributes:
        center: (x, y) that the crop was asked for, in pixels of the image.
        corner: (x, y) of its first pixel, whole.
        side: of the square in the image, whole pixels.
        size: of the crop, pixels.
    """

    center: tuple[float, float]
    corner: tuple[int, int]
    side: int
    size: int

    @classmethod
    def around(cls, center: tuple[float, float], wh: tuple[float, float], area_scale: float, size: int) -> Crop:
        """The square of side ceil(area_scale * sqrt(w h)) around a target (paper section 3.3)."""
        side = math.ceil(area_scale * math.sqrt(wh[0] * wh[1]))
        # Python rounds halves to even, as the published code does.
        corner = (round(center[0] - side / 2), round(center[1] - side / 2))
        return cls(center, corner, max(side, 1), size)

    @property
    def factor(self) -> float:
        """Pixels of the crop per pixel of the image."""
        return self.size / self.side

    @stage("crop")
    def cut(self, image: Image) -> Image:
        """The crop (size x size x 3) of an H x W x 3 uint8 image, border replicated."""
        height, width = image.shape[:2]
        x, y, side, step = self._square()
        # As published, the last column or row is left out where the square passes that edge.
        used_w = width - (self.corner[0] + self.side > width > 1)
        used_h = height - (self.corner[1] + self.side > height > 1)
        part = image[:used_h:step, :used_w:step]
        rows, top, bottom = _shown(y, side, part.shape[0])
        columns, left, right = _shown(x, side, part.shape[1])
        square: NDArray = part[rows, columns]
        if top or bottom or left or right:
            square = cv2.copyMakeBorder(square, top, bottom, left, right, cv2.BORDER_REPLICATE)
        return np.asarray(cv2.resize(square, (self.size, self.size), interpolation=cv2.INTER_LINEAR), np.uint8)

    def cut_mask(self, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        """The crop of an H x W mask, zero outside the image; values in 0..1."""
        x, y, side, step = self._square()
        square = np.zeros((side, side), np.float32)
        left, top = max(-x, 0), max(-y, 0)
        part = mask[::step, ::step][max(y, 0) : max(y + side, 0), max(x, 0) : max(x + side, 0)]
        square[top : top + part.shape[0], left : left + part.shape[1]] = part
        return np.asarray(cv2.resize(square, (self.size, self.size), interpolation=cv2.INTER_LINEAR), np.float32)

    def _square(self) -> tuple[int, int, int, int]:
        """x and y of the corner and the side, counted in every `step`-th pixel of the image; step: 1 but for giants."""
        step = math.ceil(self.side / MAX_SQUARE)
        return self.corner[0] // step, self.corner[1] // step, self.side // step, step

    def to_image(self, points: NDArray) -> NDArray[np.float64]:
        """N x 2 points (x, y) of the crop in the image, by the published mapping."""
        return (np.asarray(points, np.float64) - self.size / 2) / self.factor + np.asarray(self.center)

    def paste(self, probability: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
        """A size x size map of the crop brought back to the image, bilinear: H x W, zero outside the crop."""
        full = np.zeros((height, width), np.float32)
        x0, y0 = self.corner
        left, top, right, bottom = max(x0, 0), max(y0, 0), min(x0 + self.side, width), min(y0 + self.side, height)
        if left >= right or top >= bottom:
            return full
        shown = full[top:bottom, left:right]
        if self.side**2 <= 4 * shown.size:
            square = cv2.resize(probability, (self.side, self.side), interpolation=cv2.INTER_LINEAR)
            shown[:] = square[top - y0 : bottom - y0, left - x0 : right - x0]
            return full
        # Little of the square is seen: only that is worked out, columns first, then rows.
        before, after, share = self._between(left - x0, right - x0)
        columns = probability[:, before] * (1 - share) + probability[:, after] * share  # size x shown
        before, after, share = self._between(top - y0, bottom - y0)
        np.multiply(columns[before], 1 - share[:, None], out=shown)
        shown += columns[after] * share[:, None]
        return full

    def _between(self, start: int, stop: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
        """For pixels of the square along an axis: the crop's pixels before and after each, and the share of the latter.

        Pixel centres: crop pixel u shows the square at (u + 0.5) / factor - 0.5.
        """
        at = ((np.arange(start, stop) + 0.5) * self.factor - 0.5).clip(0, self.size - 1)
        before = at.astype(np.intp)
        return before, np.minimum(before + 1, self.size - 1), (at - before).astype(np.float32)


def _shown(start: int, side: int, length: int) -> tuple[slice, int, int]:
    """Which pixels along an axis of an image a square shows, and how often it repeats the first and the last."""
    first = min(max(start, 0), length - 1)
    last = max(min(start + side, length), first + 1)
    before = min(max(-start, 0), side - 1)
    return slice(first, last), before, side - before - (last - first)


@stage("crop")
def image_tensor(image: Image, device: torch.device) -> Tensor:
    """n x 3 x H x W uint8 on the device, in one upload, of one image (H x W x 3) or several (n x H x W x 3)."""
    pixels = np.require(image, requirements=["C", "W"])  # torch warns of arrays that it cannot write to
    images = torch.from_numpy(pixels).to(device)
    return (images[None] if images.ndim == 3 else images).permute(0, 3, 1, 2)
