"""LWL as a whole, with random weights: how targets begin, masks of one and of several, frames of all sizes."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch
from lwl_golden import TINY, random_network, with_changes

from d3s_vot import Box, InputError, Mask, Polygon, Tracker, track_together
from d3s_vot.compute.openvino import Compiled
from d3s_vot.trackers.lwl.config import LWLConfig
from d3s_vot.trackers.lwl.merge import certain, merge
from d3s_vot.trackers.lwl.model import LWLModel
from d3s_vot.trackers.lwl.sight import Seen, Sight

SIZE = (70, 110)  # no multiples of 16
IMAGE = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8), (0, 0), 2)
MASK = cv2.circle(np.zeros(SIZE, np.uint8), (50, 30), 15, 1, -1).astype(bool)
START = Box(30, 20, 30, 24)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model():
    return LWLModel(random_network(), LWLConfig.with_changes(TINY), CPU)


@pytest.fixture
def tracker(model):
    return Tracker(model)


def moved(k):
    return np.roll(IMAGE, (k, 2 * k), axis=(0, 1))


def enclosed(box):
    filled = np.zeros(SIZE, bool)
    filled[int(box.y) : int(box.y + box.h), int(box.x) : int(box.x + box.w)] = True
    return filled


def logits_of(probability):
    return torch.log(probability / (1 - probability))


def test_a_mask_is_the_first_mask_and_a_box_is_given_one_by_the_network(tracker):
    tracker.initialize(IMAGE, mask=MASK)
    assert np.array_equal(tracker.target.probability.numpy(), MASK.astype(np.float32))
    answer = tracker.track(moved(1))
    assert isinstance(answer.region, Mask) and answer.mask.shape == SIZE and 0 < answer.mask.mean() < 1
    tracker.initialize(IMAGE, START)
    soft = tracker.target.probability
    assert ((soft > 0.01) & (soft < 0.99)).float().mean() > 0.001
    assert tracker.target.state.rectangle == pytest.approx(tuple(START))
    assert isinstance(tracker.track(moved(1)).region, Box)


def test_the_constants_are_those_of_the_start(tracker):
    of_mask, of_box = ({"mask": MASK}, (0.1, 1, 3), (0.9174, 0.0826)), ({"region": START}, (0.2, 5, 5), (0.5, 0.5))
    for given, expected, shares in (of_mask, of_box):
        tracker.initialize(IMAGE, **given)
        for k in (1, 2):
            tracker.track(moved(k))
        learning = tracker.target._learning
        assert (learning.learning_rate, learning.update_interval, learning.update_steps) == expected
        assert tracker.target.filter.sample_weights[:2].tolist() == pytest.approx(shares, abs=1e-4)


def test_the_published_box_start_takes_a_masks_box_alone():
    config = LWLConfig.with_changes({**TINY, "use_mask": 0})
    tracker = Tracker(LWLModel(random_network(), config, CPU))
    tracker.initialize(IMAGE, Mask(MASK).box)
    by_box = tracker.track(moved(1))
    tracker.initialize(IMAGE, mask=MASK)
    answer = tracker.track(moved(1))
    assert np.array_equal(answer.mask, by_box.mask) and answer.shape == by_box.shape
    assert isinstance(answer.region, Mask) and isinstance(by_box.region, Box)


def test_weights_without_an_encoder_of_boxes_take_what_a_box_encloses():
    config = LWLConfig.with_changes({**TINY, "box_start": 0})
    tracker = Tracker(LWLModel(random_network(box_start=0), config, CPU))
    tracker.initialize(IMAGE, START)
    assert np.array_equal(tracker.target.probability.numpy() > 0, enclosed(START))
    by_box = tracker.track(moved(1))
    tracker.initialize(IMAGE, mask=enclosed(START))
    assert np.array_equal(tracker.track(moved(1)).mask, by_box.mask)
    assert tracker.target._learning == config.learning(box=False)


def test_a_polygon_begins_as_the_upright_box_of_its_area(tracker):
    tracker.initialize(IMAGE, Polygon([40, 20, 60, 30, 50, 50, 30, 40]))
    _, _, w, h = tracker.target.state.rectangle
    assert w * h == pytest.approx(500, rel=0.15) and isinstance(tracker.track(moved(1)).region, Box)


def test_a_lone_target_has_its_mask_where_its_logits_are_positive(tracker, monkeypatch):
    claims, share = [], LWLModel.share
    monkeypatch.setattr(LWLModel, "share", lambda self, logits: claims.append(logits) or share(self, logits))
    tracker.initialize(IMAGE, mask=MASK)
    answer = tracker.track(moved(1))
    ((logits,),) = claims
    assert np.array_equal(answer.mask, (logits > 0).numpy())
    assert torch.allclose(tracker.target.probability, torch.sigmoid(2 * logits), atol=1e-5)
    inside = answer.patch.in_image(*SIZE)
    assert answer.visible and answer.confidence == pytest.approx(float(inside[answer.mask].mean()), abs=1e-5)


def test_targets_that_are_followed_together_share_the_pixels(tracker):
    trackers = [tracker, tracker.fork(), tracker.fork()]
    for one, given in zip(trackers, ({"mask": MASK}, {"mask": np.roll(MASK, 40, 1)}, {"region": START}), strict=True):
        one.initialize(IMAGE, **given)
    for k in (1, 2):
        answers = track_together(trackers, moved(k))
        assert sum(answer.mask.astype(int) for answer in answers).max() == 1
        assert sum(one.target.probability for one in trackers).max() <= 1 + 1e-5


def test_targets_that_begin_together_settle_whose_the_first_frame_is(model):
    maps = torch.rand(2, *SIZE, generator=torch.Generator().manual_seed(0))
    first, nothing, second = model.settle([logits_of(maps[0]), None, certain(maps[1])])
    expected = merge(torch.stack([logits_of(maps[0]), certain(maps[1])]))
    assert nothing is None and torch.equal(first, expected[1]) and torch.equal(second, expected[2])
    alone, other = model.settle([logits_of(maps[0]), torch.zeros(3, 5)])
    assert torch.allclose(alone, torch.sigmoid(2 * logits_of(maps[0])), atol=1e-5) and other.shape == (3, 5)


def test_one_that_begins_later_joins_the_others(tracker):
    first, second = tracker, tracker.fork()
    first.initialize(IMAGE, mask=MASK)
    first.track(moved(1))
    second.initialize(moved(1), mask=np.roll(MASK, 40, 1))
    answers = track_together([first, second], moved(2))
    assert not (answers[0].mask & answers[1].mask).any()
    both = first.target.probability + second.target.probability
    assert both.max() <= 1 + 1e-5


def test_a_target_of_too_few_pixels_stays_where_it_was_its_own(tracker, monkeypatch):
    """Of several objects, too; published, the first one's place is told."""

    def nowhere(self, items):
        return [torch.full(self.config.size_hw, -50.0) for _ in items]

    trackers = [tracker, tracker.fork()]
    trackers[0].initialize(IMAGE, mask=MASK)
    trackers[1].initialize(IMAGE, mask=np.roll(MASK, 40, 1))
    places = [[float(v) for v in np.argwhere(np.roll(MASK, shift, 1)).mean(axis=0)] for shift in (0, 40)]
    monkeypatch.setattr(LWLModel, "decode", nowhere)
    for answer, (y, x) in zip(track_together(trackers, moved(1)), places, strict=True):
        assert not answer.visible and answer.patch is None and answer.confidence < 0.5
        left, top, w, h = answer.box
        assert (left + (w - 1) / 2, top + (h - 1) / 2) == pytest.approx((x, y), abs=0.01) and min(w, h) > 20


def test_the_memory_is_full_once_it_is(tracker):
    tracker.initialize(IMAGE, mask=MASK)
    sizes = []
    for k in range(8):
        tracker.track(moved(k))
        sizes.append(tracker.target.filter.filled)
    assert sizes == [1, 2, 3, 4, 4, 4, 4, 4]


@pytest.mark.parametrize(
    "box",
    [
        Box(-12.5, -9, 30, 20), Box(100, 60, 30, 30), Box(0, 0, 110, 70), Box(50, 30, 0.6, 0.6), Box(-3, 20, 3.8, 20)
    ],
)  # fmt: skip
def test_a_target_at_the_edge_and_one_that_fills_the_picture(tracker, box):
    tracker.initialize(IMAGE, box)
    assert 0 < tracker.target.probability.max() <= 1
    assert all(math.isfinite(v) for v in tracker.track(moved(1)).box)


@pytest.mark.parametrize("size", [(1, 1), (7, 200)])
def test_frames_of_any_size(tracker, size):
    image = np.full((*size, 3), 90, np.uint8)
    tracker.initialize(image, Box(0, 0, *size[::-1]))
    assert [tracker.track(image).mask.shape for _ in range(2)] == [size] * 2


def test_the_same_view_at_twice_the_size(tracker):
    large = cv2.resize(IMAGE, None, fx=2, fy=2)
    places, scales = [], []
    for image in (IMAGE, large):
        tracker.initialize(IMAGE, mask=MASK)
        tracker.track(image)
        places.append(tracker.target.sample.position_yx)
        scales.append(tracker.target.state.scale)
    assert scales[1] == pytest.approx(2 * scales[0])
    assert np.subtract(places[1], np.multiply(places[0], 2)) == pytest.approx((0, 0), abs=3)


class Coarse(torch.nn.Module):
    """The network but for its trunk, in the place of which the picture is made smaller; that compiles in no time."""

    def __init__(self, network):
        super().__init__()
        self.target_model = network.target_model

    def trunk(self, images):
        small = torch.nn.functional.avg_pool2d(images, 16)
        return {name: small.repeat(1, 342, 1, 1)[:, :1024] for name in ("layer1", "layer2", "layer3", "layer4")}


def test_features_for_the_filter_are_of_their_norm_where_networks_are_compiled():
    sight = Sight(Coarse(random_network()))
    images = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0)) * 255
    try:
        compiled = Compiled("sight", sight, (images,))
    except InputError as error:
        pytest.skip(str(error))
    found, wanted = Seen.by(compiled, images).target, Seen.by(sight, images).target
    assert (found - wanted).norm() <= 0.05 * wanted.norm()
    assert float(wanted.norm()) == pytest.approx(math.sqrt(wanted[0].numel() / (8 * 9)), rel=1e-4)


@pytest.mark.parametrize(
    ("constant", "value"), [("sample_height", 200), ("memory_size", 1), ("first_share", 1.0), ("trunk_depth", 18)]
)
def test_constants_that_make_no_sense_are_refused(constant, value):
    with pytest.raises(InputError, match=constant):
        with_changes(LWLConfig(), **{constant: value})
