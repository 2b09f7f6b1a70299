"""The preset `fast` on a CPU: trunk and segmentation network through OpenVINO, in bfloat16 where the processor has it.

GEM stays in torch and float32. The graphs are compiled when the model is loaded, for the shapes that tracking uses.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from d3s_vot.compute.openvino import Compiled
from d3s_vot.compute.timing import stage
from d3s_vot.crops.squares import Image
from d3s_vot.online.features import normalize_features
from d3s_vot.trackers.d3s.model import D3SModel
from d3s_vot.trackers.d3s.network import SegmentationNetwork, Template

log = logging.getLogger(__name__)
BATCH = 3  # patches at once: of the first frame, or of several targets


class _Localization(nn.Module):
    """Patches to normalised stride-16 features."""

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, patches: Tensor) -> Tensor:
        return normalize_features(self.trunk(patches)[16])


class _Segmentation(nn.Module):
    """A crop (1 x S x S x 3, uint8) and a template to the probability of the target."""

    def __init__(self, trunk: nn.Module, network: SegmentationNetwork, location: Tensor) -> None:
        super().__init__()
        self.trunk, self.network = trunk, network
        self.register_buffer("location", location)

    def forward(self, crop: Tensor, vectors: Tensor, target: Tensor) -> Tensor:
        logits = self.network(self.trunk(crop.permute(0, 3, 1, 2)), Template(vectors, target), self.location)
        return torch.softmax(logits, dim=1)[:, 0]


class FastModel(D3SModel):
    """The networks of a `D3SModel`, compiled."""

    def __init__(self, model: D3SModel) -> None:
        super().__init__(model.network, model.trunk, model.gem_trunk, model.config, model.device)
        log.info("compiling the networks for the preset fast, which takes some seconds")
        c = self.config
        patch = torch.zeros(1, 3, c.gem_patch_size, c.gem_patch_size, dtype=torch.float32, device="cpu")
        crop = torch.zeros(1, c.segm_crop_size, c.segm_crop_size, 3, dtype=torch.uint8, device="cpu")
        template = self.encode_template(self.features(crop.numpy()), np.zeros(crop.shape[1:3]))
        localization = _Localization(self.gem_trunk)
        self._localize_one = Compiled(localization, patch)
        self._localize_batch = Compiled(localization, patch.expand(BATCH, -1, -1, -1))
        self._segment_one = Compiled(_Segmentation(self.trunk, self.network, self._location), crop, *template)

    @stage("trunk")
    def gem_features(self, patches: Tensor) -> Tensor:
        """Normalised stride-16 features of n localisation patches: n x C x 16 x 16."""
        found: list[Tensor] = []
        for chunk in patches.split(BATCH):
            if len(chunk) == BATCH:
                found.append(self._localize_batch(chunk))
            else:
                found.extend(self._localize_one(patch) for patch in chunk.split(1))
        return torch.cat(found)

    @stage("trunk and network")
    def segment(self, crops: Sequence[Image], templates: Sequence[Template]) -> list[NDArray[np.float32]]:
        """Probability of a target in each crop (S x S x 3): S x S each; several at once would take as long."""
        pairs = zip(crops, templates, strict=True)
        return [self._segment_one(torch.from_numpy(crop)[None], *template)[0].numpy() for crop, template in pairs]
