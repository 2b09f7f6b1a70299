"""Adaptive spatial-attention dropout: tokens look less at their own frame, the more, the better the other one matches.

Wu et al., DropMAE, CVPR 2023, section 3.2.
"""

from __future__ import annotations

import torch
from torch import Tensor

SMALL = 1e-6  # added to every probability


def drop_count(tokens: int, share: float) -> int:
    """How many pairs of query and key are dropped, of each item and head.

    Args:
        tokens: of both frames.
        share: of the keys in a query's own frame, 0..1.

    >>> drop_count(392, 0.1)
    7448
    """
    return int(share * (tokens // 2 - 1)) * tokens


def drop_weights(scores: Tensor) -> Tensor:
    """In what proportion pairs within a frame are dropped.

    Args:
        scores: ... x L x L, before the softmax; tokens of one frame first, then as many of the other.

    Returns:
        ... x L x L/2: for each query, the keys of its own frame; 0 for itself.
    """
    half = scores.shape[-1] // 2
    looks = scores.softmax(dim=-1)
    first, second = looks[..., :half, :], looks[..., half:, :]
    own = torch.cat([first[..., :half], second[..., half:]], dim=-2)  # ... x L x h
    other = torch.cat([first[..., half:], second[..., :half]], dim=-2)
    itself = torch.eye(half, dtype=torch.bool, device=scores.device).repeat(2, 1)  # L x h
    share = (own + SMALL).masked_fill(itself, 0)
    share = share / share.sum(dim=-1, keepdim=True)
    return (other.amax(dim=-1, keepdim=True) + SMALL) * share


def within_frames(pairs: Tensor) -> Tensor:
    """Of pairs within the frames, ... x L x L/2 bool, those of all tokens: ... x L x L."""
    half = pairs.shape[-1]
    first, second = pairs[..., :half, :], pairs[..., half:, :]
    none = torch.zeros_like(first)
    return torch.cat([torch.cat([first, none], dim=-1), torch.cat([none, second], dim=-1)], dim=-2)


@torch.no_grad()
def dropped(scores: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Pairs of query and key that are to be dropped, drawn without replacement.

    Args:
        scores: B x heads x L x L, before the softmax.
        share: see `drop_count`.
        generator: of the drawing, on the scores' device.

    Returns:
        B x heads x L x L bool.
    """
    weights = drop_weights(scores.float())  # B x heads x L x h
    flat = weights.flatten(2).flatten(0, 1)  # B heads x L h
    chosen = torch.zeros_like(flat, dtype=torch.bool)
    count = drop_count(scores.shape[-1], share)
    if count:
        chosen.scatter_(1, torch.multinomial(flat, count, generator=generator), True)
    return within_frames(chosen.view(weights.shape))
