"""The loaded network of SiamFC++ on one device, shared by many targets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from d3s_vot.compute.timing import stage
from d3s_vot.crops.squares import Image, image_tensor
from d3s_vot.given import Frame, Given
from d3s_vot.model import Model
from d3s_vot.trackers.siamfcpp import weights
from d3s_vot.trackers.siamfcpp.config import TEMPLATE_SIZE, SiamFCppConfig
from d3s_vot.trackers.siamfcpp.network import SiamFCppNetwork
from d3s_vot.trackers.siamfcpp.published import CONFIGURATIONS
from d3s_vot.trackers.siamfcpp.target import SiamFCppTarget
from d3s_vot.weights.checkpoint import Checkpoint
from d3s_vot.weights.fitting import load_exactly

# Crops at once through the network. On a CPU two take as long as one after the other.
CHUNK = {"cpu": 1, "cuda": 16}


# A search crop (X x X x 3) and the templates that it is compared with, the first frame's first: M of 1 x 2 C x k x k.
Glance: TypeAlias = tuple[Image, tuple[Tensor, ...]]


class Maps(NamedTuple):
    """What the network says of a search crop."""

    scores: NDArray[np.float32]  # M x n x n, of each template, 0..1
    distances: NDArray[np.float32]  # 4 x n x n, of the first: to the left, top, right, bottom side, pixels of the crop


class TemplateSide(nn.Module):
    """Template crops (B x 3 x 127 x 127 RGB, 0..255) to kernels, those for classes first: B x 2 C x k x k."""

    def __init__(self, network: SiamFCppNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat(self.network.encode_template(images), dim=1)


class SearchSide(nn.Module):
    """Search crops (B x 3 x X x X RGB, 0..255) to features, those for classes first: B x 2 C x h x w."""

    def __init__(self, network: SiamFCppNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat(self.network.encode_search(images), dim=1)


class Heads(nn.Module):
    """Features (B x 2 C x h x w) and a template each (B x 2 C x k x k) to score and distances: B x 5 x n x n."""

    def __init__(self, network: SiamFCppNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor, kernels: Tensor) -> Tensor:
        (c_x, r_x), (c_z, r_z) = features.chunk(2, dim=1), kernels.chunk(2, dim=1)
        score, distances = self.network.score(c_x, c_z), self.network.distances(r_x, r_z)
        return torch.cat([score[:, None].float(), distances.float()], dim=1)


class Scores(nn.Module):
    """Features for classes (B x C x h x w) and a template's each (B x C x k x k) to the score: B x n x n."""

    def __init__(self, network: SiamFCppNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, c_x: Tensor, c_z: Tensor) -> Tensor:
        return self.network.score(c_x, c_z).float()


class SiamFCppModel(Model):
    """Networks without state; every method is a function of its arguments.

    Args:
        network: with its weights; it is changed, batch norm is folded into the convolutions.
        trunk: name of its trunk.
        config: of the heads, and the rules of the tracker.
        device: where it runs.
    """

    name = weights.TRACKER
    gives_masks = False
    rules = {name: entry.config for name, entry in CONFIGURATIONS.items()}  # noqa: RUF012 - a mapping that nobody changes
    config: SiamFCppConfig
    constants, check = staticmethod(weights.constants), staticmethod(weights.check)

    def __init__(self, network: SiamFCppNetwork, trunk: str, config: SiamFCppConfig, device: torch.device) -> None:
        self.architecture, self.config, self.device = trunk, config, device
        network = network.to(device).freeze()
        self.networks: dict[str, nn.Module] = {
            "template": TemplateSide(network),
            "search": SearchSide(network),
            "heads": Heads(network),
        }
        if config.memory_size > 1:
            self.networks["scores"] = Scores(network)
        for part in self.networks.values():
            part.eval()

    @classmethod
    def from_checkpoint(
        cls, checkpoint: Checkpoint, device: torch.device, config: SiamFCppConfig, trunk: Path | None = None
    ) -> SiamFCppModel:
        """See `Model.from_checkpoint`; the checkpoint has the trunk's weights."""
        name = checkpoint.config["trunk"]
        with torch.device("cpu"):  # whatever the caller makes its own networks on
            network = SiamFCppNetwork(name, config)
        load_exactly(network, checkpoint.tensors, f"SiamFC++ on {name}")
        return cls(network, name, config, device)

    def examples(self) -> dict[str, tuple[Tensor, ...]]:
        """See `Model.examples`."""

        def crop(size: int) -> Tensor:
            return torch.zeros(1, 3, size, size, dtype=torch.float32, device=self.device)

        kernels = self.networks["template"](crop(TEMPLATE_SIZE))
        features = self.networks["search"](crop(self.config.search_size))
        examples: dict[str, tuple[Tensor, ...]] = {
            "template": (crop(TEMPLATE_SIZE),),
            "search": (crop(self.config.search_size),),
            "heads": (features, kernels),
        }
        if "scores" in self.networks:
            later = self.config.memory_size - 1
            examples["scores"] = _for_classes(features, later), _for_classes(kernels, later)
        return examples

    def begin(self, frame: Frame, given: Given) -> SiamFCppTarget:
        """See `Model.begin`."""
        return SiamFCppTarget(self, frame, given)

    # What the targets of a frame share.

    @stage("crop")
    def _upload(self, crops: Sequence[Image]) -> Tensor:
        """n x 3 x S x S float32 on the device, 0..255."""
        return image_tensor(np.stack(crops), self.device).float()

    @stage("template")
    def encode(self, crops: Sequence[Image]) -> list[Tensor]:
        """Templates of crops (127 x 127 x 3 RGB): kernels for classes and boxes, 1 x 2 C x k x k each."""
        size = CHUNK[self.device.type]
        found: list[Tensor] = []
        for start in range(0, len(crops), size):
            found.extend(self.networks["template"](self._upload(crops[start : start + size])).split(1))
        return found

    @stage("network")
    def look(self, glances: Sequence[Glance]) -> list[Maps]:
        """The maps of search crops, each against its templates."""
        size = CHUNK[self.device.type]
        found: list[Maps] = []
        for start in range(0, len(glances), size):
            crops, templates = zip(*glances[start : start + size], strict=True)
            features = self.networks["search"](self._upload(crops))  # B x 2 C x h x w
            kernels = torch.cat([first for first, *_ in templates])  # B x 2 C x k x k
            maps = self.networks["heads"](features, kernels)  # B x 5 x n x n
            for k, (_, *later) in enumerate(templates):
                scores = maps[k, :1]
                if later:
                    c_x, c_z = _for_classes(features[k : k + 1], len(later)), _for_classes(torch.cat(later))
                    scores = torch.cat([scores, self.networks["scores"](c_x, c_z)])  # M x n x n
                found.append(Maps(scores.cpu().numpy(), maps[k, 1:].cpu().numpy()))
        return found


def _for_classes(joined: Tensor, copies: int = 1) -> Tensor:
    """The half for classes, several times: B x 2 C x h x w -> copies B x C x h x w."""
    return joined.chunk(2, dim=1)[0].repeat(copies, 1, 1, 1)
