"""DiMPTarget: the state, the filter and the memory of one target in one video, frame by frame."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from d3s_vot.crops.patches import sample_window
from d3s_vot.given import Frame, Given
from d3s_vot.heads.config import STRIDE
from d3s_vot.heads.refinement import refined
from d3s_vot.heads.sight import Seen
from d3s_vot.model import Target
from d3s_vot.online.chance import Chance
from d3s_vot.online.interpolation import hann_window
from d3s_vot.online.localize import Localization, find
from d3s_vot.online.state import Bounds, Place, State
from d3s_vot.prediction import Flag, Prediction
from d3s_vot.regions import Box
from d3s_vot.steps import Pass, Steps

if TYPE_CHECKING:
    from d3s_vot.trackers.dimp.config import DiMPConfig
    from d3s_vot.trackers.dimp.model import DiMPModel


@dataclass(frozen=True)
class Judgement:
    """What a frame is good for.

    Attributes:
        found: what the scores say.
        confidence: 0..1, see `DiMPTarget.step`.
        learning_rate: at which the frame enters the memory; None: it does not.
        iterations: of the filter's optimisation.
    """

    found: Localization
    confidence: float
    learning_rate: float | None
    iterations: int

    @property
    def visible(self) -> bool:
        """Whether the target is there."""
        return self.found.flag is not Flag.NOT_FOUND


class DiMPTarget(Target):
    """One target.

    Args:
        model: the networks.
        frame: the first.
        given: the target in it.
        chance: what is left to chance.

    Attributes:
        state: where it is and how large.
        filter: with its memory.
        judgement: of the last frame; None at first.
    """

    def __init__(self, model: DiMPModel, frame: Frame, given: Given, chance: Chance | None = None) -> None:
        self.model, self.config = model, model.config
        c = self.config
        self._chance = chance or Chance()
        self._image_hw = frame.size_hw
        self.state = State.begin(tuple(given.upright), c.search_area_scale, c.sample_size)
        self._bounds = Bounds.of(self.state, frame.size_hw, c.min_size)
        self._frames = 1
        self.judgement: Judgement | None = None
        learnt = model.learn_first(frame.on(model.device), self.state, self._chance)
        self.filter, self._modulation = learnt.filter, learnt.modulation

    def step(self, frame: Frame) -> Steps:
        """See `Target.step`.

        The confidence is 1 - exp(-2 s) where s is the highest score, of which the classifier is taught 1 at the target
        (0 where s is negative); of a classifier of densities it is the probability of the likeliest cell. The target is
        visible unless the highest score is below `not_found_score`.
        """
        self._measure_in(*frame.size_hw)
        c = self.config
        window = sample_window(
            frame.size_hw,
            self.state.position_yx,
            self.state.scale,
            c.sample_size,
            inside="inside_major" if c.inside_limit else "",
            limit=c.inside_limit,
        )
        place = Place(window.position_yx, window.scale(c.sample_size), c.sample_size)
        seen = yield Pass(self.model.look, window.cut(frame.on(self.model.device), c.sample_size))
        self.judgement = self._judge(seen, place)
        if self.judgement.visible:
            self.state = self._bounds.keep(self._located(self.judgement.found, place, seen))
        self._learn(seen, place, self.judgement)
        shape = Box(*self.state.rectangle)
        return Prediction(
            shape, self.judgement.confidence, self.judgement.visible, self._image_hw, flag=self.judgement.found.flag
        )

    # What is asked of a frame. Nothing is changed by it, but that the box refinement draws its first boxes.

    def _judge(self, seen: Seen, place: Place) -> Judgement:
        c = self.config
        scores = self.filter.score(seen.classification)  # h+1 x h+1
        density = None
        if c.density:
            density = torch.softmax(scores.flatten(), dim=0).view_as(scores)
        if c.softmax and density is not None:
            scores = density
        found = localize(scores, self.state, place, c)
        if density is None:
            confidence = 1 - math.exp(-2 * max(0.0, found.score))
        else:
            confidence = found.score if c.softmax else density.max().item()
        learn = found.flag in (Flag.NORMAL, Flag.HARD_NEGATIVE)
        if found.flag is Flag.HARD_NEGATIVE:
            return Judgement(found, confidence, c.hard_negative_learning_rate, c.hard_negative_iterations)
        due = learn and (self._frames - 1) % c.update_interval == 0
        return Judgement(found, confidence, c.learning_rate if learn else None, c.update_iterations if due else 0)

    def _located(self, found: Localization, place: Place, seen: Seen) -> State:
        """The target where the scores have it, its box refined."""
        c, (y, x), (dy, dx) = self.config, place.position_yx, found.displacement
        base_hw = self._bounds.base_hw
        moved = self.state.moved((y + dy, x + dx), self._image_hw, c.target_inside_ratio)
        if not c.refinement_steps:
            h, w = (side * place.scale for side in base_hw)
            return State(moved.position_yx, (h, w), place.scale)
        slope = self.model.regressor.slope(seen.boxes, self._modulation)
        draws = self._chance.jitter(c.refinement_boxes - 1)
        return refined(moved, slope, draws, c, place=place, base_hw=base_hw, device=self.model.device)

    # What it changes.

    def _measure_in(self, height: int, width: int) -> None:
        """Bring the state into the pixels of a frame that shows the same view at another size."""
        self._frames += 1
        if (height, width) != self._image_hw:
            down, right = height / self._image_hw[0], width / self._image_hw[1]
            self.state, self._bounds = self.state.resized(down, right), self._bounds.resized(down, right)
            self._image_hw = (height, width)

    def _learn(self, seen: Seen, place: Place, judgement: Judgement) -> None:
        """Let the frame into the memory; refine the filter where the frame asks for it, or enough of them went by."""
        if judgement.learning_rate is not None:
            x, y, w, h = self.state.box_in(place)
            center = ((y + h / 2) / STRIDE, (x + w / 2) / STRIDE)
            self.filter.add(seen.classification, center, judgement.learning_rate)
        if judgement.iterations:
            self.filter.update(judgement.iterations)


def localize(scores: Tensor, state: State, place: Place, config: DiMPConfig) -> Localization:
    """Where the scores of a sample (side x side) have the target that was at a state before."""
    cell = STRIDE * place.scale
    side = scores.shape[-1]
    weighted = scores * hann_window(side, scores.device) if config.cosine_window else scores
    before_y, before_x = ((p - q) / cell for p, q in zip(state.position_yx, place.position_yx, strict=True))
    limit = config.displacement_scale * side / 2
    return find(weighted, scores, cell, state.size_hw, config, limit=limit, before_yx=(before_y, before_x))
