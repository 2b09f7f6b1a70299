"""The loaded network of OSTrack or DropTrack on one device, shared by many targets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from d3s_vot.compute.timing import stage
from d3s_vot.crops.squares import Image, image_tensor
from d3s_vot.given import Frame, Given
from d3s_vot.model import Model
from d3s_vot.trackers.ostrack import weights
from d3s_vot.trackers.ostrack.config import OSTrackConfig
from d3s_vot.trackers.ostrack.network import OSTrackNetwork
from d3s_vot.trackers.ostrack.published import CONFIGURATIONS
from d3s_vot.trackers.ostrack.target import OSTrackTarget
from d3s_vot.trunks.vit import SIZES
from d3s_vot.weights.checkpoint import Checkpoint
from d3s_vot.weights.fitting import load_exactly

# Crops at once through the network. On a CPU two take as long as one after the other.
CHUNK = {"cpu": 1, "cuda": 16}

# A search crop (X x X x 3) and the tokens of its target's template (1 x nz x D).
Glance: TypeAlias = tuple[Image, Tensor]


class TemplateSide(nn.Module):
    """Template crops (B x 3 x Z x Z RGB, 0..255) to their tokens: B x nz x D."""

    def __init__(self, network: OSTrackNetwork) -> None:
        super().__init__()
        self.backbone = network.backbone

    def forward(self, images: Tensor) -> Tensor:
        return self.backbone.embed_template(images)


class OSTrackModel(Model):
    """Networks without state; every method is a function of its arguments.

    Args:
        network: with its weights; it is changed, batch norm is folded into the convolutions.
        config: of the network, and the rules of the tracker.
        device: where it runs.
    """

    name = weights.TRACKER
    gives_masks = False
    rules = {name: entry.config for name, entry in CONFIGURATIONS.items()}  # noqa: RUF012 - a mapping that nobody changes
    config: OSTrackConfig
    constants, check = staticmethod(weights.constants), staticmethod(weights.check)

    def __init__(self, network: OSTrackNetwork, config: OSTrackConfig, device: torch.device) -> None:
        self.config, self.device = config, device
        names = {size: name for name, size in SIZES.items()}
        self.architecture = names.get(config.size, f"vit {config.width} x {config.depth}")
        network = network.to(device).freeze()
        self.networks: dict[str, nn.Module] = {"template": TemplateSide(network).eval(), "search": network}

    @classmethod
    def from_checkpoint(
        cls, checkpoint: Checkpoint, device: torch.device, config: OSTrackConfig, trunk: Path | None = None
    ) -> OSTrackModel:
        """See `Model.from_checkpoint`; the checkpoint has the trunk's weights."""
        with torch.device("cpu"):  # whatever the caller makes its own networks on
            network = OSTrackNetwork(config)
        load_exactly(network, checkpoint.tensors, "OSTrack")
        return cls(network, config, device)

    def examples(self) -> dict[str, tuple[Tensor, ...]]:
        """See `Model.examples`."""
        template, search = (
            torch.zeros(1, 3, size, size, dtype=torch.float32, device=self.device)
            for size in (self.config.template_size, self.config.search_size)
        )
        return {"template": (template,), "search": (search, self.networks["template"](template))}

    def begin(self, frame: Frame, given: Given) -> OSTrackTarget:
        """See `Model.begin`."""
        return OSTrackTarget(self, frame, given)

    # What the targets of a frame share.

    @stage("crop")
    def _upload(self, crops: Sequence[Image]) -> Tensor:
        """n x 3 x S x S float32 on the device, 0..255."""
        return image_tensor(np.stack(crops), self.device).float()

    @stage("template")
    def encode(self, crops: Sequence[Image]) -> list[Tensor]:
        """Tokens of template crops (Z x Z x 3 RGB): 1 x nz x D each."""
        size = CHUNK[self.device.type]
        found: list[Tensor] = []
        for start in range(0, len(crops), size):
            found.extend(self.networks["template"](self._upload(crops[start : start + size])).split(1))
        return found

    @stage("network")
    def look(self, glances: Sequence[Glance]) -> list[NDArray[np.float32]]:
        """The maps of search crops, each against its template: 5 x s x s, see `CentreHead`."""
        size = CHUNK[self.device.type]
        found: list[NDArray[np.float32]] = []
        for start in range(0, len(glances), size):
            crops, templates = zip(*glances[start : start + size], strict=True)
            maps = self.networks["search"](self._upload(crops), torch.cat(templates))  # B x 5 x s x s
            found.extend(maps.float().cpu().numpy())
        return found
