"""The tracker as a whole, with random weights: what goes in, what comes out, what must stay the same."""

from __future__ import annotations

import copy

import cv2
import numpy as np
import pytest
import torch
from siamfcpp_golden import KINDS, random_checkpoint

from d3s_vot import Box, InputError, Polygon, load_tracker
from d3s_vot.errors import CheckpointError
from d3s_vot.together import track_together
from d3s_vot.trackers.siamfcpp.model import SiamFCppModel
from d3s_vot.trackers.siamfcpp.published import CONFIGURATIONS
from d3s_vot.zoo import configuration, load_checkpoint, save_checkpoint

IMAGE = np.random.default_rng(0).integers(0, 256, (180, 240, 3), np.uint8)
START = Box(90, 60, 40, 30)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Files of random weights, by the number of templates."""
    folder = tmp_path_factory.mktemp("weights")
    files = {}
    for memory in (1, 3):
        files[memory] = folder / f"tiny{memory}.safetensors"
        save_checkpoint(files[memory], random_checkpoint("tinyconv", memory_size=memory, memory_step=2))
    return files


def moved(k):
    """The image, scrolled by 2 k pixels."""
    return np.roll(IMAGE, (k, 2 * k), axis=(0, 1))


def numbers(prediction):
    return [*prediction.box, prediction.confidence]


def run(tracker, frames=5):
    tracker.initialize(IMAGE, START)
    return [tracker.track(moved(k + 1)) for k in range(frames)]


@pytest.mark.parametrize("memory", [1, 3])
def test_a_run_gives_boxes_and_the_same_again(weights, memory):
    tracker = load_tracker(weights[memory], "cpu")
    first, again = run(tracker), run(tracker.fork())
    assert [numbers(p) for p in first] == [numbers(p) for p in again]
    for prediction in first:
        assert prediction.region == prediction.box and prediction.patch is None
        assert 0 <= prediction.confidence <= 1
        assert prediction.visible == (prediction.confidence >= tracker.config.visible_confidence)
        assert prediction.image_size == (180, 240)
        assert not prediction.mask.any()
    assert not tracker.model.gives_masks
    assert tracker.model.architecture == "tinyconv"


def test_later_templates_enter_every_few_frames_and_the_first_stays(weights):
    tracker = load_tracker(weights[3], "cpu")
    tracker.initialize(IMAGE, START)
    first = tracker.target.templates
    assert len(first) == 3
    for k in range(1, 6):
        tracker.track(moved(k))
        new = sum(not torch.equal(t, first[0]) for t in tracker.target.templates)
        assert new == min(k // 2, 2)
        assert torch.equal(tracker.target.templates[0], first[0])


def test_the_rules_of_one_and_of_many_templates_differ(weights):
    one, many = (run(load_tracker(weights[memory], "cpu")) for memory in (1, 3))
    assert numbers(one[1]) == pytest.approx(numbers(many[1]), abs=1e-3)  # until the first is learnt
    assert numbers(one[4]) != numbers(many[4])


def test_targets_together_are_as_each_alone(weights):
    trackers = [load_tracker(weights[1], "cpu"), load_tracker(weights[3], "cpu")]
    trackers.append(trackers[0].fork())
    starts = [START, Box(30, 40, 50, 60), Box(150, 100, 30, 20)]
    for tracker, box in zip(trackers, starts, strict=True):
        tracker.initialize(IMAGE, box)
    alone = [copy.deepcopy(tracker) for tracker in trackers]
    for k in range(1, 4):
        together = track_together(trackers, moved(k))
        assert [numbers(p) for p in together] == [numbers(tracker.track(moved(k))) for tracker in alone]


def test_a_polygon_and_a_mask_are_followed_as_boxes(weights):
    tracker = load_tracker(weights[1], "cpu")
    mask = np.zeros((180, 240), bool)
    mask[60:90, 90:130] = True
    tracker.initialize(IMAGE, mask=mask)
    by_mask = numbers(tracker.track(moved(1)))
    tracker.initialize(IMAGE, START)
    assert numbers(tracker.track(moved(1))) == by_mask
    tracker.initialize(IMAGE, Polygon([90, 60, 130, 60, 130, 90, 90, 90]))
    assert isinstance(tracker.track(moved(1)).region, Box)


def test_a_frame_of_twice_the_size_shows_the_same_target(weights):
    smooth = cv2.GaussianBlur(IMAGE, (0, 0), 4)
    large = cv2.resize(smooth, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    tracker = load_tracker(weights[1], "cpu")
    tracker.initialize(smooth, START)
    state = tracker.target.state
    small_crop, large_crop = state.crop(smooth, 127, np.zeros(3)), state.resized(2, 2).crop(large, 127, np.zeros(3))
    assert np.abs(small_crop.astype(int) - large_crop).mean() < 1
    prediction = tracker.track(large)
    assert prediction.image_size == (360, 480)
    assert prediction.box.w == pytest.approx(80, rel=0.25) and prediction.box.h == pytest.approx(60, rel=0.25)


def test_the_order_of_colours_matters(weights):
    tracker = load_tracker(weights[1], "cpu")
    tracker.initialize(IMAGE, START)
    rgb = tracker.target.templates[0]
    tracker.initialize(IMAGE[..., ::-1], START)
    assert not torch.allclose(rgb, tracker.target.templates[0])


def test_what_cannot_be_used_changes_nothing(weights):
    tracker = load_tracker(weights[1], "cpu")
    with pytest.raises(InputError):
        tracker.track(IMAGE)
    expected = [numbers(p) for p in run(tracker, 2)]
    tracker.initialize(IMAGE, START)
    tracker.track(moved(1))
    for image, region in ((IMAGE, Box(500, 500, 10, 10)), (IMAGE[..., 0], START)):
        with pytest.raises(InputError):
            tracker.initialize(image, region)
    with pytest.raises(InputError):
        tracker.track(IMAGE[:50])
    assert numbers(tracker.track(moved(2))) == expected[1]


@pytest.mark.parametrize("kind", KINDS)
def test_every_trunk_is_saved_and_loaded(kind, tmp_path):
    save_checkpoint(tmp_path / "a.safetensors", random_checkpoint(kind))
    tracker = load_tracker(tmp_path / "a.safetensors", "cpu")
    tracker.initialize(IMAGE, START)
    assert tracker.track(moved(1)).box.w >= 10
    assert tracker.model.architecture == kind


def test_rules_change_all_but_the_heads(weights):
    checkpoint = load_checkpoint(weights[1])
    chosen = configuration(checkpoint, "SiamFCpp-lasot-googlenet-399")
    assert (chosen.search_size, chosen.memory_size) == (399, 1)
    assert (chosen.head_convolutions, chosen.head_batch_norm) == (3, 1)
    with pytest.raises(InputError, match="no rules"):
        configuration(checkpoint, "much")
    assert set(SiamFCppModel.rules) == set(CONFIGURATIONS)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"trunk": "vgg"}, "trunk 'vgg'"),
        ({"trunk": ["tinyconv"]}, "trunk"),
        ({}, "trunk"),
        ({"trunk": "alexnet"}, "another network"),
        ({"trunk": "tinyconv", "head_convolutions": 2}, "another network"),
        ({"trunk": "tinyconv", "search_size": 304}, "search_size"),
        ({"trunk": "tinyconv", "speed": 3}, "no constant 'speed'"),
    ],
)
def test_checkpoints_of_another_network_are_refused(config, message, tmp_path):
    checkpoint = random_checkpoint("tinyconv")
    checkpoint.config.clear()
    checkpoint.config.update(config)
    with pytest.raises(CheckpointError, match=message):
        save_checkpoint(tmp_path / "a.safetensors", checkpoint)


@pytest.mark.parametrize("memory", [1, 3])
def test_the_preset_fast_follows_nearly_alike(weights, memory):
    try:
        fast = load_tracker(weights[memory], "cpu", preset="fast")
    except InputError as error:
        if "the preset fast" not in str(error):
            raise
        pytest.skip(str(error))
    exact = load_tracker(weights[memory], "cpu")
    first, second = run(fast, 3), run(exact, 3)
    assert numbers(first[0])[:4] == pytest.approx(numbers(second[0])[:4], abs=2)
    assert first[0].confidence == pytest.approx(second[0].confidence, abs=0.05)
    assert [numbers(p) for p in first] == [numbers(p) for p in run(fast, 3)]
