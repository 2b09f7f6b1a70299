"""Several objects in one image: what each pixel belongs to, and where each object is by its probability."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from d3s_vot.online.state import Pair

EDGE = 1e-7  # least and, from 1, largest probability of the background
CERTAIN = 100.0  # logit of an object that begins in this frame
LEAST_MASS = 100.0  # pixels of probability; of less, the place is not believed
SPREAD = 4.0  # sides of a box in standard deviations of the probability
SCALE_CHANGE = (0.95, 1.1)  # from one frame to the next


def merge(logits: Tensor) -> Tensor:
    """Probabilities of objects and, first, of the background, from each object's own logits: K x H x W to K+1 x H x W.

    Those of a lone object are sigmoid(2 S), as published.
    """
    background = (1 - torch.sigmoid(logits)).prod(dim=0).clamp(EDGE, 1 - EDGE)  # H x W
    return torch.softmax(torch.cat([torch.log(background / (1 - background))[None], logits]), dim=0)


def certain(mask: Tensor) -> Tensor:
    """Logits of an object that begins in this frame, from its mask: H x W."""
    return CERTAIN * (2 * (mask > 0).float() - 1)


def place_of(probability: Tensor) -> tuple[float, Pair, Pair]:
    """Mass, middle (y, x) and size (h, w) of a probability map, H x W, by its moments."""
    mass = float(probability.sum())
    middles, sides = [], []
    for axis in range(2):
        profile = probability.sum(dim=1 - axis).double()
        index = torch.arange(len(profile), dtype=torch.float64, device=profile.device)
        total = max(float(profile.sum()), 1e-12)
        middle = float((profile * index).sum()) / total
        variance = float((profile * (index - middle).square()).sum()) / total
        middles.append(middle)
        sides.append(SPREAD * math.sqrt(variance))
    return mass, (middles[0], middles[1]), (sides[0], sides[1])


def place_or(probability: Tensor, position_yx: Pair, size_hw: Pair) -> tuple[Pair, Pair]:
    """Middle and size of a probability map; those that are given where there is too little of it."""
    mass, middle, size = place_of(probability)
    return (position_yx, size_hw) if mass < LEAST_MASS else (middle, size)


def next_scale(before: float, wanted: float) -> float:
    """The scale that is wanted, or as near to it as a frame allows."""
    least, most = SCALE_CHANGE
    return min(max(wanted, least * before), most * before)
