"""The samplers against the golden crops and patches, and the way back to the image."""

import cv2
import numpy as np
import pytest
import torch

from d3s_vot.crops import squares
from d3s_vot.crops.patches import localization_patch
from d3s_vot.crops.squares import Crop, image_tensor


def test_golden_segmentation_crops(golden):
    g = golden("geometry.npz")
    for (x, y, w, h), expected, scale in zip(g["boxes"], g["crop_every_3rd"], g["crop_scale"], strict=True):
        crop = Crop.around((x + w / 2, y + h / 2), (w, h), 4.0, 384)
        assert crop.factor == pytest.approx(scale)
        assert np.array_equal(crop.cut(g["image"])[::3, ::3], expected)


def test_golden_localization_patches(golden):
    g = golden("geometry.npz")
    image = image_tensor(g["image"], torch.device("cpu"))
    for position, scale, expected in zip(g["positions_yx"], g["scales"], g["patch_every_4th"], strict=True):
        patch = localization_patch(image, tuple(position), scale, 256)
        ours = patch[0].permute(1, 2, 0).numpy()[::4, ::4]
        assert np.abs(ours - expected).max() <= 1e-4


def pixel_by_pixel(crop: Crop, image: np.ndarray) -> np.ndarray:
    """The square gathered by index, which takes long, and resized."""
    height, width = image.shape[:2]
    (x, y), side = crop.corner, crop.side
    rows = np.clip(np.arange(y, y + side), 0, height - 1 - (y + side > height > 1))
    columns = np.clip(np.arange(x, x + side), 0, width - 1 - (x + side > width > 1))
    return cv2.resize(image[rows[:, None], columns], (crop.size, crop.size), interpolation=cv2.INTER_LINEAR)


@pytest.mark.parametrize("size", [(120, 160), (7, 5), (1, 160), (120, 1), (1, 1)])
def test_crops_repeat_the_edges_wherever_they_lie(size):
    rng = np.random.default_rng(sum(size))
    image = rng.integers(0, 256, (*size, 3), np.uint8)
    for _ in range(150):
        side = int(rng.integers(1, 400))
        corner = tuple(int(n) for n in rng.integers(-2 * side - 20, (size[1] + 20, size[0] + 20)))
        crop = Crop((0.0, 0.0), corner, side, 48)
        assert np.array_equal(crop.cut(image), pixel_by_pixel(crop, image)), crop


@pytest.mark.parametrize(("x", "y"), [(50, 40), (-7e5, 40), (50, 9e5)])
def test_no_square_fills_the_memory(x, y, monkeypatch):
    """Sides of a million pixels would be three terabytes."""
    monkeypatch.setattr(squares, "MAX_SQUARE", 1000)
    image = np.full((120, 160, 3), 10, np.uint8)
    image[:, 80:] = 200
    crop = Crop.around((x, y), (3e5, 3e5), 4.0, 384)
    assert crop.side > 1e6
    assert set(np.unique(crop.cut(image))) <= set(range(10, 201))
    assert crop.cut_mask(image[..., 0] > 100).shape == (384, 384)
    assert crop.paste(np.ones((384, 384), np.float32), 120, 160).all() == (x > 0 and y < 1e5)


def test_giants_look_like_their_smaller_likes(monkeypatch):
    """The same view in twice the pixels, where every second one is looked at."""
    monkeypatch.setattr(squares, "MAX_SQUARE", 1000)
    rng = np.random.default_rng(0)
    small = cv2.resize(rng.integers(0, 256, (9, 12, 3), np.uint8), (160, 120), interpolation=cv2.INTER_CUBIC)
    small[-1], small[:, -1] = small[-2], small[:, -2]  # the last ones are left out
    large = small.repeat(2, axis=0).repeat(2, axis=1)
    one, two = (Crop((0.0, 0.0), (-f * 400, -f * 300), f * 900, 384) for f in (1, 2))
    assert np.array_equal(one.cut(small), two.cut(large))
    masks = [crop.cut_mask(image[..., 0] > 128) for crop, image in ((one, small), (two, large))]
    assert masks[0].any()
    assert np.array_equal(*masks)


@pytest.mark.parametrize("corner", [(-3, 5), (-900, -40), (150, 110), (-1000, -700), (-350, 60)])
@pytest.mark.parametrize("side", [90, 1000, 1231])
def test_masks_come_back_as_the_whole_square_would(corner, side):
    probability = np.random.default_rng(side).random((96, 96), np.float32)
    crop = Crop((0.0, 0.0), corner, side, 96)
    square = cv2.resize(probability, (side, side), interpolation=cv2.INTER_LINEAR)
    canvas = np.zeros((4000, 4000), np.float32)
    canvas[2000 + corner[1] :, 2000 + corner[0] :][:side, :side] = square
    assert np.abs(crop.paste(probability, 120, 160) - canvas[2000:2120, 2000:2160]).max() < 1e-5


def test_only_what_is_seen_of_a_square_is_worked_out(monkeypatch):
    """A square of 4 billion pixels around a small picture."""
    monkeypatch.setattr(cv2, "resize", None)
    crop = Crop((0.0, 0.0), (-30_000, -30_000), 65_000, 384)
    ramp = np.linspace(0, 1, 384, dtype=np.float32)[None].repeat(384, axis=0)
    found = crop.paste(ramp, 120, 160)
    assert found.min() > 0.461 and found.max() < 0.464 and (np.diff(found, axis=1) >= 0).all()
