"""Convert the published checkpoint of DropSeg, read without executing anything in it."""

from __future__ import annotations

import os

import torch
from torch import Tensor

from d3s_vot.errors import CheckpointError
from d3s_vot.paths import as_path
from d3s_vot.trackers.dropseg.weights import check, create, read_architecture
from d3s_vot.weights.checkpoint import Checkpoint, save_checkpoint
from d3s_vot.weights.foreign import read_foreign_pickle

# Left over from the pre-training and from other experiments.
UNUSED = (
    "cls_token", "pos_embed", "pos_embed_three_frame", "head.weight", "head.bias", "fc_norm.weight", "fc_norm.bias",
)  # fmt: skip


def convert_published(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> Checkpoint:
    """Convert the published checkpoint, and save it.

    Args:
        source: the published file, a state dict; or one of the training, which has it under `network`.
        target: the safetensors file to write.

    Raises:
        CheckpointError: the file is missing, damaged or of another network, or the target cannot be written.
    """
    path = as_path(source, "the published file")
    state = _weights(read_foreign_pickle(path), str(path))
    config = read_architecture(state, str(path))
    own = {name: tensor for name, tensor in state.items() if name not in UNUSED}
    checkpoint = create(own, config, {"source": path.name})
    check(checkpoint, str(path), "get a fresh copy")
    save_checkpoint(target, checkpoint, check)
    return checkpoint


def _weights(content: object, what: str) -> dict[str, Tensor]:
    state = content.get("network", content) if isinstance(content, dict) else content
    if not isinstance(state, dict) or not all(type(k) is str and isinstance(v, Tensor) for k, v in state.items()):
        raise CheckpointError(f"{what} has no state dict of named tensors; check that it is the right file")
    for name, tensor in state.items():
        if tensor.dtype not in (torch.float16, torch.float32):
            raise CheckpointError(f"{what} holds {name[:80]} as {tensor.dtype}, not float32; check the path")
    return state
