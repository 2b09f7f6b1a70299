"""AlexNet without padding, as SiamFC++ has it: stride 8, 256 channels, raw colours (Xu et al., section 4.1)."""

from __future__ import annotations

from torch import Tensor, nn

from d3s_vot.trunks.blocks import ConvNorm


class AlexNet(nn.Module):
    """Five convolutions; a map of 28 x 28 for a crop of 303 x 303 pixels, of 6 x 6 for 127 x 127."""

    channels = 256

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = ConvNorm(3, 96, 11, stride=2)
        self.pool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2 = ConvNorm(96, 256, 5)
        self.pool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv3 = ConvNorm(256, 384, 3)
        self.conv4 = ConvNorm(384, 384, 3)
        self.conv5 = ConvNorm(384, 256, 3, relu=False)

    def forward(self, images: Tensor) -> Tensor:
        """B x 3 x H x W RGB, on the scale 0..255, -> B x 256 x h x w."""
        x = images.flip(1)  # the weights were trained on BGR
        x = self.pool1(self.conv1(x))
        x = self.pool2(self.conv2(x))
        return self.conv5(self.conv4(self.conv3(x)))
