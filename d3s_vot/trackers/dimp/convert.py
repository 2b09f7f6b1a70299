"""Convert the published checkpoints of DiMP, PrDiMP and SuperDiMP, read without executing anything in them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import torch

from d3s_vot.errors import CheckpointError, InputError
from d3s_vot.paths import as_path
from d3s_vot.trackers.dimp.published import CONFIGURATIONS
from d3s_vot.trackers.dimp.weights import LEARNT_LABELS, TRUNK, UNUSED, check, create
from d3s_vot.weights.checkpoint import Checkpoint, save_checkpoint
from d3s_vot.weights.fitting import used
from d3s_vot.weights.foreign import read_state

BOTTLENECK = TRUNK + "layer1.0.conv3.weight"  # which ResNet-18 has not


def convert_published(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> Checkpoint:
    """Convert a published checkpoint, such as `dimp50.pth` or `super_dimp.pth.tar`, and save it.

    Args:
        source: the published file, in either of torch's file formats.
        target: the safetensors file to write. Named after one of `CONFIGURATIONS`, such as `DiMP-50-VOT18.safetensors`,
            it gets that configuration's rules; otherwise those that belong to the source's name, or else to its
            network.

    Raises:
        CheckpointError: the file is missing, damaged or of another network, or the target cannot be written.
        InputError: the target is named after a configuration of another network.
    """
    stem = as_path(target, "the checkpoint").stem
    checkpoint = read_published(source, stem if stem in CONFIGURATIONS else None)
    save_checkpoint(target, checkpoint, check)
    return checkpoint


def read_published(source: str | os.PathLike[str], configuration: str | None = None) -> Checkpoint:
    """A published checkpoint.

    Args:
        source: the published file.
        configuration: one of `CONFIGURATIONS` that is made for its network; None: the first that is, of those whose
            file has the source's name where there are any.

    Raises:
        CheckpointError: as for `convert_published`.
        InputError: there is no such configuration, or it is one of another network.
    """
    path = as_path(source, "the published file")
    state = used(read_state(path), UNUSED)
    for name, tensor in state.items():
        if tensor.dtype not in (torch.float16, torch.float32):
            raise CheckpointError(f"{path} holds {name[:80]} as {tensor.dtype}, not float16 or float32; check the path")
    network = ("resnet50" if BOTTLENECK in state else "resnet18", int(LEARNT_LABELS not in state))
    configuration = configuration or _default(path, network)
    if configuration not in CONFIGURATIONS:
        raise InputError(f"there is no configuration {configuration!r}; use one of {', '.join(CONFIGURATIONS)}")
    wanted = CONFIGURATIONS[configuration]
    if network != (wanted.trunk, wanted.config.density):
        kind = "densities" if network[1] else "learnt labels"
        raise InputError(f"{path} holds {kind} on {network[0]}, and {configuration} is of another network")
    provenance = {
        "source": path.name,
        "source_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "configuration": configuration,
    }
    checkpoint = create(state, wanted.trunk, wanted.config, provenance)
    check(checkpoint, str(path), "get a fresh copy")
    return checkpoint


def _default(path: Path, network: tuple[str, int]) -> str:
    """The configuration that belongs to a file; SuperDiMP's network is that of DiMP, and its name alone tells it."""
    fitting = [name for name, one in CONFIGURATIONS.items() if (one.trunk, one.config.density) == network]
    named = [name for name in fitting if path.name.startswith(CONFIGURATIONS[name].file.partition(".")[0])]
    return (named or fitting)[0]
