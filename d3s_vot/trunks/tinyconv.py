"""TinyConv, the smallest trunk of SiamFC++: stride 8, 64 channels, raw colours."""

from __future__ import annotations

from torch import Tensor, nn

from d3s_vot.trunks.blocks import ConvNorm


class TinyConv(nn.Module):
    """Five convolutions, one of them depth-wise; a map of 33 x 33 for a crop of 303 x 303 pixels."""

    channels = 64

    def __init__(self) -> None:
        super().__init__()
        width = self.channels
        self.conv1 = ConvNorm(3, 32, 3, stride=2)
        self.pool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2a = ConvNorm(32, width, 1)
        self.conv2b = ConvNorm(width, width, 7, stride=2, groups=width)
        self.conv3a = ConvNorm(width, width, 3)
        self.conv3b = ConvNorm(width, width, 1, relu=False)

    def forward(self, images: Tensor) -> Tensor:
        """B x 3 x H x W RGB, on the scale 0..255, -> B x 64 x h x w."""
        x = images.flip(1)  # the weights were trained on BGR
        x = self.pool1(self.conv1(x))
        x = self.conv2b(self.conv2a(x))
        return self.conv3b(self.conv3a(x))
