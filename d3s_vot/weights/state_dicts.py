"""State dicts of networks made elsewhere, read without executing anything."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from d3s_vot.errors import CheckpointError
from d3s_vot.weights.foreign import read_state


def read_state_dict(path: Path) -> Mapping[str, Tensor]:
    """The tensors of a trunk's file: safetensors, or what `torch.save` wrote.

    Raises:
        CheckpointError: it is missing, damaged or something else.
    """
    if not path.is_file():
        raise CheckpointError(f"there is no trunk file {path}; check the path")
    if path.suffix != ".safetensors":
        return read_state(path)
    try:
        return load_file(path)
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged or not a safetensors file; get a fresh copy") from error
