"""ATOMTarget: the state, the filter and the memory of one target in one video, frame by frame."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from d3s_vot.crops.patches import sample_window
from d3s_vot.given import Frame, Given
from d3s_vot.heads.refinement import refined
from d3s_vot.heads.sight import Seen
from d3s_vot.model import Target
from d3s_vot.online.augment import dropout_copies
from d3s_vot.online.chance import Chance
from d3s_vot.online.factorized import GEM
from d3s_vot.online.first_frame import first_samples
from d3s_vot.online.interpolation import cosine_window
from d3s_vot.online.labels import gaussian_labels
from d3s_vot.online.localize import Localization, localize
from d3s_vot.online.state import Bounds, Place, State
from d3s_vot.prediction import Flag, Prediction
from d3s_vot.regions import Box
from d3s_vot.steps import Pass, Steps
from d3s_vot.trackers.atom.config import FIRST_SAMPLES

if TYPE_CHECKING:
    from d3s_vot.trackers.atom.model import ATOMModel


@dataclass(frozen=True)
class Judgement:
    """What a frame is good for.

    Attributes:
        found: what the response says.
        confidence: 0..1, see `ATOMTarget.step`.
        learning_rate: at which the frame enters the memory; None: it does not.
        refine: the filter, after the frame.
    """

    found: Localization
    confidence: float
    learning_rate: float | None
    refine: bool

    @property
    def visible(self) -> bool:
        """Whether the target is there."""
        return self.found.flag is not Flag.NOT_FOUND


class ATOMTarget(Target):
    """One target.

    Args:
        model: the networks.
        frame: the first.
        given: the target in it.
        chance: what is left to chance.

    Attributes:
        state: where it is and how large.
        gem: the filter with its projection and memory, as in D3S, from a start by chance.
        judgement: of the last frame; None at first.
    """

    def __init__(self, model: ATOMModel, frame: Frame, given: Given, chance: Chance | None = None) -> None:
        self.model, self.config = model, model.config
        c = self.config
        self._chance = chance or Chance()
        self._image_hw = frame.size_hw
        self.state = State.begin(tuple(given.upright), c.search_area_scale, c.sample_size)
        self._bounds = Bounds.of(self.state, frame.size_hw, c.min_size)
        self._frames = 1
        self.judgement: Judgement | None = None
        self._learn_first(frame)

    def _learn_first(self, frame: Frame) -> None:
        """The filter and the regressor's knowledge, from the augmented samples of the first frame."""
        c, plan, device = self.config, FIRST_SAMPLES, self.model.device
        samples = first_samples(
            frame.on(device), self.state, plan, self._chance, size=c.sample_size, cut_yx=self.state.position_yx
        )
        features, self._modulation = self.model.first_look(samples.images, samples.box)  # n x C x h x h
        channels = features.shape[1]
        draws = self._chance.dropout(plan.dropouts, channels)
        features = torch.cat([features, dropout_copies(features[:1], draws)])
        centers = self._label_center(samples.place) + samples.shifts / c.sample_size * c.cells
        side = c.filter_size
        # Standard deviations of the published initialisation.
        projection = self._chance.normal((c.projection_channels, channels)) / math.sqrt(channels)
        taps = self._chance.normal((1, c.projection_channels, side, side)) / (c.projection_channels * side**2)
        start = torch.from_numpy(projection), torch.from_numpy(taps)
        self.gem = GEM(c, features, self._labels(centers), start=start, first_share=c.first_frame_share)

    def _label_center(self, place: Place) -> Tensor:
        """(y, x) of the target among the cells of a sample, 1 x 2."""
        cells = self.config.cells
        center = [
            cells * (p - q) / (place.scale * place.size) + 0.5
            for p, q in zip(self.state.position_yx, place.position_yx, strict=True)
        ]
        return torch.tensor([center], dtype=torch.float32, device="cpu")

    def _labels(self, centers: Tensor) -> Tensor:
        c = self.config
        sigma = c.label_sigma_factor * math.sqrt(math.prod(self._bounds.base_hw)) * c.cells / c.sample_size
        return gaussian_labels(centers.to(self.model.device), sigma, c.cells)

    def step(self, frame: Frame) -> Steps:
        """See `Target.step`.

        The confidence is 1 - exp(-2 s) where s is the highest score, of which the filter is taught 1 at the target, 0
        where it is negative. The target is visible unless the highest score is below `not_found_score`.
        """
        self._measure_in(*frame.size_hw)
        c, (y, x) = self.config, self.state.position_yx
        window = sample_window(frame.size_hw, self.state.position_yx, self.state.scale, c.sample_size)
        # As published: where the sample really lies is not asked.
        place = Place((float(round(y)), float(round(x))), self.state.scale, c.sample_size)
        seen = yield Pass(self.model.look, window.cut(frame.on(self.model.device), c.sample_size))
        self.judgement = self._judge(seen)
        if self.judgement.visible:
            self.state = self._bounds.keep(self._located(self.judgement.found, place, seen))
        self._learn(seen, place, self.judgement)
        found = self.judgement
        return Prediction(
            Box(*self.state.rectangle), found.confidence, found.visible, self._image_hw, flag=found.found.flag
        )

    # What is asked of a frame. Nothing is changed by it, but that the box refinement draws its first boxes.

    def _judge(self, seen: Seen) -> Judgement:
        c = self.config
        score = self.gem.score(seen.classification)  # h x h
        window = cosine_window(c.sample_size, score.device) if c.cosine_window else score.new_ones(1, 1)
        found = localize(score, self.state.scale, self.state.size_hw, c, window, size=c.sample_size)
        confidence = 1 - math.exp(-2 * max(0.0, found.score))
        if found.flag is Flag.HARD_NEGATIVE:
            return Judgement(found, confidence, c.hard_negative_learning_rate, True)
        due = (self._frames - 1) % c.update_interval == 0
        return Judgement(found, confidence, c.learning_rate if found.flag is Flag.NORMAL else None, due)

    def _located(self, found: Localization, place: Place, seen: Seen) -> State:
        """The target where the response has it, its box refined."""
        c, (y, x), (dy, dx) = self.config, place.position_yx, found.displacement
        moved = self.state.moved((y + dy, x + dx), self._image_hw, c.target_inside_ratio)
        if not c.refinement_steps:
            return moved
        slope = self.model.regressor.slope(seen.boxes, self._modulation)
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

    def _learn(self, seen: Seen, place: Place, judgement: Judgement) -> None:
        """Let the frame into the memory; refine the filter where the frame asks for it, or enough of them went by."""
        if judgement.learning_rate is not None:
            self.gem.add(seen.classification, self._labels(self._label_center(place))[0], judgement.learning_rate)
        if judgement.refine:
            self.gem.update()
