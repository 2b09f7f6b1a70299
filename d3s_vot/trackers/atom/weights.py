"""What a checkpoint of ATOM holds: trunk and box regressor by their published names, and constants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from d3s_vot.errors import CheckpointError
from d3s_vot.heads.iou import create_regressor
from d3s_vot.trackers.atom.config import ATOMConfig
from d3s_vot.trunks.resnet import resnet_shapes
from d3s_vot.trunks.trunk import CHANNELS
from d3s_vot.weights.checkpoint import Checkpoint
from d3s_vot.weights.fitting import check_shapes, checked_constants, shapes_of, used

TRACKER = "ATOM"
TRUNK_NAME = "resnet18"
TRUNK, REGRESSOR = "feature_extractor.", "bb_regressor."
UNUSED = (TRUNK + "layer4.", TRUNK + "fc.")


def create(
    tensors: Mapping[str, Tensor], config: ATOMConfig, provenance: Mapping[str, Any] | None = None
) -> Checkpoint:
    """A checkpoint of new weights.

    Args:
        tensors: by the published names; what is not used is left out.
        config: the rules that the weights are for.
        provenance: where the weights come from.
    """
    return Checkpoint.create(used(tensors, UNUSED), TRACKER, config.changes(), provenance)


def constants(checkpoint: Checkpoint) -> ATOMConfig:
    """All constants of the tracker that the weights were made for.

    Raises:
        InputError: one is unknown or cannot be used.
    """
    return ATOMConfig.with_changes(checkpoint.config)


def shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of all tensors."""
    return used(resnet_shapes(TRUNK_NAME, TRUNK) | shapes_of(lambda: create_regressor(TRUNK_NAME), REGRESSOR), UNUSED)


def check(checkpoint: Checkpoint, what: str, remedy: str) -> None:
    """See `Model.check`."""
    config = checked_constants(constants, checkpoint, what)
    channels = CHANNELS[TRUNK_NAME][3]
    if config.projection_channels > channels:
        raise CheckpointError(
            f"{what} sets the constant projection_channels to {config.projection_channels}, above {channels}; {remedy}"
        )
    check_shapes(checkpoint.tensors, shapes(), what)
