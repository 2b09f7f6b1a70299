"""Where a target is taken to be, how large, and how samples of it are cut: no state, numbers alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from d3s_vot.regions import Box
from d3s_vot.trackers.eco.config import ECOConfig

Pair = tuple[float, float]


@dataclass(frozen=True)
class Place:
    """A target in an image.

    Attributes:
        position_yx: of its middle; a pixel's middle is at whole numbers.
        scale: pixels of the image per pixel of the sample.
        base_hw: (height, width), pixels of the sample; never changes.
    """

    position_yx: Pair
    scale: float
    base_hw: Pair

    @classmethod
    def begin(cls, position_yx: Pair, size_hw: Pair, config: ECOConfig) -> Place:
        """Of a target given in pixels of the image; samples of large ones are reduced, of small ones enlarged."""
        area = math.prod(size_hw) * config.search_area_scale**2
        scale = 1.0
        for side, beyond in ((config.max_sample_size, area > config.max_sample_size**2),
                             (config.min_sample_size, area < config.min_sample_size**2)):  # fmt: skip
            if beyond:
                scale = math.sqrt(area) / side
        return cls(position_yx, scale, (size_hw[0] / scale, size_hw[1] / scale))

    @property
    def size_hw(self) -> Pair:
        """(height, width), pixels of the image."""
        return self.base_hw[0] * self.scale, self.base_hw[1] * self.scale

    @property
    def box(self) -> Box:
        """In the image."""
        (y, x), (h, w) = self.position_yx, self.size_hw
        return Box(x - (w - 1) / 2, y - (h - 1) / 2, w, h)

    def sample_size(self, config: ECOConfig) -> int:
        """Side of the samples, an odd multiple of 16 pixels."""
        side = round(config.search_area_scale * math.sqrt(math.prod(self.base_hw)))
        return side + 16 - side % 32

    def scale_range(self, image_hw: Pair, config: ECOConfig) -> Pair:
        """The least and the largest scale: the target keeps some pixels, and does not outgrow the image."""
        least = max(config.min_target_size / side for side in self.base_hw)
        largest = min(length / side for length, side in zip(image_hw, self.base_hw, strict=True))
        return min(least, largest), largest

    def moved(self, position_yx: Pair, scale: float, image_hw: Pair, config: ECOConfig) -> Place:
        """The target elsewhere, at another scale, both kept to what the image allows."""
        least, largest = self.scale_range(image_hw, config)
        scaled = replace(self, scale=min(max(scale, least), largest))
        y, x = (
            min(max(place, -config.target_inside_ratio * side), length + config.target_inside_ratio * side)
            for place, side, length in zip(position_yx, scaled.size_hw, image_hw, strict=True)
        )
        return replace(scaled, position_yx=(y, x))

    def resized(self, down: float, right: float) -> Place:
        """The same target where the image's height and width are so many times as large."""
        y, x = self.position_yx
        position_yx = ((y + 0.5) * down - 0.5, (x + 0.5) * right - 0.5)
        return replace(self, position_yx=position_yx, scale=self.scale * math.sqrt(down * right))

    def sample_position(self, config: ECOConfig) -> Pair:
        """Where the middle of a sample that is cut here is taken to be.

        It is cut at the position without its fraction; published, it is taken for the nearest whole number.
        """
        whole = math.trunc if config.corrected else round
        return float(whole(self.position_yx[0])), float(whole(self.position_yx[1]))
