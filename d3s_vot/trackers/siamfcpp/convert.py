"""Convert the published checkpoints of SiamFC++, read without executing anything in them."""

from __future__ import annotations

import hashlib
import os
import re

import torch
from torch import Tensor

from d3s_vot.errors import CheckpointError, InputError
from d3s_vot.paths import as_path
from d3s_vot.trackers.siamfcpp.network import read_architecture
from d3s_vot.trackers.siamfcpp.published import CONFIGURATIONS
from d3s_vot.trackers.siamfcpp.weights import check, create
from d3s_vot.weights.checkpoint import Checkpoint, save_checkpoint
from d3s_vot.weights.fitting import used
from d3s_vot.weights.foreign import read_foreign_pickle

WRITTEN_MD5 = re.compile(r"[0-9a-f]{32}")


def convert_published(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> Checkpoint:
    """Convert a published checkpoint, `siamfcpp-*.pkl`, and save it.

    Args:
        source: the published file, in either of torch's file formats; the 32 hexadecimal digits in its name are its
            MD5, which is compared.
        target: the safetensors file to write. Named after one of `CONFIGURATIONS`, such as
            `SiamFCpp-otb-alexnet.safetensors`, it gets that configuration's rules, otherwise those of the first that
            was made for the weights.

    Raises:
        CheckpointError: the file is missing, damaged, of another network or of other weights than its name says, or
            the target cannot be written.
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
        configuration: one of `CONFIGURATIONS` that is made for its weights; None: the first that is, or the
            defaults where none is.

    Raises:
        CheckpointError: as for `convert_published`.
        InputError: there is no such configuration, or it is one of another network.
    """
    path = as_path(source, "the published file")
    content = read_foreign_pickle(path)
    md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    written = WRITTEN_MD5.search(path.name)
    if written and written[0] != md5:
        raise CheckpointError(f"{path} is damaged: its MD5 is {md5}, not the one in its name; get a fresh copy")
    state = _weights(content, str(path))
    try:
        trunk, config = read_architecture(state)
    except CheckpointError as error:
        raise CheckpointError(f"{path} holds the weights of another network ({error}); check the path") from error
    if configuration is None:
        configuration = next((name for name, entry in CONFIGURATIONS.items() if md5.startswith(entry.digits)), None)
    provenance = {"source": path.name, "source_md5": md5}
    if configuration is not None:
        if configuration not in CONFIGURATIONS:
            raise InputError(f"there is no configuration {configuration!r}; use one of {', '.join(CONFIGURATIONS)}")
        wanted = CONFIGURATIONS[configuration]
        if (trunk, config.with_rules(wanted.config)) != (wanted.trunk, wanted.config):
            raise InputError(f"{path} holds a network on {trunk}, and {configuration} is one of another")
        config, provenance["configuration"] = wanted.config, configuration
    checkpoint = create(state, trunk, config, provenance)
    check(checkpoint, str(path), "get a fresh copy")
    return checkpoint


def _weights(content: object, what: str) -> dict[str, Tensor]:
    """The state dict in what `torch.save` wrote: alone, or beside the state of the training."""
    state = content.get("model_state_dict", content) if isinstance(content, dict) else content
    if not isinstance(state, dict) or not all(type(k) is str and isinstance(v, Tensor) for k, v in state.items()):
        raise CheckpointError(f"{what} has no state dict of named tensors; check that it is the right file")
    own = used(state)
    for name in ("head.si", "head.bi"):  # two numbers, which some files hold as lists of one
        if name in own and tuple(own[name].shape) == (1,):
            own[name] = own[name].reshape(())
    for name, tensor in own.items():
        if tensor.dtype not in (torch.float16, torch.float32):
            raise CheckpointError(f"{what} holds {name[:80]} as {tensor.dtype}, not float16 or float32; check the path")
    return own
