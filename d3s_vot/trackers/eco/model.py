"""The feature networks of ECO on one device, shared by many targets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from d3s_vot.compute.timing import stage
from d3s_vot.given import Frame, Given
from d3s_vot.model import Model
from d3s_vot.trackers.eco import weights
from d3s_vot.trackers.eco.config import RULES, ECOConfig
from d3s_vot.trackers.eco.guarded import GuardedTarget
from d3s_vot.trackers.eco.network import VGG, Features
from d3s_vot.trackers.eco.target import ECOTarget
from d3s_vot.trunks.create import create_trunk
from d3s_vot.trunks.vgg import VGGMConv1
from d3s_vot.weights.checkpoint import Checkpoint
from d3s_vot.weights.fitting import load_exactly, part


class Blocks(NamedTuple):
    """Features of samples."""

    shallow: Tensor  # B x C x z/4 x z/4
    deep: Tensor  # B x C x z/16 x z/16


class ECOModel(Model):
    """Networks without state.

    Args:
        features: of both blocks, frozen.
        architecture: their trunk's name.
        config: constants of the tracker.
        device: where it runs.
    """

    name = weights.TRACKER
    gives_masks = False
    rules = RULES
    config: ECOConfig
    constants, check = staticmethod(weights.constants), staticmethod(weights.check)

    def __init__(self, features: Features, architecture: str, config: ECOConfig, device: torch.device) -> None:
        self.architecture, self.config, self.device = architecture, config, device
        features = features.to(device).eval().requires_grad_(False)
        self.networks: dict[str, nn.Module] = {f"sample {size}": features for size in sample_sizes(config)}

    @classmethod
    def from_checkpoint(
        cls, checkpoint: Checkpoint, device: torch.device, config: ECOConfig, trunk: Path | None = None
    ) -> ECOModel:
        """See `Model.from_checkpoint`."""
        name = checkpoint.config["trunk"]
        carried = part(checkpoint.tensors, weights.TRUNK)
        network = create_trunk(name, state=carried) if carried else create_trunk(name, trunk)
        vgg = None
        if checkpoint.config["shallow"] == VGG:
            with torch.device("cpu"):  # whatever the caller makes its own networks on
                vgg = VGGMConv1()
            load_exactly(vgg, part(checkpoint.tensors, weights.SHALLOW), "VGG-M")
        return cls(Features(network, checkpoint.config["shallow"], vgg), name, config, device)

    def examples(self) -> dict[str, tuple[Tensor, ...]]:
        """See `Model.examples`."""
        count = self.config.scales
        return {
            f"sample {size}": (torch.zeros(count, 3, size, size, dtype=torch.float32, device=self.device),)
            for size in sample_sizes(self.config)
        }

    def begin(self, frame: Frame, given: Given) -> ECOTarget:
        """See `Model.begin`."""
        kind = GuardedTarget if self.config.guarded else ECOTarget
        return kind(self, frame, given)

    # What the targets of a frame share.

    @stage("network")
    def look(self, items: Sequence[Tensor]) -> list[Blocks]:
        """Features of samples, for each item as many as it has: B x 3 x z x z float32, 0..255, z of its own."""
        if self.device.type == "cpu":
            return [self._features(item) for item in items]
        found: dict[int, Blocks] = {}
        for size in sorted({item.shape[-1] for item in items}):  # one size through the network at once
            places = [place for place, item in enumerate(items) if item.shape[-1] == size]
            joined = self._features(torch.cat([items[place] for place in places]))
            counts = [len(items[place]) for place in places]
            for place, *parts in zip(places, *(block.split(counts) for block in joined), strict=True):
                found[place] = Blocks(*parts)
        return [found[place] for place in range(len(items))]

    def _features(self, samples: Tensor) -> Blocks:
        return Blocks(*self.networks[f"sample {samples.shape[-1]}"](samples))


def sample_sizes(config: ECOConfig) -> list[int]:
    """Sides that a target's samples may have."""
    sides = range(config.min_sample_size, config.max_sample_size + 1)
    return sorted({side + 16 - side % 32 for side in sides})
