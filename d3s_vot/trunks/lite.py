"""EfficientNet-Lite0 at stride 8, with what it sees at stride 16 beside it: a light trunk for dense boxes, ours."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from d3s_vot.trunks.efficientnet_lite import build_efficientnet, efficientnet_file
from d3s_vot.trunks.trunk import CHANNELS
from d3s_vot.weights.state_dicts import read_state_dict

NAME = "efficientnet_lite0"
EDGE = 4  # rows and columns that are cut from every edge of the map: padding reaches them


class Lite0(nn.Module):
    """A map of 30 x 30 for a crop of 303 x 303 pixels, of 8 x 8 for 127 x 127; begins with ImageNet's weights."""

    channels = 96

    def __init__(self) -> None:
        super().__init__()
        with torch.device("cpu"):  # there are weights to load, also where shapes alone are asked for
            self.trunk = build_efficientnet(NAME, read_state_dict(efficientnet_file(NAME)))
        self.channel_reduce = nn.Sequential(
            nn.Conv2d(sum(CHANNELS[NAME][2:]), self.channels, 1, bias=False), nn.BatchNorm2d(self.channels)
        )

    def forward(self, images: Tensor) -> Tensor:
        """B x 3 x S x S RGB, on the scale 0..255, -> B x 96 x h x h; S + 1 a multiple of 8."""
        size = images.shape[-1]
        beyond = -size % 16
        features = self.trunk(F.pad(images, (0, beyond, 0, beyond), mode="replicate"))
        coarse = F.interpolate(features[16], scale_factor=2.0, mode="nearest")  # B x 112 x H/8 x W/8
        joined = torch.cat([features[8], coarse], dim=1)
        end = (size + 1) // 8 - EDGE
        return self.channel_reduce(joined[..., EDGE:end, EDGE:end])
