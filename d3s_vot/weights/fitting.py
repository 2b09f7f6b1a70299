"""Whether weights fit a network: names and shapes, told in a sentence where they do not."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from d3s_vot.errors import CheckpointError


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
