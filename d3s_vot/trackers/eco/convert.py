"""Convert the published features of ECO, read without executing anything in them."""

from __future__ import annotations

import os
from collections.abc import Mapping

import torch
from torch import Tensor

from d3s_vot.errors import CheckpointError
from d3s_vot.paths import as_path
from d3s_vot.trackers.eco.config import PUBLISHED
from d3s_vot.trackers.eco.network import VGG
from d3s_vot.trackers.eco.weights import SHALLOW, TRUNK, check, create
from d3s_vot.weights.checkpoint import Checkpoint, save_checkpoint
from d3s_vot.weights.fitting import used
from d3s_vot.weights.foreign import read_state

FIRST = "vggmconv1."  # names of VGG-M's layer; all others are ResNet-18's
UNUSED = ("layer4.", "fc.")
NETWORK = "resnet18"


def convert_published(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> Checkpoint:
    """Convert the published file, `resnet18_vggmconv1.pth`, and save it, with the published rules.

    Args:
        source: the published file, in either of torch's file formats.
        target: the safetensors file to write.

    Raises:
        CheckpointError: the file is missing, damaged or of another network, or the target cannot be written.
    """
    checkpoint = read_published(source)
    save_checkpoint(target, checkpoint, check)
    return checkpoint


def read_published(source: str | os.PathLike[str]) -> Checkpoint:
    """The published file; errors as for `convert_published`."""
    path = as_path(source, "the published file")
    state = used(read_state(path), UNUSED)
    for name, tensor in state.items():
        if tensor.dtype not in (torch.float16, torch.float32):
            raise CheckpointError(f"{path} holds {name[:80]} as {tensor.dtype}, not float16 or float32; check the path")
    checkpoint = create(_renamed(state), NETWORK, VGG, config=PUBLISHED, provenance={"source": path.name})
    check(checkpoint, str(path), "get a fresh copy")
    return checkpoint


def _renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {(SHALLOW if name.startswith(FIRST) else TRUNK) + name: tensor for name, tensor in state.items()}
