"""The network of DropSeg with the weights of the golden file, and without them with random ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from ostrack_golden import filled

from d3s_vot.trackers.dropseg.config import DropSegConfig
from d3s_vot.trackers.dropseg.convert import UNUSED
from d3s_vot.trackers.dropseg.network import DropSegNetwork
from d3s_vot.trackers.dropseg.weights import create
from d3s_vot.weights.checkpoint import Checkpoint

TINY = {"width": 64, "depth": 2, "decoder_width": 8, "shorter_side": 96}


def golden_network(shared: Path, values: Mapping[str, np.ndarray]) -> DropSegNetwork:
    """With balanced masks."""
    state = {name: tensor for name, tensor in filled(shared, values["names"]).items() if name not in UNUSED}
    state["pos_embed_two_frame"] = state["pos_embed_two_frame"] * 200
    state["stcn_decoder.pred.weight"] = state["stcn_decoder.pred.weight"] * 0.5
    state["stcn_decoder.pred.bias"] = torch.full((1,), 2.5)
    with torch.device("meta"):  # no time for weights that are replaced
        network = DropSegNetwork(DropSegConfig())
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False)


def random_network(seed: int = 0, **changes: float) -> DropSegNetwork:
    """A small network of random weights, which calls about half of a picture the target."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = DropSegNetwork(DropSegConfig.with_changes({**TINY, **changes}))
        for name, tensor in [*network.named_parameters(recurse=False), *network.named_buffers(recurse=False)]:
            torch.nn.init.normal_(tensor, std=0.5 if "pos" in name else 1.0)
        network.stcn_decoder.pred.weight.data *= 20
        network.stcn_decoder.pred.bias.data.fill_(0.5)
    return network.eval().requires_grad_(False)


def random_checkpoint(**changes: float) -> Checkpoint:
    """Random weights with these constants."""
    config = DropSegConfig.with_changes({**TINY, **changes})
    return create(random_network(**changes).state_dict(), config, {"source": "chance"})
