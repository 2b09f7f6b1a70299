"""GuardedTarget: ECO that asks of every frame whether it shows the target, and searches for it when it does not.

As published, every frame is learnt, so that within some frames the filter follows what hides the target. Here a
frame's score is set beside the usual one, that of the last frames which were trusted, and so is the score that the
first frame's filter, which has learnt nothing since, gives the same place:

- where another place in the sample scores nearly as high, the frame counts for less;
- only trusted frames are learnt, and only they change the size;
- a frame that shows nothing like the target moves nothing;
- after some of those, growing surroundings of the last trusted place are searched with the first frame's filter. What
  there is at the last place is looked at meanwhile.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING, Any

import torch

from d3s_vot.given import Frame, Given
from d3s_vot.model import Witness
from d3s_vot.online import fourier
from d3s_vot.online.search import places
from d3s_vot.prediction import Prediction
from d3s_vot.regions import Box
from d3s_vot.steps import Pass, Steps
from d3s_vot.trackers.eco.target import ECOTarget, Sight

if TYPE_CHECKING:
    from d3s_vot.trackers.eco.model import ECOModel


@dataclass(frozen=True)
class Judgement:
    """What a frame is good for.

    Attributes:
        scores: of the place that was found, by the present filter and by the first frame's.
        quality: a score beside the usual one, by the filter that says less; 1 is usual, and less where it is hardly
            higher than elsewhere.
        learn: whether it is learnt, and its size believed.
        missed: whether nothing like the target is there.
    """

    scores: tuple[float, float]
    quality: float
    learn: bool
    missed: bool

    @property
    def confidence(self) -> float:
        """0..1: 1 - exp(-2 quality), .86 of a usual frame."""
        return 1 - math.exp(-2 * max(self.quality, 0.0))


class GuardedTarget(ECOTarget, Witness):
    """One target; arguments as for `ECOTarget`.

    Attributes:
        missed: frames in a row without the target.
    """

    def __init__(self, model: ECOModel, frame: Frame, given: Given) -> None:
        super().__init__(model, frame, given)
        self._first = {block: filter.filter for block, filter in self.filters.items()}
        history = self.config.score_history_size
        self._usual: tuple[deque[float], deque[float]] = deque(maxlen=history), deque(maxlen=history)
        self._trusted = self.place
        self.missed = 0

    def step(self, frame: Frame) -> Steps:
        """See `Target.step`; the confidence is that of the `Judgement`."""
        self._measure_in(*frame.size_hw)
        self._frames += 1
        searching = self.missed - self.config.lost_after
        sight = yield from self._look(frame, self.place, self.config.scale_factors)
        judgement = self._judge(sight)
        if searching >= 0 and judgement.missed:
            found = yield from self._search(frame, searching)
            if found is not None:
                sight, judgement = found
        return self._conclude(sight, judgement)

    @property
    def box(self) -> Box:
        """See `Witness.box`."""
        return self.place.box

    @property
    def seen(self) -> bool:
        """See `Witness.seen`."""
        return self.missed == 0

    def lead(self, box: Box) -> None:
        """See `Witness.lead`."""
        x, y = box.center
        scale = math.sqrt(box.w * box.h / math.prod(self.place.base_hw))
        self.place = self._trusted = self.place.moved((y - 0.5, x - 0.5), scale, self._image_hw, self.config)
        self.missed = 0

    # What is asked of a frame. Nothing is changed by it.

    def _scores(self, sight: Sight) -> tuple[float, float]:
        """Of the place that was found: by the present filter, and by the first frame's."""
        sights = {block: seen[sight.index, None] for block, seen in sight.sights.items()}
        turn = 2 * math.pi / (sight.place.scale * sight.factor * self._size)
        y, x = (turn * by for by in sight.displacement_yx)
        present, first = (
            float(fourier.value(self._response(sights, filters), (y, x))) for filters in (None, self._first)
        )
        return present, first

    def _second(self, sight: Sight) -> float:
        """The highest score farther from the best one than half of the target's size."""
        axis = torch.arange(self._size, device=sight.score_map.device)
        near = []
        for peak, side in zip(sight.peak_yx, sight.place.base_hw, strict=True):
            away = (axis - peak % self._size).abs()
            near.append(torch.minimum(away, self._size - away) <= side / 2)  # z; the map is periodic
        others = sight.score_map.masked_fill(near[0][:, None] & near[1], -math.inf)
        return max(float(others.max()), 0.0)

    def _judge(self, sight: Sight) -> Judgement:
        c, scores = self.config, self._scores(sight)
        quality = min(
            score / fmean(usual) if usual else 1.0  # the frame after the first says what is usual
            for score, usual in zip(scores, self._usual, strict=True)
        )
        lead = 1 - self._second(sight) / max(sight.score, 1e-6)  # of the highest score before all others
        quality *= min(max(lead / c.least_lead, 0.0), 1.0)
        return Judgement(scores, quality, quality >= c.quality_learn, quality < c.quality_lost)

    def _search(self, frame: Frame, number: int) -> Generator[Pass, Any, tuple[Sight, Judgement] | None]:
        """The target, if some place shows it, farther and farther from where it was trusted last.

        Args:
            frame: in which it is searched.
            number: of the frame in the search.
        """
        c, last = self.config, self._trusted
        side = last.scale * self._size
        best: Sight | None = None
        for position in places(self._image_hw, last.position_yx, side, number, c.search_places):
            there = replace(last, position_yx=position)
            sight = yield from self._look(frame, there, (1.0,), self._first)
            inside = all(
                0 <= at + by < length
                for at, by, length in zip(position, sight.displacement_yx, self._image_hw, strict=True)
            )
            if inside and (best is None or sight.score > best.score):
                best = sight
        if best is None:
            return None
        judgement = self._judge(best)
        return (best, judgement) if judgement.quality >= c.quality_found else None

    # What it changes.

    def _conclude(self, sight: Sight, judgement: Judgement) -> Prediction:
        """Take from a frame what it is trusted for."""
        self.sight = sight
        if judgement.learn:
            self.place = self._trusted = self._moved(sight)
            for score, usual in zip(judgement.scores, self._usual, strict=True):
                usual.append(score)
            self._learn(sight)
        elif not judgement.missed:
            self.place = self._moved(replace(sight, scale_change=1.0))
        self.missed = self.missed + 1 if judgement.missed else 0
        visible = judgement.quality >= self.config.quality_learn
        return Prediction(self.place.box, judgement.confidence, visible, self._image_hw)

    def _measure_in(self, height: int, width: int) -> None:
        if (height, width) != self._image_hw:
            self._trusted = self._trusted.resized(height / self._image_hw[0], width / self._image_hw[1])
        super()._measure_in(height, width)
