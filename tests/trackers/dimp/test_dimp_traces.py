"""Whole runs of DiMP's configurations against the golden traces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from dimp_golden import Recorded, frames_of, load, overlap, run_step, trace_state
from safetensors.torch import load_file

from d3s_vot import Box, Polygon
from d3s_vot.compute.arithmetic import exact
from d3s_vot.given import Given
from d3s_vot.heads.iou import create_regressor
from d3s_vot.trackers.dimp.model import DiMPModel
from d3s_vot.trackers.dimp.network import create_classifier
from d3s_vot.trackers.dimp.published import CONFIGURATIONS
from d3s_vot.trackers.dimp.target import DiMPTarget
from d3s_vot.trunks.create import create_trunk

DIMP18 = CONFIGURATIONS["DiMP-18"].config
FLAGS = {
    "not_found_score": 0.12, "distractor_threshold": 0.6, "hard_negative_threshold": 0.3, "displacement_scale": 0.4
}  # fmt: skip
TRACES = {
    "dimp18_david": DIMP18,
    "dimp18_vot18_bag": CONFIGURATIONS["DiMP-18-VOT18"].config,
    "prdimp18_car": CONFIGURATIONS["PrDiMP-18"].config,
    "super_david": replace(CONFIGURATIONS["SuperDiMP"].config, label_sigma=0.9),
    "flags_skiing": replace(DIMP18, **FLAGS),
    "prdimp_vot18_bag": CONFIGURATIONS["PrDiMP-50-VOT18"].config,
    "dimp_vot19_motor": CONFIGURATIONS["DiMP-50-VOT19"].config,
    "localize_crossing": replace(DIMP18, refinement_steps=0),
}
# Frames of each that are run here, for the time that they take; the whole of all of them was, once, and agreed. By then
# the filter was updated, and every flag seen.
FRAMES = {"dimp18_david": 21, "dimp_vot19_motor": 25, "flags_skiing": 31, "dimp18_vot18_bag": 11}
FEW = 5


def make_model(config, strength, shared) -> DiMPModel:
    """The network of the traces; the filter's teacher has its starting values."""
    trunk = create_trunk("resnet18", state=load_file(shared / "weights" / "resnet18_trunk.safetensors"))
    classifier, regressor = create_classifier("resnet18", config), create_regressor("resnet18")
    load(classifier, trace_state(classifier, "classifier.", shared, 1.0), "classifier.")
    classifier.filter_optimizer.start()
    load(regressor, trace_state(regressor, "bb_regressor.", shared, strength), "bb_regressor.")
    return DiMPModel(trunk, classifier, regressor, config=config, device=torch.device("cpu"))


@pytest.mark.parametrize("name", TRACES)
def test_golden_trace(golden, shared, name) -> None:
    g, config = golden(f"dimp_trace_{name}.npz"), TRACES[name]
    model = make_model(config, 8.0 if name.startswith(("prdimp", "super")) else 1.0, shared)
    frames = frames_of(g, shared)[: FRAMES.get(name, FEW) + 1]
    rows, flags, slots = [], [], []
    with exact():
        target = DiMPTarget(
            model, frames[0], Given.of(frames[0], Box(*g["init_box"])),
            Recorded(g, config.first_samples, config.sample_size),
        )  # fmt: skip
        add = target.filter.add
        target.filter.add = lambda *args: slots.append(add(*args))
        for frame in frames[1:]:
            before = len(slots)
            answer = run_step(target.step(frame))
            if len(slots) == before:
                slots.append(slots[-1] if slots else -1)
            flags.append(str(answer.flag))
            state, score = target.state, target.judgement.found.score
            rows.append([*state.position_yx, *state.size_hw, state.scale, score, *answer.box])
    found, count = np.array(rows), len(rows)
    expected = g["state"][:count]
    off = np.abs(found[:, :2] - expected[:, :2]).max(axis=1)
    likeness = overlap(found[:, 6:], expected[:, 6:])
    scores = np.abs(found[:, 5] / expected[:, 5] - 1)
    assert off[:5].max() < 0.05 and scores[:5].max() < 0.02
    assert off.max() < 0.5 and scores.max() < 0.05
    assert flags == g["flag"][:count].tolist()
    assert slots == g["slot"][:count].tolist()
    assert likeness.min() > 0.99
    assert np.abs(found[:, 2:5] / expected[:, 2:5] - 1).max() < 0.01
    if count < len(g["state"]):
        return
    assert np.abs(target.filter.sample_weights.numpy() - g["sample_weight"]).max() < 1e-5


@pytest.mark.parametrize("name", ["dimp18_vot18_bag", "prdimp18_car"])
def test_a_polygon_begins_as_the_golden_box(golden, shared, name) -> None:
    g = golden(f"dimp_trace_{name}.npz")
    folder = shared / "data" / "sequences" / str(g["sequence"])
    first = (folder / "groundtruth.txt").read_text().splitlines()[0]
    corners = [float(value) for value in first.split(",")]
    frame = frames_of(g, shared)[0]
    assert np.allclose(tuple(Given.of(frame, Polygon(corners)).upright), g["init_box"], atol=1e-3)
