"""The loaded networks of DiMP on one device, shared by many targets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from d3s_vot.given import Frame, Given
from d3s_vot.heads.filter import Classifier
from d3s_vot.heads.first_filter import Learnt, learn_first
from d3s_vot.heads.iou import BoxRegressor, create_regressor
from d3s_vot.heads.sight import Seen, Sight, look
from d3s_vot.model import Model
from d3s_vot.online.chance import Chance
from d3s_vot.online.state import State
from d3s_vot.trackers.dimp import weights
from d3s_vot.trackers.dimp.config import DiMPConfig
from d3s_vot.trackers.dimp.network import create_classifier
from d3s_vot.trackers.dimp.published import CONFIGURATIONS
from d3s_vot.trackers.dimp.target import DiMPTarget
from d3s_vot.trunks.create import create_trunk
from d3s_vot.trunks.trunk import Trunk
from d3s_vot.weights.checkpoint import Checkpoint
from d3s_vot.weights.fitting import load_exactly, part


class DiMPModel(Model):
    """Networks without state; every method is a function of its arguments.

    Args:
        trunk: frozen.
        classifier: with its weights; it is changed, batch norm is folded into the convolutions.
        regressor: likewise.
        config: of the classifier, and the rules of the tracker.
        device: where they run.
    """

    name = weights.TRACKER
    gives_masks = False
    rules = {name: entry.config for name, entry in CONFIGURATIONS.items()}  # noqa: RUF012 - a mapping that nobody changes
    config: DiMPConfig
    constants, check = staticmethod(weights.constants), staticmethod(weights.check)

    def __init__(
        self,
        trunk: Trunk,
        classifier: Classifier,
        regressor: BoxRegressor,
        *,
        config: DiMPConfig,
        device: torch.device,
    ) -> None:
        self.architecture, self.config, self.device = trunk.name, config, device
        self.classifier = classifier.to(device).freeze()
        self.regressor = regressor.to(device).freeze()
        self._sight = Sight(trunk.to(device), self.classifier.feature_extractor, self.regressor).eval()
        self.networks: dict[str, nn.Module] = {"sight": self._sight}

    @classmethod
    def from_checkpoint(
        cls, checkpoint: Checkpoint, device: torch.device, config: DiMPConfig, trunk: Path | None = None
    ) -> DiMPModel:
        """See `Model.from_checkpoint`; the checkpoint has the trunk's weights."""
        name = checkpoint.config["trunk"]
        tensors = checkpoint.tensors
        with torch.device("cpu"):  # whatever the caller makes its own networks on
            classifier, regressor = create_classifier(name, config), create_regressor(name)
        load_exactly(classifier, part(tensors, weights.CLASSIFIER), f"the classifier on {name}")
        load_exactly(regressor, part(tensors, weights.REGRESSOR), f"the box regressor on {name}")
        network = create_trunk(name, state=part(tensors, weights.TRUNK))
        return cls(network, classifier, regressor, config=config, device=device)

    def examples(self) -> dict[str, tuple[Tensor, ...]]:
        """See `Model.examples`."""
        size = self.config.sample_size
        return {"sight": (torch.zeros(1, 3, size, size, dtype=torch.float32, device=self.device),)}

    def begin(self, frame: Frame, given: Given) -> DiMPTarget:
        """See `Model.begin`."""
        return DiMPTarget(self, frame, given)

    # What the targets of a frame share.

    def look(self, samples: Sequence[Tensor]) -> list[Seen]:
        """What is seen in samples, 1 x 3 x z x z each."""
        return look(self.networks["sight"], samples)

    def learn_first(self, image: Tensor, state: State, chance: Chance) -> Learnt:
        """What the first frame (1 x 3 x H x W, uint8) teaches of a target, see `heads.first_filter`."""
        return learn_first(image, state, self._sight, self.classifier, self.config, chance=chance)
