"""Inception v3 up to `Mixed_6e` at stride 8, as SiamFC++ calls GoogLeNet; the blocks are torchvision's."""

from __future__ import annotations

from torch import Tensor, nn

EDGE = 4  # rows and columns that are cut from every edge of the map: padding reaches them


class GoogLeNet(nn.Module):
    """Inception v3 with one max-pool less; a map of 27 x 27 for a crop of 303 x 303 pixels, of 5 x 5 for 127 x 127."""

    channels = 256

    def __init__(self) -> None:
        super().__init__()
        # Seconds to import, which other trackers do not need.
        from torchvision.models.inception import BasicConv2d, InceptionA, InceptionB, InceptionC

        self.Conv2d_1a_3x3 = BasicConv2d(3, 32, kernel_size=3, stride=2)
        self.Conv2d_2a_3x3 = BasicConv2d(32, 32, kernel_size=3)
        self.Conv2d_2b_3x3 = BasicConv2d(32, 64, kernel_size=3, padding=1)
        self.maxpool1 = nn.MaxPool2d(3, stride=2)
        self.Conv2d_3b_1x1 = BasicConv2d(64, 80, kernel_size=1)
        self.Conv2d_4a_3x3 = BasicConv2d(80, 192, kernel_size=3)
        self.Mixed_5b = InceptionA(192, pool_features=32)
        self.Mixed_5c = InceptionA(256, pool_features=64)
        self.Mixed_5d = InceptionA(288, pool_features=64)
        self.Mixed_6a = InceptionB(288)
        self.Mixed_6b = InceptionC(768, channels_7x7=128)
        self.Mixed_6c = InceptionC(768, channels_7x7=160)
        self.Mixed_6d = InceptionC(768, channels_7x7=160)
        self.Mixed_6e = InceptionC(768, channels_7x7=192)
        self.channel_reduce = nn.Sequential(nn.Conv2d(768, self.channels, 1), nn.BatchNorm2d(self.channels, eps=1e-3))

    def forward(self, images: Tensor) -> Tensor:
        """B x 3 x H x W RGB, on the scale 0..255, -> B x 256 x h x w."""
        x = (images - 127.5) / 127.5
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(self.maxpool1(x)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))  # B x 768 x h+8 x w+8
        return self.channel_reduce(x[..., EDGE:-EDGE, EDGE:-EDGE])
