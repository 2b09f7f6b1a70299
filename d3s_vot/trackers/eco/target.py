"""ECOTarget: the place and the filters of one target in one video, frame by frame."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from d3s_vot.compute.timing import stage
from d3s_vot.crops.patches import localization_patch
from d3s_vot.given import Form, Frame, Given
from d3s_vot.model import Target
from d3s_vot.online import fourier
from d3s_vot.online.fourier_filter import FourierFilter, principal_directions
from d3s_vot.prediction import Prediction
from d3s_vot.steps import Pass, Steps
from d3s_vot.trackers.eco.config import BLOCKS, STRIDES
from d3s_vot.trackers.eco.geometry import Pair, Place
from d3s_vot.trackers.eco.samples import dropout_draws, first_frame_samples, unshift_angle, with_dropout

if TYPE_CHECKING:
    from d3s_vot.trackers.eco.model import ECOModel

Sights = dict[str, Tensor]  # by block: series of projected features
Filters = dict[str, Tensor]  # by block


@dataclass(frozen=True, eq=False)
class Sight:
    """What is seen around a place.

    Attributes:
        place: that was looked at.
        sights: of each block, scales x c x n x n'.
        best_scores: of each scale.
        factor: of the scale with the highest, its multiple of the place's scale.
        index: of that scale.
        score_map: of that scale, z x z; zero displacement at index [0, 0].
        peak_yx: displacement of its maximum, pixels of the sample.
        displacement_yx: of its maximum from the sample's middle, pixels of the image.
        scale_change: multiple of the place's scale that the target is seen in.
    """

    place: Place
    sights: Sights
    best_scores: tuple[float, ...]
    factor: float
    index: int
    score_map: Tensor
    peak_yx: tuple[int, int]
    displacement_yx: Pair
    scale_change: float

    @property
    def score(self) -> float:
        """The highest."""
        return self.best_scores[self.index]


class ECOTarget(Target):
    """One target.

    Args:
        model: the networks.
        frame: the first.
        given: the target in it.

    Attributes:
        place: where it is and how large.
        filters: of each block.
        sight: of the last frame; None at first.
    """

    def __init__(self, model: ECOModel, frame: Frame, given: Given) -> None:
        self.model, self.config = model, model.config
        (x, y), (w, h) = given.center_xy, given.size_wh
        if given.form is not Form.POLYGON:  # a box counts from edges, a place from the middle of pixels
            x, y = x - 0.5, y - 0.5
        self.place = Place.begin((y, x), (h, w), self.config)
        self.sight: Sight | None = None
        self._size = self.place.sample_size(self.config)
        self._image_hw = frame.size_hw
        self._frames = 1
        self.filters = self._learn_first(frame)

    def step(self, frame: Frame) -> Steps:
        """See `Target.step`.

        The confidence is the highest score, about .6 on a good frame.
        """
        self._measure_in(*frame.size_hw)
        self._frames += 1
        self.sight = yield from self._look(frame, self.place, self.config.scale_factors)
        self.place = self._moved(self.sight)
        self._learn(self.sight)
        confidence = min(max(self.sight.score, 0.0), 1.0)
        return Prediction(self.place.box, confidence, confidence >= self.config.visible_confidence, frame.size_hw)

    # What is asked of a frame. Nothing is changed by it.

    def _look(
        self, frame: Frame, place: Place, factors: Sequence[float], filters: Filters | None = None
    ) -> Generator[Pass, Any, Sight]:
        """What there is around a place.

        Args:
            frame: to look at.
            place: its middle is that of the samples.
            factors: of its scale, of a sample each.
            filters: earlier ones; None: the present ones.
        """
        image = frame.on(self.model.device)
        samples = [localization_patch(image, place.position_yx, place.scale * a, self._size) for a in factors]
        features = yield Pass(self.model.look, torch.cat(samples))
        sights = {block: self.filters[block].look(getattr(features, block)) for block in BLOCKS}
        return self._find(place, sights, factors, filters)

    def _response(self, sights: Sights, filters: Filters | None = None) -> Tensor:
        """The score as a series, both blocks together: B x n x n'."""
        shallow, deep = (
            self.config.weight(block)
            * self.filters[block].respond(sights[block], None if filters is None else filters[block])
            for block in BLOCKS
        )
        return fourier.add(shallow, deep)

    @stage("score")
    def _find(self, place: Place, sights: Sights, factors: Sequence[float], filters: Filters | None) -> Sight:
        scores = fourier.sample(self._response(sights, filters), self._size)  # scales x z x z
        best, places = scores.flatten(1).max(dim=1)  # scales, twice
        numbers = torch.stack([best.double(), places.double()]).tolist()
        index = max(range(len(numbers[0])), key=numbers[0].__getitem__)
        factor = factors[index]
        row, column = divmod(int(numbers[1][index]), self._size)
        y, x = (cell - self._size if cell >= self._size / 2 else cell for cell in (row, column))
        step = place.scale * factor
        best_scores = tuple(numbers[0])
        change = factor
        if self.config.scale_refinement:
            change *= self.config.scale_step ** vertex(best_scores, index)
        return Sight(
            place, sights, best_scores, factor, index, scores[index], (y, x), (y * step, x * step), change
        )

    def _moved(self, sight: Sight) -> Place:
        """The place that a sight tells."""
        middle = sight.place.sample_position(self.config)
        y, x = (at + by for at, by in zip(middle, sight.displacement_yx, strict=True))
        return sight.place.moved((y, x), sight.place.scale * sight.scale_change, self._image_hw, self.config)

    # What it changes.

    @stage("learn")
    def _learn(self, sight: Sight) -> None:
        """Put what was seen into the filters' memories, as it looks with the target, which was found, in the middle."""
        middle = sight.place.sample_position(self.config)
        turn = 2 * math.pi / (sight.place.scale * sight.factor * self._size)
        y, x = (turn * (at - of) for at, of in zip(self.place.position_yx, middle, strict=True))
        for block, filter in self.filters.items():
            centred = fourier.shift(sight.sights[block][sight.index], (y, x))  # c x n x n'
            filter.add(centred)
            if self._frames % self.config.update_interval == 1:
                filter.update(centred)

    def _learn_first(self, frame: Frame) -> dict[str, FourierFilter]:
        """The filters that the first frame's samples give."""
        image = frame.on(self.model.device)
        patch = localization_patch(image, self.place.position_yx, self.place.scale, self._size)
        samples, shifts = first_frame_samples(patch, self.config)
        (features,) = self.model.look([samples])
        shifts += [(0, 0)] * self.config.dropout_samples
        return {block: self._filter(block, getattr(features, block), shifts) for block in BLOCKS}

    @stage("learn")
    def _filter(self, block: str, features: Tensor, shifts: list[tuple[int, int]]) -> FourierFilter:
        """A block's filter from the features (N x C x m x m) of the samples, which were moved by `shifts`."""
        config, size = self.config.of_block(block), self._size
        features = with_dropout(features, dropout_draws(block, features.shape[1], self.config), self.config)
        samples = fourier.series(features)  # N x C x n x n'
        for place, moved in enumerate(shifts):
            if moved != (0, 0):
                samples[place] = fourier.shift(samples[place], unshift_angle(moved, size))
        middle = self.place.sample_position(self.config)
        turn = 2 * math.pi / (self.place.scale * size)
        y, x = (turn * (at - of) for at, of in zip(self.place.position_yx, middle, strict=True))
        samples = fourier.shift(samples, (y, x))
        base_hw = self.place.base_hw
        sigma = config.label_sigma_factor * math.sqrt(math.prod(base_hw))
        label = fourier.gaussian_label(fourier.odd(size // STRIDES[block]), size, sigma).to(features.device)
        regularizer = fourier.Regularizer.of_target(
            size, base_hw, least=config.penalty_least, edge=config.penalty_edge, threshold=config.penalty_threshold
        )
        filter = FourierFilter(config, label, regularizer, principal_directions(features, config.channels))
        filter.learn(samples)
        return filter

    def _measure_in(self, height: int, width: int) -> None:
        """Bring the place into the pixels of a frame that shows the same view at another size."""
        if (height, width) != self._image_hw:
            self.place = self.place.resized(height / self._image_hw[0], width / self._image_hw[1])
            self._image_hw = (height, width)


def vertex(values: Sequence[float], index: int) -> float:
    """Where the parabola through a maximum and its neighbours has its own, -.5 .. .5 from the index; 0 at an end."""
    if not 0 < index < len(values) - 1:
        return 0.0
    before, best, after = values[index - 1 : index + 2]
    bend = before - 2 * best + after
    return 0.5 * (before - after) / bend if bend < 0 else 0.0
