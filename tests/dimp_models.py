"""Networks of DiMP and ATOM with random weights, small enough for tests."""

from __future__ import annotations

from functools import lru_cache

import torch

from d3s_vot.trackers.atom import weights as atom
from d3s_vot.trackers.atom.config import ATOMConfig
from d3s_vot.trackers.dimp.network import random_state
from d3s_vot.trackers.dimp.published import CONFIGURATIONS
from d3s_vot.trackers.dimp.weights import create
from d3s_vot.weights.checkpoint import Checkpoint

SMALL = {"sample_size": 64, "search_area_scale": 2.0, "memory_size": 17, "update_interval": 2}


@lru_cache(maxsize=4)
def _state(density: int) -> dict[str, torch.Tensor]:
    kind = CONFIGURATIONS["PrDiMP-18" if density else "DiMP-18"].config
    return random_state("resnet18", kind)


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
