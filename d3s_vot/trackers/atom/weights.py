"""What a checkpoint of ATOM holds: trunk and box regressor by their published names, and constants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from d3s_vot.errors import CheckpointError, InputError
from d3s_vot.heads.iou import BoxRegressor
from d3s_vot.trackers.atom.config import ATOMConfig
from d3s_vot.trunks.trunk import CHANNELS
from d3s_vot.weights.checkpoint import Checkpoint
from d3s_vot.weights.fitting import check_shapes

TRACKER = "ATOM"
TRUNK_NAME = "resnet18"
TRUNK, REGRESSOR = "feature_extractor.", "bb_regressor."
COUNTS = ".num_batches_tracked"  # of no use for inference
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
    return Checkpoint.create(used(tensors), TRACKER, config.changes(), provenance)


def used(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that the tracker passes."""
    return {k: v for k, v in tensors.items() if not k.startswith(UNUSED) and not k.endswith(COUNTS)}


def create_regressor() -> BoxRegressor:
    """The box regressor, with random weights."""
    return BoxRegressor(*CHANNELS[TRUNK_NAME][2:])


def shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of all tensors."""
    from torchvision.models import resnet18  # seconds to import

    with torch.device("meta"):  # shapes only: nothing is allocated or initialised
        parts = {TRUNK: resnet18(weights=None), REGRESSOR: create_regressor()}
    state = {prefix + k: v for prefix, module in parts.items() for k, v in module.state_dict().items()}
    return {name: tuple(tensor.shape) for name, tensor in used(state).items()}


def check(checkpoint: Checkpoint, what: str, remedy: str) -> None:
    """See `Model.check`."""
    try:
        config = ATOMConfig.with_changes(checkpoint.config)
    except InputError as error:
        raise CheckpointError(f"{what} cannot be used: {error}, or update the package") from error
    channels = CHANNELS[TRUNK_NAME][3]
    if config.projection_channels > channels:
        raise CheckpointError(
            f"{what} sets the constant projection_channels to {config.projection_channels}, above {channels}; {remedy}"
        )
    check_shapes(checkpoint.tensors, shapes(), what)
