"""The samples of LWL, the way back to the image, and the merging of objects, against the golden file."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from d3s_vot.images import read_image
from d3s_vot.trackers.lwl.merge import certain, merge, next_scale, place_of, place_or
from d3s_vot.trackers.lwl.samples import FirstSample, centred, search_sample

SIZE = (480, 832)


@pytest.fixture(scope="module")
def picture(shared):
    image = read_image(shared / "data" / "sequences" / "vot-bag" / "color" / "00000001.jpg")
    return torch.from_numpy(image).permute(2, 0, 1)[None]


@pytest.mark.parametrize("row", range(8))
def test_golden_samples(row, picture, golden):
    parts = golden("lwl_parts.npz")
    image_hw = tuple(picture.shape[2:])
    mask = torch.zeros(image_hw)
    top, bottom, left, right = parts["mask_box_yyxx"]
    mask[top:bottom, left:right] = 1
    y, x, scale = parts["crop_in"][row].tolist()
    assert centred((y, x), scale, SIZE) == pytest.approx(parts["centred"][row], rel=1e-5)
    sample = search_sample(image_hw, (y, x), scale, SIZE)
    assert [*sample.first_yx, *sample.end_yx] == parts["crop_coords"][row].tolist()
    assert [*sample.position_yx, sample.scale] == pytest.approx(parts["location"][row], rel=1e-5)
    first = FirstSample.of(image_hw, (y, x), scale, SIZE)
    for one, pixels, cut in ((sample, "crop_samples", "mask_samples"), (first, "init_samples", "init_mask_samples")):
        expected = parts[pixels][row].astype(np.float32)
        assert np.abs(one.cut(picture)[0, :, ::24, ::26].numpy() - expected).max() < 0.15
        assert np.array_equal(one.cut_mask(mask)[::12, ::13].numpy(), parts[cut][row])
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    logits = 10 * np.exp(-(((rows - 230) / 90) ** 2) - ((columns - 430) / 120) ** 2) - 4
    pasted = sample.paste(torch.from_numpy(logits).float(), image_hw)
    assert np.abs(pasted[::6, ::6].numpy() - parts["pasted"][row].astype(np.float32)).max() < 0.02


def test_golden_places(golden):
    parts = golden("lwl_parts.npz")
    for probability, (mass, y, x, h, w) in zip(parts["state_prob"], parts["state_out"], strict=True):
        told = torch.from_numpy(probability)
        assert place_of(told)[0] == pytest.approx(mass, rel=1e-5)
        position, size = place_or(told, (1, 2), (3, 4))
        assert (*position, *size) == pytest.approx((y, x, h, w), rel=1e-5)
    for (before, wanted), expected in zip(parts["clip_in"].tolist(), parts["clip_out"], strict=True):
        assert next_scale(before, wanted) == pytest.approx(expected, rel=1e-5)


def test_golden_merging(golden):
    parts = golden("lwl_parts.npz")
    logits = torch.from_numpy(parts["merge_scores"])
    starting = certain(torch.from_numpy(parts["merge_new_mask"]))
    merged = merge(torch.cat([logits, starting[None]]))
    assert np.abs(merged[1:].numpy() - parts["merge_prob"]).max() < 1e-5
    assert np.array_equal(np.array([0, 2, 3, 7])[merged.argmax(dim=0).numpy()], parts["merge_label"])
    for probability, expected in zip(merged[1:], parts["merge_boxes"], strict=True):
        (y, x), (h, w) = place_or(probability, (0, 0), (1, 1))
        assert (x - (w - 1) / 2, y - (h - 1) / 2, w, h) == pytest.approx(expected, rel=1e-4)
    (_, alone) = merge(logits[:1])
    assert np.abs(alone.numpy() - parts["merge_single_prob"]).max() < 1e-5
    assert torch.allclose(alone, torch.sigmoid(2 * logits[0]), atol=1e-5)


def test_a_sample_that_is_pasted_lies_where_it_was_cut():
    mask = torch.zeros(200, 300)
    mask[60:110, 120:200] = 1
    sample = search_sample((200, 300), (85, 160), 0.2, SIZE)
    back = sample.paste(20 * sample.cut_mask(mask) - 10, (200, 300)) > 0
    assert (back == mask.bool()).float().mean() > 0.98
    assert (sample.paste(torch.zeros(SIZE), (200, 300)) == -100).any()
