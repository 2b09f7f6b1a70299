"""The loaded network of SiamFC++ on one device, shared by many trackers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from d3s_vot.crops import Image, image_tensor
from d3s_vot.timing import stage
from d3s_vot.trackers.siamfcpp.config import TEMPLATE_SIZE, SiamFCppConfig
from d3s_vot.trackers.siamfcpp.network import SiamFCppNetwork

# Crops at once through the network. On a CPU two take as long as one after the other.
CHUNK = {"cpu": 1, "cuda": 16}


class Glance(NamedTuple):
    """What a search crop is compared with: its pixels, and the templates, the first frame's first."""

    crop: Image  # X x X x 3
    templates: tuple[Tensor, ...]  # M of 1 x 2 C x k x k


class Maps(NamedTuple):
    """What the network says of a search crop."""

    scores: NDArray[np.float32]  # M x n x n, of each template, 0..1
    distances: NDArray[np.float32]  # 4 x n x n, of the first: to the left, top, right, bottom side, pixels of the crop


class SiamFCppModel:
    """Networks without state; every method is a function of its arguments.

    Args:
        network: with its weights; it is changed, batch norm is folded into the convolutions.
        config: of the network, and the rules of the tracker.
        device: where it runs.
        name: of the tracker.
    """

    gives_masks = False

    def __init__(
        self, network: SiamFCppNetwork, config: SiamFCppConfig, device: torch.device, name: str = "SiamFCpp"
    ) -> None:
        self.name, self.config, self.device = name, config, device
        network = network.to(device).freeze()
        self.networks: dict[str, nn.Module] = {
            "template": TemplateSide(network),
            "search": SearchSide(network),
            "maps": MapsSide(network),
            "score": ScoreSide(network),
        }

    def examples(self) -> dict[str, tuple[Tensor, ...]]:
        """Inputs of each network for one item."""

        def crop(size: int) -> Tensor:
            return torch.zeros(1, 3, size, size, dtype=torch.float32, device=self.device)

        with torch.inference_mode():
            kernels = self.networks["template"](crop(TEMPLATE_SIZE))
            features = self.networks["search"](crop(self.config.search_size))
        examples: dict[str, tuple[Tensor, ...]] = {
            "template": (crop(TEMPLATE_SIZE),),
            "search": (crop(self.config.search_size),),
            "maps": (features, kernels),
        }
        if self.config.memory_size > 1:
            later = self.config.memory_size - 1
            examples["score"] = (features, kernels.expand(later, -1, -1, -1).contiguous())
        return examples

    @stage("template")
    def encode(self, crops: Sequence[Image]) -> list[Tensor]:
        """Templates of crops (127 x 127 x 3 RGB): kernels for classes and boxes, 1 x 2 C x k x k each."""
        found: list[Tensor] = []
        for start in range(0, len(crops), CHUNK[self.device.type]):
            images = image_tensor(np.stack(crops[start : start + CHUNK[self.device.type]]), self.device).float()
            found.extend(self.networks["template"](images).split(1))
        return found

    @stage("network")
    def look(self, glances: Sequence[Glance]) -> list[Maps]:
        """The maps of search crops, each against its templates."""
        found: list[Maps] = []
        size = CHUNK[self.device.type]
        for start in range(0, len(glances), size):
            chunk = glances[start : start + size]
            images = image_tensor(np.stack([glance.crop for glance in chunk]), self.device).float()
            features = self.networks["search"](images)  # B x 2 C x 26 x 26
            kernels = torch.cat([glance.templates[0] for glance in chunk])  # B x 2 C x 4 x 4
            maps = self.networks["maps"](features, kernels)  # B x 5 x n x n
            for k, glance in enumerate(chunk):
                scores = maps[k, :1]
                if len(glance.templates) > 1:
                    later = self.networks["score"](features[k : k + 1], torch.cat(glance.templates[1:]))
                    scores = torch.cat([scores, later])  # M x n x n
                found.append(Maps(scores.cpu().numpy(), maps[k, 1:].cpu().numpy()))
        return found


class TemplateSide(nn.Module):
    """Template crops to kernels."""

    def __init__(self, network: SiamFCppNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """B x 3 x 127 x 127 RGB, 0..255 -> B x 2 C x k x k, those for classes first."""
        return torch.cat(self.network.encode_template(images), dim=1)


class SearchSide(nn.Module):
    """Search crops to features."""

    def __init__(self, network: SiamFCppNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """B x 3 x X x X RGB, 0..255 -> B x 2 C x h x w, those for classes first."""
        return torch.cat(self.network.encode_search(images), dim=1)


class MapsSide(nn.Module):
    """Features and a template each to all maps."""

    def __init__(self, network: SiamFCppNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor, kernels: Tensor) -> Tensor:
        """B x 2 C x h x w and B x 2 C x k x k -> B x 5 x n x n: score, then the four distances."""
        (c_x, r_x), (c_z, r_z) = features.chunk(2, dim=1), kernels.chunk(2, dim=1)
        return torch.cat([self.network.score(c_x, c_z)[:, None], self.network.distances(r_x, r_z)], dim=1)


class ScoreSide(nn.Module):
    """The features of one crop and several templates to a score map each."""

    def __init__(self, network: SiamFCppNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor, kernels: Tensor) -> Tensor:
        """1 x 2 C x h x w and M x 2 C x k x k -> M x n x n."""
        c_x = features.chunk(2, dim=1)[0].expand(len(kernels), -1, -1, -1)
        return self.network.score(c_x, kernels.chunk(2, dim=1)[0])
