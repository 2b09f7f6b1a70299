"""From a response to a displacement, and how far to trust it (D3S, section 3.2; ATOM and DiMP alike)."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor

from d3s_vot.compute.timing import stage
from d3s_vot.online.config import DistractorConfig, LocalizationConfig
from d3s_vot.online.interpolation import cosine_window, upsample_score
from d3s_vot.prediction import Flag

Pair = tuple[float, float]


@dataclass(frozen=True)
class Localization:
    """What a response says of one frame.

    Attributes:
        displacement: (dy, dx) from the middle of the search patch, in pixels of the image.
        score: the highest of the response, even where the second maximum is taken for the target; GEM's is that of
            the windowed response.
        flag: what the response says of the frame.
    """

    displacement: tuple[float, float]
    score: float
    flag: Flag


@stage("GEM")
def localize(
    score: Tensor,
    target_scale: float,
    target_size_hw: tuple[float, float],
    config: DistractorConfig,
    window: Tensor | None = None,
    *,
    size: int = 256,
) -> Localization:
    """Finds the target in GEM's response, with a look at the second best place.

    Args:
        score: raw response of `GEM.score`, 16 x 16.
        target_scale: pixels of the image per pixel of the search patch.
        target_size_hw: (h, w) of the target in pixels of the image.
        config: constants.
        window: patch x patch, zero displacement at index [0, 0]; the cosine window if none.
        size: of the search patch, pixels.
    """
    if window is None:
        window = cosine_window(size, score.device)
    response = torch.fft.fftshift(upsample_score(score, size) * window)  # size x size, centred
    limit = config.displacement_scale * size / 2
    return find(response, response, target_scale, target_size_hw, config, limit=limit)


def find(
    response: Tensor,
    unweighted: Tensor,
    cell: float,
    target_size_hw: Pair,
    config: DistractorConfig,
    *,
    limit: float,
    before_yx: Pair = (0.0, 0.0),
) -> Localization:
    """The target in a response whose middle is zero displacement, with a look at the second best place.

    Args:
        response: side x side, of which the first maximum is taken; its middle is at index side // 2.
        unweighted: the same without a window, of which the second maximum and the score that is told are taken.
        cell: pixels of the image per cell of the response.
        target_size_hw: (h, w) of the target in pixels of the image.
        config: constants.
        limit: cells from where the target was before, within which a maximum is near.
        before_yx: cells from the middle to where the target was before.
    """
    side = response.shape[-1]
    best, first = response.flatten().max(dim=0)  # value and row-major index, both still on the device

    # The neighbourhood is blanked from the index on the device, so that the host waits only once, in tolist.
    axis = torch.arange(side, device=response.device)  # side
    reach_y, reach_x = (round(config.target_neighborhood_scale * length / cell / 2) for length in target_size_hw)
    near_y = (axis - first // side).abs() <= reach_y  # side
    near_x = (axis - first % side).abs() <= reach_x  # side
    others = unweighted.masked_fill(near_y[:, None] & near_x, 0)  # side x side
    next_best, second = others.flatten().max(dim=0)

    told = best if unweighted is response else unweighted.max()
    score_1, score_2, score, *indices = torch.stack([best, next_best, told, first, second]).tolist()
    displacements = [(index // side - side // 2, index % side - side // 2) for index in indices]
    chosen, flag = _judge(
        score_1, score_2, [math.dist(at, before_yx) < limit for at in displacements], config
    )
    dy, dx = displacements[chosen]
    return Localization((dy * cell, dx * cell), score, flag)


def _judge(score_1: float, score_2: float, near: Sequence[bool], config: DistractorConfig) -> tuple[int, Flag]:
    """Which of two maxima is the target, 0 or 1, and what they say of the frame."""
    if not score_1 >= config.not_found_score:  # so written that NaN is not found either
        return 0, Flag.NOT_FOUND
    if score_2 > config.distractor_threshold * score_1:
        if near[0] == near[1]:
            return 0, Flag.UNCERTAIN
        return int(near[1]), Flag.HARD_NEGATIVE
    if score_2 > config.hard_negative_threshold * score_1 and score_2 > config.not_found_score:
        return 0, Flag.HARD_NEGATIVE
    return 0, Flag.NORMAL


@stage("GEM")
def peak(score: Tensor, target_scale: float, size: int = 256) -> tuple[float, tuple[float, float]]:
    """The maximum of a response wherever it lies, and where: (dy, dx) from the patch's middle, pixels of the image.

    Args:
        score: raw response of `GEM.score`, 16 x 16.
        target_scale: pixels of the image per pixel of the search patch.
        size: of the search patch, pixels.
    """
    best, place = torch.fft.fftshift(upsample_score(score, size)).flatten().max(dim=0)
    value, index = torch.stack([best, place.to(best)]).tolist()
    dy, dx = int(index) // size - size // 2, int(index) % size - size // 2
    return value, (dy * target_scale, dx * target_scale)


class ScoreHistory:
    """The scores of the frames that were trusted, against which the next one is judged.

    Attributes:
        scores: the last ones; that of the first frame, which the model was learnt on, counts as 1.
        frames: seen so far.
    """

    def __init__(self, config: LocalizationConfig) -> None:
        self._config = config
        self.scores = deque([1.0], maxlen=config.score_history_size)
        self.frames = 1

    def confidence(self, found: Localization) -> float:
        """Of the next frame, 0..1: 1 - exp(-2 r) where r is its score over the mean trusted one.

        That is 0.86 for a usual frame and 0.49 where the tracker stops to learn (r = 1/3).
        """
        return 1 - math.exp(-2 * max(0.0, found.score) / fmean(self.scores))

    def uncertainty(self, found: Localization) -> float:
        """Of the next frame, >= 0: the mean trusted score over its own.

        0 in the first frames, where the history says little, and that of a target not found where the score is not
        positive.
        """
        config = self._config
        if found.flag == Flag.NOT_FOUND:
            return config.not_found_uncertainty
        if self.frames < config.uncertainty_warmup:
            return 0.0
        if found.score <= 0:
            return config.not_found_uncertainty
        return fmean(self.scores) / found.score

    def add(self, found: Localization) -> None:
        """A frame went by; call it once for each, in order, when it has been judged."""
        if self.uncertainty(found) < self._config.uncertainty_update:
            self.scores.append(found.score)
        self.frames += 1
