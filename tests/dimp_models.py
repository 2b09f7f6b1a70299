"""Networks of DiMP and ATOM with random weights, small enough for tests."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor, nn
from torchvision.models import resnet18

from d3s_vot.heads.filter import Classifier
from d3s_vot.heads.iou import create_regressor
from d3s_vot.trackers.atom import weights as atom
from d3s_vot.trackers.atom.config import ATOMConfig
from d3s_vot.trackers.dimp.config import DiMPConfig
from d3s_vot.trackers.dimp.network import create_classifier
from d3s_vot.trackers.dimp.published import CONFIGURATIONS
from d3s_vot.trackers.dimp.weights import CLASSIFIER, REGRESSOR, TRUNK, create
from d3s_vot.weights.checkpoint import Checkpoint

SMALL = {"sample_size": 64, "search_area_scale": 2.0, "memory_size": 17, "update_interval": 2}


@lru_cache(maxsize=4)
def _state(density: int) -> dict[str, torch.Tensor]:
    return random_state(CONFIGURATIONS["PrDiMP-18" if density else "DiMP-18"].config)


def random_state(config: DiMPConfig) -> dict[str, Tensor]:
    """Random weights on ResNet-18, by the published names."""
    return random_parts((TRUNK, CLASSIFIER, REGRESSOR), lambda: create_classifier("resnet18", config))


def random_parts(
    prefixes: tuple[str, ...], classifier: Callable[[], Classifier], *others: Callable[[], nn.Module]
) -> dict[str, Tensor]:
    """Random weights of a trunk, a classifier, a box regressor and others, whose names begin so."""
    with torch.random.fork_rng(), torch.device("cpu"):
        torch.manual_seed(0)
        learner = classifier()
        learner.filter_optimizer.start()  # type: ignore[operator, attr-defined]
        trunk = resnet18(weights=None)
        trunk.layer4 = trunk.fc = nn.Identity()
        parts = trunk, learner, create_regressor("resnet18"), *(build() for build in others)
    named = zip(prefixes, parts, strict=True)
    return {prefix + k: v for prefix, module in named for k, v in module.state_dict().items()}


def random_checkpoint(name: str = "DiMP-18", **rules: float) -> Checkpoint:
    """Random weights on ResNet-18, with a configuration's rules but for small samples, and for these."""
    config = CONFIGURATIONS[name].config
    config = type(config).with_changes(config.changes() | SMALL | rules)
    return create(_state(config.density), "resnet18", config, {"source": "chance"})


def random_atom(**rules: float) -> Checkpoint:
    """Random weights of ATOM, for small samples and a quick first frame, with these rules."""
    quick = {
        "sample_size": 64, "search_area_scale": 2.0, "memory_size": 32, "update_interval": 2, "projection_channels": 8,
        "gauss_newton_steps": 2, "gauss_newton_cg_iterations": 3,
    }  # fmt: skip
    state = {name: tensor for name, tensor in _state(0).items() if not name.startswith("classifier.")}
    return atom.create(state, ATOMConfig(**(quick | rules)), {"source": "chance"})
