"""From GEM's response to a displacement, and how far to trust it (paper section 3.2)."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from enum import Enum
from statistics import fmean

import torch
from torch import Tensor

from d3s_vot.compute.timing import stage
from d3s_vot.online.config import LocalizationConfig
from d3s_vot.online.interpolation import cosine_window, upsample_score


class Flag(str, Enum):
    """What the response says of the frame; each member equals its string.

    >>> Flag.NOT_FOUND == "not_found"
    True
    """

    NORMAL = "normal"
    HARD_NEGATIVE = "hard_negative"  # something else looks like the target: learn this frame at once
    UNCERTAIN = "uncertain"  # two maxima, and no telling which is the target
    NOT_FOUND = "not_found"

    def __str__(self) -> str:
        return self.value


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


class ScoreHistory:
    """The scores of the frames that were trusted, and the uncertainty of the next one against them.

    Attributes:
        confidence: of the last frame, 0..1: 1 - exp(-2 r) where r is its score over the mean trusted one, so
            0.86 for a usual frame and 0.49 where the tracker stops to learn (r = 1/3).
    """

    def __init__(self, config: LocalizationConfig) -> None:
        self._config = config
        self._scores = deque([1.0], maxlen=config.score_history_size)
        self._frames = 1  # the first frame, which the model was learnt on, counts
        self.confidence = 1.0

    def observe(self, localization: Localization) -> float:
        """The uncertainty of a frame, >= 0; call it once for each frame, in order.

        It is the mean trusted score over this frame's, 0 in the first frames, where the history says little,
        and that of a target not found where the score is not positive.
        """
        config = self._config
        self._frames += 1
        evidence = max(0.0, localization.score) / fmean(self._scores)
        self.confidence = 1 - math.exp(-2 * evidence)
        if localization.flag == Flag.NOT_FOUND:
            uncertainty = config.not_found_uncertainty
        elif self._frames <= config.uncertainty_warmup:
            uncertainty = 0.0
        elif localization.score <= 0:
            uncertainty = config.not_found_uncertainty
        else:
            uncertainty = fmean(self._scores) / localization.score
        if uncertainty < config.uncertainty_update:
            self._scores.append(localization.score)
        return uncertainty
