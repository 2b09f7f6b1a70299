"""What a tracker begins with: a frame, and the target in it as it was given, checked."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
import torch
from numpy.typing import NDArray

from d3s_vot.crops.squares import Image, image_tensor
from d3s_vot.errors import InputError
from d3s_vot.images import ImageLike, as_image
from d3s_vot.regions import Box, Mask, Polygon, Region, rasterize

MIN_TARGET_SIDE = 0.5  # pixels; trackers keep the shorter side at some pixels, which makes a thin target enormous
MAX_TARGET_RATIO = 16  # of the image's longer side; nothing can be seen of a larger target


@dataclass(frozen=True, eq=False)
class Frame:
    """A picture, uploaded once for all targets that are followed in it.

    Attributes:
        image: H x W x 3 RGB uint8; nobody changes it.
    """

    image: Image
    _uploads: dict[torch.device, torch.Tensor] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, image: ImageLike) -> Frame:
        """A frame of any picture that the package takes.

        Raises:
            InputError: the image cannot be used.
        """
        return cls(as_image(image))

    @property
    def size_hw(self) -> tuple[int, int]:
        """(height, width), pixels."""
        return self.image.shape[0], self.image.shape[1]

    def on(self, device: torch.device) -> torch.Tensor:
        """1 x 3 x H x W uint8 on the device."""
        if device not in self._uploads:
            self._uploads[device] = image_tensor(self.image, device)
        return self._uploads[device]


class Form(Enum):
    """In which form a target was given, and is given back."""

    BOX = "box"
    POLYGON = "polygon"
    MASK = "mask"


@dataclass(frozen=True, eq=False)
class Given:
    """The target in the first frame.

    Attributes:
        form: in which it was given.
        region: as it was given; a polygon as the rectangle of four corners that stands for it.
        center_xy: its middle, pixels of the image.
        size_wh: its sides; of a polygon those of the box of equal area.
        filled: H x W, its pixels: the mask, or the shape filled.
    """

    form: Form
    region: Region
    center_xy: tuple[float, float]
    size_wh: tuple[float, float]
    filled: NDArray[np.bool_]

    @property
    def upright(self) -> Box:
        """Its box; of a polygon that of equal area about the mean of its corners, as trackers of boxes begin in VOT."""
        if self.form is Form.POLYGON:
            return Box.from_center(*self.center_xy, *self.size_wh)
        return self.region.box

    @classmethod
    def of(cls, frame: Frame, region: Region | None, mask: NDArray | Mask | None = None) -> Given:
        """The target as a caller gives it.

        Args:
            frame: which shows it.
            region: `Box`, `Polygon` or `Mask`.
            mask: H x W array or nested lists, non-zero on it; with or without a region, which it comes before.

        Raises:
            InputError: it is none of these, or nothing of it can be seen.
        """
        height, width = frame.size_hw
        target = region if mask is None else mask if isinstance(mask, Mask) else Mask(mask)
        if isinstance(target, Mask):
            form, wh = Form.MASK, (target.box.w, target.box.h)
        elif isinstance(target, Box):
            form, wh = Form.BOX, (target.w, target.h)
        elif isinstance(target, Polygon):
            target = target.quadrilateral()
            form, wh = Form.POLYGON, area_preserving_box(target.points)
        else:
            raise InputError(f"the target must be a Box, a Polygon or a mask, not {type(region).__name__}")
        if not target.box.overlaps_image(height, width):
            raise InputError(f"the target's box {tuple(target.box)} lies outside the image of {width} x {height}")
        if max(wh) > MAX_TARGET_RATIO * max(height, width):
            raise InputError(f"the target's box {tuple(target.box)} is far larger than the image of {width} x {height}")
        if min(wh) < MIN_TARGET_SIDE:
            raise InputError(f"the target's box {tuple(target.box)} is thinner than half a pixel; give a wider one")
        filled = rasterize(target, height, width)
        if not filled.any():
            raise InputError(f"the target's box {tuple(target.box)} covers no pixel of the image")
        return cls(form, target, target.center, wh, filled)


def area_preserving_box(corners: NDArray) -> tuple[float, float]:
    """(w, h) with the aspect of a quadrilateral's min-max box and the area |p0 p1| |p1 p2| (D3S, section 5)."""
    span = np.ptp(corners, axis=0)  # 2: max - min
    area = np.linalg.norm(corners[0] - corners[1]) * np.linalg.norm(corners[1] - corners[2])
    s = math.sqrt(area / (span[0] * span[1])) if span.min() > 0 else 0.0
    return float(s * span[0] + 1), float(s * span[1] + 1)
