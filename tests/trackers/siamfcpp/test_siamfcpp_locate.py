"""Crops and rules of SiamFC++ against the golden parts, and what they must never do."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from siamfcpp_golden import KINDS

from d3s_vot.crops.context import context_crop, context_side
from d3s_vot.errors import InputError
from d3s_vot.given import Frame, Given
from d3s_vot.regions import Box, Polygon
from d3s_vot.trackers.siamfcpp.config import SiamFCppConfig
from d3s_vot.trackers.siamfcpp.locate import (
    State,
    cosine_window,
    crop_boxes,
    fuse,
    judge,
    penalties,
)
from d3s_vot.trackers.siamfcpp.target import first_state


@pytest.fixture(scope="module")
def parts(golden):
    return golden("siamfcpp_parts.npz")


def differing(found, expected):
    """Share of values that differ, and by how much at most."""
    difference = np.abs(found.astype(int) - expected)
    return (difference > 0).mean(), difference.max()


def test_golden_crops(parts, shared):
    for i, (cx, cy, w, h, size) in enumerate(parts["crop_case"]):
        folder = shared / "data" / "sequences" / parts["crop_seq"][i] / "color"
        image = cv2.imread(str(sorted(folder.iterdir())[parts["crop_frame"][i]]))
        mean = image.reshape(-1, 3).mean(axis=0)
        state = State(np.array([cx, cy], np.float32), np.array([w, h], np.float32))
        assert np.allclose(mean, parts[f"crop_mean_{i}"], atol=1e-9)
        assert state.scale == pytest.approx(float(parts[f"crop_scale_{i}"]), rel=1e-6)
        crop = context_crop(image, state.center_xy, state.scale, int(size) or 127, mean)[::5, ::5]
        share, most = differing(crop, parts[f"crop_{i}"])
        # OpenCV before 5 rounds the places of samples to 1/32 of a pixel.
        assert (share, most) <= ((0, 0) if cv2.__version__ >= "5" else (0.09, 2))


def test_golden_windows_and_grids(parts):
    for name, expected in parts.items():
        if name.startswith("window_"):
            assert np.array_equal(cosine_window(int(name[7:])), expected)
        if name.startswith("grid_"):
            _, trunk, size = name.split("_")
            config = SiamFCppConfig.of_trunk(trunk, search_size=int(size))
            n = config.score_size
            corners = crop_boxes(np.zeros((4, n, n), np.float32), config)
            assert [n, config.offset, *corners[0, :2], *corners[1, :2], *corners[-1, :2]] == expected.tolist()


def test_golden_boxes_from_golden_distances(golden):
    net = golden("siamfcpp_net.npz")
    for kind in KINDS:
        raw, si, bi = (net[f"{kind}/{name}"] for name in ("box_raw", "over/head.si", "over/head.bi"))
        boxes = crop_boxes((8 * np.exp(si * raw + bi)).astype(np.float32), SiamFCppConfig.of_trunk(kind))
        assert np.abs(boxes - net[f"{kind}/box"]).max() < 0.01


@pytest.mark.parametrize("i", range(8))
def test_golden_judgements(parts, i):
    g = {name.removeprefix(f"post_{i}_"): value for name, value in parts.items() if name.startswith(f"post_{i}_")}
    size_rate, influence, strength = (float(value) for value in g["const"])
    config = SiamFCppConfig(size_rate=size_rate, window_influence=influence, penalty=strength)
    state = State(g["pos"], g["sz"])
    found = judge(g["score"], g["box"], state, (360, 480), config=config, window=cosine_window(17))
    factors = penalties(g["box"][:, 2:] - g["box"][:, :2] + 1, state, strength)
    choice = factors * g["score"] * (1 - influence) + cosine_window(17) * influence
    assert state.scale == pytest.approx(float(g["scale"]), rel=1e-12)
    assert found.best == g["best"]
    for mine, theirs in (
        (factors, g["penalty"]),
        (choice, g["pscore"]),
        (found.confidence, g["pscore"][found.best]),
        (found.free.center_xy, g["pos_free"]),
        (found.free.size_wh, g["sz_free"]),
        (found.state.center_xy, g["pos_new"]),
        (found.state.size_wh, g["sz_new"]),
    ):
        assert np.abs(mine - theirs).max() < 1e-5
    assert np.abs(found.state.rectangle - g["rect"]).max() < 1e-4
    assert found.state.rectangle.dtype == np.float32


def test_golden_polygons(parts):
    for polygon, rectangle, state in zip(
        parts["vot_polygon"], parts["vot_rect"], parts["vot_centre_size"], strict=True
    ):
        started = first_state(Given.of(Frame.of(np.zeros((360, 480, 3), np.uint8)), Polygon(polygon)))
        assert np.abs(started.rectangle - rectangle).max() < 1e-4
        assert np.abs(np.concatenate(started) - state).max() < 1e-4
        assert started.center_xy.dtype == started.size_wh.dtype == np.float32


def test_a_crop_far_outside_is_the_fill_colour():
    image = np.full((40, 50, 3), 200, np.uint8)
    crop = context_crop(image, np.array([-500.0, 900.0]), 1.0, 127, np.array([10.9, 20.2, 30.0]))
    assert (crop == [10, 20, 30]).all()


def test_a_crop_at_scale_1_is_the_image_itself():
    image = np.random.default_rng(0).integers(0, 256, (200, 220, 3), dtype=np.uint8)
    crop = context_crop(image, np.array([100.0, 90.0]), 1.0, 127, np.zeros(3))
    assert np.array_equal(crop, image[90 - 63 : 90 + 64, 100 - 63 : 100 + 64])


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_scale_is_refused(scale):
    with pytest.raises(InputError, match="scale"):
        context_crop(np.zeros((9, 9, 3), np.uint8), np.zeros(2), scale, 127, np.zeros(3))


def test_the_context_of_a_square_doubles_its_side():
    assert context_side(np.array([30.0, 30.0])) == 60
    assert context_side(np.array([10.0, 40.0])) == pytest.approx((35 * 65) ** 0.5)


def test_a_perfect_answer_changes_nothing():
    config = SiamFCppConfig()
    n = config.score_size
    state = State(np.array([100.0, 80.0]), np.array([40.0, 30.0]))
    w, h = state.size_wh * state.scale
    middle = config.search_size // 2
    boxes = np.tile(np.array([middle - (w - 1) / 2, middle - (h - 1) / 2, middle + (w - 1) / 2, middle + (h - 1) / 2]),
                    (n * n, 1)).astype(np.float32)  # fmt: skip
    found = judge(np.ones((n, n), np.float32), boxes, state, (200, 300), config=config, window=cosine_window(n))
    assert found.best == n * n // 2
    assert found.confidence == pytest.approx(1, abs=1e-6)
    assert np.allclose(found.state.center_xy, state.center_xy, atol=1e-4)
    assert np.allclose(found.state.size_wh, state.size_wh, atol=1e-4)


def test_states_stay_in_the_image_and_keep_a_size():
    state = State(np.array([-5.0, 500.0]), np.array([3.0, 900.0])).inside((100, 200), 10)
    assert state.center_xy.tolist() == [0, 100]
    assert state.size_wh.tolist() == [10, 100]


def test_a_view_of_twice_the_size_shows_the_target_twice_as_large():
    state = State.of_box(Box(10, 20, 8, 6)).resized(2, 2)
    assert state.rectangle.tolist() == pytest.approx([20, 40, 16, 12])


def test_later_templates_weigh_together_what_the_coefficient_says():
    scores = np.stack([np.full((2, 2), value, np.float32) for value in (0.2, 0.6, 1.0)])
    assert fuse(scores, 0.25) == pytest.approx(np.full((2, 2), 0.75 * 0.2 + 0.25 * 0.8))
    assert np.array_equal(fuse(scores[:1], 0.25), scores[0])


def test_without_penalty_all_sizes_are_equal():
    config = replace(SiamFCppConfig(), penalty=0)
    sizes = np.array([[10, 20], [300, 5]], np.float32)
    assert penalties(sizes, State(np.zeros(2), np.ones(2)), config.penalty).tolist() == [1, 1]


def test_sides_infinitely_far_leave_the_size_alone():
    config = SiamFCppConfig()
    n = config.score_size
    boxes = crop_boxes(np.full((4, n, n), np.inf, np.float32), config)
    state = State(np.array([100.0, 80.0]), np.array([40.0, 30.0]))
    found = judge(np.ones((n, n), np.float32), boxes, state, (200, 300), config=config, window=cosine_window(n))
    assert np.isfinite(found.confidence)
    assert found.state.size_wh.tolist() == [40, 30]
