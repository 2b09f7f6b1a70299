"""Convert the published checkpoint to a file of this package."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from d3s_vot.errors import CheckpointError
from d3s_vot.paths import as_path
from d3s_vot.trackers.d3s.weights import GEM_TRUNK, TRUNK, check, create, head_shapes
from d3s_vot.trunks.resnet import UNUSED, resnet_shapes
from d3s_vot.weights.checkpoint import Checkpoint, save_checkpoint
from d3s_vot.weights.fitting import COUNTS, check_shapes, part, used
from d3s_vot.weights.foreign import read_state

PUBLISHED_TRUNK = "resnet50"


def convert_published(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    gem_trunk_source: str | os.PathLike[str] | None = None,
) -> Checkpoint:
    """Convert the published checkpoint, `SegmNet.pth.tar`, and save it.

    Its trunk has moved batch-norm statistics and is carried; GEM uses a second, untouched ResNet-50.

    Args:
        source: the published file, in either of torch's file formats.
        target: the safetensors file to write.
        gem_trunk_source: ImageNet ResNet-50, safetensors or a torchvision state dict, to carry too; None:
            the weights are loaded with the trunk's name when the checkpoint is used.

    Raises:
        CheckpointError: a file is missing, damaged or of another network, or the target cannot be written.
    """
    source = as_path(source, "the published file")
    net = read_state(source)
    head = {name: tensor for name, tensor in net.items() if not name.startswith(TRUNK)}
    shapes = head_shapes(PUBLISHED_TRUNK)
    for name, shape in shapes.items():
        if name.endswith(COUNTS):  # of no use for inference; old files lack it
            head.setdefault(name, torch.zeros(shape, dtype=torch.int64, device="cpu"))
    check_shapes(head, shapes, str(source))
    trunk = part(net, TRUNK)
    tensors = head | _resnet50(trunk, TRUNK, str(source))
    provenance = {"source": source.name, "source_sha256": hashlib.sha256(source.read_bytes()).hexdigest()}
    if gem_trunk_source is not None:
        path = as_path(gem_trunk_source, "the file of the trunk")
        tensors |= _resnet50(_read_state(path), GEM_TRUNK, str(path))
        provenance["gem_trunk_source"] = path.name
    checkpoint = create(tensors, PUBLISHED_TRUNK, provenance, gem_trunk=PUBLISHED_TRUNK)
    save_checkpoint(target, checkpoint, check)
    return checkpoint


def _resnet50(state: Mapping[str, Tensor], prefix: str, what: str) -> dict[str, Tensor]:
    """The part of a ResNet-50 state dict that a trunk uses, under a prefix, verified."""
    wanted = {prefix + k: shape for k, shape in used(resnet_shapes(PUBLISHED_TRUNK), UNUSED).items()}
    own = {prefix + k: v for k, v in used(state, UNUSED).items()}
    check_shapes(own, wanted, what)
    return own


def _read_state(path: Path) -> Mapping[str, Tensor]:
    if path.suffix != ".safetensors":
        return read_state(path)
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is missing or damaged; give a file of ResNet-50") from error
