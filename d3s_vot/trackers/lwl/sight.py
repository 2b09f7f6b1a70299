"""The networks as a frame passes them: functions of tensors, to be compiled."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from d3s_vot.trackers.lwl.network import LWLNetwork, TargetModel


class Seen(NamedTuple):
    """What the network sees in pictures of H x W pixels."""

    layer1: Tensor  # B x 256 x H/4 x W/4
    layer2: Tensor  # B x 512 x H/8 x W/8
    layer3: Tensor  # B x 1024 x H/16 x W/16
    layer4: Tensor  # B x 2048 x H/32 x W/32
    target: Tensor  # B x 512 x H/16 x W/16, for the filter

    @classmethod
    def by(cls, sight: nn.Module, images: Tensor) -> Seen:
        """By a `Sight`, or what stands in its place; the filter's features are brought to their norm."""
        layer1, layer2, layer3, layer4, target = sight(images)
        return cls(layer1, layer2, layer3, layer4, TargetModel.normalise(target))

    def levels(self) -> dict[str, Tensor]:
        """Of the trunk, by the names of its layers."""
        return {name: level for name, level in self._asdict().items() if name != "target"}


class Sight(nn.Module):
    """Pictures (B x 3 x H x W RGB, 0..255) to the tensors of `Seen`, the last not of its norm yet."""

    def __init__(self, network: LWLNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        levels = self.network.trunk(images)
        return *levels.values(), self.network.target_model.feature_extractor(levels["layer3"])


class Decode(nn.Module):
    """Encodings (B x 16 x h x w) and the trunk's levels to logits, B x H x W float32.

    Args:
        network: whose decoder it is.
        size_hw: (H, W) of the logits.
    """

    def __init__(self, network: LWLNetwork, size_hw: tuple[int, int]) -> None:
        super().__init__()
        self.network, self.size_hw = network, size_hw

    def forward(self, encoding: Tensor, layer1: Tensor, layer2: Tensor, layer3: Tensor, layer4: Tensor) -> Tensor:
        levels = {"layer1": layer1, "layer2": layer2, "layer3": layer3, "layer4": layer4}
        return self.network.decoder(encoding, levels, self.size_hw).float()
