"""Pictures and weights of the golden files of ATOM and DiMP."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

PREDICTOR = ("bb_regressor.iou_predictor.weight", "bb_regressor.iou_predictor.bias")


def picture(height: int, width: int, k: int) -> np.ndarray:
    """F(h, w, k): height x width x 3, uint8."""
    y, x, c = np.ogrid[:height, :width, :3]
    return ((((x * x + 2 * y * y + 11 * k * x + 5 * c * y) // 97) + x * (c + 1) + 2 * y) % 256).astype(np.uint8)


def pictures(*kinds: int, size: int = 288) -> Tensor:
    """n x 3 x size x size float32."""
    return torch.stack([torch.from_numpy(picture(size, size, k)).permute(2, 0, 1) for k in kinds]).float()


def relative(a: object, b: np.ndarray) -> float:
    """Distance of a from b, relative to b."""
    difference = np.asarray(a, np.float64).reshape(b.shape) - b
    return float(np.linalg.norm(difference) / np.linalg.norm(b))


def filled(shapes: dict[str, tuple[int, ...]], shared: Path) -> dict[str, Tensor]:
    """The weights that golden files start from, for these names and shapes."""
    fill: Callable = runpy.run_path(str(shared / "golden" / "fill.py"))["fill"]
    return {name: torch.from_numpy(values) for name, values in fill(shapes).items()}


def shapes_of(module: nn.Module, prefix: str) -> dict[str, tuple[int, ...]]:
    """Names, with a prefix, and shapes of a module's tensors."""
    return {prefix + name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def load(module: nn.Module, state: dict[str, Tensor], prefix: str) -> nn.Module:
    """The module with those of the tensors that have the prefix, in evaluation mode."""
    module.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
    return module.eval().requires_grad_(False)


def filled_trunk(name: str, shared: Path) -> dict[str, Tensor]:
    """A ResNet's tensors, with torchvision's names and the weights of the golden files for `feature_extractor.*`."""
    from torchvision import models

    with torch.device("meta"):
        network = getattr(models, name)()
    prefix = "feature_extractor."
    return {k.removeprefix(prefix): v for k, v in filled(shapes_of(network, prefix), shared).items()}
