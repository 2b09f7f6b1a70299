"""OSTrack and DropTrack against the golden traces: the free run of the whole tracker, frame by frame."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ostrack_golden import filled, make_network

from d3s_vot import Box, Tracker
from d3s_vot.crops.black import BlackSquare
from d3s_vot.images import read_image
from d3s_vot.trackers.ostrack.model import OSTrackModel
from d3s_vot.trackers.ostrack.published import CONFIGURATIONS

TRACES = {
    "david": ("net256", "otb-David", "OSTrack-vitb_256_mae_ce_32x4_ep300"),
    "car": ("net256", "vot-car", "OSTrack-vitb_256_mae_ce_32x4_ep300"),
    "droptrack_david": ("droptrack384", "otb-David", "DropTrack-vitb_384_mae_ce_32x4_ep300"),
}
FRAMES = {"david": 8}  # of a trace; DropTrack's is of the same video


def trace_state(shared, names):
    """The weights of the traces: a size that stays near the target's."""
    state = filled(shared, names)
    for name in ("size", "offset"):
        state[f"box_head.conv5_{name}.weight"] = state[f"box_head.conv5_{name}.weight"] * 0.1
    state["box_head.conv5_size.bias"] = torch.full((2,), -1.1)
    state["box_head.conv5_offset.bias"] = torch.full((2,), 0.5)
    return state


@pytest.mark.parametrize("name", TRACES)
def test_golden_trace(name, golden, shared):
    weights, sequence, configuration = TRACES[name]
    trace = golden(f"ostrack_trace_{name}.npz")
    config = CONFIGURATIONS[configuration].config
    network = make_network(config, trace_state(shared, golden(f"ostrack_{weights}.npz")["names"]))
    tracker = Tracker(OSTrackModel(network, config, torch.device("cpu")))
    folder = next(f for f in (shared / "data").glob("sequences*/*") if f.name == sequence)
    count = FRAMES.get(name, len(trace["boxes"]))
    images = sorted((folder / "color").iterdir())[: count + 1]

    start = Box(*trace["init_box"])
    square = BlackSquare.around(start, config.template_factor, config.template_size)
    assert [*square.corner_xy, square.side] == trace["init_crop"].tolist()
    tracker.initialize(read_image(images[0]), start)
    for path, box, step in zip(images[1:], trace["boxes"][:count], trace["steps"][:count], strict=True):
        before = BlackSquare.around(tracker.target.state, config.search_factor, config.search_size)
        assert [*before.corner_xy, before.side] == step[:3].tolist()
        answer = tracker.track(read_image(path))
        found = tracker.target.found
        assert found.best == step[3]
        assert found.windowed == pytest.approx(step[4], abs=1e-5)
        assert np.abs(found.box - step[6:]).max() < 1e-5
        assert np.abs(np.subtract(tuple(answer.box), box)).max() < 1e-3
        assert answer.confidence == found.score
