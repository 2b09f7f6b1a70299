"""Convert the published checkpoints of LWL, read without executing anything in them."""

from __future__ import annotations

import hashlib
import os

import torch

from d3s_vot.errors import CheckpointError, InputError
from d3s_vot.paths import as_path
from d3s_vot.trackers.lwl.published import FILES
from d3s_vot.trackers.lwl.weights import check, create, read_architecture
from d3s_vot.weights.checkpoint import Checkpoint, save_checkpoint
from d3s_vot.weights.fitting import COUNTS
from d3s_vot.weights.foreign import read_state


def convert_published(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> Checkpoint:
    """Convert `lwl_stage2.pth` or `lwl_boxinit.pth`, and save it.

    The latter has all that the former has, and begins with boxes, too; of a target that is given as a mask it uses the
    mask, unless the rules `LWL-boxinit` are asked for.

    Args:
        source: the published file, in either of torch's file formats.
        target: the safetensors file to write.

    Raises:
        CheckpointError: the file is missing, damaged or of another network, or the target cannot be written.
        InputError: the target is named after `LWL-boxinit`, and the source cannot begin with boxes.
    """
    path, stem = as_path(source, "the published file"), as_path(target, "the checkpoint").stem
    state = read_state(path)
    for name, tensor in state.items():
        if tensor.dtype not in (torch.float16, torch.float32) and not name.endswith(COUNTS):
            raise CheckpointError(f"{path} holds {name[:80]} as {tensor.dtype}, not float16 or float32; check the path")
    config = read_architecture(state, str(path))
    if stem == "LWL-boxinit" and not config.box_start:
        raise InputError(f"{path} has no encoder of boxes, and {stem} is of {FILES[stem]}; give that file")
    provenance = {"source": path.name, "source_sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    checkpoint = create(state, config, provenance)
    check(checkpoint, str(path), "get a fresh copy")
    save_checkpoint(target, checkpoint, check)
    return checkpoint
