"""From the name of weights to networks and trackers."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from d3s_vot.compute.arithmetic import computes
from d3s_vot.compute.device import choose_device
from d3s_vot.errors import InputError
from d3s_vot.trackers.d3s.config import PRESETS
from d3s_vot.trackers.d3s.model import D3SModel
from d3s_vot.trackers.d3s.tracker import D3STracker
from d3s_vot.weights.checkpoint import find_weights, load_checkpoint


@computes
def load_model(
    weights: str | os.PathLike[str] = "D3S",
    device: str | torch.device = "auto",
    trunk_weights: str | Path | None = None,
    preset: str = "exact",
    rules: str = "weights",
) -> D3SModel:
    """Load the networks once, for any number of trackers.

    Args:
        weights: name of packaged weights, or a file.
        device: "auto", "cpu", "cuda", "cuda:1", ...
        trunk_weights: file of the ImageNet trunk, for trunks that come from no package.
        preset: "exact" reproduces the reference in float32; "fast" has trunk and segmentation network in half
            precision where the hardware has it, on a CPU through OpenVINO.
        rules: constants of the tracker: "published", "calibrated" (see `D3SConfig`), or "weights", those that the
            weights were made for.

    Raises:
        CheckpointError: the weights are missing, damaged or of another network.
        InputError: there are no such device, preset or rules, or OpenVINO is missing.
    """
    if preset not in PRESETS:
        raise InputError(f"there is no preset {preset!r}; use {' or '.join(PRESETS)}")
    chosen = choose_device(device)
    checkpoint = load_checkpoint(find_weights(weights))
    precision = torch.bfloat16 if preset == "fast" and chosen.type == "cuda" else torch.float32
    model = D3SModel.from_checkpoint(checkpoint, chosen, trunk_weights, rules, precision=precision)
    if preset == "fast" and chosen.type == "cpu":
        from d3s_vot.trackers.d3s.fast import FastModel

        return FastModel(model)
    return model


def load_tracker(
    weights: str | os.PathLike[str] = "D3S",
    device: str | torch.device = "auto",
    trunk_weights: str | Path | None = None,
    preset: str = "exact",
    rules: str = "weights",
) -> D3STracker:
    """A tracker with its networks loaded; arguments and errors as in `load_model`."""
    return D3STracker(load_model(weights, device, trunk_weights, preset, rules))
