"""Localisation patches: float tensors made on the network's device, with the image's border replicated."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from d3s_vot.compute.timing import stage
from d3s_vot.errors import InputError

Pair = tuple[float, float]


@dataclass(frozen=True)
class Window:
    """The part of an image that a patch shows, counted in every `step`-th row and column from an offset.

    Attributes:
        first_yx: its first row and column.
        end_yx: those after its last.
        step: rows of the image from one that is looked at to the next.
        offset_yx: the first row and column of the image that are looked at.
    """

    first_yx: tuple[int, int]
    end_yx: tuple[int, int]
    step: int
    offset_yx: tuple[int, int]

    @classmethod
    def around(cls, position_yx: Pair, step: int, sides_hw: tuple[int, int]) -> Window:
        """The window of so many rows and columns about a position (y, x), which is cut to whole numbers."""
        middles = [int(p) // step for p in position_yx]
        y, x = (middle - (side - 1) // 2 for middle, side in zip(middles, sides_hw, strict=True))
        offset_y, offset_x = (int(p) % step for p in position_yx)
        return cls((y, x), (y + sides_hw[0], x + sides_hw[1]), step, (offset_y, offset_x))

    @property
    def position_yx(self) -> Pair:
        """Its middle, pixels of the image, as published: the offset is left out."""
        y, x = ((self.step * (a + b) - 1) / 2 for a, b in zip(self.first_yx, self.end_yx, strict=True))
        return y, x

    def scale(self, size: int) -> float:
        """Pixels of the image per pixel of a patch of this size, the mean of both axes."""
        h, w = (self.step * (b - a) / size for a, b in zip(self.first_yx, self.end_yx, strict=True))
        return math.sqrt(h * w)

    @stage("crop")
    def cut(self, image: Tensor, size: int) -> Tensor:
        """The patch, with the image's border replicated, resized bilinearly without antialiasing.

        Args:
            image: 1 x 3 x H x W, uint8.
            size: of the patch, pixels.

        Returns:
            1 x 3 x size x size float32 on the scale 0..255.
        """
        height, width = image.shape[2:]
        rows, columns = (b - a for a, b in zip(self.first_yx, self.end_yx, strict=True))
        patch = image.float() if height * width < rows * columns else image
        for axis, length in enumerate((height, width)):
            index = torch.arange(self.first_yx[axis], self.end_yx[axis], device=image.device)
            offset = self.offset_yx[axis]
            last = max(_looked_at(length, offset, self.step), 1) - 1
            patch = patch.index_select(2 + axis, (index.clamp(0, last) * self.step + offset).clamp(max=length - 1))
        patch = patch.float()
        if rows == columns == size:
            return patch
        return F.interpolate(patch, (size, size), mode="bilinear", align_corners=False)


def _looked_at(length: int, offset: int, step: int) -> int:
    """How many rows of `length` a window counts."""
    return (length - offset + step - 1) // step


def localization_patch(image: Tensor, position: tuple[float, float], scale: float, size: int) -> Tensor:
    """GEM's square patch: the image sub-sampled, cut with a replicated border and resized.

    Args:
        image: 1 x 3 x H x W, uint8.
        position: (y, x) of its middle, pixels of the image.
        scale: pixels of the image per pixel of the patch.
        size: of the patch, pixels.

    Returns:
        1 x 3 x size x size float32 on the scale 0..255.

    Raises:
        InputError: the scale is not a positive number.
    """
    _check(scale)
    step = max(math.floor(scale - 0.1), 1)
    side = max(round(size * scale / step), 1)
    return Window.around(position, step, (side, side)).cut(image, size)


def sample_window(
    image_hw: tuple[int, int], position_yx: Pair, scale: float, size: int, *, inside: str = "", limit: float = math.inf
) -> Window:
    """Where the sample of ATOM and DiMP lies.

    Args:
        image_hw: height and width of the image.
        position_yx: of its middle, pixels of the image.
        scale: pixels of the image per pixel of the sample.
        size: of the sample, pixels.
        inside: "": it may reach beyond the image; "inside": it is made smaller until it need not, and moved inside;
            "inside_major": the same for the image's longer side alone.
        limit: the factor by which it is made smaller at most.

    Raises:
        InputError: the scale is not a positive number.
    """
    _check(scale)
    side = np.float32(scale * size)  # single precision, as published: its half pixels decide
    if inside:
        shares = [side / np.float32(length) for length in image_hw]
        factor = max(shares) if inside == "inside" else min(shares)
        side = np.float32(int(side / np.float32(min(max(factor, 1.0), limit))))
    step = max(int(side / np.float32(size) - np.float32(0.1)), 1)
    count = max(round(float(side) / step), 2)  # Python rounds halves to even, as the published code does
    window = Window.around(position_yx, step, (count, count))
    return _moved_inside(window, image_hw) if inside else window


def _moved_inside(window: Window, image_hw: tuple[int, int]) -> Window:
    """The window moved into the image, or to its middle where it is larger."""
    firsts = []
    for first, end, offset, length in zip(window.first_yx, window.end_yx, window.offset_yx, image_hw, strict=True):
        seen = _looked_at(length, offset, window.step)
        moved = first + max(-first, 0) - max(end - seen, 0)
        beyond = (max(-moved, 0) + max(moved + end - first - seen, 0)) // 2
        firsts.append(-beyond if beyond > 0 else moved)
    y, x = firsts
    side = window.end_yx[0] - window.first_yx[0]
    return Window((y, x), (y + side, x + side), window.step, window.offset_yx)


def _check(scale: float) -> None:
    if not (math.isfinite(scale) and scale > 0):
        raise InputError(f"cannot cut a patch at scale {scale}")
