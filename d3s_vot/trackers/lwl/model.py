"""The loaded network of LWL on one device, shared by many targets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from d3s_vot.compute.timing import stage
from d3s_vot.given import Frame, Given
from d3s_vot.model import Model
from d3s_vot.online.rivals import against_rivals
from d3s_vot.trackers.lwl import weights
from d3s_vot.trackers.lwl.config import LWLConfig
from d3s_vot.trackers.lwl.merge import merge
from d3s_vot.trackers.lwl.network import LWLNetwork
from d3s_vot.trackers.lwl.published import RULES
from d3s_vot.trackers.lwl.sight import Decode, Seen, Sight
from d3s_vot.trackers.lwl.target import LWLTarget
from d3s_vot.weights.checkpoint import Checkpoint
from d3s_vot.weights.fitting import load_exactly

# Samples at once through the networks. On a CPU two take as long as one after the other.
CHUNK = {"cpu": 1, "cuda": 8}


class LWLModel(Model):
    """Networks without state; every method is a function of its arguments.

    Args:
        network: with its weights.
        config: of the network, and the rules of the tracker.
        device: where it runs.
    """

    name = weights.TRACKER
    gives_masks = joins_masks = True
    rules = RULES
    config: LWLConfig
    constants, check = staticmethod(weights.constants), staticmethod(weights.check)

    def __init__(self, network: LWLNetwork, config: LWLConfig, device: torch.device) -> None:
        self.config, self.device = config, device
        self.architecture = f"resnet{config.trunk_depth}"
        if config.trunk_width != LWLConfig.trunk_width:
            self.architecture += f" of width {config.trunk_width}"
        self._network = network.to(device).eval().requires_grad_(False)
        self._sight = Sight(self._network).eval()
        self.networks: dict[str, nn.Module] = {
            "sight": self._sight,
            "decoder": Decode(self._network, config.size_hw).eval(),
        }

    @classmethod
    def from_checkpoint(
        cls, checkpoint: Checkpoint, device: torch.device, config: LWLConfig, trunk: Path | None = None
    ) -> LWLModel:
        """See `Model.from_checkpoint`; the checkpoint has the trunk's weights."""
        with torch.device("cpu"):  # whatever the caller makes its own networks on
            network = LWLNetwork(config)
        load_exactly(network, checkpoint.tensors, "LWL")
        return cls(network, config, device)

    def examples(self) -> dict[str, tuple[Tensor, ...]]:
        """See `Model.examples`."""
        image = torch.zeros(1, 3, *self.config.size_hw, dtype=torch.float32, device=self.device)
        seen = Seen.by(self._sight, image)
        encoding = self.labels(image[0, 0])[0][None]
        return {"sight": (image,), "decoder": (encoding, *seen.levels().values())}

    def begin(self, frame: Frame, given: Given) -> LWLTarget:
        """See `Model.begin`."""
        return LWLTarget(self, frame, given)

    # What the targets of a frame share.

    def settle(self, claims: Sequence[Tensor | None]) -> list[Tensor | None]:
        """What is each one's in the frame that it began in, beside the others that began there.

        Args:
            claims: logits, H x W; None of a target that has long begun.

        Returns:
            Probabilities, H x W; None for None.
        """
        found: list[Tensor | None] = [None] * len(claims)
        groups: dict[torch.Size, list[int]] = {}
        for place, logits in enumerate(claims):
            if logits is not None:
                groups.setdefault(logits.shape, []).append(place)
        for places in groups.values():
            maps = merge(torch.stack([logits for place in places if (logits := claims[place]) is not None]))
            for place, probability in zip(places, maps[1:], strict=True):
                found[place] = probability.clone()  # the others' are let go
        return found

    @stage("network")
    def look(self, samples: Sequence[Tensor]) -> list[Seen]:
        """What is seen in samples, 1 x 3 x h x w each."""
        found: list[Seen] = []
        batch = samples[0] if len(samples) == 1 else torch.cat(list(samples))
        for chunk in batch.split(CHUNK[self.device.type]):
            seen = Seen.by(self.networks["sight"], chunk)
            found += (Seen(*one) for one in zip(*(each.split(1) for each in seen), strict=True))
        return found

    @stage("decoder")
    def decode(self, items: Sequence[tuple[Tensor, Seen]]) -> list[Tensor]:
        """Logits (h x w) of encodings (1 x 16 x h' x w') in the samples that they are of."""
        found: list[Tensor] = []
        size = CHUNK[self.device.type]
        for start in range(0, len(items), size):
            rows = [(encoding, *seen.levels().values()) for encoding, seen in items[start : start + size]]
            found += self.networks["decoder"](*map(torch.cat, zip(*rows, strict=True)))
        return found

    @stage("merge")
    def share(self, logits: Sequence[Tensor]) -> list[tuple[Tensor, NDArray[np.float32]]]:
        """What is each object's in a frame that all claim, by the logits of each alone, H x W.

        Returns:
            For each the probability, and its share beside its strongest rival, see `against_rivals`; both H x W.
        """
        maps = merge(torch.stack(list(logits)))
        return [(own.clone(), share) for own, share in zip(maps[1:], against_rivals(maps), strict=True)]

    # The first frame, and what is learnt: in float32 under every preset.

    @property
    def regularization(self) -> Tensor:
        """Of the filters, a number."""
        return self._network.target_model.regularization

    @stage("network")
    def first_look(self, image: Tensor) -> Seen:
        """What is seen in a picture of any size, 1 x 3 x H x W."""
        return Seen.by(self._sight, image.float())

    @stage("labels")
    def labels(self, mask: Tensor) -> tuple[Tensor, Tensor]:
        """What a filter should predict for a mask (h x w) of a sample, and how much it counts: 16 x h' x w' each."""
        label, certainty = self._network.label_encoder(mask[None, None])
        return label[0], certainty[0]

    def mask_of_box(self, image: Tensor, given: Given) -> Tensor:
        """Logits of a target's mask in an image (1 x 3 x H x W) by its box: H x W.

        The box is cut to the image; published, one that begins left of it or above would be empty.
        """
        height, width = image.shape[2:]
        x, y, w, h = (math.trunc(value) for value in given.upright)
        filled = torch.zeros(1, 1, height, width, dtype=torch.float32, device=image.device)
        filled[..., max(y, 0) : max(y + h, 0), max(x, 0) : max(x + w, 0)] = 1
        if not filled.any():  # thinner than a pixel
            filled[0, 0] = torch.from_numpy(given.filled)
        seen = self.first_look(image)
        encoding = self._network.box_label_encoder(seen.target, filled)
        return self._network.decoder(encoding, seen.levels(), (height, width))[0]
