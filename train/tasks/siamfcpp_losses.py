"""What SiamFC++ learns from a box in a search crop, and its losses (paper sections 3.2 and 3.4).

A location is positive where it lies in the box. There it learns how well centred it is, as FCOS defines it, and the
distances to the four sides. Of a pair whose search crop does not show the target every location is negative.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from d3s_vot.trackers.siamfcpp.config import STRIDE, SiamFCppConfig

FOCUS = 2.0  # exponent of the focal loss, gamma
BALANCE = 0.25  # weight of the positive locations in it, alpha; 1 - alpha of the negative
BOX_WEIGHT = 3.0  # of the box's loss against the others


class Targets(NamedTuple):
    """What each location should say."""

    positive: Tensor  # B x n x n bool
    centred: Tensor  # B x n x n, 0..1; 0 where not positive
    distances: Tensor  # B x 4 x n x n, to the left, top, right, bottom side, pixels of the crop; negative outside


class Losses(NamedTuple):
    """Of each pair of a batch: B each, whose mean is the sum over the batch for each positive location of it."""

    cls: Tensor
    centre: Tensor
    box: Tensor

    @property
    def total(self) -> Tensor:
        """What is minimised."""
        return self.cls + self.centre + BOX_WEIGHT * self.box


def locations(config: SiamFCppConfig, device: torch.device) -> Tensor:
    """Pixel of the crop along an axis that each location stands at: n."""
    steps = torch.arange(config.score_size, dtype=torch.float32, device=device)
    return config.offset + STRIDE * steps


def make_targets(boxes: Tensor, shown: Tensor, config: SiamFCppConfig) -> Targets:
    """What the maps of search crops should say.

    Args:
        boxes: B x 4, x0, y0, x1, y1 of the target in its search crop, first and last pixel.
        shown: B bool, whether the search crop shows the target of the template.
        config: of the network.
    """
    at = locations(config, boxes.device)
    x, y = at.view(1, 1, -1), at.view(1, -1, 1)
    x0, y0, x1, y1 = boxes.to(torch.float32).t()[..., None, None]  # B x 1 x 1 each
    sides = torch.stack(torch.broadcast_tensors(x - x0, y - y0, x1 - x, y1 - y), dim=1)  # B x 4 x n x n
    positive = (sides.amin(dim=1) > 0) & shown.view(-1, 1, 1)
    across, down = sides[:, 0::2], sides[:, 1::2]  # B x 2 x n x n
    ratio = (across.amin(1) / across.amax(1).clamp(min=1e-6)) * (down.amin(1) / down.amax(1).clamp(min=1e-6))
    centred = torch.where(positive, ratio, torch.zeros_like(ratio)).clamp(min=0).sqrt()
    return Targets(positive, centred, sides)


def focal_loss(logits: Tensor, positive: Tensor) -> Tensor:
    """Cross-entropy that looks at what is not yet right (Lin et al., 2017), each location: as the logits."""
    target = positive.to(logits.dtype)
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    wrong = torch.where(positive, 1 - torch.sigmoid(logits), torch.sigmoid(logits))
    balance = torch.where(positive, torch.full_like(logits, BALANCE), torch.full_like(logits, 1 - BALANCE))
    return balance * wrong**FOCUS * entropy


def iou_loss(found: Tensor, wanted: Tensor) -> Tensor:
    """-ln IoU of boxes around the same point (Yu et al., 2016): N x 4 distances each -> N."""
    both = torch.minimum(found, wanted)
    shared = (both[:, 0] + both[:, 2]) * (both[:, 1] + both[:, 3])
    area, area_wanted = ((d[:, 0] + d[:, 2]) * (d[:, 1] + d[:, 3]) for d in (found, wanted))
    either = area + area_wanted - shared
    return -torch.log((shared / either.clamp(min=1e-6)).clamp(min=1e-6))


def losses(cls_logits: Tensor, centre_logits: Tensor, distances: Tensor, targets: Targets) -> Losses:
    """The three losses of the pairs of a batch, float32.

    Args:
        cls_logits: B x 1 x n x n, of target or not.
        centre_logits: B x 1 x n x n, of how well centred.
        distances: B x 4 x n x n, pixels of the crop.
        targets: from `make_targets`.
    """
    cls_logits, centre_logits, distances = (x.float() for x in (cls_logits, centre_logits, distances))
    positive = targets.positive  # B x n x n
    share = len(positive) / positive.sum().clamp(min=1)
    pair = positive.nonzero()[:, 0]  # N, the pair of each positive location

    def of_pairs(values: Tensor) -> Tensor:
        """N -> B."""
        return torch.zeros(len(positive), device=values.device).index_add(0, pair, values) * share

    centre = F.binary_cross_entropy_with_logits(
        centre_logits[:, 0][positive], targets.centred[positive], reduction="none"
    )
    found, wanted = (d.permute(0, 2, 3, 1)[positive] for d in (distances, targets.distances))  # N x 4
    cls = focal_loss(cls_logits[:, 0], positive).flatten(1).sum(dim=1) * share
    return Losses(cls, of_pairs(centre), of_pairs(iou_loss(found, wanted)))
