"""Where a target is and how large, in the image and in a sample of it, for trackers that refine boxes in samples."""

from __future__ import annotations

import math
from dataclasses import dataclass

Pair = tuple[float, float]
Numbers = tuple[float, float, float, float]


@dataclass(frozen=True)
class Place:
    """Where a sample lies.

    Attributes:
        position_yx: of its middle, pixels of the image.
        scale: pixels of the image per pixel of the sample.
        size: of the sample, pixels.
    """

    position_yx: Pair
    scale: float
    size: int


@dataclass(frozen=True)
class State:
    """A target.

    Attributes:
        position_yx: of its middle, pixels of the image; a box of width w has it at x + (w - 1) / 2.
        size_hw: its sides, pixels of the image.
        scale: pixels of the image per pixel of the samples that are taken of it.
    """

    position_yx: Pair
    size_hw: Pair
    scale: float

    @classmethod
    def begin(cls, box: Numbers, area: float, size: float) -> State:
        """Of a given box (x, y, w, h), with samples whose side is `area` times the target's sqrt(w h)."""
        x, y, w, h = box
        return cls((y + (h - 1) / 2, x + (w - 1) / 2), (h, w), area * math.sqrt(w * h) / size)

    @property
    def base_hw(self) -> Pair:
        """Its sides in pixels of a sample."""
        return self.size_hw[0] / self.scale, self.size_hw[1] / self.scale

    @property
    def rectangle(self) -> Numbers:
        """x, y, w, h, pixels of the image."""
        (y, x), (h, w) = self.position_yx, self.size_hw
        return x - (w - 1) / 2, y - (h - 1) / 2, w, h

    def box_in(self, place: Place) -> Numbers:
        """x, y, w, h in a sample."""
        h, w = (side / place.scale for side in self.size_hw)
        y, x = (
            (p - q) / place.scale + (place.size - 1) / 2
            for p, q in zip(self.position_yx, place.position_yx, strict=True)
        )
        return x - (w - 1) / 2, y - (h - 1) / 2, w, h

    def at_box(self, box: Numbers, place: Place, base_hw: Pair) -> State:
        """The target where a sample shows this box (x, y, w, h).

        Not the inverse of `box_in`: half a pixel of the sample apart, as published.

        Args:
            box: in the sample.
            place: of the sample.
            base_hw: sides that the target began with, pixels of a sample; they give the scale.
        """
        x, y, w, h = box
        middle = (place.size - 1) / 2
        position = (
            (y + h / 2 - middle) * place.scale + place.position_yx[0],
            (x + w / 2 - middle) * place.scale + place.position_yx[1],
        )
        size = (h * place.scale, w * place.scale)
        return State(position, size, math.sqrt(size[0] * size[1] / (base_hw[0] * base_hw[1])))

    def moved(self, to_yx: Pair, image_hw: Pair, inside: float) -> State:
        """The target at another position, so that part of its sides (`inside`) stays in the image."""
        margin = 0.5 - inside
        y, x = (
            max(-margin * side, min(p, length + margin * side))
            for p, side, length in zip(to_yx, self.size_hw, image_hw, strict=True)
        )
        return State((y, x), self.size_hw, self.scale)

    def resized(self, down: float, right: float) -> State:
        """The same place in an image that shows the same view at another size."""
        factor = math.sqrt(down * right)
        y, x = ((p + 0.5) * f - 0.5 for p, f in zip(self.position_yx, (down, right), strict=True))
        return State((y, x), (self.size_hw[0] * factor, self.size_hw[1] * factor), self.scale * factor)

    def within(self, least: float, most: float) -> State:
        """With a scale between two; the size follows it. Not published, where it has no bounds."""
        scale = min(max(self.scale, least), most)
        factor = scale / self.scale
        return State(self.position_yx, (self.size_hw[0] * factor, self.size_hw[1] * factor), scale)


@dataclass(frozen=True)
class Bounds:
    """Of a target's scale, so that it has some pixels and is no larger than the image; the given size is always within.

    Attributes:
        least: pixels of the image, of the shorter side.
        most_hw: pixels of the image.
        base_hw: sides that the target began with, pixels of a sample.
    """

    least: float
    most_hw: Pair
    base_hw: Pair

    @classmethod
    def of(cls, first: State, image_hw: Pair, min_size: float) -> Bounds:
        """Of a target as it was given, in the first frame."""
        h, w = first.size_hw
        return cls(min(min_size, h, w), (max(image_hw[0], h), max(image_hw[1], w)), first.base_hw)

    def keep(self, state: State) -> State:
        """The state within the bounds; itself where it is."""
        low = self.least / min(self.base_hw)
        high = min(length / side for length, side in zip(self.most_hw, self.base_hw, strict=True))
        return state if low <= state.scale <= high else state.within(low, max(high, low))

    def resized(self, down: float, right: float) -> Bounds:
        """In an image that shows the same view at another size."""
        h, w = self.most_hw
        return Bounds(self.least * min(1.0, down, right), (h * down, w * right), self.base_hw)
