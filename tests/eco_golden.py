"""The networks of ECO with the weights of the golden files, and without them small ones."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from d3s_vot.trackers.eco.config import ECOConfig
from d3s_vot.trackers.eco.network import STEM, VGG, Features
from d3s_vot.trackers.eco.weights import create
from d3s_vot.trunks.create import create_trunk
from d3s_vot.trunks.trunk import Trunk
from d3s_vot.trunks.vgg import VGGMConv1
from d3s_vot.weights.checkpoint import Checkpoint

# Learns little, from small samples, for tests of what stands around it.
QUICK = ECOConfig(
    corrected=1, scales=3, gauss_newton_steps=2, gauss_newton_cg_iterations=3, min_sample_size=80, max_sample_size=80
)


def relative(a: Tensor | np.ndarray, b: np.ndarray) -> float:
    """Distance of a from b, relative to b; complex numbers are compared as such."""
    ours = np.asarray(a)
    return float(np.linalg.norm(ours.astype(np.complex128) - b) / np.linalg.norm(b))


def filled(state: Mapping[str, Tensor], shared: Path) -> dict[str, Tensor]:
    """The weights that golden files start from, by the published names."""
    fill: Callable = runpy.run_path(str(shared / "golden" / "fill.py"))["fill"]
    return {k: torch.from_numpy(v) for k, v in fill({k: tuple(v.shape) for k, v in state.items()}).items()}


def resnet18_state() -> dict[str, Tensor]:
    """Random weights under torchvision's names."""
    from torchvision.models import resnet18

    with torch.random.fork_rng():
        torch.manual_seed(0)
        return resnet18(weights=None).state_dict()


def filled_vgg(shared: Path) -> VGGMConv1:
    """VGG-M's first layer with the weights of the golden files."""
    return with_state(VGGMConv1(), filled(VGGMConv1().state_dict(), shared))


def filled_resnet18(shared: Path) -> Trunk:
    """ResNet-18 with the weights of the golden files."""
    return create_trunk("resnet18", state=filled(resnet18_state(), shared))


def features(name: str, shared: Path) -> Features:
    """The networks of a golden trace."""
    trunk = filled_resnet18(shared) if name == "filled" else imagenet(shared)
    vgg = None if name == "resnet18" else filled_vgg(shared)
    return Features(trunk, STEM if vgg is None else VGG, vgg).eval().requires_grad_(False)


def imagenet(shared: Path) -> Trunk:
    """ResNet-18 with ImageNet's weights."""
    return create_trunk("resnet18", shared / "weights" / "resnet18_trunk.safetensors")


def with_state(network: nn.Module, state: Mapping[str, Tensor]) -> nn.Module:
    """The network with these weights, in evaluation mode."""
    network.load_state_dict(state)
    return network.eval().requires_grad_(False)


def published_state() -> dict[str, Tensor]:
    """A state dict as the published file has it, of random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        vgg = VGGMConv1().state_dict()
    return {**vgg, **resnet18_state()}


def quick_checkpoint(config: ECOConfig = QUICK) -> Checkpoint:
    """Weights of nothing: the trunk that comes with the installation."""
    return create({}, "efficientnet_lite0", STEM, config=config, provenance={"source": "a test"})

