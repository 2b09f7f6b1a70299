"""The answer of a tracker for one frame: `Prediction`, and the mask in it, where there is one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from d3s_vot.crops.squares import Crop
from d3s_vot.regions import Box, Mask, Polygon, Region


class Flag(str, Enum):
    """What the response says of the frame; each member equals its string.

    >>> Flag.NOT_FOUND == "not_found"
    True
    """

    NORMAL = "normal"
    HARD_NEGATIVE = "hard_negative"  # something else looks like the target: learn this frame at once
    UNCERTAIN = "uncertain"  # two maxima, and no telling which is the target
    NOT_FOUND = "not_found"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, eq=False)
class MaskPatch:
    """A mask in the part of the image that was looked at.

    Attributes:
        crop: where that is.
        probability: S x S, of the target in the crop, zero outside the object that was kept.
        threshold: above which a pixel belongs to the mask.
    """

    crop: Crop
    probability: NDArray[np.float32]
    threshold: float = 0.5

    @classmethod
    def full(cls, mask: NDArray[np.bool_], threshold: float = 0.5) -> MaskPatch:
        """A mask of the whole image, H x W, pixel for pixel; the empty part around the target is not kept."""
        x, y, w, h = (int(value) for value in Mask(mask).box) if mask.any() else (0, 0, 1, 1)
        side = max(w, h)
        probability = np.zeros((side, side), np.float32)
        probability[:h, :w] = mask[y : y + h, x : x + w]
        return cls(Crop((x + side / 2, y + side / 2), (x, y), side, side), probability, threshold)

    @classmethod
    def of_image(cls, probability: NDArray[np.float32], threshold: float = 0.5) -> MaskPatch:
        """Of the probability of every pixel of an image, H x W, what is above the threshold."""
        patch = cls.full(probability > threshold, threshold)
        (x, y), side = patch.crop.corner, patch.crop.side
        part = probability[y : y + side, x : x + side]
        patch.probability[: part.shape[0], : part.shape[1]] *= part
        return patch

    def in_image(self, height: int, width: int) -> NDArray[np.float32]:
        """The probability of every pixel of the image: H x W, zero outside the crop."""
        return self.crop.paste(self.probability, height, width)


@dataclass(frozen=True, eq=False)
class Prediction:
    """The tracker's answer for one frame.

    Attributes:
        shape: the fitted box or polygon, in pixels of the image.
        confidence: 0..1, how much of the usual evidence for the target this frame shows.
        visible: the tracker's own word on whether the target is there.
        image_size: (height, width) of the frame.
        patch: the mask; None where the frame gave none, and of a tracker that gives boxes alone.
        as_mask: whether the target was given as a mask, so that `region` is one.
        flag: what the tracker's response says of the frame; None of a tracker that says nothing.
    """

    shape: Box | Polygon
    confidence: float
    visible: bool
    image_size: tuple[int, int]
    patch: MaskPatch | None = None
    as_mask: bool = False
    flag: Flag | None = None

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """H x W, the target in the whole image; empty where the frame gave no mask. Made when first asked for."""
        if self.patch is None:
            return np.zeros(self.image_size, bool)
        return self.patch.in_image(*self.image_size) > self.patch.threshold

    @cached_property
    def region(self) -> Region:
        """In the kind that the target was given in; a box where the mask gave no polygon, or no mask."""
        return Mask(self.mask) if self.as_mask and self.mask.any() else self.shape

    @property
    def box(self) -> Box:
        """Axis-aligned box of the region."""
        return self.shape.box

    @property
    def polygon(self) -> Polygon:
        """Rotated rectangle of the region, or the corners of its box."""
        return self.shape.polygon
