"""The networks of SiamFC++ with the weights of the golden files, and without them with random ones."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Generator, Mapping
from pathlib import Path

import numpy as np
import torch

from d3s_vot.prediction import Prediction
from d3s_vot.trackers.siamfcpp.config import SiamFCppConfig
from d3s_vot.trackers.siamfcpp.network import SiamFCppNetwork
from d3s_vot.trackers.siamfcpp.weights import create
from d3s_vot.weights.checkpoint import Checkpoint

Arrays = Mapping[str, np.ndarray]
KINDS = ("alexnet", "googlenet", "shufflenetv2x0_5", "shufflenetv2x1_0", "tinyconv")


def relative(a: torch.Tensor | np.ndarray, b: np.ndarray) -> float:
    """Distance of a from b, relative to b."""
    difference = np.asarray(a, np.float64).reshape(b.shape) - b
    return float(np.linalg.norm(difference) / np.linalg.norm(b))


def filled(network: SiamFCppNetwork, shared: Path) -> dict[str, np.ndarray]:
    """The weights that golden files start from, by the published names."""
    fill: Callable = runpy.run_path(str(shared / "golden" / "fill.py"))["fill"]
    return fill({name: tuple(tensor.shape) for name, tensor in network.state_dict().items()})


def make_network(kind: str) -> SiamFCppNetwork:
    """The published network on a trunk."""
    return SiamFCppNetwork(kind, SiamFCppConfig.of_trunk(kind))


def load(network: SiamFCppNetwork, state: Arrays) -> SiamFCppNetwork:
    """The network with these weights, in evaluation mode."""
    network.load_state_dict({name: torch.from_numpy(np.asarray(value)) for name, value in state.items()})
    return network.eval().requires_grad_(False)


def net_state(kind: str, shared: Path, net: Arrays) -> dict[str, np.ndarray]:
    """The weights of `siamfcpp_net.npz`."""
    state = filled(make_network(kind), shared)
    for name in net[f"{kind}/abs"]:
        state[name] = np.abs(state[name])
    prefix = f"{kind}/over/"
    state |= {name.removeprefix(prefix): value for name, value in net.items() if name.startswith(prefix)}
    for to, source in zip(net[f"{kind}/copy_to"], net[f"{kind}/copy_from"], strict=True):
        state[to] = state[source]
    return state


def follow_state(golden: Arrays, shared: Path) -> dict[str, np.ndarray]:
    """The weights of a `siamfcpp_follow_*` file."""
    state = filled(make_network(str(golden["kind"])), shared)
    for neck in ("c_z_k", "r_z_k", "c_x", "r_x"):
        state[f"{neck}.bn.running_var"] = state[f"{neck}.bn.running_var"] * golden["neck_var_factor"]
    return state | {name.removeprefix("over/"): value for name, value in golden.items() if name.startswith("over/")}


def random_network(kind: str, seed: int = 0) -> SiamFCppNetwork:
    """A network of random weights, with batch norm as after one look at noise: scores around 1/4, boxes around 45."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = make_network(kind).train()
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 1.0
        network.head.si.data.fill_(0.3)
        network.head.bi.data.fill_(1.0)
        with torch.no_grad():
            c_z, r_z = network.encode_template(255 * torch.rand(2, 3, 127, 127))
            c_x, r_x = network.encode_search(255 * torch.rand(2, 3, 303, 303))
            network.score(c_x, c_z)
            network.distances(r_x, r_z)
    return network.eval().requires_grad_(False)


def run_step(step: Generator, answers: list) -> Prediction:
    """What a target's step for a frame comes to; the networks' answers are added to the list."""
    try:
        wanted = next(step)
        while True:
            (answer,) = wanted.run([wanted.item])
            if not isinstance(answer, torch.Tensor):
                answers.append(answer)
            wanted = step.send(answer)
    except StopIteration as end:
        return end.value


def random_checkpoint(kind: str, **rules: float) -> Checkpoint:
    """Random weights on a trunk, with these rules."""
    return create(random_network(kind).state_dict(), kind, SiamFCppConfig.of_trunk(kind, **rules), {"source": "chance"})
