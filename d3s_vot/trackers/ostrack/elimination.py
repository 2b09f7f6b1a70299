"""Elimination of candidates: search tokens that the target's template hardly looks at leave (paper section 3.2)."""

from __future__ import annotations

import math

from torch import Tensor


def strongest(importance: Tensor, count: int) -> Tensor:
    """Places of the most important tokens, in the order of the tokens: B x n -> B x count."""
    return importance.topk(count, dim=1).indices.sort(dim=1).values


def restore(tokens: Tensor, places: Tensor, count: int) -> Tensor:
    """Tokens back at their places among `count`, zero elsewhere: B x m x D and B x m -> B x count x D."""
    batch, _, width = tokens.shape
    full = tokens.new_zeros(batch, count, width)
    return full.scatter(1, places[..., None].expand(-1, -1, width), tokens)


def keep_ratio(epoch: float, last: float = 0.7, *, start: int = 20, length: int = 80) -> float:
    """The share of tokens that training keeps at an epoch: all until `start`, then falling as a cosine to `last`.

    >>> [round(keep_ratio(epoch), 3) for epoch in (1, 20, 60, 100, 200)]
    [1.0, 1.0, 0.85, 0.7, 0.7]
    """
    share = min(max((epoch - start) / length, 0.0), 1.0)
    return last + (1 - last) * 0.5 * (1 + math.cos(math.pi * share))
