"""The loaded networks of D3S: trunks and segmentation network on one device, shared by many targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from d3s_vot.compute.timing import stage
from d3s_vot.crops.squares import Image, image_tensor
from d3s_vot.errors import CheckpointError
from d3s_vot.given import Frame, Given
from d3s_vot.heads.judgement import JudgementHead, Verdict
from d3s_vot.model import Model
from d3s_vot.online.evidence import Evidence
from d3s_vot.online.features import normalize_features
from d3s_vot.trackers.d3s import weights
from d3s_vot.trackers.d3s.config import RULES, D3SConfig
from d3s_vot.trackers.d3s.judged import JudgedTarget
from d3s_vot.trackers.d3s.network import Features, SegmentationNetwork, Template, location_channel
from d3s_vot.trackers.d3s.target import D3STarget
from d3s_vot.trackers.d3s.witnessed import WITNESS, WitnessedTarget
from d3s_vot.trunks.create import create_trunk
from d3s_vot.trunks.trunk import CHANNELS, PACKAGED, Trunk
from d3s_vot.weights.checkpoint import Checkpoint
from d3s_vot.weights.fitting import load_exactly

# Patches at once through the trunk. On a CPU a few keep the activations in its cache, and below the size from which
# the C library asks the system for fresh memory each time: half the time of nine, three quarters of that of one.
TRUNK_CHUNK = {"cpu": 3, "cuda": 27}
# Segmentation crops at once through the trunk, and through the network behind it. They are more than twice as large
# as patches: on a CPU two gain nothing in the trunk and three lose a third; in the network three gain a tenth.
CROP_CHUNK = {"cpu": 1, "cuda": 27}
NETWORK_CHUNK = {"cpu": 3, "cuda": 27}


class Localization(nn.Module):
    """Patches (n x 3 x P x P, 0..255) to normalised stride-16 features: n x C x P/16 x P/16, float32."""

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, patches: Tensor) -> Tensor:
        return normalize_features(self.trunk(patches)[16].float())


class Segmentation(nn.Module):
    """Crops (n x S x S x 3, uint8) and a template each to the probability of the target: n x S x S, float32."""

    location: Tensor

    def __init__(self, trunk: Trunk, network: SegmentationNetwork, location: Tensor) -> None:
        super().__init__()
        self.trunk, self.network = trunk, network
        self.register_buffer("location", location, persistent=False)  # 1 x 1 x S x S

    def forward(self, crops: Tensor, vectors: Tensor, target: Tensor) -> Tensor:
        return self.probability(self.features(crops), Template(vectors, target))

    def features(self, crops: Tensor) -> Features:
        """Those of the trunk, {stride: n x C x S/stride x S/stride}."""
        images = crops.permute(0, 3, 1, 2)  # n x 3 x S x S
        parts = [self.trunk(chunk) for chunk in images.split(CROP_CHUNK[crops.device.type])]
        if len(parts) == 1:  # without a copy
            return parts[0]
        return {stride: torch.cat([part[stride] for part in parts]) for stride in parts[0]}

    def probability(self, features: Features, template: Template) -> Tensor:
        """From the features of n crops, each with its template: n x S x S."""
        location = self.location.expand(template.target.shape[0], -1, -1, -1)  # n x 1 x S x S
        logits = self.network(features, template, location)  # n x 2 x S x S
        return torch.softmax(logits.float(), dim=1)[:, 0]


class Inspection(Segmentation):
    """As `Segmentation`, with what a judgement needs besides.

    The answers are the probability; unit vectors of the trunk's features at stride 16, n x C x cells; and the
    network's similarities of every cell to target and background, n x 2 x S/16 x S/16.
    """

    def forward(self, crops: Tensor, vectors: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[override]
        features = self.features(crops)
        location = self.location.expand(target.shape[0], -1, -1, -1)  # n x 1 x S x S
        logits, similarities = self.network.inspect(features, Template(vectors, target), location)  # n x 2 x S x S
        cells = F.normalize(features[16].float(), dim=1).flatten(2)  # n x C x cells
        return torch.softmax(logits.float(), dim=1)[:, 0], cells, similarities.float()


@dataclass(frozen=True, eq=False)
class Seen:
    """What the networks see in a crop.

    Attributes:
        probability: S x S of the target, 0..1.
        vectors: C x cells, unit vectors.
        similarities: 2 x S/16 x S/16, to target and background.
    """

    probability: NDArray[np.float32]
    vectors: NDArray[np.float32]
    similarities: NDArray[np.float32]


class D3SModel(Model):
    """Networks without state; every method is a function of its arguments.

    Args:
        network: the trained segmentation network.
        trunk: features for segmentation.
        gem_trunk: features for localisation; often the same object.
        config: constants that belong to the weights.
        device: where the networks run.
        head: that judges every frame, where the constants ask for it.
    """

    name = "D3S"
    gives_masks = True
    rules = RULES
    config: D3SConfig
    constants, check = staticmethod(weights.constants), staticmethod(weights.check)

    def __init__(
        self,
        network: SegmentationNetwork,
        trunk: Trunk,
        gem_trunk: Trunk,
        config: D3SConfig,
        device: torch.device,
        head: JudgementHead | None = None,
    ) -> None:
        self.device, self.config, self.architecture = device, config, trunk.name
        self.wants = WITNESS if config.witness else None
        self.network = network.to(device).eval().requires_grad_(False)
        self.trunk = trunk.to(device)
        self.gem_trunk = self.trunk if gem_trunk is trunk else gem_trunk.to(device)
        size = config.segm_crop_size
        middle = torch.full((1, 2), size / 2, dtype=torch.float32, device=device)
        self.head = None if head is None else head.to(device).eval().requires_grad_(False)
        kind, segmentation = (Inspection, "inspection") if config.judgement else (Segmentation, "segmentation")
        self._segmentation = kind(self.trunk, self.network, location_channel(middle, size)).eval()
        self.networks: dict[str, nn.Module] = {
            "localization": Localization(self.gem_trunk).eval(),
            segmentation: self._segmentation,
        }

    @classmethod
    def from_checkpoint(
        cls, checkpoint: Checkpoint, device: torch.device, config: D3SConfig, trunk: Path | None = None
    ) -> D3SModel:
        """See `Model.from_checkpoint`."""
        parts: dict[str, dict[str, Tensor]] = {"segm_predictor": {}, "feature_extractor": {}, "gem_extractor": {}}
        for name, tensor in checkpoint.tensors.items():
            part, _, rest = name.partition(".")
            parts.setdefault(part, {})[rest] = tensor

        def build(name: str, state: dict[str, Tensor]) -> Trunk:
            if state:
                return create_trunk(name, state=state)
            return create_trunk(name, None if name in PACKAGED else trunk)

        name, gem_name = weights.trunks(checkpoint)
        segm_trunk = build(name, parts["feature_extractor"])
        gem_trunk = build(gem_name, parts["gem_extractor"]) if gem_name else segm_trunk
        with torch.device("cpu"):  # and in float32, whatever the caller makes its own networks in
            network = SegmentationNetwork(CHANNELS[name], config.similarity_top_k, config.refinement_width).float()
        try:
            network.load_state_dict({k: v.float() for k, v in parts["segm_predictor"].items()})
        except RuntimeError as error:
            raise CheckpointError(
                f"the weights do not fit the segmentation network of {name}; they are of another network"
            ) from error
        head = None
        if config.judgement:
            if "judgement" not in parts:
                raise CheckpointError("the weights have no head that judges; choose other rules than judged")
            with torch.device("cpu"):
                head = JudgementHead()
            load_exactly(head, parts["judgement"], "the head that judges")
        return cls(network, segm_trunk, gem_trunk, config, device, head)

    def examples(self) -> dict[str, tuple[Tensor, ...]]:
        """See `Model.examples`."""
        c = self.config
        side = c.gem_patch_size
        patches = torch.zeros(TRUNK_CHUNK["cpu"], 3, side, side, dtype=torch.float32, device=self.device)
        crop = torch.zeros(1, c.segm_crop_size, c.segm_crop_size, 3, dtype=torch.uint8, device=self.device)
        template = self.encode_template(self.features(crop[0].cpu().numpy()), np.zeros(crop.shape[1:3]))
        _, segmentation = self.networks
        return {"localization": (patches,), segmentation: (crop, *template)}

    def begin(self, frame: Frame, given: Given) -> D3STarget:
        """See `Model.begin`."""
        if self.config.witness:
            return WitnessedTarget(self, frame, given)
        return JudgedTarget(self, frame, given) if self.head else D3STarget(self, frame, given)

    # What the targets of a frame share.

    def patch_features(self, patches: Sequence[Tensor]) -> list[Tensor]:
        """Normalised stride-16 features of localisation patches (1 x 3 x P x P): 1 x C x P/16 x P/16 each."""
        batch = patches[0] if len(patches) == 1 else torch.cat(list(patches))  # n x 3 x P x P
        return list(self.gem_features(batch).split(1))

    def gem_features(self, patches: Tensor) -> Tensor:
        """The same of a batch of patches: n x C x P/16 x P/16."""
        chunks = patches.split(TRUNK_CHUNK[self.device.type])
        return torch.cat([self.networks["localization"](chunk) for chunk in chunks])

    @stage("crop")
    def _upload(self, crops: Sequence[Image]) -> Tensor:
        """n x S x S x 3 on the device."""
        return image_tensor(np.stack(crops), self.device).permute(0, 2, 3, 1)

    def segment(self, items: Sequence[tuple[Image, Template]]) -> list[NDArray[np.float32]]:
        """Probability of each target in its crop (S x S x 3 uint8): S x S, 0..1 (paper section 3.3)."""
        size = NETWORK_CHUNK[self.device.type]
        found: list[NDArray[np.float32]] = []
        for start in range(0, len(items), size):
            crops, templates = zip(*items[start : start + size], strict=True)
            template = map(torch.cat, zip(*templates, strict=True))
            found.extend(self.networks["segmentation"](self._upload(crops), *template).cpu().numpy())
        return found

    def inspect(self, items: Sequence[tuple[Image, Template]]) -> list[Seen]:
        """As `segment`, with what a judgement needs besides; of a model whose constants ask for judgement."""
        size = NETWORK_CHUNK[self.device.type]
        found: list[Seen] = []
        for start in range(0, len(items), size):
            crops, templates = zip(*items[start : start + size], strict=True)
            template = map(torch.cat, zip(*templates, strict=True))
            outputs = self.networks["inspection"](self._upload(crops), *template)
            found.extend(Seen(*one) for one in zip(*(each.cpu().numpy() for each in outputs), strict=True))
        return found

    @stage("judgement")
    def judge(self, evidence: Evidence) -> Verdict:
        """What the head says of a crop; of a model whose constants ask for judgement."""
        assert self.head is not None  # its targets have it
        return self.head.judge(evidence)

    # The first frame, in float32 under every preset.

    def features(self, crop: Image) -> Features:
        """Features of a segmentation crop (S x S x 3)."""
        return self._segmentation.features(self._upload([crop]))

    def encode_template(self, features: Features, mask: NDArray) -> Template:
        """GIM's template side, from the first frame's crop and its mask (S x S, 0..1)."""
        marked = torch.from_numpy(np.ascontiguousarray(mask, dtype=np.float32)).to(self.device)
        return self.network.encode_template(features, marked[None, None])

    def probability(self, features: Features, template: Template) -> NDArray[np.float32]:
        """Probability of the target in the crop of these features: S x S."""
        return self._segmentation.probability(features, template)[0].cpu().numpy()
