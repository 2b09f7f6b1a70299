"""Targets that are judged: what is said of frames without them, and that they are found again."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from scenes import picture, scene

from d3s_vot import Box, CheckpointError, D3STracker, Prediction, load_tracker, track_together
from d3s_vot.online.evidence import MEASURES, gather
from d3s_vot.regions import box_iou
from d3s_vot.trackers.d3s import weights
from d3s_vot.trackers.d3s.fit import largest_part
from d3s_vot.trackers.d3s.judged import JudgedTarget
from d3s_vot.weights.checkpoint import Checkpoint
from d3s_vot.weights.find import find_weights
from d3s_vot.zoo import load_checkpoint, save_checkpoint


@pytest.fixture(scope="module")
def judged() -> D3STracker:
    return load_tracker("D3S", "cpu", rules="judged")


def box(x: int, y: int) -> Box:
    return Box(x - 15, y - 15, 31, 31)


def follow(tracker: D3STracker, pictures: list[np.ndarray]) -> list[Prediction]:
    tracker = tracker.fork()
    tracker.initialize(pictures[0], box(80, 90))
    return [tracker.track(image) for image in pictures[1:]]


def test_a_target_that_is_seen(judged: D3STracker) -> None:
    places = [(80 + 2 * t, 90 + t) for t in range(12)]
    answers = follow(judged, [picture(place) for place in places])
    for answer, place in zip(answers, places[1:], strict=True):
        assert answer.visible and answer.confidence > 0.5
        assert box_iou(answer.box, box(*place)) > 0.6


def test_a_target_that_goes_away_is_not_seen_and_found_again_elsewhere(judged: D3STracker) -> None:
    back = (230, 160)  # five times its size away
    pictures = [picture((80, 90))] * 4 + [picture(None)] * 8 + [picture(back)] * 15
    answers = follow(judged, pictures)
    away, later = answers[3:11], answers[11:]
    assert not any(answer.visible for answer in away)
    assert max(answer.confidence for answer in away) < min(answer.confidence for answer in answers[:3])
    assert later[-1].visible and box_iou(later[-1].box, box(*back)) > 0.6


def test_the_model_learns_nothing_while_the_target_is_away(judged: D3STracker) -> None:
    tracker = judged.fork()
    tracker.initialize(picture((80, 90)), box(80, 90))
    tracker.track(picture((80, 90)))
    assert isinstance(tracker.target, JudgedTarget)
    before = tracker.target.gem.sample_weights.clone()
    for _ in range(6):
        tracker.track(picture(None))
    assert (tracker.target.gem.sample_weights == before).all()


def test_together_as_each_alone(small_weights: Path) -> None:
    """One of the two is searched for while the other is seen."""
    judged = load_tracker(small_weights, "cpu")
    pictures = [picture((80, 90))] * 2 + [picture(None)] * 6
    alone = follow(judged, pictures)
    first, second = judged.fork(), judged.fork()
    first.initialize(pictures[0], box(80, 90))
    second.initialize(pictures[0], Box(180, 60, 40, 40))
    for image, expected in zip(pictures[1:], alone, strict=True):
        answer, _ = track_together([first, second], image)
        assert answer.confidence == pytest.approx(expected.confidence, abs=1e-3)
        assert np.abs(np.subtract(tuple(answer.box), tuple(expected.box))).max() < 0.5


def test_a_frame_of_another_size_while_it_is_searched_for(judged: D3STracker) -> None:
    tracker = judged.fork()
    tracker.initialize(picture((80, 90)), box(80, 90))
    for _ in range(5):
        tracker.track(picture(None))
    small = cv2.resize(picture((230, 160)), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    answers = [tracker.track(small) for _ in range(15)]
    assert answers[-1].image_size == (120, 160)
    assert box_iou(answers[-1].box, Box(107.5, 72.5, 15.5, 15.5)) > 0.5


def test_other_rules_do_without_the_head() -> None:
    tracker = load_tracker("D3S", "cpu", rules="calibrated")
    tracker.initialize(*scene(0))
    assert tracker.model.head is None and not isinstance(tracker.target, JudgedTarget)


def test_weights_without_a_head_cannot_be_judged(tmp_path) -> None:
    shipped = load_checkpoint(find_weights("D3S"))
    tensors = {k: v for k, v in shipped.tensors.items() if not k.startswith(weights.JUDGEMENT)}
    config = {k: v for k, v in shipped.config.items() if k != "judgement"}
    save_checkpoint(tmp_path / "plain.safetensors", Checkpoint.create(tensors, "D3S", config))
    assert load_tracker(tmp_path / "plain.safetensors", "cpu").model.head is None
    with pytest.raises(CheckpointError, match="no head that judges"):
        load_tracker(tmp_path / "plain.safetensors", "cpu", rules="judged")
    with pytest.raises(CheckpointError, match="judgement of a head that it does not hold"):
        save_checkpoint(tmp_path / "wrong.safetensors", Checkpoint.create(tensors, "D3S", config | {"judgement": 1}))


def test_blurred_views_of_the_first_frame_are_a_choice_of_the_weights(judged: D3STracker, tmp_path: Path) -> None:
    """By them a picture that is only blurred looks more like the target, and the answers come as before."""
    shipped = load_checkpoint(find_weights("D3S"))
    path = tmp_path / "views.safetensors"
    config = dict(shipped.config) | {"blurred_views": 1}
    save_checkpoint(path, Checkpoint.create(dict(shipped.tensors), shipped.tracker, config, shipped.provenance))
    pictures = [picture((80 + t, 90)) for t in range(3)]
    unsharp = [pictures[0], *(cv2.blur(image, (13, 1)) for image in pictures[1:])]
    matches = []
    for tracker in (judged.fork(), load_tracker(str(path), "cpu")):
        tracker.initialize(pictures[0], box(80, 90))
        target = tracker.target
        assert isinstance(target, JudgedTarget)
        assert len(target.appearance.views) == (0 if tracker.model is judged.model else 3)
        crop = target.segmenter.crop((81, 90), (31, 31))
        (seen,) = tracker.model.inspect([(crop.cut(unsharp[1]), target.segmenter.template)])
        mask = largest_part(seen.probability > tracker.model.config.mask_threshold)
        found = gather(target.appearance, seen.vectors, seen.similarities, seen.probability, mask)
        matches.append(float(found.measures[MEASURES.index("match")]))
        answers = [tracker.track(image) for image in pictures[1:]]
        assert all(answer.visible and box_iou(answer.box, box(80 + t, 90)) > 0.6 for t, answer in enumerate(answers, 1))
    assert matches[1] > matches[0]
