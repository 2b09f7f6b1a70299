"""ECO-lite0: what is said of frames without the target, what is learnt of them, and that it is found again."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from scenes import picture, scene

from d3s_vot import Box, Prediction, Tracker, load_tracker, track_together
from d3s_vot.regions import box_iou
from d3s_vot.trackers.eco.config import GUARDED, PUBLISHED
from d3s_vot.trackers.eco.guarded import GuardedTarget
from d3s_vot.trackers.eco.model import ECOModel
from d3s_vot.trackers.eco.network import EARLY, Features
from d3s_vot.trackers.eco.target import ECOTarget, vertex
from d3s_vot.trunks.create import create_trunk

QUICK = replace(GUARDED, gauss_newton_steps=4, gauss_newton_cg_iterations=5, min_sample_size=112, max_sample_size=112)


@pytest.fixture(scope="module")
def lite() -> Tracker:
    """The tracker with smaller samples, and fewer steps in the first frame."""
    features = Features(create_trunk("efficientnet_lite0"), EARLY)
    return Tracker(ECOModel(features, "efficientnet_lite0", QUICK, torch.device("cpu")))


def box(x: int, y: int, side: int = 31) -> Box:
    return Box(x - side / 2, y - side / 2, side, side)


def follow(tracker: Tracker, pictures: list[np.ndarray]) -> list[Prediction]:
    tracker.initialize(pictures[0], box(80, 90))
    return [tracker.track(image) for image in pictures[1:]]


def test_it_needs_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tracker = load_tracker("ECO-lite0", "cpu")
    assert tracker.config == GUARDED and tracker.model.architecture == "efficientnet_lite0"
    tracker.initialize(*scene(0))
    assert isinstance(tracker.target, GuardedTarget)
    answer = tracker.track(scene(1)[0])
    assert answer.visible and box_iou(answer.box, scene(1)[1]) > 0.8


def test_published_rules_judge_nothing(lite: Tracker) -> None:
    assert load_tracker("ECO-lite0", "cpu", rules="published").config == PUBLISHED
    features = lite.model.networks["sample 112"]
    model = ECOModel(features, "efficientnet_lite0", replace(QUICK, guarded=0), torch.device("cpu"))
    tracker = Tracker(model)
    follow(tracker, [picture((80, 90))] * 2)
    assert type(tracker.target) is ECOTarget
    tracker.track(picture(None))
    assert tracker.target.filters["deep"].sample_weights.count_nonzero() == 32  # it was learnt


def test_a_target_that_moves_and_grows(lite: Tracker) -> None:
    places = [(80 + 2 * t, 90 + t, 40 + 2 * (t // 2)) for t in range(10)]
    answers = follow(lite.fork(), [picture((x, y), size) for x, y, size in places])
    for answer, (x, y, size) in zip(answers, places[1:], strict=True):
        assert answer.visible and answer.confidence > 0.5
        assert box_iou(answer.box, box(x, y, round(31 * size / 40))) > 0.6


def test_a_target_that_goes_away_is_not_learnt_and_found_again(lite: Tracker) -> None:
    back = (230, 160)  # five times its size away
    tracker = lite.fork()
    seen = follow(tracker, [picture((80, 90))] * 4)
    target = tracker.target
    before = {block: filter.sample_weights.clone() for block, filter in target.filters.items()}
    away = [tracker.track(picture(None)) for _ in range(8)]
    assert not any(answer.visible for answer in away) and target.missed == 8
    assert max(answer.confidence for answer in away) < min(answer.confidence for answer in seen)
    assert all((filter.sample_weights == before[block]).all() for block, filter in target.filters.items())
    later = [tracker.track(picture(back)) for _ in range(15)]
    found = [box_iou(answer.box, box(*back)) > 0.6 for answer in later]
    assert found[-1] and later[-1].visible and target.missed == 0
    first = found.index(True)
    assert all(found[first:]) and not any(answer.visible for answer in later[:first])


def test_the_place_is_in_the_pixels_of_the_frame(lite: Tracker) -> None:
    tracker = lite.fork()
    follow(tracker, [picture((80, 90))] * 3)
    for _ in range(4):
        tracker.track(picture(None))
    half = [cv2.resize(picture(place), (160, 120), interpolation=cv2.INTER_AREA) for place in [None] + [(80, 90)] * 4]
    answers = [tracker.track(image) for image in half]
    assert answers[-1].visible and box_iou(answers[-1].box, box(40, 45, 15)) > 0.5


def test_targets_together_when_one_is_lost(lite: Tracker) -> None:
    pictures = [picture((80, 90))] * 2 + [picture(None)] * 5
    together, alone = ([lite.fork(), lite.fork()] for _ in range(2))
    for pair in (together, alone):
        pair[0].initialize(pictures[0], box(80, 90))
        pair[1].initialize(pictures[0], box(200, 60))
    for image in pictures[1:]:
        joint = track_together(together, image)
        for answer, tracker in zip(joint, alone, strict=True):
            expected = tracker.track(image)
            assert np.allclose(tuple(answer.box), tuple(expected.box), atol=0.01)
            assert answer.confidence == pytest.approx(expected.confidence, abs=1e-4)


def test_the_vertex_of_three_scores() -> None:
    values = [math.cos(x - 0.3) for x in (-1, 0, 1)]
    assert vertex(values, 1) == pytest.approx(0.3, abs=0.02)
    assert vertex(values, 0) == vertex([1.0], 0) == vertex([1, 1, 1], 1) == 0


def test_led_elsewhere_it_goes_on_from_there(lite: Tracker) -> None:
    tracker = lite.fork()
    follow(tracker, [picture((80, 90))] * 3)
    target = tracker.target
    assert isinstance(target, GuardedTarget) and target.seen
    before = {block: filter.filter.clone() for block, filter in target.filters.items()}
    target.lead(Box.from_center(230, 160, 20, 45))  # of a square's area
    assert target.box.center == pytest.approx((230, 160)) and target.box.w == pytest.approx(30)
    assert all(torch.equal(before[block], filter.filter) for block, filter in target.filters.items())
    assert box_iou(tracker.track(picture((232, 161))).box, box(232, 161)) > 0.6
