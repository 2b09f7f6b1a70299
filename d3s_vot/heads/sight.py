"""What classifier and box regressor see of a sample, in one pass: for trackers that have both on one trunk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from d3s_vot.heads.iou import BoxFeatures, BoxRegressor, Modulation
from d3s_vot.trunks.trunk import Trunk

# Samples at once through the networks. On a CPU two take as long as one after the other.
CHUNK = {"cpu": 1, "cuda": 16}


class Seen(NamedTuple):
    """What the networks see in a sample."""

    classification: Tensor  # 1 x K x z/16 x z/16
    boxes: BoxFeatures  # of one sample


class Sight(nn.Module):
    """Samples (n x 3 x z x z, 0..255) to what classifier and box regressor see: three maps, float32.

    n x K x z/16 x z/16, n x 256 x z/8 x z/8 and n x 256 x z/16 x z/16.

    Args:
        trunk: features of a sample.
        block: from those at stride 16 to the classifier's.
        regressor: of boxes.
    """

    def __init__(self, trunk: Trunk, block: nn.Module, regressor: BoxRegressor) -> None:
        super().__init__()
        self.trunk, self.block, self.regressor = trunk, block, regressor

    def forward(self, samples: Tensor) -> tuple[Tensor, ...]:
        return self.maps(self.trunk(samples))

    def maps(self, features: dict[int, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """The three maps, of the trunk's features by stride."""
        fine, coarse = self.regressor.features(features[8], features[16])
        return self.block(features[16]), fine.float(), coarse.float()

    def first(self, samples: Tensor, box: Tensor) -> tuple[Tensor, Modulation]:
        """Of the first frame's samples, the plain one first, with the target's box in it (4: x, y, w, h).

        Returns:
            Their features for the classifier, n x K x z/16 x z/16; and what the box regressor knows of the target.
        """
        found, modulation = [], None
        for chunk in samples.split(CHUNK[samples.device.type]):
            features = self.trunk(chunk)
            found.append(self.block(features[16]))
            if modulation is None:
                modulation = self.regressor.modulation(features[8][:1], features[16][:1], box[None])
        assert modulation is not None  # there is a first sample
        return torch.cat(found), modulation


def look(network: nn.Module, samples: Sequence[Tensor]) -> list[Seen]:
    """What is seen in samples, 1 x 3 x z x z each, by a `Sight` or what stands in its place."""
    return [Seen(classification, BoxFeatures(*boxes)) for classification, *boxes in maps_of(network, samples)]


def maps_of(network: nn.Module, samples: Sequence[Tensor]) -> Iterator[tuple[Tensor, ...]]:
    """What a network makes of samples, 1 x 3 x z x z each: its maps, 1 x ... each."""
    batch = samples[0] if len(samples) == 1 else torch.cat(list(samples))
    for chunk in batch.split(CHUNK[batch.device.type]):
        yield from zip(*(each.split(1) for each in network(chunk)), strict=True)
