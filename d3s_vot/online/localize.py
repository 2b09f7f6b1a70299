"""From GEM's response to a displacement, and how far to trust it (paper section 3.2)."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor

from d3s_vot.compute.timing import stage
from d3s_vot.online.config import LocalizationConfig
from d3s_vot.online.interpolation import cosine_window, upsample_score
from d3s_vot.prediction import Flag


@dataclass(frozen=True)
class Localization:
    """GEM's answer on one frame.

    Attributes:
        displacement: (dy, dx) from the middle of the search patch, in pixels of the image.
        score: the first maximum of the windowed response, even where the second is taken for the target.
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
    config: LocalizationConfig,
    window: Tensor | None = None,
    *,
    size: int = 256,
) -> Localization:
    """Finds the target in a response, with a look at the second best place.

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
    best, first = response.flatten().max(dim=0)  # value and row-major index, both still on the device

    # The neighbourhood is blanked from the index on the device, so that the host waits only once, in tolist.
    axis = torch.arange(size, device=score.device)  # size
    reach_y, reach_x = (
        round(config.target_neighborhood_scale * side / target_scale / 2) for side in target_size_hw
    )
    near_y = (axis - first // size).abs() <= reach_y  # size
    near_x = (axis - first % size).abs() <= reach_x  # size
    others = response.masked_fill(near_y[:, None] & near_x, 0)  # size x size
    next_best, second = others.flatten().max(dim=0)

    score_1, score_2, index_1, index_2 = torch.stack([best, next_best, first, second]).tolist()
    displacement_1, displacement_2 = (
        (index // size - size // 2, index % size - size // 2) for index in (index_1, index_2)
    )

    chosen, flag = displacement_1, Flag.NORMAL
    if not score_1 >= config.not_found_score:  # so written that NaN is not found either
        flag = Flag.NOT_FOUND
    elif score_2 > config.distractor_threshold * score_1:
        threshold = config.displacement_scale * size / 2
        is_near_1, is_near_2 = (math.hypot(*d) < threshold for d in (displacement_1, displacement_2))
        flag = Flag.UNCERTAIN if is_near_1 == is_near_2 else Flag.HARD_NEGATIVE
        if is_near_2 and not is_near_1:
            chosen = displacement_2
    elif score_2 > config.hard_negative_threshold * score_1:
        flag = Flag.HARD_NEGATIVE
    return Localization((chosen[0] * target_scale, chosen[1] * target_scale), score_1, flag)


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
