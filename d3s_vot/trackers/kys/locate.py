"""Where the fused response has the target, and whether something else looks like it."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from d3s_vot.online.interpolation import hann_window
from d3s_vot.online.localize import Localization
from d3s_vot.online.state import Pair
from d3s_vot.prediction import Flag
from d3s_vot.trackers.kys.config import KYSConfig


@lru_cache(maxsize=8)
def middle_window(config: KYSConfig, device: torch.device | str = "cpu") -> Tensor:
    """The middle of the Hann window that a larger search area would have: n x n, 1 at index n / 2.

    All callers share one tensor; do not change it in place.
    """
    n = config.cells
    side = int((n + 1) * config.window_area / config.search_area_scale)
    side += (side - n - 1) % 2  # so that both have their middle on a cell
    start = (side - n - 1) // 2
    return hann_window(side, device)[start : start + n, start : start + n].contiguous()


def locate(
    response: Tensor, score: Tensor, cell: float, target_size_hw: Pair, config: KYSConfig
) -> tuple[Localization, float]:
    """Find the target.

    Args:
        response: fused, n x n, its middle at index n / 2.
        score: the classifier's, not windowed, n x n.
        cell: pixels of the image per cell.
        target_size_hw: (h, w) of the target before this frame, pixels of the image.
        config: constants.

    Returns:
        What the response says, with its maximum; and the windowed score at its maximum.
    """
    window = middle_window(config, score.device)
    response, windowed, score = torch.stack([response, score * window, score]).cpu()  # the host waits only once
    best, first = _peak(response)
    _, second = _peak(windowed)
    told = windowed[first].item()
    if max(abs(a - b) for a, b in zip(first, second, strict=True)) == 1:
        first = second
    dy, dx = ((index - config.cells / 2) * cell for index in first)
    if not best >= config.not_found_score:  # so written that NaN is not found either
        flag = Flag.NOT_FOUND
    elif config.hard_negatives and _has_double(score, first, math.sqrt(math.prod(target_size_hw)) / cell, config):
        flag = Flag.HARD_NEGATIVE
    else:
        flag = Flag.NORMAL
    return Localization((dy, dx), best, flag), told


def _peak(values: Tensor) -> tuple[float, tuple[int, int]]:
    """The maximum and its cell (y, x); of equals the first in the order of columns, as published."""
    rows = values.shape[0]
    best, index = values.T.flatten().max(dim=0)
    return best.item(), (int(index) % rows, int(index) // rows)


def _has_double(score: Tensor, at: tuple[int, int], side: float, config: KYSConfig) -> bool:
    """Whether the score is high elsewhere than about the target, whose mean side is given in cells."""
    others, reach = score.clone(), config.target_neighborhood_scale * side / 2
    rows, columns = (slice(max(round(k - reach), 0), max(round(k + reach + 1), 0)) for k in at)
    others[rows, columns] = 0
    double = others.max().item()
    return double > config.hard_negative_threshold * score[at].item() and double > config.hard_negative_score
