"""What the network looks at, and the way back: frames made smaller and padded, maps of several objects joined."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from d3s_vot.trunks.vit import PATCH

SMALLEST, LARGEST = 1e-7, 1 - 1e-7  # of probabilities that are joined


@dataclass(frozen=True)
class View:
    """How frames of a video are brought to the network.

    Attributes:
        size_hw: of the frames, made smaller.
        left, right, top, bottom: pixels of zeros around them.
    """

    size_hw: tuple[int, int]
    left: int
    right: int
    top: int
    bottom: int

    @classmethod
    def of(cls, image_hw: tuple[int, int], shorter_side: int) -> View:
        """The view of frames of this size, made smaller where their shorter side is longer than that.

        >>> View.of((480, 854), 480)
        View(size_hw=(480, 854), left=5, right=5, top=0, bottom=0)
        >>> View.of((1080, 1920), 480).size_hw
        (480, 853)
        """
        height, width = image_hw
        if min(height, width) > shorter_side:
            factor = shorter_side / min(height, width)
            height, width = (
                (shorter_side, max(int(factor * width), 1)) if height <= width else (int(factor * height), shorter_side)
            )
        missing_h, missing_w = -height % PATCH, -width % PATCH
        top, left = missing_h // 2, missing_w // 2
        return cls((height, width), left, missing_w - left, top, missing_h - top)

    @property
    def grid_hw(self) -> tuple[int, int]:
        """Tokens along the sides."""
        height, width = self.size_hw
        return (height + self.top + self.bottom) // PATCH, (width + self.left + self.right) // PATCH

    def image(self, image: Tensor) -> Tensor:
        """A normalised frame of any size, 1 x 3 x H x W, as the network takes it."""
        return self._padded(self._resized(image, "bicubic"))

    def mask(self, mask: Tensor) -> Tensor:
        """A mask of any size, 1 x 1 x H x W, 0 or 1, as the network takes it."""
        return self._padded(self._resized(mask, "nearest"))

    def back(self, maps: Tensor, image_hw: tuple[int, int]) -> Tensor:
        """K x H x W maps of the network in the pixels of a frame."""
        height, width = self.size_hw
        inside = maps[:, self.top : self.top + height, self.left : self.left + width]
        if image_hw == self.size_hw:
            return inside
        return F.interpolate(inside[None], size=image_hw, mode="bilinear", align_corners=False)[0]

    def _resized(self, x: Tensor, mode: str) -> Tensor:
        if tuple(x.shape[2:]) == self.size_hw:
            return x
        if mode == "nearest":
            return F.interpolate(x, size=self.size_hw, mode=mode)
        return F.interpolate(x, size=self.size_hw, mode=mode, align_corners=False)

    def _padded(self, x: Tensor) -> Tensor:
        return F.pad(x, (self.left, self.right, self.top, self.bottom))


def aggregate(probabilities: Tensor) -> Tensor:
    """Soft aggregation of several objects: each by its odds, the background as what is of none.

    Args:
        probabilities: K x ..., of each object by itself.

    Returns:
        K + 1 x ..., background first; they sum to 1.
    """
    background = (1 - probabilities).prod(dim=0, keepdim=True)
    every = torch.cat([background, probabilities]).clamp(SMALLEST, LARGEST)
    odds = every / (1 - every)
    return odds / odds.sum(dim=0, keepdim=True)
