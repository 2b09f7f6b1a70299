"""The features of ECO: a shallow block at stride 4 and a deep one at stride 16, of networks trained to classify."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from d3s_vot.online.features import normalize_features
from d3s_vot.trunks.trunk import CHANNELS, Trunk
from d3s_vot.trunks.vgg import VGGMConv1

VGG, STEM = "vggconv1", "conv1"  # where the shallow block comes from: VGG-M, or the trunk's own first layer


class Features(nn.Module):
    """Samples (B x 3 x z x z RGB, 0..255) to blocks of unit mean square.

    The shallow one is B x C x z/4 x z/4, the deep one B x C x z/16 x z/16.

    Args:
        trunk: frozen.
        vgg: VGG-M's first layer; None: the trunk's first layer serves instead.
    """

    def __init__(self, trunk: Trunk, vgg: VGGMConv1 | None) -> None:
        super().__init__()
        self.trunk, self.vgg = trunk, vgg

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        levels = self.trunk(images)
        shallow = F.avg_pool2d(levels[2] if self.vgg is None else self.vgg(images), 2)
        return normalize_features(shallow.float()), normalize_features(levels[16].float())


def channels(trunk: str, shallow: str) -> dict[str, int]:
    """Channels of each block."""
    first, *_, last = CHANNELS[trunk]
    return {"shallow": VGGMConv1.channels if shallow == VGG else first, "deep": last}
