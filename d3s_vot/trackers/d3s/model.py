"""The loaded networks of D3S: trunks and segmentation network on one device, shared by many trackers."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from d3s_vot.crops.squares import Image, image_tensor
from d3s_vot.errors import CheckpointError, InputError
from d3s_vot.online.features import normalize_features
from d3s_vot.trackers.d3s.config import RULES, D3SConfig
from d3s_vot.trackers.d3s.network import Features, SegmentationNetwork, Template, location_channel
from d3s_vot.trunks.create import create_trunk
from d3s_vot.trunks.trunk import CHANNELS, PACKAGED, Trunk
from d3s_vot.weights.checkpoint import Checkpoint

# Patches at once through the trunk. On a CPU a few keep the activations in its cache, and below the size from which
# the C library asks the system for fresh memory each time: half the time of nine, three quarters of that of one.
TRUNK_CHUNK = {"cpu": 3, "cuda": 27}

# Segmentation crops at once through the trunk, and through the network behind it. They are more than twice as large
# as patches: on a CPU two gain nothing in the trunk and three lose a third; in the network three gain a tenth.
CROP_CHUNK = {"cpu": 1, "cuda": 27}
NETWORK_CHUNK = {"cpu": 3, "cuda": 27}


class D3SModel:
    """Networks without state; every method is a function of its arguments.

    Args:
        network: the trained segmentation network.
        trunk: features for segmentation.
        gem_trunk: features for localisation; often the same object.
        config: constants that belong to the weights.
        device: where the networks run.
        precision: of trunk and segmentation network; below float32 by autocast. GEM's is always float32.

    Its methods compute as their caller is set to, the tracker inside `arithmetic.exact`.
    """

    def __init__(
        self,
        network: SegmentationNetwork,
        trunk: Trunk,
        gem_trunk: Trunk,
        config: D3SConfig,
        device: torch.device,
        precision: torch.dtype = torch.float32,
    ) -> None:
        self.device, self.config, self.precision = device, config, precision
        self.network = network.to(device).eval().requires_grad_(False)
        self.trunk = trunk.to(device)
        self.gem_trunk = self.trunk if gem_trunk is trunk else gem_trunk.to(device)
        size = config.segm_crop_size
        middle = torch.full((1, 2), size / 2, dtype=torch.float32, device=device)
        self._location = location_channel(middle, size)  # 1 x 1 x S x S

    @classmethod
    def from_checkpoint(
        cls,
        checkpoint: Checkpoint,
        device: torch.device,
        trunk_weights: str | Path | None = None,
        rules: str = "weights",
        *,
        precision: torch.dtype = torch.float32,
    ) -> D3SModel:
        """Build the networks of a checkpoint.

        Args:
            checkpoint: from `load_checkpoint`.
            device: where they run.
            trunk_weights: file of the ImageNet trunk, where it is neither in the checkpoint nor in a package.
            rules: as in `load_model`.
            precision: see the class.

        Raises:
            CheckpointError: the tensors do not fit the networks.
            InputError: there are no such rules.
        """
        parts: dict[str, dict[str, Tensor]] = {"segm_predictor": {}, "feature_extractor": {}, "gem_extractor": {}}
        for name, tensor in checkpoint.tensors.items():
            part, _, rest = name.partition(".")
            parts.setdefault(part, {})[rest] = tensor

        def build(name: str, state: dict[str, Tensor]) -> Trunk:
            if state:
                return create_trunk(name, state=state)
            return create_trunk(name, None if name in PACKAGED else trunk_weights)

        trunk = build(checkpoint.trunk, parts["feature_extractor"])
        gem_trunk = build(checkpoint.gem_trunk, parts["gem_extractor"]) if checkpoint.gem_trunk else trunk
        config = choose_rules(checkpoint, rules)
        with torch.device("cpu"):  # and in float32, whatever the caller makes its own networks in
            width = config.refinement_width
            network = SegmentationNetwork(CHANNELS[checkpoint.trunk], config.similarity_top_k, width).float()
        try:
            network.load_state_dict({k: v.float() for k, v in parts["segm_predictor"].items()})
        except RuntimeError as error:
            raise CheckpointError(
                f"the weights do not fit the segmentation network of {checkpoint.trunk}; they are of another network"
            ) from error
        return cls(network, trunk, gem_trunk, config, device, precision)

    def gem_features(self, patches: Tensor) -> Tensor:
        """Normalised stride-16 features of n localisation patches: n x C x 16 x 16."""
        with self._reduced():
            chunks = patches.split(TRUNK_CHUNK[self.device.type])
            return torch.cat([normalize_features(self.gem_trunk(chunk)[16].float()) for chunk in chunks])

    def features(self, crops: Image) -> Features:
        """Features of one segmentation crop (S x S x 3), or of several (n x S x S x 3)."""
        with self._reduced():
            images = image_tensor(crops, self.device)  # n x 3 x S x S
            parts = [self.trunk(chunk) for chunk in images.split(CROP_CHUNK[self.device.type])]
            if len(parts) == 1:  # without a copy
                return parts[0]
            return {stride: torch.cat([part[stride] for part in parts]) for stride in parts[0]}

    def encode_template(self, features: Features, mask: NDArray) -> Template:
        """GIM's template side, from the first frame's crop and its mask (S x S, 0..1)."""
        with self._reduced():
            marked = torch.from_numpy(np.ascontiguousarray(mask, dtype=np.float32)).to(self.device)
            return self.network.encode_template(features, marked[None, None])

    def probability(self, features: Features, template: Template) -> NDArray[np.float32]:
        """Probability of the targets in n crops of these features, each with its template: n x S x S."""
        with self._reduced():
            location = self._location.expand(len(template.target), -1, -1, -1)  # n x 1 x S x S
            logits = self.network(features, template, location)  # n x 2 x S x S
            return torch.softmax(logits.float(), dim=1)[:, 0].cpu().numpy()

    def segment(self, crops: Sequence[Image], templates: Sequence[Template]) -> list[NDArray[np.float32]]:
        """Probability of a target in each crop (S x S x 3): S x S each.

        Args:
            crops: of one target each.
            templates: of these targets.
        """
        size = NETWORK_CHUNK[self.device.type]
        found: list[NDArray[np.float32]] = []
        for start in range(0, len(crops), size):
            features = self.features(np.stack(crops[start : start + size]))
            parts = zip(*templates[start : start + size], strict=True)
            found.extend(self.probability(features, Template(*map(torch.cat, parts))))
        return found

    def _reduced(self) -> AbstractContextManager[Any]:
        """Autocast, where the precision is below float32."""
        return nullcontext() if self.precision == torch.float32 else torch.autocast(self.device.type, self.precision)


def choose_rules(checkpoint: Checkpoint, rules: str) -> D3SConfig:
    """The tracker's constants, by name or those of a checkpoint; what its weights were trained for stays.

    Raises:
        InputError: there are no such rules.
    """
    own = checkpoint.constants
    if rules == "weights":
        return own
    if not isinstance(rules, str) or rules not in RULES:
        raise InputError(f"there are no rules {rules!r}; use weights, {' or '.join(RULES)}")
    return own.with_rules(RULES[rules])
