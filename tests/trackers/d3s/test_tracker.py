"""The whole tracker: golden traces, the three initialisations, and what goes wrong around them."""

import copy
import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from scenes import annotations, reference_model, resized, scene

from d3s_vot import Box, D3STracker, InputError, Mask, Polygon, load_tracker
from d3s_vot.images import read_image
from d3s_vot.regions import box_iou, polygon_iou
from d3s_vot.trackers.d3s import target


@pytest.fixture(scope="module")
def published(shared):
    return D3STracker(reference_model(shared))


@pytest.fixture(scope="module")
def shipped():
    return load_tracker("D3S", device="cpu")


@pytest.fixture(scope="module")
def small(small_weights):
    """For what does not depend on the size of the search patch."""
    return load_tracker(small_weights, device="cpu")


def state(tracker: D3STracker) -> list[float]:
    target = tracker.target
    return [*target.position_yx, target.scale, target.history.scores[-1]]


@pytest.mark.parametrize("name", ["bag", "car"])
def test_golden_localization_traces(golden, shared, published, name):
    expected = golden(f"trace_{name}.npz")["pos_yx_scale_score_uncertainty"]
    folder = shared / "data" / "sequences" / f"vot-{name}"
    model = copy.copy(published.model)
    model.config = replace(model.config, uncertainty_segment=0)  # localisation alone, with a fixed size
    tracker = D3STracker(model)
    tracker.initialize(read_image(folder / "color" / "00000001.jpg"), annotations(folder)[0])
    ours = []
    for i in range(len(expected)):
        tracker.track(read_image(folder / "color" / f"{i + 2:08d}.jpg"))
        ours.append(state(tracker))
    distance = np.hypot(*(np.array(ours)[:, :2] - expected[:, :2]).T)
    assert np.median(distance) < 0.05 and distance.max() < 5
    assert np.allclose(np.array(ours)[:, 2], expected[:, 2], rtol=1e-6)
    assert np.abs(np.array(ours)[:5, 3] / expected[:5, 3] - 1).max() < 0.02


@pytest.mark.parametrize(
    ("name", "sequence", "exact"),
    [("bag", "vot-bag", 2), ("car", "vot-car", 2), ("human7", "otb-Human7", 2), ("crossing", "otb-Crossing", 5)],
)
def test_golden_full_traces(golden, shared, published, name, sequence, exact):
    expected = golden(f"full_{name}.npz")
    folder = shared / "data" / "sequences" / sequence
    tracker = published.fork()
    tracker.initialize(read_image(folder / "color" / "00000001.jpg"), annotations(folder)[0])
    overlaps = []
    parted = False
    for i, (region, row) in enumerate(
        zip(expected["region"], expected["pos_yx_scale_score_uncertainty"], strict=True)
    ):
        prediction = tracker.track(read_image(folder / "color" / f"{i + 2:08d}.jpg"))
        if len(region) == 4:
            overlaps.append(box_iou(prediction.region, Box.from_one_based(*region)))
        else:
            overlaps.append(polygon_iou(prediction.polygon, Polygon(region)))
        if i < exact and not parted:
            ours = state(tracker)
            assert ours[3] == pytest.approx(row[3], rel=5e-3)
            # Of two neighbours in the response that are as high, or two pixels of a crop, rounding takes one; from
            # there on the paths part. A different rule is further off, or has another score.
            distance = math.dist(ours[:2], row[:2])
            parted = distance >= 0.05
            assert distance < 1.1 * row[2] if parted else overlaps[-1] >= 0.99
    assert np.median(overlaps) >= 0.88


def test_golden_mask_mode(golden, shared, published):
    expected = golden("full_bear_mask.npz")
    folder = shared / "data" / "train" / "video_clips"
    images = sorted((folder / "images" / "davis_bear").glob("*.jpg"))
    mask = cv2.imread(str(folder / "masks" / "davis_bear" / f"{images[0].stem}.png"), cv2.IMREAD_UNCHANGED) == 1
    tracker = published.fork()
    tracker.initialize(read_image(images[0]), mask=mask)
    differences = []
    for path, probability in zip(images[1:11], expected["probability_every_4th"], strict=False):
        prediction = tracker.track(read_image(path))
        differences.append(np.abs(255 * prediction.patch.probability[::4, ::4] - probability).mean())
        assert isinstance(prediction.region, Mask)
    assert np.mean(differences) <= 10


def follow(tracker: D3STracker, region, frames: int = 8) -> list:
    tracker.initialize(scene(0)[0], region)
    return [tracker.track(scene(t)[0]) for t in range(1, frames + 1)]


def test_shipped_weights_follow_a_box(shipped):
    predictions = follow(shipped, scene(0)[1])
    assert all(isinstance(p.region, Box) and p.region == p.box for p in predictions)
    overlaps = [box_iou(p.box, scene(t)[1]) for t, p in enumerate(predictions, start=1)]
    assert min(overlaps) > 0.6
    assert all(p.visible and 0 <= p.confidence <= 1 for p in predictions)


def test_a_polygon_gives_rotated_rectangles(shipped):
    predictions = follow(shipped, scene(0)[1].polygon)
    assert all(isinstance(p.region, Polygon) and len(p.region.points) == 4 for p in predictions)
    assert box_iou(predictions[-1].box, scene(8)[1]) > 0.6


@pytest.mark.parametrize("as_region", [True, False])
def test_a_mask_gives_masks_of_the_whole_image(shipped, as_region):
    image, _ = scene(0)
    mask = cv2.circle(np.zeros(image.shape[:2], np.uint8), (40, 50), 15, 255, -1)
    shipped.initialize(image, Mask(mask)) if as_region else shipped.initialize(image, mask=mask)
    prediction = shipped.track(scene(1)[0])
    assert isinstance(prediction.region, Mask)
    assert prediction.mask.dtype == bool and prediction.mask.shape == image.shape[:2]
    truth = cv2.circle(np.zeros(image.shape[:2], np.uint8), (42, 51), 15, 1, -1).astype(bool)
    assert (prediction.mask & truth).sum() / (prediction.mask | truth).sum() > 0.6


def test_mask_lies_where_the_box_is(shipped):
    prediction = follow(shipped, scene(0)[1])[-1]
    assert box_iou(Mask(prediction.mask).box, prediction.box) > 0.8


def test_same_input_same_bits(small):
    first, second = (follow(small.fork(), scene(0)[1].polygon) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a.polygon.points, b.polygon.points)
        assert np.array_equal(a.patch.probability, b.patch.probability)
        assert a.confidence == b.confidence


def test_forks_share_the_network_and_nothing_else(small):
    alone = follow(small.fork(), scene(0)[1])
    a, b = small.fork(), small.fork()
    assert a.model is b.model
    a.initialize(scene(0)[0], scene(0)[1])
    b.initialize(scene(0)[0], Box(90, 70, 30, 30))
    for t, expected in enumerate(alone, start=1):
        b.track(scene(t)[0])
        assert a.track(scene(t)[0]).region == expected.region


def test_callers_arrays_stay_as_they_are(small):
    image, box = scene(0)
    mask = np.zeros(image.shape[:2], np.uint8)
    mask[40:60, 30:50] = 3
    points = np.array(box.polygon.points)
    copies = image.copy(), mask.copy(), points.copy()
    small.initialize(image, mask=mask)
    small.initialize(image, Polygon(points))
    small.track(image)
    assert all(np.array_equal(a, b) for a, b in zip((image, mask, points), copies, strict=True))


@pytest.mark.parametrize(
    "region",
    [
        Box(-20, -15, 45, 40),  # partly outside
        Box(150, 110, 60, 60),
        Box(40, 50, 2, 2),
        Box(40, 5, 0.5, 110),
        Box(0, 0, 160, 120),  # the whole image
        Box(-300, -300, 900, 900),
        Polygon([(30, 40), (60, 42), (58, 70), (45, 80), (28, 66)]),
        Polygon([(-30, -30), (20, -10), (30, 40), (-10, 30)]),
    ],
    ids=str,
)
def test_unusual_targets_are_tracked(shipped, region):
    for prediction in follow(shipped, region, frames=3):
        assert np.isfinite(prediction.polygon.points).all()
        assert prediction.mask.shape == (120, 160)


@pytest.mark.parametrize("shape", [(120, 1, 3), (1, 160, 3), (1, 1, 3), (7, 5, 3)])
def test_tiny_images_are_tracked(shipped, shape):
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    shipped.initialize(image, Box(0, 0, shape[1], shape[0]))
    assert np.isfinite(tuple(shipped.track(image).box)).all()


@pytest.mark.parametrize(
    "region", [Box(500, 500, 20, 20), Box(-50, 10, 20, 20), Polygon([(200, 5), (220, 5), (210, 30)])], ids=str
)
def test_targets_outside_the_image_are_refused(shipped, region):
    with pytest.raises(InputError, match="outside"):
        shipped.initialize(scene(0)[0], region)


def test_a_target_far_larger_than_the_image_is_refused_and_changes_nothing(small):
    expected = follow(small.fork(), scene(0)[1], frames=1)[-1]
    small.initialize(*scene(0))
    with pytest.raises(InputError, match="larger"):
        small.initialize(scene(0)[0], Box(-1e5, -1e5, 3e5, 3e5))
    with pytest.raises(InputError, match="thinner"):
        small.initialize(scene(0)[0], Box(50, 50, 1e-7, 50))
    assert small.track(scene(1)[0]).region == expected.region


@pytest.mark.parametrize("part", ["GEM", "Segmenter", "first_frame_samples", "ScoreHistory"])
def test_an_initialisation_that_fails_anywhere_changes_nothing(small, monkeypatch, part):
    ours, expected = small.fork(), small.fork()
    for one in (ours, expected):
        one.initialize(*scene(0))
        one.track(scene(1)[0])

    def fail(*_: object) -> None:
        raise MemoryError

    larger, box = scene(0, 240, 320)
    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(target, part, fail)
        ours.initialize(larger, box.polygon)
    a, b = (one.track(scene(2)[0]) for one in (ours, expected))
    assert a.region == b.region and a.confidence == b.confidence and np.array_equal(a.mask, b.mask)


def test_a_small_target_keeps_its_size_without_a_mask(shipped):
    """The search takes no target for smaller than 10 pixels; its box is as large as it was seen last."""
    rng, side = np.random.default_rng(0), 6
    ground = cv2.resize(rng.integers(40, 120, (24, 32, 3), np.uint8), (320, 240), interpolation=cv2.INTER_CUBIC)
    shown = ground.copy()
    shown[60 : 60 + side, 40 : 40 + side] = (250, 220, 30)
    shipped.initialize(shown, Box(40, 60, side, side))
    hidden = shipped.track(ground)
    assert not hidden.mask.any() and (hidden.box.w, hidden.box.h) == pytest.approx((side, side))
    shipped.initialize(shown, Box(40, 60, side, side))
    seen = [answer for answer in (shipped.track(shown) for _ in range(4)) if answer.mask.any()]
    hidden = shipped.track(ground)
    assert seen and not hidden.mask.any()
    assert (hidden.box.w, hidden.box.h) == pytest.approx((seen[-1].box.w, seen[-1].box.h))


@pytest.mark.parametrize("kind", [lambda m: m, Mask, torch.from_numpy, np.ndarray.tolist, Image.fromarray])
def test_masks_of_every_kind_begin_the_same(small, kind):
    mask = cv2.circle(np.zeros((120, 160), np.uint8), (40, 50), 15, 255, -1)
    small.initialize(scene(0)[0], mask=kind(mask))
    assert small.target.size_hw == (31, 31) and small.target.position_yx == (50, 40)


def test_other_bad_input_is_refused_in_one_sentence(small):
    image, box = scene(0)
    for call in (
        lambda: small.initialize(image),
        lambda: small.initialize(image, (1, 2, 3, 4)),
        lambda: small.initialize(image[..., 0], box),
        lambda: small.initialize(image.astype(np.uint16), box),
        lambda: small.initialize(image, mask=np.zeros(image.shape[:2])),
        lambda: small.initialize(image, mask=np.ones((5, 5))),
        lambda: small.fork().track(image),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert "\n" not in str(caught.value) and len(str(caught.value)) > 20


def test_a_refused_frame_leaves_the_state_alone(small):
    expected = follow(small.fork(), scene(0)[1], frames=2)[-1]
    small.initialize(*scene(0))
    small.track(scene(1)[0])
    with pytest.raises(InputError, match="keep their size"):
        small.track(scene(1)[0][:100])
    with pytest.raises(InputError, match="grey"):
        small.track(scene(1)[0][..., 0])
    assert small.track(scene(2)[0]).region == expected.region


@pytest.mark.parametrize("kind", ["box", "polygon", "mask"])
def test_frames_that_change_their_size_are_answered_in_their_own_pixels(shipped, kind):
    image, box = scene(0, 240, 320)
    disc = cv2.circle(np.zeros(image.shape[:2], np.uint8), (40, 50), 15, 1, -1)
    shipped.initialize(image, {"box": box, "polygon": box.polygon, "mask": Mask(disc)}[kind])
    for t, factor in enumerate((1, 1.5, 1.5, 2, 0.75, 1), start=1):
        frame, truth = resized(*scene(t, 240, 320), factor)
        prediction = shipped.track(frame)
        assert prediction.mask.shape == frame.shape[:2]
        assert box_iou(prediction.region.box, truth) > 0.6, (t, factor)
        assert box_iou(Mask(prediction.mask).box, truth) > 0.6, (t, factor)


def test_a_size_that_comes_back_changes_nothing_else(small):
    """Brought into other pixels and back before anything is looked for: the state is the same."""
    small.initialize(*scene(0))
    before = [*state(small), *small.target.size_hw]
    for height, width in ((180, 240), (90, 121), (120, 160)):
        small.target._measure_in(height, width)
    assert [*state(small), *small.target.size_hw] == pytest.approx(before, rel=1e-12)


def test_another_ratio_of_sides_is_refused(small):
    expected = follow(small.fork(), scene(0)[1], frames=2)[-1]
    small.initialize(*scene(0))
    small.track(scene(1)[0])
    for height, width in ((160, 120), (117, 160), (123, 160), (240, 300)):
        with pytest.raises(InputError, match=f"{width} x {height}.*ratio of width to height"):
            small.track(np.zeros((height, width, 3), np.uint8))
    assert small.track(scene(2)[0]).region == expected.region


def test_a_vanished_target_is_reported(shipped):
    shipped.initialize(*scene(0))
    usual = [shipped.track(scene(t)[0]) for t in range(1, 8)]
    blank = np.full_like(scene(0)[0], 90)
    lost = [shipped.track(blank) for _ in range(3)]
    assert min(p.confidence for p in usual) > 0.5 > max(p.confidence for p in lost)
    assert all(p.visible for p in usual) and not lost[-1].visible
