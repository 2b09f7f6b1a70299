"""The loaded networks of KYS on one device, shared by many targets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from d3s_vot.given import Frame, Given
from d3s_vot.heads.filter import Classifier
from d3s_vot.heads.first_filter import Learnt, learn_first
from d3s_vot.heads.iou import BoxFeatures, BoxRegressor, create_regressor
from d3s_vot.heads.sight import Seen, maps_of
from d3s_vot.model import Model
from d3s_vot.online.chance import Chance
from d3s_vot.online.state import State
from d3s_vot.trackers.kys import weights
from d3s_vot.trackers.kys.config import KYSConfig
from d3s_vot.trackers.kys.network import Fused, ScenePredictor, SceneSight, create_classifier
from d3s_vot.trackers.kys.published import CONFIGURATIONS
from d3s_vot.trackers.kys.scene import Scene
from d3s_vot.trackers.kys.target import KYSTarget
from d3s_vot.trunks.create import create_trunk
from d3s_vot.trunks.trunk import Trunk
from d3s_vot.weights.checkpoint import Checkpoint
from d3s_vot.weights.fitting import load_exactly, part


class Look(NamedTuple):
    """What the networks see in a sample."""

    motion: Tensor  # 1 x C x z/16 x z/16, the trunk's
    sight: Seen


class KYSModel(Model):
    """Networks without state; every method is a function of its arguments.

    Args:
        trunk: frozen.
        classifier: with its weights; it is changed, batch norm is folded into the convolutions.
        regressor: likewise.
        predictor: with its weights.
        config: of the networks, and the rules of the tracker.
        device: where they run.
    """

    name = weights.TRACKER
    gives_masks = False
    rules = {name: entry.config for name, entry in CONFIGURATIONS.items()}  # noqa: RUF012 - a mapping that nobody changes
    config: KYSConfig
    constants, check = staticmethod(weights.constants), staticmethod(weights.check)

    def __init__(
        self,
        trunk: Trunk,
        classifier: Classifier,
        regressor: BoxRegressor,
        predictor: ScenePredictor,
        *,
        config: KYSConfig,
        device: torch.device,
    ) -> None:
        self.architecture, self.config, self.device = trunk.name, config, device
        self.classifier = classifier.to(device).freeze()
        self.regressor = regressor.to(device).freeze()
        self.predictor = predictor.to(device).freeze()
        self._sight = SceneSight(trunk.to(device), self.classifier.feature_extractor, self.regressor).eval()
        self.networks: dict[str, nn.Module] = {"sight": self._sight}

    @classmethod
    def from_checkpoint(
        cls, checkpoint: Checkpoint, device: torch.device, config: KYSConfig, trunk: Path | None = None
    ) -> KYSModel:
        """See `Model.from_checkpoint`; the checkpoint has the trunk's weights."""
        name = checkpoint.config["trunk"]
        tensors = checkpoint.tensors
        with torch.device("cpu"):  # whatever the caller makes its own networks on
            classifier, regressor = create_classifier(name, config), create_regressor(name)
            predictor = ScenePredictor(config)
        load_exactly(classifier, part(tensors, weights.CLASSIFIER), f"the classifier on {name}")
        load_exactly(regressor, part(tensors, weights.REGRESSOR), f"the box regressor on {name}")
        load_exactly(predictor, part(tensors, weights.PREDICTOR), "the predictor")
        network = create_trunk(name, state=part(tensors, weights.TRUNK))
        return cls(network, classifier, regressor, predictor, config=config, device=device)

    def examples(self) -> dict[str, tuple[Tensor, ...]]:
        """See `Model.examples`."""
        size = self.config.sample_size
        return {"sight": (torch.zeros(1, 3, size, size, dtype=torch.float32, device=self.device),)}

    def begin(self, frame: Frame, given: Given) -> KYSTarget:
        """See `Model.begin`."""
        return KYSTarget(self, frame, given)

    # What the targets of a frame share.

    def look(self, samples: Sequence[Tensor]) -> list[Look]:
        """What is seen in samples, 1 x 3 x z x z each."""
        maps = maps_of(self.networks["sight"], samples)
        return [Look(motion, Seen(classification, BoxFeatures(*boxes))) for motion, classification, *boxes in maps]

    # What each asks for itself, in float32 under every preset.

    def learn_first(self, image: Tensor, state: State, chance: Chance) -> Learnt:
        """What the first frame (1 x 3 x H x W, uint8) teaches of a target, see `heads.first_filter`."""
        return learn_first(image, state, self._sight, self.classifier, self.config, chance=chance)

    def first_motion(self, sample: Tensor) -> Tensor:
        """The trunk's features of a sample (1 x 3 x z x z) at stride 16: 1 x C x n x n."""
        return self._sight.trunk(sample)[16]

    def fuse(self, motion: Tensor, scene: Scene, label: Tensor, score: Tensor, window: Tensor) -> Fused:
        """The classifier's windowed score (n x n) with what is known of the scene.

        Args:
            motion: of the frame, 1 x C x n x n.
            scene: as the frame's sample would show it.
            label: of the first frame, 1 x 1 x n x n, from which states are made where the scene has none.
            score: n x n.
            window: n x n.
        """
        state = self.predictor.first_state(label) if scene.state is None else scene.state
        return self.predictor(motion, scene.motion, score[None, None], window, state)
