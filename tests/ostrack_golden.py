"""The networks of OSTrack and DropTrack with the weights of the golden files, and without them with random ones."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from d3s_vot.trackers.ostrack.config import OSTrackConfig
from d3s_vot.trackers.ostrack.network import OSTrackNetwork
from d3s_vot.trackers.ostrack.weights import create
from d3s_vot.weights.checkpoint import Checkpoint

# The smallest with all that the published ones have: three eliminations, one head of attention.
TINY = {"width": 64, "depth": 10, "template_size": 64, "search_size": 128}


def relative(a: Tensor | np.ndarray, b: np.ndarray) -> float:
    """Distance of a from b, relative to b."""
    difference = np.asarray(a, np.float64).reshape(b.shape) - b
    return float(np.linalg.norm(difference) / np.linalg.norm(b))


@cache
def _filled(shared: Path, name: str, shape: tuple[int, ...]) -> Tensor:
    values: Callable = runpy.run_path(str(shared / "golden" / "fill.py"))["values"]
    return torch.from_numpy(values(name, shape))


def filled(shared: Path, names: Iterable[str]) -> dict[str, Tensor]:
    """The weights that golden files start from, by lines "name AxBxC"."""
    state = {}
    for line in names:
        name, _, shape = str(line).partition(" ")
        state[name] = _filled(shared, name, tuple(int(n) for n in shape.split("x")) if shape else ())
    return state


def make_network(config: OSTrackConfig, state: dict[str, Tensor]) -> OSTrackNetwork:
    """The network with these weights, and without those that it does not use."""
    with torch.device("meta"):  # no time for weights that are replaced
        network = OSTrackNetwork(config)
    unused = ("backbone.cls_token", "backbone.pos_embed")
    network.load_state_dict({name: tensor for name, tensor in state.items() if name not in unused}, assign=True)
    return network.eval().requires_grad_(False)


def enlarged(small: np.ndarray) -> Tensor:
    """A small picture with each pixel four times in both directions: 1 x 3 x H x W, 0..255."""
    image = np.repeat(np.repeat(small, 4, axis=0), 4, axis=1)
    return torch.from_numpy(image).permute(2, 0, 1)[None].float()


def random_network(**changes: float) -> OSTrackNetwork:
    """A small network of random weights, with batch norm as after one look at noise."""
    config = OSTrackConfig.with_changes({**TINY, **changes})
    network = OSTrackNetwork(config)
    network.load_state_dict(_random_state(config))
    return network.eval().requires_grad_(False)


@cache
def _random_state(config: OSTrackConfig) -> dict[str, Tensor]:
    """Of `random_network`; nobody changes it."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = OSTrackNetwork(config).train()
        for name, parameter in network.backbone.named_parameters(recurse=False):
            torch.nn.init.normal_(parameter, std=0.2 if "pos" in name else 1.0)
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 1.0
        with torch.no_grad():
            template = network.backbone.embed_template(255 * torch.rand(2, 3, *[config.template_size] * 2))
            network(255 * torch.rand(2, 3, *[config.search_size] * 2), template)
    return network.state_dict()


def random_checkpoint(**changes: float) -> Checkpoint:
    """Random weights with these constants."""
    config = OSTrackConfig.with_changes({**TINY, **changes})
    return create(random_network(**changes).state_dict(), config, {"source": "chance"})
