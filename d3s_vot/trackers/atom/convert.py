"""Convert the published checkpoints of ATOM, read without executing anything in them."""

from __future__ import annotations

import hashlib
import os

import torch

from d3s_vot.errors import CheckpointError, InputError
from d3s_vot.paths import as_path
from d3s_vot.trackers.atom.published import CONFIGURATIONS
from d3s_vot.trackers.atom.weights import UNUSED, check, create
from d3s_vot.weights.checkpoint import Checkpoint, save_checkpoint
from d3s_vot.weights.fitting import used
from d3s_vot.weights.foreign import read_state


def convert_published(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> Checkpoint:
    """Convert a published checkpoint, such as `atom_default.pth`, and save it.

    Args:
        source: the published file, in either of torch's file formats.
        target: the safetensors file to write. Named after one of `CONFIGURATIONS`, such as `ATOM-VOT.safetensors`, it
            gets that configuration's rules; otherwise those that belong to the source's name, or else the defaults.

    Raises:
        CheckpointError: the file is missing, damaged or of another network, or the target cannot be written.
    """
    stem = as_path(target, "the checkpoint").stem
    checkpoint = read_published(source, stem if stem in CONFIGURATIONS else None)
    save_checkpoint(target, checkpoint, check)
    return checkpoint


def read_published(source: str | os.PathLike[str], configuration: str | None = None) -> Checkpoint:
    """A published checkpoint.

    Args:
        source: the published file.
        configuration: one of `CONFIGURATIONS`; None: the first whose file has the source's name, or the default.

    Raises:
        CheckpointError: as for `convert_published`.
        InputError: there is no such configuration.
    """
    path = as_path(source, "the published file")
    state = used(read_state(path), UNUSED)
    for name, tensor in state.items():
        if tensor.dtype not in (torch.float16, torch.float32):
            raise CheckpointError(f"{path} holds {name[:80]} as {tensor.dtype}, not float16 or float32; check the path")
    if configuration is None:
        stems = {name: entry.file.partition(".")[0] for name, entry in CONFIGURATIONS.items()}
        configuration = next((name for name, stem in stems.items() if path.name.startswith(stem)), "ATOM")
    if configuration not in CONFIGURATIONS:
        raise InputError(f"there is no configuration {configuration!r}; use one of {', '.join(CONFIGURATIONS)}")
    provenance = {
        "source": path.name,
        "source_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "configuration": configuration,
    }
    checkpoint = create(state, CONFIGURATIONS[configuration].config, provenance)
    check(checkpoint, str(path), "get a fresh copy")
    return checkpoint
