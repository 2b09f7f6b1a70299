"""The features of ECO: a shallow block at stride 4 and a deep one at stride 16, of networks trained to classify."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from d3s_vot.online.features import normalize_features
from d3s_vot.trunks.trunk import CHANNELS, Trunk
from d3s_vot.trunks.vgg import VGGMConv1

# Where the shallow block comes from: VGG-M, the trunk's own first layer, or that and the trunk's second stage.
VGG, STEM, EARLY = "vggconv1", "conv1", "early"


class Features(nn.Module):
    """Samples (B x 3 x z x z RGB, 0..255) to blocks of unit mean square.

    The shallow one is B x C x z/4 x z/4, the deep one B x C x z/16 x z/16.

    Args:
        trunk: frozen.
        shallow: where the shallow block comes from, `VGG`, `STEM` or `EARLY`.
        vgg: VGG-M's first layer, where it comes from that.
    """

    def __init__(self, trunk: Trunk, shallow: str, vgg: VGGMConv1 | None = None) -> None:
        super().__init__()
        self.trunk, self.vgg, self._early = trunk, vgg, shallow == EARLY

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        levels = self.trunk(images)
        shallow = F.avg_pool2d(levels[2] if self.vgg is None else self.vgg(images), 2).float()
        if self._early:  # each of unit mean square, so that neither drowns the other
            shallow = torch.cat([normalize_features(shallow), normalize_features(levels[4].float())], dim=1)
        return normalize_features(shallow), normalize_features(levels[16].float())


def channels(trunk: str, shallow: str) -> dict[str, int]:
    """Channels of each block."""
    first, second, _, last = CHANNELS[trunk]
    count = {VGG: VGGMConv1.channels, STEM: first, EARLY: first + second}[shallow]
    return {"shallow": count, "deep": last}
