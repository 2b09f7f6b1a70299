"""Convert the published checkpoints of OSTrack and DropTrack, and those that their training begins with.

Files are read without executing anything in them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from d3s_vot.errors import CheckpointError, InputError
from d3s_vot.paths import as_path
from d3s_vot.trackers.ostrack.config import OSTrackConfig
from d3s_vot.trackers.ostrack.pretrained import begin_from, is_pretrained, pretrained_config
from d3s_vot.trackers.ostrack.published import CONFIGURATIONS
from d3s_vot.trackers.ostrack.weights import check, create, read_architecture
from d3s_vot.weights.checkpoint import Checkpoint, save_checkpoint
from d3s_vot.weights.fitting import COUNTS
from d3s_vot.weights.foreign import read_state

UNUSED = ("backbone.cls_token", "backbone.pos_embed")  # left over from the pre-training


def convert_published(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> Checkpoint:
    """Convert a published checkpoint, and save it.

    Args:
        source: `OSTrack_ep0300.pth.tar` or the like; or a pre-training's, of MAE or DropMAE: the checkpoint has a head
            of random weights then, to begin training with.
        target: the safetensors file to write. Named after one of `CONFIGURATIONS`, it gets that one's rules, otherwise
            those of the folder or file that the source lies in, or those with elimination.

    Raises:
        CheckpointError: the file is missing, damaged or of another network, or the target cannot be written.
        InputError: the target is named after a configuration of another network.
    """
    stem = as_path(target, "the checkpoint").stem
    checkpoint = read_published(source, stem if stem in CONFIGURATIONS else None)
    save_checkpoint(target, checkpoint, check)
    return checkpoint


def read_published(source: str | os.PathLike[str], configuration: str | None = None) -> Checkpoint:
    """A published checkpoint, see `convert_published`.

    Args:
        source: the published file.
        configuration: one of `CONFIGURATIONS`; None: what the source's name says.

    Raises:
        CheckpointError: as for `convert_published`.
        InputError: there is no such configuration, or it is one of another network.
    """
    path = as_path(source, "the published file")
    state = read_state(path)
    for name, tensor in state.items():
        if not name.endswith(COUNTS) and tensor.dtype not in (torch.float16, torch.float32):
            raise CheckpointError(f"{path} holds {name[:80]} as {tensor.dtype}, not float32; check the path")
    if configuration is not None and configuration not in CONFIGURATIONS:
        raise InputError(f"there is no configuration {configuration!r}; use one of {', '.join(CONFIGURATIONS)}")
    wanted = None if configuration is None else CONFIGURATIONS[configuration].config
    provenance = {"source": path.name}
    if is_pretrained(state):
        config = _agreed(pretrained_config(state, str(path), wanted), wanted, path, configuration)
        tensors: Mapping[str, Tensor] = begin_from(state, config, str(path))
        provenance["head"] = "random, to begin training with"
    else:
        config = read_architecture(state, str(path))
        if configuration is None:
            configuration = _guess(path, config)
            wanted = None if configuration is None else CONFIGURATIONS[configuration].config
        config = _agreed(config, wanted, path, configuration)
        tensors = {name: tensor for name, tensor in state.items() if name not in UNUSED}
    if configuration is not None:
        provenance["configuration"] = configuration
    checkpoint = create(tensors, config, provenance)
    check(checkpoint, str(path), "get a fresh copy")
    return checkpoint


def _guess(path: Path, config: OSTrackConfig) -> str | None:
    """The configuration that a file's name, or its folder's, says; None: none that its network is of."""
    files = (path.name, f"{path.parent.name}/{path.name}")
    fitting = (name for name, entry in CONFIGURATIONS.items() if config.with_rules(entry.config) == entry.config)
    return next((name for name in fitting if CONFIGURATIONS[name].file in files), None)


def _agreed(config: OSTrackConfig, wanted: OSTrackConfig | None, path: Path, name: str | None) -> OSTrackConfig:
    """The configuration that is asked for, where the network is one of it."""
    if wanted is None:
        return config
    if config.with_rules(wanted) != wanted:
        sizes = f"width {config.width}, crops of {config.template_size} and {config.search_size} pixels"
        kind = "with" if config.temporal else "without"
        raise InputError(f"{path} holds a network of {sizes}, {kind} temporal vectors; {name} is one of another")
    return wanted
