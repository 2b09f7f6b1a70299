"""ShuffleNetV2 at stride 8 with all stages joined, as SiamFC++ has it; the units are torchvision's."""

from __future__ import annotations

import torch
from torch import Tensor, nn

EDGE = 4  # rows and columns that are cut from every edge of the map: padding reaches them
WIDTHS = {"x0_5": (48, 96, 192), "x1_0": (116, 232, 464)}
UNITS = (4, 8, 4)  # of the three stages
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class ShuffleNetV2(nn.Module):
    """A map of 30 x 30 for a crop of 303 x 303 pixels, of 8 x 8 for 127 x 127.

    Args:
        width: one of `WIDTHS`.
    """

    channels = 256
    mean: Tensor
    std: Tensor

    def __init__(self, width: str) -> None:
        super().__init__()
        for name, values in (("mean", MEAN), ("std", STD)):
            numbers = torch.tensor(values, dtype=torch.float32, device="cpu").view(1, 3, 1, 1)
            self.register_buffer(name, numbers, persistent=False)
        self._model = _Stages(WIDTHS[width], self.channels)

    def forward(self, images: Tensor) -> Tensor:
        """B x 3 x H x W RGB, on the scale 0..255, -> B x 256 x h x w."""
        return self._model((images / 255 - self.mean) / self.std)


class _Stages(nn.Module):
    def __init__(self, widths: tuple[int, int, int], channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.Conv2d(3, 24, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU(inplace=True)
        )
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.stage2 = _stage(24, widths[0], UNITS[0], stride=2)
        self.stage3 = _stage(widths[0], widths[1], UNITS[1], stride=1)
        self.stage4 = _stage(widths[1], widths[2], UNITS[2], stride=1)
        self.channel_reduce = nn.Sequential(
            nn.Conv2d(sum(widths), channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        x2 = self.stage2(self.maxpool(self.conv1(x)))
        x3 = self.stage3(x2)
        x4 = self.stage4(x3)
        joined = torch.cat([x2, x3, x4], dim=1)  # B x 812 x h+8 x w+8
        return self.channel_reduce(joined[..., EDGE:-EDGE, EDGE:-EDGE])


def _stage(cin: int, cout: int, units: int, stride: int) -> nn.Sequential:
    from torchvision.models.shufflenetv2 import InvertedResidual

    first = InvertedResidual(cin, cout, 2)  # of two branches, which torchvision has for stride 2 alone
    for branch in (first.branch1, first.branch2):
        for layer in branch:
            if isinstance(layer, nn.Conv2d) and layer.groups > 1:
                layer.stride = (stride, stride)
    return nn.Sequential(first, *(InvertedResidual(cout, cout, 1) for _ in range(units - 1)))
