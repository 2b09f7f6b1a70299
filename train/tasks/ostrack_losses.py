"""What OSTrack learns from a box in a search crop, and its losses (Ye et al., ECCV 2022, section 3.3)."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import generalized_box_iou_loss

FOCUS, DIMMING = 2, 4  # exponents of the focal loss: of the error, and of what the label says beside the centre
SHARE_L1, SHARE_GIOU = 5.0, 2.0  # against the focal loss
OVERLAP = 0.7  # of a box whose corner is off by the label's radius, with the true one (Law and Deng, ECCV 2018)


def label_radius(wh: Tensor) -> Tensor:
    """How far both corners of a box may be off for an overlap of `OVERLAP`: B x 2, cells -> B, whole cells.

    The least over three ways of being off: one corner in and one out, both in, both out.
    """
    w, h = wh.unbind(dim=1)
    both, area = w + h, w * h
    shifted = (both - (both.square() - 4 * area * (1 - OVERLAP) / (1 + OVERLAP)).sqrt()) / 2
    smaller = (2 * both - (4 * both.square() - 16 * area * (1 - OVERLAP)).clamp(min=0).sqrt()) / 8
    larger = (-2 * OVERLAP * both + (4 * OVERLAP**2 * both.square() + 16 * OVERLAP * area * (1 - OVERLAP)).sqrt()) / (
        8 * OVERLAP
    )
    return torch.stack([shifted, smaller, larger]).amin(dim=0).floor().clamp(min=0)


def centre_labels(boxes: Tensor, side: int) -> Tensor:
    """Gaussians around the cells that the centres lie in, 1 there.

    Args:
        boxes: B x 4, x0, y0, x1, y1, shares of the crop.
        side: cells along a side.

    Returns:
        B x side x side.
    """
    centre = ((boxes[:, :2] + boxes[:, 2:]) / 2 * side).floor().clamp(0, side - 1)  # B x 2
    sigma = (2 * label_radius((boxes[:, 2:] - boxes[:, :2]) * side) + 1) / 6  # B
    at = torch.arange(side, device=boxes.device)
    dx, dy = ((at - c[:, None]).square() for c in centre.unbind(dim=1))  # B x side each
    return torch.exp(-(dy[:, :, None] + dx[:, None]) / (2 * sigma.square())[:, None, None])


def focal_loss(score: Tensor, label: Tensor) -> Tensor:
    """Of score maps (B x s x s, between 0 and 1) against labels: B."""
    at_centre = label == 1
    right = -((1 - score) ** FOCUS) * score.log()
    wrong = -((1 - label) ** DIMMING) * score**FOCUS * (1 - score).log()
    return torch.where(at_centre, right, wrong).flatten(1).sum(dim=1)


def decode_best(maps: Tensor) -> Tensor:
    """Boxes at the best scores: B x 5 x s x s, see `CentreHead` -> B x 4, x0, y0, x1, y1, shares of the crop."""
    side = maps.shape[-1]
    best = maps[:, 0].flatten(1).argmax(dim=1)  # B
    w, h, dx, dy = maps[:, 1:].flatten(2).gather(2, best.view(-1, 1, 1).expand(-1, 4, 1))[..., 0].unbind(dim=1)
    cx, cy = (best % side + dx) / side, (best.div(side, rounding_mode="floor") + dy) / side
    return torch.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], dim=1)


def losses(maps: Tensor, boxes: Tensor) -> Tensor:
    """The sum of focal, L1 and GIoU loss of every item: B.

    Args:
        maps: B x 5 x s x s, of the network.
        boxes: B x 4, x0, y0, x1, y1 of the target, shares of the crop.
    """
    found = decode_best(maps)
    l1 = (found - boxes).abs().mean(dim=1)
    giou = generalized_box_iou_loss(found, boxes)  # B
    return focal_loss(maps[:, 0], centre_labels(boxes, maps.shape[-1])) + SHARE_L1 * l1 + SHARE_GIOU * giou
