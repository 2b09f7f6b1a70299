"""DropSegTarget: one object in one video, whose first mask is all that is remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from d3s_vot.given import Form, Frame, Given
from d3s_vot.model import Target
from d3s_vot.online.rivals import evidence
from d3s_vot.prediction import MaskPatch, Prediction
from d3s_vot.regions import Box, Mask, Polygon
from d3s_vot.steps import Pass, Steps
from d3s_vot.trackers.dropseg.views import View

if TYPE_CHECKING:
    from d3s_vot.trackers.dropseg.model import DropSegModel


class DropSegTarget(Target):
    """One target. Frames can come in any order: nothing passes from one to the next.

    Args:
        model: the networks.
        frame: the first.
        given: the target in it; a box or a polygon stands for the mask that it encloses.

    Attributes:
        view: how frames are brought to the network, by the size of the first.
        memory: tokens of the first frame with its mask, 1 x n x D.
        positions: of the tokens of a frame, 1 x n x D.
    """

    def __init__(self, model: DropSegModel, frame: Frame, given: Given) -> None:
        self.model = model
        self.view = View.of(frame.size_hw, model.config.shorter_side)
        self.positions = model.positions(self.view.grid_hw)
        self.memory = model.remember(frame, given.filled, self.view, self.positions)
        self._form, self._shape, self._image_hw = given.form, given.region.box, frame.size_hw

    def step(self, frame: Frame) -> Steps:
        """See `Target.step`.

        Targets of one frame share its pixels: each belongs to the one that is most probable there after the soft
        aggregation, or to none. The confidence is the mean share, beside the strongest rival, of the pixels that are
        the target's; where there are none, the largest share of any pixel, which is 1/2 at most. The target is visible
        where it has a pixel.
        """
        self._measure_in(*frame.size_hw)
        probability = yield Pass(self.model.segment, (frame, self.view, self.memory, self.positions))  # H' x W'
        share = yield Pass(self.model.share, (probability, self.view, frame.size_hw))  # H x W
        mask, confidence = evidence(share)
        visible = bool(mask.any())
        shape: Box | Polygon = self._shape
        if visible:
            self._shape = Mask(mask).box
            shape = _rectangle(mask) if self._form is Form.POLYGON else self._shape
        patch = MaskPatch.of_image(share) if visible else None
        return Prediction(
            shape, confidence, visible, frame.size_hw, patch, as_mask=self._form is Form.MASK
        )

    def _measure_in(self, height: int, width: int) -> None:
        """Bring the last answer into the pixels of a frame that shows the same view at another size."""
        if (height, width) != self._image_hw:
            self._shape = self._shape.resized(height / self._image_hw[0], width / self._image_hw[1])
            self._image_hw = (height, width)


def _rectangle(mask: NDArray[np.bool_]) -> Polygon:
    """The smallest rectangle around the centres of a mask's pixels."""
    points = cv2.findNonZero(mask.astype(np.uint8))
    return Polygon(np.asarray(cv2.boxPoints(cv2.minAreaRect(points)), np.float64))
