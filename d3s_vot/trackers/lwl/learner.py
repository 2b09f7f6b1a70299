"""The filter of LWL, learnt by steepest descent with exact steps (section 3.3).

The loss is the sum of squares of s v (f * x - y) over samples, channels and places, and of lambda f: x are target
features, y what the label encoder says of the sample's mask, v how much that counts at each place, s the sample's
weight, which enters as it is.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from d3s_vot.online import steepest


def respond(filters: Tensor, features: Tensor) -> Tensor:
    """Encodings (N x 16 x h x w) that a filter (16 x C x 3 x 3) gives features (N x C x h x w)."""
    return F.conv2d(features, filters, padding=filters.shape[-1] // 2)


def objective(labels: Tensor, weights: Tensor, regularization: Tensor) -> steepest.WeightedSquares:
    """What a filter is taught.

    Args:
        labels: y, N x 16 x h x w.
        weights: s v, N x 16 x h x w.
        regularization: lambda, a number.
    """
    return steepest.WeightedSquares(
        regularization.square().squeeze(), step=torch.ones_like(regularization).squeeze(), damping=0.0,
        labels=labels, weights=weights,
    )  # fmt: skip


def respond_transpose(maps: Tensor, features: Tensor, side: int) -> Tensor:
    """The adjoint of `respond` in the filter: encodings (N x 16 x h x w) to a filter, 16 x C x side x side.

    Of features in channels-last order a matrix product takes half the time of torch's own on a CPU.
    """
    windows = F.unfold(maps, side, padding=side // 2)  # N x 16 side² x h w
    places = features.permute(0, 2, 3, 1).flatten(0, 2)  # N h w x C
    taps = windows.transpose(0, 1).flatten(1) @ places  # 16 side² x C
    return taps.view(maps.shape[1], side, side, -1).flip(1, 2).permute(0, 3, 1, 2)


def descend(filters: Tensor, features: Tensor, taught: steepest.WeightedSquares, steps: int) -> Tensor:
    """The filter after so many steps; differentiable.

    Args:
        filters: 16 x C x 3 x 3, to begin with.
        features: x, N x C x h x w.
        taught: of `objective`.
        steps: exactly so many are done.
    """

    def transpose(by_scores: Tensor) -> Tensor:
        return respond_transpose(by_scores, features, filters.shape[-1])

    return steepest.descend(
        filters, taught, steps, respond=lambda one: respond(one, features), transpose=transpose
    )


def zero_filter(channels: int, encoding: int, side: int, device: torch.device) -> Tensor:
    """A filter that has learnt nothing: encoding x channels x side x side."""
    return torch.zeros(encoding, channels, side, side, dtype=torch.float32, device=device)
