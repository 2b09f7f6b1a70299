"""ECO frame by frame: the golden traces, and what holds of any target."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from eco_golden import features, relative

from d3s_vot import Box, Tracker
from d3s_vot.images import read_image
from d3s_vot.online import fourier
from d3s_vot.trackers.eco.config import BLOCKS, CORRECTED, PUBLISHED
from d3s_vot.trackers.eco.geometry import Place
from d3s_vot.trackers.eco.model import ECOModel

SEQUENCES = {"crossing": "otb-Crossing", "car": "vot-car"}


@dataclass
class Run:
    """What a tracker did with the frames of a trace."""

    first: dict[str, tuple]  # by block: filter, projection and energy after the first frame
    place: Place  # after the first frame
    rows: list = field(default_factory=list)  # pos y, x, scale, best score
    scales: list = field(default_factory=list)  # which was the best
    boxes: list = field(default_factory=list)
    best_scores: list = field(default_factory=list)  # of every scale
    weights: list = field(default_factory=list)


def follow(tracker: Tracker, trace, folder: Path) -> Run:
    images = sorted((folder / "color").glob("*.jpg"))[: len(trace["output_xywh"])]
    tracker.initialize(read_image(images[0]), Box(*trace["output_xywh"][0].tolist()))
    filters = tracker.target.filters
    run = Run({k: (one.filter, one.projection, one.energy) for k, one in filters.items()}, tracker.target.place)
    for image in images[1:]:
        run.boxes.append(tuple(tracker.track(read_image(image)).box))
        place, sight = tracker.target.place, tracker.target.sight
        run.rows.append((*place.position_yx, place.scale, sight.score))
        run.scales.append(sight.index)
        run.best_scores.append(sight.best_scores)
        run.weights.append([filters[block].sample_weights.clone() for block in BLOCKS])
    return run


def agree(run: Run, trace) -> None:
    """Every frame within the tolerance of the golden one."""
    apart = np.abs(np.array(run.rows) - trace["pos_yx_scale_score"]).max(axis=0)
    assert (apart < (0.02, 0.02, 1e-5, 1e-3)).all(), apart
    assert np.abs(np.array(run.boxes) - trace["output_xywh"][1:]).max() < 0.03


@pytest.mark.parametrize(
    ("name", "sequence"),
    [
        ("filled", "crossing"),
        ("default", "crossing"),
        ("default", "car"),
        ("resnet18", "crossing"),
        ("resnet18", "car"),
    ],
)
def test_golden_trace(name, sequence, golden, shared, monkeypatch):
    trace = golden(f"eco_trace_{name}_{sequence}.npz")
    tracker = Tracker(ECOModel(features(name, shared), "resnet18", PUBLISHED, torch.device("cpu")))
    maps, sample = [], fourier.sample
    monkeypatch.setattr(fourier, "sample", lambda *args: maps.append(sample(*args)) or maps[-1])
    run = follow(tracker, trace, shared / "data" / "sequences" / SEQUENCES[sequence])
    place = run.place
    assert (*place.position_yx, place.scale, *place.base_hw, tracker.target._size) == pytest.approx(trace["first"])
    for number, block in enumerate(BLOCKS):
        filter, projection, energy = run.first[block]
        norms = filter.abs().square().sum(dim=(0, 2)).sqrt()
        assert relative(norms, trace[f"filter_norm_per_row_{number}"]) < 3e-3
        assert relative(projection.norm(dim=0), trace[f"projection_column_norms_{number}"]) < 1e-3
        if f"mean_energy_{number}" in trace:
            assert relative(energy.mean(dim=0), trace[f"mean_energy_{number}"]) < 3e-3
        assert np.abs(run.weights[19][number][:60].numpy() - trace["weights_frame_21"][number]).max() < 1e-6
    for frame, scores in enumerate(maps[:2], start=2):
        if f"scores_frame_{frame}_every_4th" in trace:
            expected = trace[f"scores_frame_{frame}_every_4th"].astype(np.float32)
            assert relative(scores[:, ::4, ::4], expected) < 2e-3
    told = trace["scale_index_translation_yx_best_score_per_scale"]
    assert run.scales == told[:, 0].astype(int).tolist()
    assert np.abs(np.array(run.best_scores) - told[:, 3:]).max() < 1e-3
    agree(run, trace)


def test_golden_corrected_trace(golden, shared):
    trace = golden("eco_corrected.npz")
    tracker = Tracker(ECOModel(features("resnet18", shared), "resnet18", CORRECTED, torch.device("cpu")))
    run = follow(tracker, trace, shared / "data" / "sequences" / "otb-Crossing")
    assert run.scales == trace["scale_index"].tolist()
    agree(run, trace)
