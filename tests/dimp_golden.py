"""Pictures and weights of the golden files of ATOM and DiMP."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Generator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from d3s_vot.given import Frame
from d3s_vot.images import read_image
from d3s_vot.online.chance import Chance
from d3s_vot.online.config import Augmentation
from d3s_vot.prediction import Prediction

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


class Recorded(Chance):
    """What a golden trace's run was left to chance: shifts of the samples, dropout, jitter."""

    def __init__(self, golden: Mapping[str, np.ndarray], plan: Augmentation, size: int) -> None:
        super().__init__()
        moved = golden["shift_yx"][1 + len(plan.shifts) :][: plan.moved].astype(np.float64)
        # The middle of what is truncated to these shifts.
        self._shifts = (moved + 0.5 * np.sign(moved)) * 3 / size + 0.5
        self._kept = golden["dropout_keep"]
        self._jitter = list(golden["jitter"])

    def shifts(self, count: int) -> np.ndarray:
        assert self._shifts.shape == (count, 2)
        return self._shifts

    def dropout(self, copies: int, channels: int) -> np.ndarray:
        assert self._kept.shape == (copies, channels)
        return self._kept.astype(np.float64)

    def normal(self, shape: tuple[int, ...]) -> np.ndarray:
        """P0, then f0, before they are scaled."""
        return np.random.RandomState(1 if len(shape) == 2 else 2).normal(0, 1, shape).astype(np.float32)

    def jitter(self, count: int) -> np.ndarray:
        draws = self._jitter.pop(0)
        assert draws.shape == (count, 4)
        return draws.astype(np.float64) - 0.5


def trace_state(network: nn.Module, prefix: str, shared: Path, strength: float) -> dict[str, Tensor]:
    """The filled weights of a part of the traces' network; the regressor's predictor is a fitted one."""
    state = filled(shapes_of(network, prefix), shared)
    if PREDICTOR[0] in state:
        with np.load(shared / "golden" / "dimp_head.npz") as head:
            for name, values in zip(PREDICTOR, (head["iou_weight"], head["iou_bias"]), strict=True):
                state[name] = torch.from_numpy(np.asarray(values * strength, np.float32)).view(state[name].shape)
    return state


def run_step(step: Generator) -> Prediction:
    """What a target's step for a frame comes to."""
    try:
        wanted = next(step)
        while True:
            (answer,) = wanted.run([wanted.item])
            wanted = step.send(answer)
    except StopIteration as end:
        return end.value


def frames_of(golden: Mapping[str, np.ndarray], shared: Path) -> list[Frame]:
    """The frames of a trace, the first one included."""
    folder = shared / "data" / "sequences" / str(golden["sequence"]) / "color"
    return [Frame.of(read_image(file)) for file in sorted(folder.iterdir())[: len(golden["state"]) + 1]]


def overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """IoU of boxes, n x 4 each: x, y, w, h."""
    sides = np.minimum(a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    shared = np.clip(sides, 0, None).prod(axis=1)
    return shared / (a[:, 2:].prod(axis=1) + b[:, 2:].prod(axis=1) - shared)
