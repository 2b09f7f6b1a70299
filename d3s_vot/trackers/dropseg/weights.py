"""What a checkpoint of DropSeg holds: the tensors by their published names, and constants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from d3s_vot.errors import CheckpointError, InputError
from d3s_vot.trackers.dropseg.config import HEAD_WIDTH, DropSegConfig
from d3s_vot.trackers.dropseg.network import DropSegNetwork
from d3s_vot.weights.checkpoint import Checkpoint
from d3s_vot.weights.fitting import check_shapes, checked_constants, shapes_of

TRACKER = "DropSeg"


def create(tensors: Mapping[str, Tensor], config: DropSegConfig, provenance: Mapping[str, Any]) -> Checkpoint:
    """A checkpoint of new weights.

    Args:
        tensors: by the published names.
        config: of the network, and what it looks at.
        provenance: where the weights come from.
    """
    return Checkpoint.create(tensors, TRACKER, config.changes(), provenance)


def constants(checkpoint: Checkpoint) -> DropSegConfig:
    """All constants that the weights were made for.

    Raises:
        InputError: one is unknown or cannot be used.
    """
    return DropSegConfig.with_changes(checkpoint.config)


def shapes(config: DropSegConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors of a network."""
    return shapes_of(lambda: DropSegNetwork(config))


def check(checkpoint: Checkpoint, what: str, remedy: str) -> None:
    """See `Model.check`."""
    check_shapes(checkpoint.tensors, shapes(checked_constants(constants, checkpoint, what)), what)


def read_architecture(state: Mapping[str, Tensor], what: str) -> DropSegConfig:
    """What the tensors of a file say of their network.

    Args:
        state: by the published names.
        what: it is, for the error's sentence.

    Raises:
        CheckpointError: they are of no such network.
    """
    sizes = []
    for name, dimensions in (("pos_embed_two_frame", 3), ("stcn_decoder.pred.weight", 4)):
        tensor = state.get(name)
        if tensor is None or tensor.ndim != dimensions:
            problem = "is missing" if tensor is None else f"is {tuple(tensor.shape)}"
            raise CheckpointError(f"{what} holds the weights of another network ({name} {problem}); check the path")
        sizes.append(tensor.shape)
    depth = len({name.split(".")[1] for name in state if name.startswith("blocks.")})
    try:
        return DropSegConfig(width=sizes[0][2] // HEAD_WIDTH * HEAD_WIDTH, depth=depth, decoder_width=sizes[1][1])
    except InputError as error:
        raise CheckpointError(f"{what} holds the weights of another network ({error}); check the path") from error
