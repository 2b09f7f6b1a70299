"""What a checkpoint of OSTrack or DropTrack holds: the tensors by their published names, and constants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from d3s_vot.errors import CheckpointError, InputError
from d3s_vot.trackers.ostrack.config import HEAD_WIDTH, OSTrackConfig
from d3s_vot.trackers.ostrack.network import OSTrackNetwork
from d3s_vot.trunks.vit import PATCH
from d3s_vot.weights.checkpoint import Checkpoint
from d3s_vot.weights.fitting import check_shapes, checked_constants, shapes_of, used

TRACKER = "OSTrack"
FACTORS = {256: 4.0, 384: 5.0}  # side of the search crop -> that over sqrt(w h), as published


def create(tensors: Mapping[str, Tensor], config: OSTrackConfig, provenance: Mapping[str, Any]) -> Checkpoint:
    """A checkpoint of new weights.

    Args:
        tensors: by the published names; how many batches were seen is left out.
        config: of the network, and the rules that the weights are for.
        provenance: where the weights come from.
    """
    return Checkpoint.create(used(tensors), TRACKER, config.changes(), provenance)


def constants(checkpoint: Checkpoint) -> OSTrackConfig:
    """All constants of the tracker that the weights were made for.

    Raises:
        InputError: one is unknown or cannot be used.
    """
    return OSTrackConfig.with_changes(checkpoint.config)


def shapes(config: OSTrackConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors of a network."""
    return used(shapes_of(lambda: OSTrackNetwork(config)))


def check(checkpoint: Checkpoint, what: str, remedy: str) -> None:
    """See `Model.check`."""
    check_shapes(checkpoint.tensors, shapes(checked_constants(constants, checkpoint, what)), what)


def read_architecture(state: Mapping[str, Tensor], what: str) -> OSTrackConfig:
    """What the tensors of a file say of their network; whether candidates are eliminated they do not say.

    Args:
        state: by the published names.
        what: it is, for the error's sentence.

    Raises:
        CheckpointError: they are of no such network.
    """
    grids = []
    for name in ("backbone.pos_embed_z", "backbone.pos_embed_x"):
        tensor = state.get(name)
        if tensor is None:
            raise CheckpointError(f"{what} holds the weights of another network ({name} is missing); check the path")
        side = round(tensor.shape[1] ** 0.5) if tensor.ndim == 3 else 0
        if tensor.ndim != 3 or side * side != tensor.shape[1] or tensor.shape[2] % HEAD_WIDTH:
            shape = tuple(tensor.shape)
            raise CheckpointError(f"{what} holds the weights of another network ({name} is {shape}); check the path")
        grids.append((PATCH * side, tensor.shape[2]))
    (template, width), (search, _) = grids
    names = ("backbone.temporal_pos_embed_z", "backbone.temporal_pos_embed_x")
    try:
        return OSTrackConfig(
            width=width,
            depth=len({name.split(".")[2] for name in state if name.startswith("backbone.blocks.")}),
            template_size=template,
            search_size=search,
            temporal=int(any(name in state for name in names)),
            search_factor=FACTORS.get(search, 4.0),
        )
    except InputError as error:
        raise CheckpointError(f"{what} holds the weights of another network ({error}); check the path") from error
