"""The filter of LWL, learnt by steepest descent with exact steps (section 3.3).

The loss is the sum of squares of s v (f * x - y) over samples, channels and places, and of lambda f: x are target
features, y what the label encoder says of the sample's mask, v how much that counts at each place, s the sample's
weight, which enters as it is.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.grad import conv2d_weight

SMALLEST = 1e-8  # of the curvature that the gradient's square is divided by


def respond(filters: Tensor, features: Tensor) -> Tensor:
    """Encodings (N x 16 x h x w) that a filter (16 x C x 3 x 3) gives features (N x C x h x w)."""
    return F.conv2d(features, filters, padding=filters.shape[-1] // 2)


def loss(filters: Tensor, features: Tensor, labels: Tensor, weights: Tensor, regularization: Tensor) -> Tensor:
    """Of a filter, a scalar; arguments as for `descend`."""
    data = (weights * (respond(filters, features) - labels)).square().sum()
    return data + (regularization * filters).square().sum()


def descend(
    filters: Tensor, features: Tensor, labels: Tensor, weights: Tensor, regularization: Tensor, steps: int
) -> Tensor:
    """The filter after so many steps.

    Args:
        filters: 16 x C x 3 x 3, to begin with.
        features: x, N x C x h x w.
        labels: y, N x 16 x h x w.
        weights: s v, N x 16 x h x w.
        regularization: lambda, a number.
        steps: exactly so many are done.
    """
    missed = weights * (respond(filters, features) - labels)  # N x 16 x h x w
    padding = filters.shape[-1] // 2
    for _ in range(steps):
        gradient = conv2d_weight(features, list(filters.shape), weights * missed, padding=padding)
        gradient = gradient + regularization.square() * filters
        change = weights * respond(gradient, features)
        square = gradient.square().sum()
        curvature = change.square().sum() + regularization.square().squeeze() * square
        step = square / curvature.clamp(min=SMALLEST)
        filters, missed = filters - step * gradient, missed - step * change
    return filters


def zero_filter(channels: int, encoding: int, side: int, device: torch.device) -> Tensor:
    """A filter that has learnt nothing: encoding x channels x side x side."""
    return torch.zeros(encoding, channels, side, side, dtype=torch.float32, device=device)
