"""What a checkpoint of SiamFC++ holds: the tensors by their published names, the trunk's name, and constants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from d3s_vot.trackers.siamfcpp.config import HEAD_CONVOLUTIONS, SiamFCppConfig
from d3s_vot.trackers.siamfcpp.network import SiamFCppNetwork
from d3s_vot.weights.checkpoint import Checkpoint
from d3s_vot.weights.fitting import check_shapes, checked_constants, checked_trunk, shapes_of, used

TRACKER = "SiamFCpp"


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
    return Checkpoint.create(used(tensors), TRACKER, {"trunk": trunk, **config.changes()}, provenance)


def constants(checkpoint: Checkpoint) -> SiamFCppConfig:
    """All constants of the tracker that the weights were made for.

    Raises:
        InputError: one is unknown or cannot be used.
    """
    return SiamFCppConfig.with_changes({k: v for k, v in checkpoint.config.items() if k != "trunk"})


def shapes(trunk: str, config: SiamFCppConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors of a network."""
    return used(shapes_of(lambda: SiamFCppNetwork(trunk, config)))


def check(checkpoint: Checkpoint, what: str, remedy: str) -> None:
    """See `Model.check`."""
    trunk = checked_trunk(checkpoint, HEAD_CONVOLUTIONS, what)
    config = checked_constants(constants, checkpoint, what)
    check_shapes(checkpoint.tensors, shapes(trunk, config), what)
