"""Whether weights fit a network: names and shapes, told in a sentence where they do not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from d3s_vot.errors import CheckpointError, InputError
from d3s_vot.weights.checkpoint import Checkpoint

COUNTS = ".num_batches_tracked"  # end of names that are of no use for inference

V = TypeVar("V")


def used(tensors: Mapping[str, V], unused: tuple[str, ...] = ()) -> dict[str, V]:
    """What is passed in inference, by name: no counts of batches, and no name that begins as one that is unused."""
    return {k: v for k, v in tensors.items() if not k.endswith(COUNTS) and not k.startswith(unused)}


def part(tensors: Mapping[str, V], prefix: str) -> dict[str, V]:
    """What belongs to a part, by the names that it has there."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def shapes_of(build: Callable[[], nn.Module], prefix: str = "") -> dict[str, tuple[int, ...]]:
    """Names, with a prefix, and shapes of the tensors of a network; none of it is allocated or initialised."""
    with torch.device("meta"):
        state = build().state_dict()
    return {prefix + name: tuple(tensor.shape) for name, tensor in state.items()}


def load_exactly(network: nn.Module, state: Mapping[str, Tensor], what: str, ignore: tuple[str, ...] = ()) -> None:
    """Load a state dict; only `num_batches_tracked` and what starts with `ignore` may differ."""
    network.float()  # whatever the caller makes its own networks in
    own = network.state_dict()
    wanted = {k for k in own if not k.endswith("num_batches_tracked")}
    missing = sorted(wanted - state.keys())
    extra = sorted(k for k in state.keys() - own.keys() if not k.startswith(ignore or ("\0",)))
    shape = sorted(k for k in wanted & state.keys() if own[k].shape != state[k].shape)
    for problem, names in (("lack", missing), ("have unknown", extra), ("have the wrong shape in", shape)):
        if names:
            raise CheckpointError(f"the weights of {what} {problem} {names[0]} ({len(names)} such); wrong file?")
    network.load_state_dict({k: v.float() for k, v in state.items() if k in wanted}, strict=False)


def check_shapes(tensors: Mapping[str, Tensor], wanted: Mapping[str, tuple[int, ...]], what: str) -> None:
    """Compare names and shapes.

    Raises:
        CheckpointError: the first name that is missing, unknown or of another shape.
    """
    for name in sorted(wanted.keys() | tensors.keys()):
        if name not in tensors:
            problem = f"{name} is missing"
        elif name not in wanted:
            problem = f"{name[:80]!r} is unknown"
        elif tuple(tensors[name].shape) != wanted[name]:
            problem = f"{name} is {tuple(tensors[name].shape)}, not {wanted[name]}"
        else:
            continue
        raise CheckpointError(f"{what} holds the weights of another network ({problem}); check the path")


def checked_constants(read: Callable[[Checkpoint], V], checkpoint: Checkpoint, what: str) -> V:
    """The constants that a checkpoint's weights were made for.

    Raises:
        CheckpointError: one is unknown or cannot be used.
    """
    try:
        return read(checkpoint)
    except InputError as error:
        raise CheckpointError(f"{what} cannot be used: {error}, or update the package") from error


def checked_trunk(checkpoint: Checkpoint, known: Collection[str], what: str) -> str:
    """The name of the trunk that a checkpoint's weights are on.

    Raises:
        CheckpointError: it is unknown.
    """
    trunk: Any = checkpoint.config.get("trunk")
    if not isinstance(trunk, str) or trunk not in known:
        raise CheckpointError(f"{what} needs the trunk {str(trunk)[:40]!r}, which is unknown; update the package")
    return trunk
