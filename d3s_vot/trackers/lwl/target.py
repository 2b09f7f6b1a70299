"""LWLTarget: the filter, the memory and the place of one target in one video, frame by frame."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from d3s_vot.given import Form, Frame, Given
from d3s_vot.model import Target
from d3s_vot.online.rivals import evidence
from d3s_vot.online.state import State
from d3s_vot.prediction import MaskPatch, Prediction
from d3s_vot.regions import Box
from d3s_vot.steps import Pass, Steps
from d3s_vot.trackers.lwl.filter import EncodingFilter, Example
from d3s_vot.trackers.lwl.merge import certain, next_scale, place_or
from d3s_vot.trackers.lwl.samples import FirstSample, Sample, search_sample

if TYPE_CHECKING:
    from d3s_vot.trackers.lwl.model import LWLModel


class LWLTarget(Target):
    """One target.

    Args:
        model: the network.
        frame: the first.
        given: the target in it.

    Attributes:
        state: where it is and how large.
        filter: with its memory.
        probability: H x W, of the target in the last frame, beside all others.
        first: the first frame's sample.
        sample: of the last frame; None at first.
    """

    def __init__(self, model: LWLModel, frame: Frame, given: Given) -> None:
        self.model, c = model, model.config
        box = c.begins_with_box(given.form)
        self._learning = c.learning(box=box)
        self._form, self._image_hw, self._frames = given.form, frame.size_hw, 1
        self.state = State.begin(tuple(given.upright), c.search_area_scale, math.sqrt(math.prod(c.size_hw)))
        self._base_hw = self.state.base_hw
        image = frame.on(model.device)
        if box:
            claim = model.mask_of_box(image, given)
            self.probability = torch.sigmoid(claim)
        else:
            self.probability = torch.from_numpy(given.filled).to(model.device).float()
            claim = certain(self.probability)
        self._claim: Tensor | None = claim  # logits of the first frame, until others of it are known
        self.sample: Sample | None = None
        self._features: Tensor | None = None  # 1 x C x h x w, of that sample
        self.first = FirstSample.of(frame.size_hw, self.state.position_yx, self.state.scale, c.size_hw)
        features = model.first_look(self.first.cut(image)).target
        first = self._example(features, self.first.cut_mask(self.probability))
        self.filter = EncodingFilter(self._learning, model.regularization, first)

    def step(self, frame: Frame) -> Steps:
        """See `Target.step`.

        Targets of one frame share its pixels: each belongs to the object, or to the background, that is most probable
        there. The confidence is the mean share, beside the strongest rival, of the pixels that are the target's; where
        there are none, the largest share of any pixel, which is 1/2 at most. The target is visible where it has a
        pixel. The box is that of the probability's moments, four standard deviations wide and high; where its sum is
        below 100 pixels, the one that the target was looked for at.
        """
        settled = yield Pass(self.model.settle, self._claim)
        self._claim = None
        if settled is not None:
            self.probability = settled
        self._frames += 1
        self._learn_last()
        self.state = self._followed()
        self._measure_in(*frame.size_hw)
        c = self.model.config
        self.sample = search_sample(frame.size_hw, self.state.position_yx, self.state.scale, c.size_hw)
        seen = yield Pass(self.model.look, self.sample.cut(frame.on(self.model.device)))
        self._features = seen.target
        logits = yield Pass(self.model.decode, (self.filter.predict(seen.target), seen))  # h x w
        claim = self.sample.paste(logits, frame.size_hw)
        self.probability, share = yield Pass(self.model.share, claim)
        mask, confidence = evidence(share)
        visible = bool(mask.any())
        position, size = place_or(self.probability, self.state.position_yx, self.state.size_hw)
        return Prediction(
            Box(*State(position, size, self.state.scale).rectangle),
            confidence,
            visible,
            frame.size_hw,
            MaskPatch.of_image(share) if visible else None,
            as_mask=self._form is Form.MASK,
        )

    def _learn_last(self) -> None:
        """Learn what the last frame was taken to show."""
        if self.sample is None or self._features is None:
            return
        self.filter.add(self._example(self._features, self.sample.cut_mask(self.probability)))
        if (self._frames - 1) % self._learning.update_interval == 0:
            self.filter.update(self._learning.update_steps)

    def _example(self, features: Tensor, mask: Tensor) -> Example:
        """Of a sample's features (1 x C x h x w) and the target's probability in it, as many pixels as it has."""
        return Example(features[0], *self.model.labels(mask))

    def _followed(self) -> State:
        """Where the last frame's probability is."""
        position, size = place_or(self.probability, self.state.position_yx, self.state.size_hw)
        wanted = math.sqrt(math.prod(size) / math.prod(self._base_hw))
        scale = next_scale(self.state.scale, wanted)
        return State(position, (self._base_hw[0] * scale, self._base_hw[1] * scale), scale)

    def _measure_in(self, height: int, width: int) -> None:
        """Bring the state into the pixels of a frame that shows the same view at another size."""
        if (height, width) != self._image_hw:
            self.state = self.state.resized(height / self._image_hw[0], width / self._image_hw[1])
            self._image_hw = (height, width)
