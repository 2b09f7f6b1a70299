"""Weights made from names, as the golden files describe them."""

from __future__ import annotations

import zlib

import numpy as np
import torch
from torch import Tensor


def fill(name: str, shape: tuple[int, ...]) -> Tensor:
    """The golden rule for one entry of a state dict (golden/README.md)."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith("num_batches_tracked"):
        return torch.tensor(0)
    if name.endswith("running_mean"):
        values = rng.normal(0, 0.1, shape)
    elif name.endswith("running_var"):
        values = rng.uniform(0.5, 1.5, shape)
    elif len(shape) == 4:
        values = rng.normal(0, np.sqrt(2 / (shape[1] * shape[2] * shape[3])), shape)
    elif len(shape) == 2:
        values = rng.normal(0, 0.01, shape)
    elif name.endswith("weight"):
        values = rng.uniform(0.5, 1.0, shape)
    else:
        values = rng.normal(0, 0.05, shape)
    return torch.from_numpy(np.asarray(values, np.float32))


def fill_state(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """A whole state dict filled by the rule, named `prefix` + its own names."""
    return {name: fill(prefix + name, tuple(value.shape)) for name, value in state.items()}
