"""Several objects in one frame: what is each one's, beside its strongest rival, another object or the background."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SMALLEST = 1e-7  # sum of two shares that is divided by


def against_rivals(maps: Tensor) -> NDArray[np.float32]:
    """Of aggregated maps, each object's share beside its strongest rival, another object or the background.

    A pixel is above 1/2 for the object that the largest map is of, the earlier one of equals, and for no other.

    Args:
        maps: K + 1 x H x W, background first.

    Returns:
        K x H x W, 0..1.
    """
    best, first = maps.max(dim=0)  # H x W
    second = maps.scatter(0, first[None], -1.0).amax(dim=0)
    found = []
    for number in range(1, len(maps)):
        own, wins = maps[number], first == number
        share = own / (own + torch.where(wins, second, best)).clamp(min=SMALLEST)
        half = torch.nextafter(torch.tensor(0.5), torch.tensor(1.0)).item()
        found.append(torch.where(wins, share.clamp(min=half), share.clamp(max=0.5)))
    return torch.stack(found).float().cpu().numpy()


def evidence(share: NDArray[np.float32]) -> tuple[NDArray[np.bool_], float]:
    """The pixels of an object, and how far they are its: a mask, and 0..1.

    That is the mean of its share (H x W, of `against_rivals`) over them; where there are none, the largest share of any
    pixel, which is 1/2 at most.
    """
    mask = share > 0.5
    confidence = share[mask].mean() if mask.any() else share.max()
    return mask, min(float(confidence), 1.0)
