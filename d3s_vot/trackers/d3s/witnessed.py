"""WitnessedTarget: judged D3S beside a second tracker, which learns from other features and never sees a mask.

Both follow the target, each by its own means, and err at different times. D3S's head, which compares what it sees with
the first frame, decides between them:

- the size is the middle one of what the mask, the head and the other tracker say, so that none of them runs away alone;
- where the two boxes lie apart, the head judges the other's place as well. It is one more place of the search: what is
  there is taken where it is good enough for a target that was lost, and better than what is followed;
- the other tracker is led back to where D3S is, where the head trusts that and sees less at the other's place;
- the box that is answered lies between the mask's and the other's, by as much as the head doubts the mask. The mask,
  and what D3S itself goes by, stay as they are.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import replace
from typing import TYPE_CHECKING

from d3s_vot.given import Form, Frame, Given
from d3s_vot.model import Witness
from d3s_vot.prediction import Prediction
from d3s_vot.regions import Box, box_iou
from d3s_vot.steps import Steps
from d3s_vot.trackers.d3s.judged import BETTER, JudgedTarget, View

if TYPE_CHECKING:
    from d3s_vot.trackers.d3s.model import D3SModel

WITNESS = "ECO-lite0"  # weights of the second tracker
LESS = 0.2  # quality: by so much less the head sees at the other's place, before the other is led away from it


class WitnessedTarget(JudgedTarget):
    """One target; arguments as for `D3STarget`.

    Attributes:
        witness: the target of the second tracker.
    """

    def __init__(self, model: D3SModel, frame: Frame, given: Given) -> None:
        super().__init__(model, frame, given)
        assert model.witness is not None  # the zoo has loaded what the model wants
        witness = model.witness.begin(frame, given)
        assert isinstance(witness, Witness)
        self.witness = witness
        box = witness.box
        self._first_wh = box.w, box.h
        self._first_length = math.sqrt(math.prod(self.size_hw))

    def step(self, frame: Frame) -> Steps:
        """See `Target.step`."""
        yield from self.witness.step(frame)
        prediction = yield from super().step(frame)
        if box_iou(prediction.box, self.witness.box) < self.config.witness_apart:
            prediction = yield from self._confront(frame, prediction)
        return self._between(prediction)

    def _confront(self, frame: Frame, prediction: Prediction) -> Steps:
        """The answer where the two trackers are apart: this one's, or that at the other's place."""
        c, quality = self.config, prediction.confidence
        x, y = self.witness.box.center
        height, width = self._image_hw
        if not (0 <= x < width and 0 <= y < height):
            return prediction
        scale = self._told_length() / math.sqrt(math.prod(self._base_hw))
        view = yield from self._view(frame, (y, x), (self._base_hw[0] * scale, self._base_hw[1] * scale))
        if view.verdict.quality >= max(c.quality_found, quality + BETTER):
            return self._found(view, scale)
        if quality >= c.quality_lead and view.verdict.quality < quality - LESS:
            ratio = math.sqrt(math.prod(self.size_hw)) / self._first_length
            (w, h), (x, y) = self._first_wh, prediction.box.center
            self.witness.lead(Box.from_center(x, y, w * ratio, h * ratio))
        return prediction

    def _between(self, prediction: Prediction) -> Prediction:
        """The answer with its box between the two trackers', where they agree on the place."""
        own, other = prediction.box, self.witness.box
        share = max(self.config.quality_box - prediction.confidence, 0.0)
        if self._form is not Form.BOX or not share or box_iou(own, other) < self.config.witness_apart:
            return prediction
        (x, y), (u, v) = own.center, other.center
        w, h = own.w ** (1 - share) * other.w**share, own.h ** (1 - share) * other.h**share
        return replace(prediction, shape=Box.from_center(x + share * (u - x), y + share * (v - y), w, h))

    def _told_length(self) -> float:
        """sqrt(w h) that the target has by the second tracker's word, pixels of the image."""
        box, (w, h) = self.witness.box, self._first_wh
        return self._first_length * math.sqrt(box.w * box.h / (w * h))

    def _believed_size(self, view: View) -> float | None:
        if not self.witness.seen:
            return super()._believed_size(view)
        if view.verdict.quality < self.config.quality_size:
            return None
        measured, told = self._measured(view), self._told(view)
        other = self._told_length()
        return math.sqrt(told * other) if measured is None else statistics.median([measured, told, other])
