"""The samples of LWL: a part of the image, of the network's shape, and the way from its logits back to the image."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from d3s_vot.online.state import Pair
from d3s_vot.trackers.lwl.config import UNIT
from d3s_vot.trackers.lwl.network import FILTER_SIDE

Size = tuple[int, int]  # (height, width)
NOTHING = -100.0  # logit outside of the sample
ROUNDING = 1e-3  # pixels that a window may lack to be as wide as the image, by rounding


@dataclass(frozen=True)
class Sample:
    """Where a sample lies.

    Attributes:
        first_yx: first row and column of its window, counted in every `step`-th pixel of the image from an offset.
        end_yx: those after its last.
        step: pixels of the image from one that is looked at to the next.
        offset_yx: the first row and column of the image that are looked at.
        size_hw: of the sample, pixels.
    """

    first_yx: Size
    end_yx: Size
    step: int
    offset_yx: Size
    size_hw: Size

    @property
    def position_yx(self) -> Pair:
        """Its middle, pixels of the image, as published: the offset is left out."""
        y, x = ((self.step * (a + b) - 1) / 2 for a, b in zip(self.first_yx, self.end_yx, strict=True))
        return y, x

    @property
    def scale(self) -> float:
        """Pixels of the image per pixel of the sample."""
        h, w = (
            self.step * (b - a) / size for a, b, size in zip(self.first_yx, self.end_yx, self.size_hw, strict=True)
        )
        return math.sqrt(h * w)

    def cut(self, image: Tensor) -> Tensor:
        """The sample of an image (1 x C x H x W), its border replicated, bilinear: 1 x C x h x w float32."""
        patch = self._window(image, outside=False).float()
        return _resized(patch, self.size_hw, "bilinear")

    def cut_mask(self, mask: Tensor) -> Tensor:
        """The sample of a mask (H x W), zero outside the image, by nearest neighbour: h x w float32."""
        return _resized(self._window(mask[None, None].float(), outside=True), self.size_hw, "nearest")[0, 0]

    def _window(self, image: Tensor, *, outside: bool) -> Tensor:
        patch = image
        for axis, length in enumerate(image.shape[2:]):
            index = torch.arange(self.first_yx[axis], self.end_yx[axis], device=image.device)
            last = max(_seen(length, self.offset_yx[axis], self.step), 1) - 1
            near = (index.clamp(0, last) * self.step + self.offset_yx[axis]).clamp(max=length - 1)
            patch = patch.index_select(2 + axis, near)
            if outside:
                shape = [-1, 1] if axis == 0 else [1, -1]
                patch = patch * ((index >= 0) & (index <= last)).view(*shape)
        return patch

    def paste(self, logits: Tensor, image_hw: Size) -> Tensor:
        """Logits (h x w) of the sample in the image, H x W; -100 elsewhere."""
        scale = self.scale
        large = F.interpolate(
            logits[None, None], scale_factor=scale, mode="bilinear", align_corners=False, recompute_scale_factor=False
        )[0, 0]
        found = logits.new_full(image_hw, NOTHING)
        firsts = [math.trunc(at - side / 2) for at, side in zip(self.position_yx, large.shape, strict=True)]
        shown = [
            (max(first, 0), min(first + side, length))
            for first, side, length in zip(firsts, large.shape, image_hw, strict=True)
        ]
        if all(a < b for a, b in shown):
            (y0, y1), (x0, x1) = shown
            found[y0:y1, x0:x1] = large[y0 - firsts[0] : y1 - firsts[0], x0 - firsts[1] : x1 - firsts[1]]
        return found


def search_sample(image_hw: Size, position_yx: Pair, scale: float, size_hw: Size) -> Sample:
    """The sample that a target is looked for in: inside the image where it fits along one axis at least.

    Args:
        image_hw: of the image, pixels.
        position_yx: of the target.
        scale: pixels of the image per pixel of the sample.
        size_hw: of the sample, pixels.
    """
    window = _window_hw(image_hw, scale, size_hw)
    return _around(image_hw, centred(position_yx, scale, size_hw), window, size_hw, inside=True)


def centred(position_yx: Pair, scale: float, size_hw: Size) -> Pair:
    """The middle of the sample of a target: half a location away where the filter's response is of odd size."""
    y, x = (
        at + scale * UNIT / 2 * ((side // UNIT + FILTER_SIDE) % 2)
        for at, side in zip(position_yx, size_hw, strict=True)
    )
    return y, x


def _fit(image_hw: Size, scale: float, size_hw: Size) -> float:
    """By how much the window is made smaller, so that it is as large as the image along one axis at most."""
    return max(1.0, min(scale * side / length for side, length in zip(size_hw, image_hw, strict=True)))


def _window_hw(image_hw: Size, scale: float, size_hw: Size) -> Size:
    factor = _fit(image_hw, scale, size_hw)
    beyond = ROUNDING if factor > 1 else 0.0
    h, w = (math.trunc(float(np.float32(scale * side)) / factor + beyond) for side in size_hw)
    return h, w


def _seen(length: int, offset: int, step: int) -> int:
    """How many rows of `length` a window counts."""
    return (length - offset + step - 1) // step


def _around(image_hw: Size, position_yx: Pair, window_hw: Pair, size_hw: Size, *, inside: bool) -> Sample:
    ratio = min(window / side for window, side in zip(window_hw, size_hw, strict=True))
    step = max(math.trunc(ratio - 0.1), 1)
    firsts, ends, offsets = [], [], []
    for at, window, length in zip(position_yx, window_hw, image_hw, strict=True):
        count = max(round(window / step), 2)  # Python rounds halves to even, as the published code does
        offset = math.trunc(at) % step
        middle = (math.trunc(at) - offset) // step
        first = middle - (count - 1) // 2
        if inside:
            seen = _seen(length, offset, step)
            first += max(-first, 0) - max(first + count - seen, 0)
            beyond = (max(-first, 0) + max(first + count - seen, 0)) // 2
            first = -beyond if beyond > 0 else first
        firsts.append(first)
        ends.append(first + count)
        offsets.append(offset)
    return Sample((firsts[0], firsts[1]), (ends[0], ends[1]), step, (offsets[0], offsets[1]), size_hw)


@dataclass(frozen=True)
class FirstSample:
    """The first frame's sample: the middle of one twice as large, moved towards the image where it reaches beyond.

    Attributes:
        wide: the larger one.
        origin_yx: of the cut in it, pixels.
        size_hw: of the cut.
        scale: pixels of the image per pixel.
    """

    wide: Sample
    origin_yx: Size
    size_hw: Size
    scale: float

    @classmethod
    def of(cls, image_hw: Size, position_yx: Pair, scale: float, size_hw: Size) -> FirstSample:
        """Around a target; arguments as for `search_sample`."""
        scale = scale / _fit(image_hw, scale, size_hw)
        twice = (2 * size_hw[0], 2 * size_hw[1])
        window = [float(np.float32(scale * side)) for side in twice]
        whole = (float(round(position_yx[0])), float(round(position_yx[1])))
        wide = _around(image_hw, whole, (window[0], window[1]), twice, inside=False)
        origin = []
        for at, side, length in zip(position_yx, size_hw, image_hw, strict=True):
            before = max((scale * side - 1) / 2 - at, 0)
            after = max(at + scale * side / 2 + 1 - length, 0)
            origin.append(side // 2 + math.trunc((before - after) / scale))
        return cls(wide, (origin[0], origin[1]), size_hw, scale)

    def cut(self, image: Tensor) -> Tensor:
        """The sample of an image (1 x C x H x W), the wide one's border replicated: 1 x C x h x w float32."""
        patch = self.wide.cut(image)
        for axis, (first, side) in enumerate(zip(self.origin_yx, self.size_hw, strict=True)):
            index = torch.arange(first, first + side, device=image.device).clamp(0, patch.shape[2 + axis] - 1)
            patch = patch.index_select(2 + axis, index)
        return patch

    def cut_mask(self, mask: Tensor) -> Tensor:
        """The sample of a mask (H x W), zero outside the image: h x w float32."""
        return self.cut_from_wide(self.wide.cut_mask(mask))

    def cut_from_wide(self, wide: Tensor) -> Tensor:
        """The cut of a map of the wide sample (2h x 2w), zero beyond it: h x w."""
        (y, x), (h, w) = self.origin_yx, self.size_hw
        padded = F.pad(wide, (w, w, h, h))
        return padded[y + h : y + 2 * h, x + w : x + 2 * w]


def _resized(patch: Tensor, size_hw: Size, mode: str) -> Tensor:
    if tuple(patch.shape[-2:]) == size_hw:
        return patch
    if mode == "nearest":
        return F.interpolate(patch, size_hw, mode="nearest")
    return F.interpolate(patch, size_hw, mode="bilinear", align_corners=False)
