"""What LWL learns from masks: the Lovasz hinge (Berman et al., CVPR 2018), a convex stand-in for the overlap.

From random weights, whose logits are near zero, the hinge alone finds no way down; the cross-entropy beside it does.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def mask_loss(logits: Tensor, wanted: Tensor, counts: Tensor) -> Tensor:
    """The hinge and the cross-entropy, a mean over the pixels that count, of each item: B; see `lovasz_hinge`."""
    each = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none") * counts  # B x S x S
    entropy = each.flatten(1).sum(dim=1) / counts.flatten(1).sum(dim=1).clamp(min=1)
    return lovasz_hinge(logits, wanted, counts) + entropy


def lovasz_hinge(logits: Tensor, wanted: Tensor, counts: Tensor) -> Tensor:
    """Of each item, a scalar: B.

    Args:
        logits: B x S x S, above zero on the target.
        wanted: B x S x S, 0 or 1.
        counts: B x S x S bool, the pixels that count; an item without any costs nothing.
    """
    return torch.stack([_of_one(*one) for one in zip(logits, wanted, counts, strict=True)])


def _of_one(logits: Tensor, wanted: Tensor, counts: Tensor) -> Tensor:
    x, y = logits[counts].float(), wanted[counts].float()  # n each
    if not len(x):
        return logits.sum() * 0.0
    errors, order = (1 - x * (2 * y - 1)).sort(descending=True)  # the hinge's, worst first
    with torch.no_grad():
        y = y[order]
        both, either = y.sum() - y.cumsum(0), y.sum() + (1 - y).cumsum(0)
        lost = 1 - both / either  # of the overlap, where the first pixels are wrong
        share = torch.diff(lost, prepend=lost.new_zeros(1))
    return (errors.clamp(min=0) * share).sum()
