"""What a checkpoint of LWL holds: the tensors by their published names, and constants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from d3s_vot.errors import CheckpointError, InputError
from d3s_vot.trackers.lwl.config import BLOCKS, LWLConfig
from d3s_vot.trackers.lwl.network import LWLNetwork
from d3s_vot.weights.checkpoint import Checkpoint
from d3s_vot.weights.fitting import check_shapes, checked_constants, shapes_of, used

TRACKER = "LWL"
BOX_ENCODER = "box_label_encoder."
THIRD = "feature_extractor.layer3."  # the stage that says how deep the trunk is
# What the sizes of the network are read from, and their dimensions.
TRUNK, TARGET, DECODER = (
    "feature_extractor.layer1.0.conv2.weight", "target_model.feature_extractor.0.weight", "decoder.project.conv1.weight"
)  # fmt: skip


def create(tensors: Mapping[str, Tensor], config: LWLConfig, provenance: Mapping[str, Any]) -> Checkpoint:
    """A checkpoint of new weights.

    Args:
        tensors: by the published names; counts of batches are left out.
        config: of the network, and the rules of the tracker.
        provenance: where the weights come from.
    """
    return Checkpoint.create(used(tensors), TRACKER, config.changes(), provenance)


def constants(checkpoint: Checkpoint) -> LWLConfig:
    """All constants that the weights were made for.

    Raises:
        InputError: one is unknown or cannot be used.
    """
    return LWLConfig.with_changes(checkpoint.config)


def shapes(config: LWLConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors of a network."""
    return used(shapes_of(lambda: LWLNetwork(config)))


def check(checkpoint: Checkpoint, what: str, remedy: str) -> None:
    """See `Model.check`."""
    check_shapes(checkpoint.tensors, shapes(checked_constants(constants, checkpoint, what)), what)


def read_architecture(state: Mapping[str, Tensor], what: str) -> LWLConfig:
    """What the tensors of a file say of their network.

    Args:
        state: by the published names.
        what: it is, for the error's sentence.

    Raises:
        CheckpointError: they are of no such network.
    """
    widths = []
    for name in (TRUNK, TARGET, DECODER):
        tensor = state.get(name)
        if tensor is None or tensor.ndim != 4:
            problem = "is missing" if tensor is None else f"is {tuple(tensor.shape)}"
            raise CheckpointError(f"{what} holds the weights of another network ({name} {problem}); check the path")
        widths.append(len(tensor))
    box_start = int(any(name.startswith(BOX_ENCODER) for name in state))
    third = len({name.removeprefix(THIRD).partition(".")[0] for name in state if name.startswith(THIRD)})
    depth = next((depth for depth, blocks in BLOCKS.items() if blocks[2] == third), 0)
    try:
        return LWLConfig(
            trunk_depth=depth,
            trunk_width=widths[0],
            target_channels=widths[1],
            decoder_width=2 * widths[2],
            box_start=box_start,
        )
    except InputError as error:
        raise CheckpointError(f"{what} holds the weights of another network ({error}); check the path") from error
