"""The features of ECO, the geometry of its samples and the first frame's, against the golden files."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from eco_golden import filled_resnet18, filled_vgg, imagenet, relative

from d3s_vot.crops.patches import localization_patch
from d3s_vot.trackers.eco.config import PUBLISHED, STRIDES, ECOConfig
from d3s_vot.trackers.eco.geometry import Place
from d3s_vot.trackers.eco.network import EARLY, STEM, VGG, Features, channels
from d3s_vot.trackers.eco.samples import dropout_draws, first_frame_samples, with_dropout
from d3s_vot.trunks.vgg import normalize_responses


def tensor(image):
    """1 x 3 x H x W of a picture."""
    return torch.from_numpy(image).permute(2, 0, 1)[None]


def test_golden_features(golden, shared):
    net = golden("eco_network.npz")
    patch = tensor(net["patch"]).float()
    vgg, trunk = filled_vgg(shared), filled_resnet18(shared)
    levels = trunk(patch)
    raw = {"vggconv1": vgg(patch), "conv1": levels[2], "layer3": levels[16]}
    for place, (name, maps) in enumerate(raw.items()):
        assert float(maps.mean()) == pytest.approx(net["mean_of_raw"][place], rel=1e-5)
        assert float(maps.std(correction=0)) == pytest.approx(net["std_of_raw"][place], rel=1e-4)
        cut = maps[0, ::4] if name == "layer3" else maps[0, ::8, ::8, ::8]
        rest = "every_4th_channel" if name == "layer3" else "every_8th_channel_8th_pixel"
        assert relative(cut, net[f"{name}_{rest}"]) < 1e-5
    for name, own in (("vggconv1", vgg), ("conv1", None)):
        shallow, deep = Features(trunk, STEM if own is None else VGG, own)(patch)
        assert relative(shallow[0, ::8, ::4, ::4], net[f"{name}_feature_every_8th_channel_4th_pixel"]) < 1e-5
        assert relative(deep[0, ::4], net["layer3_feature_every_4th_channel"]) < 1e-5


def test_golden_geometry(golden):
    parts = golden("eco_parts.npz")
    for (x, y, w, h), image_hw, expected in zip(
        parts["boxes_xywh"].tolist(), parts["image_hw"].tolist(), parts["geometry"], strict=True
    ):
        place = Place.begin((y + (h - 1) / 2, x + (w - 1) / 2), (h, w), PUBLISHED)
        size = place.sample_size(PUBLISHED)
        sides = [size // stride + 1 - size // stride % 2 for stride in STRIDES.values()]
        found = *place.position_yx, place.scale, *place.base_hw, size, *sides, *place.scale_range(image_hw, PUBLISHED)
        assert found == pytest.approx(expected, rel=1e-5)
        assert tuple(place.box) == pytest.approx((x, y, w, h), rel=1e-5, abs=1e-5)


def test_golden_samples(golden):
    parts, net = golden("eco_parts.npz"), golden("eco_network.npz")
    for position, scale, expected in zip(
        parts["crop_pos_yx"].tolist(), parts["crop_scale"].tolist(), parts["crop_every_8th"], strict=True
    ):
        crop = localization_patch(tensor(parts["image"]), tuple(position), scale, 208)
        assert np.array_equal(crop[0, :, ::8, ::8].permute(1, 2, 0).numpy(), expected)
    samples, shifts = first_frame_samples(tensor(net["patch"]).float(), PUBLISHED)
    assert shifts[:5] == [(0, 0), (6, 6), (-6, 6), (6, -6), (-6, -6)] and not any(map(any, shifts[5:]))
    pixels = samples.permute(0, 2, 3, 1).numpy()
    expected = parts["augmented_from_3_every_16th"].astype(np.float32)
    assert np.abs(pixels[:, 3::16, 3::16] - expected).max() < 0.1
    assert np.abs(pixels[-1, :4, 100:104] - parts["augmented_blur_border"]).max() < 1e-3


def test_golden_dropout(golden):
    for name, shallow in (("default", 96), ("resnet18", 64)):
        trace = golden(f"eco_trace_{name}_crossing.npz")
        for place, (block, count) in enumerate((("shallow", shallow), ("deep", 256))):
            bits = np.unpackbits(trace[f"dropout_kept_{place}"], axis=1)[:, :count].astype(bool)
            assert np.array_equal(dropout_draws(block, count, PUBLISHED), bits)


def test_samples_without_channels_are_copies_of_the_first():
    features = torch.rand(3, 4, 2, 2)
    config = ECOConfig(dropout_samples=2, dropout=0.5)
    kept = np.array([[1, 0, 1, 0], [1, 1, 1, 1]], bool)
    found = with_dropout(features, kept, config)
    assert torch.equal(found[:3], features)
    assert torch.equal(found[3], 2 * features[0] * torch.tensor([1.0, 0, 1, 0])[:, None, None])
    assert torch.equal(found[4], 2 * features[0])


def test_responses_are_normalised_as_torch_does():
    x = 30 * torch.rand(2, 7, 5, 5, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(normalize_responses(x), torch.nn.LocalResponseNorm(5, 5e-4, 0.75, 2)(x), rtol=1e-5)


def test_channels_of_each_block():
    assert channels("resnet18", VGG) == {"shallow": 96, "deep": 256}
    assert channels("efficientnet_lite0", STEM) == {"shallow": 16, "deep": 112}
    assert channels("efficientnet_lite0", EARLY) == {"shallow": 40, "deep": 112}


def test_the_reference_trunk_is_whole(shared):
    assert imagenet(shared).channels == (64, 64, 128, 256)
