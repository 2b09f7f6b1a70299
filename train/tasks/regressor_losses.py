"""What a box regressor learns from boxes about the target's: their overlap, or a density (ATOM; PrDiMP, section 4.3).

Boxes are x, y, w, h in pixels of the crop.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

LEAST_OVERLAP = 0.1  # of a box with the target's; published
TRIES = 8  # boxes drawn for each that is kept; a draw that never overlaps enough becomes the target's own
SPREADS = (0.01, 0.05, 0.1, 0.2, 0.3)  # standard deviations of drawn boxes, of sqrt(w h)
NARROW, WIDE = 0.05, 0.5  # standard deviations of the two Gaussians in relative space; published
OF_TRUTH = 0.05  # of the density that is learnt; published


def overlaps(boxes: Tensor, truth: Tensor) -> Tensor:
    """IoU of boxes (B x n x 4) with the target's (B x 4): B x n."""
    truth = truth[:, None]
    low = torch.maximum(boxes[..., :2], truth[..., :2])
    high = torch.minimum(boxes[..., :2] + boxes[..., 2:], truth[..., :2] + truth[..., 2:])
    both = (high - low).clamp(min=0).prod(dim=2)
    return both / (boxes[..., 2:].prod(dim=2) + truth[..., 2:].prod(dim=2) - both)


def overlapping_boxes(truth: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Boxes about the target's (B x 4) that overlap with it, some hardly and some nearly whole: B x count x 4."""
    shape = (len(truth), count, TRIES)
    spread = torch.tensor(SPREADS)[torch.randint(len(SPREADS), shape, generator=generator)]  # B x n x tries
    noise = torch.randn((*shape, 4), generator=generator) * spread[..., None]
    own = truth.cpu()[:, None, None]  # B x 1 x 1 x 4
    side = own[..., 2:].prod(dim=3, keepdim=True).sqrt()
    sizes = (own[..., 2:] + side * noise[..., 2:]).clamp(min=1)
    middles = own[..., :2] + own[..., 2:] / 2 + side * noise[..., :2]
    drawn = torch.cat([middles - sizes / 2, sizes], dim=3)  # B x n x tries x 4
    good = overlaps(drawn.flatten(1, 2), truth.cpu()).view(shape) >= LEAST_OVERLAP
    first = good.int().argmax(dim=2)[..., None, None].expand(-1, -1, 1, 4)
    chosen = drawn.gather(2, first)[:, :, 0]  # B x n x 4
    return torch.where(good.any(dim=2)[..., None], chosen, own[:, 0]).to(truth)


def overlap_loss(values: Tensor, boxes: Tensor, truth: Tensor) -> Tensor:
    """Mean square of how far values (B x n) are from 2 IoU - 1 of their boxes (B x n x 4): B."""
    return (values - (2 * overlaps(boxes, truth) - 1)).square().mean(dim=1)


def scattered_boxes(truth: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Boxes about the target's (B x 4), half of them near, half far.

    Returns:
        The boxes, B x count x 4; and their places in relative space from the target's, B x count x 4: middles by its
        sides, and logarithms of the sides by its own.
    """
    far = torch.randint(2, (len(truth), count, 1), generator=generator).bool()
    offsets = torch.randn((len(truth), count, 4), generator=generator) * torch.where(far, WIDE, NARROW)
    offsets = offsets.to(truth)
    own = truth[:, None]
    sizes = own[..., 2:] * torch.exp(offsets[..., 2:])
    middles = own[..., :2] + own[..., 2:] * (0.5 + offsets[..., :2])
    return torch.cat([middles - sizes / 2, sizes], dim=2), offsets


def density_loss(values: Tensor, offsets: Tensor) -> Tensor:
    """Divergence of the density that values stand for from a narrow Gaussian about the target's box: B.

    Kullback and Leibler's, but for a constant: log of the integral of exp(value), minus the mean value under the
    Gaussian. Both integrals are means over the drawn boxes, each by the density it was drawn with.

    Args:
        values: B x n, logarithms of a density up to a constant.
        offsets: of their boxes in relative space, from `scattered_boxes`.
    """
    far, near = (_log_gaussian(offsets, sigma) for sigma in (WIDE, NARROW))
    drawn = torch.logaddexp(near, far) - math.log(2)  # B x n
    integral = torch.logsumexp(values - drawn, dim=1) - math.log(values.shape[1])
    share = torch.exp(_log_gaussian(offsets, OF_TRUTH) - drawn)
    return integral - (share * values).mean(dim=1)


def _log_gaussian(offsets: Tensor, sigma: float) -> Tensor:
    """Logarithm of the density of the offsets' four numbers together: B x n."""
    return -(offsets / sigma).square().sum(dim=2) / 2 - 4 * math.log(sigma * math.sqrt(2 * math.pi))
