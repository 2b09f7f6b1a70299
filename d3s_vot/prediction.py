"""The answer of a tracker for one frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from d3s_vot.crops.squares import Crop
from d3s_vot.regions import Box, Mask, Polygon, Region


@dataclass(frozen=True, eq=False)
class Prediction:
    """The tracker's answer for one frame.

    Attributes:
        shape: the fitted box or polygon, in pixels of the image.
        confidence: 0..1, how much of the usual evidence for the target this frame shows.
        visible: the tracker's own word on whether the target is there.
        image_size: (height, width) of the frame.
        crop: where the frame was segmented; None where it was not.
        probability: S x S, of the target in that crop, zero outside the object that was kept.
        threshold: above which a pixel belongs to the mask.
        as_mask: whether the target was given as a mask, so that `region` is one.
    """

    shape: Box | Polygon
    confidence: float
    visible: bool
    image_size: tuple[int, int]
    crop: Crop | None = None
    probability: NDArray[np.float32] | None = None
    threshold: float = 0.5
    as_mask: bool = False

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """H x W, the target in the whole image; empty where the frame gave no mask. Made when first asked for."""
        if self.crop is None or self.probability is None:
            return np.zeros(self.image_size, bool)
        return self.crop.paste(self.probability, *self.image_size) > self.threshold

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
