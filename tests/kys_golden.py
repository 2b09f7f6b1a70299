"""Networks of KYS with the weights of its golden files, and with random ones that are small enough for tests."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from dimp_golden import filled, load
from dimp_models import random_parts
from safetensors.torch import load_file
from torch import Tensor

from d3s_vot.online.chance import Chance
from d3s_vot.trackers.kys import weights
from d3s_vot.trackers.kys.config import KYSConfig
from d3s_vot.trackers.kys.model import KYSModel
from d3s_vot.trackers.kys.network import ScenePredictor, create_classifier
from d3s_vot.trackers.kys.published import CONFIGURATIONS
from d3s_vot.weights.checkpoint import Checkpoint

CPU = torch.device("cpu")
SMALL = {
    "sample_size": 64, "search_area_scale": 2.0, "memory_size": 17, "update_interval": 2, "first_iterations": 2,
    "refinement_boxes": 3, "refinement_steps": 2,
}  # fmt: skip


@lru_cache(maxsize=1)
def random_net() -> dict[str, Tensor]:
    """By the published names, on ResNet-18."""
    config = KYSConfig()
    prefixes = (weights.TRUNK, weights.CLASSIFIER, weights.REGRESSOR, weights.PREDICTOR)
    return random_parts(prefixes, lambda: create_classifier("resnet18", config), lambda: ScenePredictor(config))


def random_checkpoint(**rules: float) -> Checkpoint:
    """Random weights on ResNet-18, with the rules of KYS but for small samples, and for these."""
    return weights.create(random_net(), "resnet18", KYSConfig(**(SMALL | rules)), {"source": "chance"})


@lru_cache(maxsize=1)
def random_model() -> KYSModel:
    """Of `random_checkpoint`."""
    checkpoint = random_checkpoint()
    return KYSModel.from_checkpoint(checkpoint, CPU, KYSModel.constants(checkpoint))


def golden_predictor(shared: Path, changes: Mapping[str, float]) -> ScenePredictor:
    """With the golden files' weights, all of some tensors set to a number."""
    config = KYSConfig()
    predictor = ScenePredictor(config)
    state = filled({weights.PREDICTOR + k: tuple(v.shape) for k, v in predictor.state_dict().items()}, shared)
    for name, value in changes.items():
        state[weights.PREDICTOR + name].fill_(value)
    return load(predictor, state, weights.PREDICTOR).freeze()


@lru_cache(maxsize=1)
def golden_state(shared: Path) -> Mapping[str, Tensor]:
    """All tensors, as golden files have them; the same for all callers."""
    shapes = weights.published_shapes("resnet50", KYSConfig())
    return filled({k: v for k, v in shapes.items() if not k.startswith(weights.UNUSED)}, shared)


def golden_model(state: Mapping[str, Tensor], config: KYSConfig) -> KYSModel:
    """Of tensors by the published names, on ResNet-50."""
    return KYSModel.from_checkpoint(weights.create(state, "resnet50", config), CPU, config)


def trace_model(golden: Mapping[str, np.ndarray], name: str, shared: Path) -> KYSModel:
    """That of a golden trace, with the rules of a configuration."""
    trunk = load_file(shared / "weights" / "resnet50_caffe_trunk.safetensors")
    state = dict(golden_state(shared))
    state |= {weights.TRUNK + k: v for k, v in trunk.items()}
    state |= {k.removeprefix("w:"): torch.from_numpy(v) for k, v in golden.items() if k.startswith("w:")}
    return golden_model(state, CONFIGURATIONS[name].config)


class Recorded(Chance):
    """What a golden trace's run was left to chance."""

    def __init__(self, golden: Mapping[str, np.ndarray]) -> None:
        super().__init__()
        self._shifts, self._jitter = golden["shift_draws"], list(golden["jitter_draws"])
        self._kept = np.unpackbits(golden["dropout_keep"], axis=1)

    def shifts(self, count: int) -> np.ndarray:
        assert self._shifts.shape == (count, 2)
        return self._shifts.astype(np.float64)

    def dropout(self, copies: int, channels: int) -> np.ndarray:
        assert self._kept.shape == (copies, channels)
        return self._kept.astype(np.float64)

    def jitter(self, count: int) -> np.ndarray:
        draws = self._jitter.pop(0)
        assert draws.shape == (count, 4)
        return draws.astype(np.float64) - 0.5
