"""The packaged weights of D3S with a smaller search patch: learning takes a third of the time, the rest is the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from d3s_vot.weights.checkpoint import Checkpoint
from d3s_vot.weights.find import find_weights
from d3s_vot.zoo import load_checkpoint, save_checkpoint


def small_checkpoint(**config: Any) -> Checkpoint:
    """For tests of what stands around the tracker; trackers/d3s tests it as it is shipped."""
    shipped = load_checkpoint(find_weights("D3S"))
    smaller = {**shipped.config, "gem_patch_size": 128, "gem_window_size": 256, **config}
    return Checkpoint.create(shipped.tensors, "D3S", smaller, shipped.provenance)


def save_small(path: Path, **config: Any) -> Path:
    """The same, saved; returns the path."""
    save_checkpoint(path, small_checkpoint(**config))
    return path
