"""What a checkpoint of SiamFC++ holds: the tensors by their published names, the trunk's name, and constants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from d3s_vot.errors import CheckpointError, InputError
from d3s_vot.trackers.siamfcpp.config import HEAD_CONVOLUTIONS, SiamFCppConfig
from d3s_vot.trackers.siamfcpp.network import SiamFCppNetwork
from d3s_vot.weights.checkpoint import Checkpoint
from d3s_vot.weights.fitting import check_shapes

TRACKER = "SiamFCpp"
COUNTS = ".num_batches_tracked"  # of no use for inference


def create(
    tensors: Mapping[str, Tensor],
    trunk: str,
    config: SiamFCppConfig,
    provenance: Mapping[str, Any] | None = None,
) -> Checkpoint:
    """A checkpoint of new weights.

    Args:
        tensors: by the published names; how many batches were seen is left out.
        trunk: its name.
        config: heads, and the rules that the weights are for.
        provenance: where the weights come from.
    """
    kept = {name: tensor for name, tensor in tensors.items() if not name.endswith(COUNTS)}
    return Checkpoint.create(kept, TRACKER, {"trunk": trunk, **config.changes()}, provenance)


def constants(checkpoint: Checkpoint) -> SiamFCppConfig:
    """All constants of the tracker that the weights were made for.

    Raises:
        InputError: one is unknown or cannot be used.
    """
    return SiamFCppConfig.with_changes({k: v for k, v in checkpoint.config.items() if k != "trunk"})


def shapes(trunk: str, config: SiamFCppConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors of a network."""
    with torch.device("meta"):  # shapes only: nothing is allocated or initialised
        state = SiamFCppNetwork(trunk, config).state_dict()
    return {name: tuple(tensor.shape) for name, tensor in state.items() if not name.endswith(COUNTS)}


def check(checkpoint: Checkpoint, what: str, remedy: str) -> None:
    """See `Model.check`."""
    trunk: Any = checkpoint.config.get("trunk")
    if not isinstance(trunk, str) or trunk not in HEAD_CONVOLUTIONS:
        raise CheckpointError(f"{what} needs the trunk {str(trunk)[:40]!r}, which is unknown; update the package")
    try:
        config = constants(checkpoint)
    except InputError as error:
        raise CheckpointError(f"{what} cannot be used: {error}, or update the package") from error
    check_shapes(checkpoint.tensors, shapes(trunk, config), what)
