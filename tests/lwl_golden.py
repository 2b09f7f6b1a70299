"""The network of LWL with the weights of the golden files, and without them with random ones."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from functools import cache
from pathlib import Path

import torch
from ostrack_golden import filled
from safetensors.torch import load_file
from torch import Tensor

from d3s_vot.trackers.lwl.config import LWLConfig
from d3s_vot.trackers.lwl.network import LWLNetwork
from d3s_vot.trackers.lwl.weights import create
from d3s_vot.weights.checkpoint import Checkpoint

BOTH = LWLConfig(box_start=1)
# The smallest with all parts of the published one.
TINY = {
    "trunk_depth": 14, "trunk_width": 4, "target_channels": 8, "decoder_width": 4, "box_start": 1, "sample_height": 64,
    "sample_width": 96, "first_steps": 3, "memory_size": 4,
}  # fmt: skip


@cache
def _golden_state(shared: Path) -> dict[str, Tensor]:
    with torch.device("meta"):
        state = LWLNetwork(BOTH).state_dict()
    return filled(shared, (f"{name} {'x'.join(map(str, tensor.shape))}" for name, tensor in state.items()))


def _network(state: dict[str, Tensor]) -> LWLNetwork:
    with torch.device("meta"):  # no time for weights that are replaced
        network = LWLNetwork(BOTH)
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False)


def tamed_network(shared: Path) -> LWLNetwork:
    """The network of the golden file of the network."""
    state = dict(_golden_state(shared))
    state["feature_extractor.conv1.weight"] = state["feature_extractor.conv1.weight"] / 64
    for name, tensor in state.items():
        if name.startswith("feature_extractor.layer") and name.endswith("bn3.weight"):
            state[name] = tensor * 0.25
    return _network(state)


def traced_network(recipe: str, shared: Path) -> LWLNetwork:
    """The network of a trace: channel 0 carries the mask through encoder and decoder."""
    state = dict(_golden_state(shared))
    std = 255 * torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    for name, tensor in load_file(shared / "weights" / "resnet50_caffe_trunk.safetensors").items():
        value = (tensor.float() / std).flip(1) if name == "conv1.weight" else tensor
        if not name.endswith("num_batches_tracked"):
            state[f"feature_extractor.{name}"] = value.float()
    for entry in json.loads(recipe):
        tensor = state[entry["name"]] * entry.get("scale", 1) + entry.get("add", 0)
        if "zero_row" in entry and not entry.get("keep"):
            tensor[entry["zero_row"]] = 0
        if "set" in entry:
            row, column, value, kind = entry["set"]
            if kind == "centre":
                middle = tensor.shape[-1] // 2
                tensor[row, column, middle, middle] = value
            else:
                tensor[row, column] = value / 9
        state[entry["name"]] = tensor
    return _network(state)


@cache
def random_network(**changes: float) -> LWLNetwork:
    """A small network of random weights, which calls about half of a picture the target."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = LWLNetwork(LWLConfig.with_changes({**TINY, **changes}))
        last = network.decoder.project.conv2.weight.data
        last *= 20 / math.sqrt(last.numel())
    return network.eval().requires_grad_(False)


def random_checkpoint(**changes: float) -> Checkpoint:
    """Random weights with these constants."""
    config = LWLConfig.with_changes({**TINY, **changes})
    return create(random_network(**changes).state_dict(), config, {"source": "chance"})


def with_changes(config: LWLConfig, **changes: float) -> LWLConfig:
    """A configuration but for some constants."""
    return LWLConfig.with_changes({**asdict(config), **changes})
