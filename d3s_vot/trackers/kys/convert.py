"""Convert the published checkpoint of KYS, read without executing anything in it."""

from __future__ import annotations

import hashlib
import os

import torch

from d3s_vot.errors import CheckpointError, InputError
from d3s_vot.paths import as_path
from d3s_vot.trackers.kys.published import CONFIGURATIONS
from d3s_vot.trackers.kys.weights import TRUNK, UNUSED, check, create
from d3s_vot.weights.checkpoint import Checkpoint, save_checkpoint
from d3s_vot.weights.fitting import used
from d3s_vot.weights.foreign import read_state

BOTTLENECK = TRUNK + "layer1.0.conv3.weight"  # which ResNet-18 has not


def convert_published(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> Checkpoint:
    """Convert a published checkpoint, such as `kys.pth`, and save it.

    Args:
        source: the published file, in either of torch's file formats.
        target: the safetensors file to write. Named `KYS-VOT.safetensors` it gets the rules for VOT.

    Raises:
        CheckpointError: the file is missing, damaged or of another network, or the target cannot be written.
    """
    stem = as_path(target, "the checkpoint").stem
    checkpoint = read_published(source, stem if stem in CONFIGURATIONS else "KYS")
    save_checkpoint(target, checkpoint, check)
    return checkpoint


def read_published(source: str | os.PathLike[str], configuration: str = "KYS") -> Checkpoint:
    """A published checkpoint.

    Args:
        source: the published file.
        configuration: one of `CONFIGURATIONS`.

    Raises:
        CheckpointError: as for `convert_published`.
        InputError: there is no such configuration.
    """
    if configuration not in CONFIGURATIONS:
        raise InputError(f"there is no configuration {configuration!r}; use one of {', '.join(CONFIGURATIONS)}")
    path = as_path(source, "the published file")
    state = used(read_state(path), UNUSED)
    for name, tensor in state.items():
        if tensor.dtype not in (torch.float16, torch.float32):
            raise CheckpointError(f"{path} holds {name[:80]} as {tensor.dtype}, not float16 or float32; check the path")
    provenance = {
        "source": path.name,
        "source_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "configuration": configuration,
    }
    trunk = "resnet50" if BOTTLENECK in state else "resnet18"
    checkpoint = create(state, trunk, CONFIGURATIONS[configuration].config, provenance)
    check(checkpoint, str(path), "get a fresh copy")
    return checkpoint
