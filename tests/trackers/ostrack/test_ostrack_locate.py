"""Crops, window, decoding, elimination and positions against the golden parts, and what they must never do."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from d3s_vot.crops import black
from d3s_vot.crops.black import BlackSquare
from d3s_vot.errors import InputError
from d3s_vot.regions import Box
from d3s_vot.trackers.ostrack.config import OSTrackConfig
from d3s_vot.trackers.ostrack.elimination import keep_ratio, restore, strongest
from d3s_vot.trackers.ostrack.locate import clip, decode, hann_window, map_back
from d3s_vot.trunks.vit import resize_positions


@pytest.fixture(scope="module")
def parts(golden):
    return golden("ostrack_parts.npz")


@pytest.mark.parametrize(
    ("kind", "factor", "size"),
    [("template256", 2, 128), ("search256", 4, 256), ("template384", 2, 192), ("search384", 5, 384)],
)
def test_golden_crops(kind, factor, size, parts):
    step = 6 if size < 200 else 12
    for box, crop, scale in zip(
        parts["crop_boxes"], parts[f"crop_{kind}"], parts[f"factor_{kind}"], strict=True
    ):
        square = BlackSquare.around(Box(*box), factor, size)
        assert square.factor == pytest.approx(scale, rel=1e-12)
        difference = np.abs(square.cut(parts["image"])[::step, ::step].astype(int) - crop).max()
        assert difference <= (0 if cv2.__version__ >= "5" else 1)


def test_golden_windows(parts):
    for side in (16, 24):
        assert np.abs(hann_window(side) - parts[f"window{side}"]).max() < 1e-6


def test_golden_decoding(parts):
    for side in (16, 24):
        maps = [parts[f"decode{side}_{name}"].astype(np.float32) for name in ("score", "size", "offset")]
        for score, size, offset, box in zip(*maps, parts[f"decode{side}_box"], strict=True):
            assert np.abs(decode(np.concatenate([score, size, offset])).box - box).max() < 1e-6


def test_golden_way_back(parts):
    for row in parts["map_back"]:
        state, found, (size, scale), free, clipped = np.split(row, [4, 8, 10, 14])
        box = map_back(Box(*state), tuple(found), size / scale)
        assert np.abs(np.subtract(tuple(box), free)).max() < 1e-6
        assert np.abs(np.subtract(tuple(clip(box, (96, 120), 10)), clipped)).max() < 1e-6


def test_golden_positions(parts):
    given = torch.from_numpy(np.random.RandomState(9).normal(0, 1, (1, 197, 768)).astype(np.float32))
    for size, template, search in ((256, 8, 16), (384, 12, 24)):
        found = resize_positions(given[:, 1:], (template, template))[0, :, ::96]
        assert np.abs(found.numpy() - parts[f"position_template{size}"]).max() < 1e-6
        found = resize_positions(given[:, 1:], (search, search))[0, ::2, ::96]
        assert np.abs(found.numpy() - parts[f"position_search{size}"]).max() < 1e-6


def test_golden_elimination(parts):
    tokens = OSTrackConfig().centre_token, OSTrackConfig(template_size=192).centre_token
    assert list(tokens) == parts["ce_template_token"].tolist()
    scores = np.random.RandomState(7).normal(0, 1, (1, 12, 320, 320)).astype(np.float32)
    looks = torch.from_numpy(scores).softmax(dim=-1).mean(dim=1)[0, tokens[0], 64:]  # 256
    stay = strongest(looks[None], 180)[0]
    falling = looks.argsort(descending=True).tolist()
    assert sorted(stay.tolist()) == stay.tolist() == sorted(parts["ce_kept"].tolist())
    assert falling[:180] == parts["ce_kept"].tolist() and falling[180:] == parts["ce_removed"].tolist()
    kept = [keep_ratio(epoch) for epoch in (1, 19, 20, 40, 60, 99, 100, 200)]
    assert np.abs(kept - parts["keep_rate_epochs"]).max() < 1e-6


def test_what_was_removed_is_zero_and_what_stays_returns_to_its_place():
    tokens = torch.arange(1.0, 7.0).view(1, 3, 2)
    full = restore(tokens, torch.tensor([[0, 3, 4]]), 5)
    assert full[0].tolist() == [[1, 2], [0, 0], [0, 0], [3, 4], [5, 6]]


def test_the_last_column_is_black_where_the_crop_reaches_the_edge():
    image = np.full((40, 40, 3), 200, np.uint8)
    inside = BlackSquare((10, 10), 29, 29).cut(image)
    assert (inside == 200).all()
    touching = BlackSquare((10, 10), 30, 30).cut(image)
    assert (touching[:29, :29] == 200).all() and not touching[29].any() and not touching[:, 29].any()
    left = BlackSquare((-10, -5), 30, 30).cut(image)
    assert not left[:5].any() and not left[:, :10].any() and (left[5:, 10:] == 200).all()


@pytest.mark.parametrize("corner", [(-80, 0), (0, -80), (100, 0), (0, 100), (-50, -50)])
def test_a_crop_far_outside_is_black(corner):
    assert not BlackSquare(corner, 50, 32).cut(np.full((40, 60, 3), 200, np.uint8)).any()


def test_a_picture_of_one_pixel_has_a_crop():
    assert BlackSquare((-3, -3), 8, 16).cut(np.full((1, 1, 3), 200, np.uint8)).shape == (16, 16, 3)


def test_an_enormous_crop_is_looked_at_in_steps(monkeypatch):
    image = np.zeros((300, 400, 3), np.uint8)
    image[100:200, 100:300] = 255
    whole = BlackSquare((-50, -30), 500, 50).cut(image)
    monkeypatch.setattr(black, "MAX_SQUARE", 100)
    stepped = BlackSquare((-50, -30), 500, 50).cut(image)
    assert stepped.shape == (50, 50, 3)
    assert (np.abs(stepped.astype(int) - whole) > 0).any(axis=2).mean() < 0.05  # along the edges


def test_a_box_stays_in_the_image_by_the_margin():
    for box in (Box(-900, -900, 5, 5), Box(900, 900, 5, 5), Box(-5, -5, 900, 900), Box(50, 40, 0.001, 0.001)):
        x, y, w, h = clip(box, (96, 120), 10)
        assert w >= 10 and h >= 10 and 0 <= x <= 110 and 0 <= y <= 86
    assert clip(Box(-5, -5, 900, 900), (96, 120), 10) == Box(0, 0, 120, 96)


@pytest.mark.parametrize(
    ("constant", "value"),
    [
        ("width", 100),
        ("search_size", 250),
        ("template_size", True),
        ("depth", 0),
        ("temporal", 2),
        ("keep_ratio", 0.0),
        ("search_factor", float("nan")),
        ("visible_confidence", "much"),
    ],
)
def test_constants_that_make_no_sense_are_refused(constant, value):
    with pytest.raises(InputError, match=constant):
        OSTrackConfig(**{constant: value})
