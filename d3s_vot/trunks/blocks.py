"""A convolution with its batch norm, named as in the published SiamFC++ checkpoints."""

from __future__ import annotations

from torch import Tensor, nn


class ConvNorm(nn.Module):
    """Convolution, batch norm, ReLU.

    Args:
        cin: channels that come in.
        cout: channels that go out.
        kernel: side of the kernel, pixels.
        stride: of the convolution.
        groups: of the channels.
        norm: with batch norm.
        relu: with ReLU.
    """

    def __init__(
        self,
        cin: int,
        cout: int,
        kernel: int,
        *,
        stride: int = 1,
        groups: int = 1,
        norm: bool = True,
        relu: bool = True,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, kernel, stride=stride, groups=groups)
        if norm:
            self.bn = nn.BatchNorm2d(cout)
        self.after = nn.ReLU(inplace=True) if relu else nn.Identity()
        self._norm = norm

    def forward(self, x: Tensor) -> Tensor:
        """B x cin x H x W -> B x cout x H' x W', without padding."""
        x = self.conv(x)
        return self.after(self.bn(x) if self._norm else x)
