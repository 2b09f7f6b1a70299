"""A small network that judges a crop from its evidence: is the target there, how good is its mask, how large is it.

It sees likenesses and probabilities, never features, so that it can learn from few objects and judge others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from d3s_vot.online.evidence import MAPS, MEASURES, Evidence

WIDTH = 24


@dataclass(frozen=True)
class Verdict:
    """What is thought of a crop.

    Attributes:
        presence: probability that most of the target is in the crop.
        quality: the overlap (IoU of boxes, 0..1) to be expected of the mask's box with the target's.
        log_size: logarithm of the target's sqrt(w h) over that which the crop was made for.
    """

    presence: float
    quality: float
    log_size: float


class JudgementHead(nn.Module):
    """Maps (n x 5 x G x G) and measures (n x 10) to logits of presence and quality, and the logarithm of the size."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList([
            nn.Conv2d(MAPS, WIDTH, 3, padding=1),
            nn.Conv2d(WIDTH, WIDTH, 3, stride=2, padding=1),
            nn.Conv2d(WIDTH, 2 * WIDTH, 3, stride=2, padding=1),
            nn.Conv2d(2 * WIDTH, 2 * WIDTH, 3, padding=1),
        ])  # fmt: skip
        self.hidden = nn.Linear(4 * WIDTH + len(MEASURES), 48)
        self.out = nn.Linear(48, 3)
        self.dropout = nn.Dropout(0.2)
        self.register_buffer("mean", torch.zeros(len(MEASURES)))  # of the measures in training
        self.register_buffer("std", torch.ones(len(MEASURES)))

    def forward(self, maps: Tensor, measures: Tensor) -> Tensor:
        x = maps
        for convolution in self.convolutions:
            x = F.relu(convolution(x))
        pooled = [x.mean(dim=(2, 3)), x.amax(dim=(2, 3)), (measures - self.mean) / self.std]
        return self.out(F.relu(self.hidden(self.dropout(torch.cat(pooled, dim=1)))))  # n x 3

    def judge(self, evidence: Evidence) -> Verdict:
        """The verdict on one crop; the head is in evaluation mode."""
        maps, measures = (torch.from_numpy(x)[None].to(self.mean.device) for x in (evidence.maps, evidence.measures))
        presence, quality, log_size = self(maps, measures)[0].tolist()
        return Verdict(_sigmoid(presence), _sigmoid(quality), log_size)


def _sigmoid(x: float) -> float:
    return 0.5 * (1 + math.tanh(x / 2))
