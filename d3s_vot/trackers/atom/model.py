"""The loaded networks of ATOM on one device, shared by many targets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from d3s_vot.given import Frame, Given
from d3s_vot.heads.iou import BoxRegressor, Modulation, create_regressor
from d3s_vot.heads.sight import Seen, Sight, look
from d3s_vot.model import Model
from d3s_vot.online.features import normalize_features
from d3s_vot.trackers.atom import weights
from d3s_vot.trackers.atom.config import ATOMConfig
from d3s_vot.trackers.atom.published import CONFIGURATIONS
from d3s_vot.trackers.atom.target import ATOMTarget
from d3s_vot.trunks.create import create_trunk
from d3s_vot.trunks.trunk import Trunk
from d3s_vot.weights.checkpoint import Checkpoint
from d3s_vot.weights.fitting import load_exactly, part


class Normalized(nn.Module):
    """The trunk's features as the filter takes them, each sample of unit mean square."""

    def forward(self, features: Tensor) -> Tensor:
        """n x C x h x w in and out, float32."""
        return normalize_features(features.float())


class ATOMModel(Model):
    """Networks without state; every method is a function of its arguments.

    Args:
        trunk: frozen.
        regressor: with its weights; it is changed, batch norm is folded into the layers before it.
        config: the rules of the tracker.
        device: where they run.
    """

    name = weights.TRACKER
    gives_masks = False
    rules = {name: entry.config for name, entry in CONFIGURATIONS.items()}  # noqa: RUF012 - a mapping that nobody changes
    config: ATOMConfig
    constants, check = staticmethod(weights.constants), staticmethod(weights.check)

    def __init__(self, trunk: Trunk, regressor: BoxRegressor, config: ATOMConfig, device: torch.device) -> None:
        self.architecture, self.config, self.device = trunk.name, config, device
        self.regressor = regressor.to(device).freeze()
        self._sight = Sight(trunk.to(device), Normalized(), self.regressor).eval()
        self.networks: dict[str, nn.Module] = {"sight": self._sight}

    @classmethod
    def from_checkpoint(
        cls, checkpoint: Checkpoint, device: torch.device, config: ATOMConfig, trunk: Path | None = None
    ) -> ATOMModel:
        """See `Model.from_checkpoint`; the checkpoint has the trunk's weights."""
        tensors = checkpoint.tensors
        with torch.device("cpu"):  # whatever the caller makes its own networks on
            regressor = create_regressor(weights.TRUNK_NAME)
        load_exactly(regressor, part(tensors, weights.REGRESSOR), "ATOM's box regressor")
        return cls(create_trunk(weights.TRUNK_NAME, state=part(tensors, weights.TRUNK)), regressor, config, device)

    def examples(self) -> dict[str, tuple[Tensor, ...]]:
        """See `Model.examples`."""
        size = self.config.sample_size
        return {"sight": (torch.zeros(1, 3, size, size, dtype=torch.float32, device=self.device),)}

    def begin(self, frame: Frame, given: Given) -> ATOMTarget:
        """See `Model.begin`."""
        return ATOMTarget(self, frame, given)

    # What the targets of a frame share.

    def look(self, samples: Sequence[Tensor]) -> list[Seen]:
        """What is seen in samples, 1 x 3 x z x z each."""
        return look(self.networks["sight"], samples)

    # The first frame, in float32 under every preset.

    def first_look(self, samples: Tensor, box: Tensor) -> tuple[Tensor, Modulation]:
        """Of the first frame's samples (n x 3 x z x z) with a box (4) in the first, see `Sight.first`."""
        return self._sight.first(samples, box)
