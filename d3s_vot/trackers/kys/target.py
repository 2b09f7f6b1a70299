"""KYSTarget: the state, the filter, the memory and the scene of one target in one video, frame by frame."""

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
from d3s_vot.model import Target
from d3s_vot.online.chance import Chance
from d3s_vot.online.labels import gaussian_labels
from d3s_vot.online.localize import Localization
from d3s_vot.online.state import Bounds, Place, State
from d3s_vot.prediction import Flag, Prediction
from d3s_vot.regions import Box
from d3s_vot.steps import Pass, Steps
from d3s_vot.trackers.kys.locate import locate, middle_window
from d3s_vot.trackers.kys.network import Fused
from d3s_vot.trackers.kys.scene import Scene

if TYPE_CHECKING:
    from d3s_vot.trackers.kys.config import KYSConfig
    from d3s_vot.trackers.kys.model import KYSModel, Look


@dataclass(frozen=True, eq=False)
class Judgement:
    """What a frame is good for.

    Attributes:
        found: what the fused response says.
        scores: the classifier's, n x n.
        fused: of classifier and scene.
        told: the classifier's windowed score at the response's maximum.
        learning_rate: at which the frame enters the memory; None: it does not.
        iterations: of the filter's optimisation.
    """

    found: Localization
    scores: Tensor
    fused: Fused
    told: float
    learning_rate: float | None
    iterations: int

    @property
    def visible(self) -> bool:
        """Whether the target is there."""
        return self.found.flag is not Flag.NOT_FOUND


class KYSTarget(Target):
    """One target.

    Args:
        model: the networks.
        frame: the first.
        given: the target in it.
        chance: what is left to chance.

    Attributes:
        state: where it is and how large.
        filter: with its memory.
        scene: of the last frame with the target.
        label: of the first frame, 1 x 1 x n x n.
        judgement: of the last frame; None at first.
    """

    def __init__(self, model: KYSModel, frame: Frame, given: Given, chance: Chance | None = None) -> None:
        self.model, self.config = model, model.config
        c, device = self.config, model.device
        self._chance = chance or Chance()
        self._image_hw = frame.size_hw
        self.state = State.begin(tuple(given.upright), c.search_area_scale, c.sample_size)
        self._bounds = Bounds.of(self.state, frame.size_hw, c.min_size)
        self._frames = 1
        self.judgement: Judgement | None = None
        learnt = model.learn_first(frame.on(device), self.state, self._chance)
        self.filter, self._modulation = learnt.filter, learnt.modulation
        sample, place = self._sample(frame)
        self.scene = Scene(model.first_motion(sample), None, self.state.box_in(place))
        self.label = first_label(self.state, place, c)[None].to(device)

    def _sample(self, frame: Frame) -> tuple[Tensor, Place]:
        """The sample about the target, 1 x 3 x z x z, and where it truly lies."""
        size = self.config.sample_size
        window = sample_window(frame.size_hw, self.state.position_yx, self.state.scale, size)
        return window.cut(frame.on(self.model.device), size), Place(window.position_yx, window.scale(size), size)

    def step(self, frame: Frame) -> Steps:
        """See `Target.step`.

        The confidence is the maximum of the fused response. The target is visible unless that is below
        `not_found_score`.
        """
        self._measure_in(*frame.size_hw)
        sample, place = self._sample(frame)
        seen = yield Pass(self.model.look, sample)
        self.judgement = self._judge(seen, place)
        if self.judgement.visible:
            self.state = self._bounds.keep(self._located(self.judgement.found, place, seen))
        self._learn(seen, place, self.judgement)
        found = self.judgement.found
        return Prediction(
            Box(*self.state.rectangle), found.score, self.judgement.visible, self._image_hw, flag=found.flag
        )

    # What is asked of a frame. Nothing is changed by it, but that the box refinement draws its first boxes.

    def _judge(self, seen: Look, place: Place) -> Judgement:
        c = self.config
        n = c.cells
        scores = self.filter.score(seen.sight.classification)[:n, :n]  # n x n
        window = middle_window(c, scores.device)
        fused = self.model.fuse(seen.motion, self.scene.centred(c), self.label, scores * window, window)
        response = fused.response[0, 0]
        found, told = locate(response, scores, STRIDE * place.scale, self.state.size_hw, c)
        rate, iterations = None, 0
        if found.flag is Flag.HARD_NEGATIVE:
            rate, iterations = c.hard_negative_learning_rate, c.hard_negative_iterations
        elif found.flag is Flag.NORMAL:
            rate = c.learning_rate
            iterations = c.update_iterations if (self._frames - 1) % c.update_interval == 0 else 0
        return Judgement(found, scores, fused, told, rate, iterations)

    def _located(self, found: Localization, place: Place, seen: Look) -> State:
        """The target where the response has it, its box refined."""
        c, (y, x), (dy, dx) = self.config, place.position_yx, found.displacement
        moved = self.state.moved((y + dy, x + dx), self._image_hw, c.target_inside_ratio)
        slope = self.model.regressor.slope(seen.sight.boxes, self._modulation)
        draws = self._chance.jitter(c.refinement_boxes - 1)
        return refined(moved, slope, draws, c, place=place, base_hw=self._bounds.base_hw, device=self.model.device)

    # What it changes.

    def _measure_in(self, height: int, width: int) -> None:
        """Bring the state into the pixels of a frame that shows the same view at another size."""
        self._frames += 1
        if (height, width) != self._image_hw:
            down, right = height / self._image_hw[0], width / self._image_hw[1]
            self.state, self._bounds = self.state.resized(down, right), self._bounds.resized(down, right)
            self._image_hw = (height, width)

    def _learn(self, seen: Look, place: Place, judgement: Judgement) -> None:
        """Let a frame with the target into the memory and keep its scene; refine the filter where that is due."""
        if judgement.learning_rate is None:
            if self.config.lost_forgets:
                self.scene = self.scene.forgotten()
            return
        x, y, w, h = box = self.state.box_in(place)
        center = ((y + h / 2) / STRIDE, (x + w / 2) / STRIDE)
        self.filter.add(seen.sight.classification, center, judgement.learning_rate)
        if judgement.iterations:
            self.filter.update(judgement.iterations)
        self.scene = Scene(seen.motion, judgement.fused.state, box)


def first_label(state: State, place: Place, config: KYSConfig) -> Tensor:
    """Where a sample has the target, as the scene's first states are made of it: 1 x n x n."""
    n = config.cells
    moves = ((p - q) / place.scale for p, q in zip(state.position_yx, place.position_yx, strict=True))
    center = [n * move / place.size + 0.5 for move in moves]
    sigma = math.sqrt(math.prod(state.base_hw)) * n / config.sample_size / 4
    return gaussian_labels(torch.tensor([center], dtype=torch.float32, device="cpu"), sigma, n)
