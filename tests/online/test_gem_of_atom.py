"""GEM in ATOM's setting: from a given start, 18 x 18 cells, a share of the memory for the first frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from dimp_golden import relative

from d3s_vot.online.config import FactorizedConfig
from d3s_vot.online.factorized import GEM
from d3s_vot.online.features import normalize_features
from d3s_vot.online.interpolation import cosine_window, upsample_score
from d3s_vot.online.labels import gaussian_labels

CONFIG = FactorizedConfig(memory_size=40)
TESTS = np.array([(9, 9), (6, 11.5), (12, 8)])


def made_up(centers, dtype=torch.float32):
    """Features and labels at these centres: n x 256 x 18 x 18 and n x 18 x 18."""
    rng = np.random.default_rng(11)
    base = rng.standard_normal(256).astype(np.float32)[:, None, None]
    background = rng.standard_normal((4, 256)).astype(np.float32)[:, :, None, None]
    yy, xx = np.mgrid[:18, :18]
    samples = []
    for i, (cy, cx) in enumerate(centers):
        bump = np.exp(-((yy - cy) ** 2 + (xx - cx) ** 2) / 8)
        mix = sum(background[k] * np.sin(0.4 * xx + 0.3 * yy + k + i) for k in range(4))
        samples.append(np.maximum(0, 2 * base * bump + 0.7 * mix))
    # Labels in single precision first, as the golden ones: rounding is amplified even in double.
    features = normalize_features(torch.from_numpy(np.stack(samples)).to(dtype))
    labels = gaussian_labels(torch.from_numpy(np.asarray(centers)) - 9 + 0.5, 1.1, 18).float()
    return features, labels.to(dtype)


def start(dtype=torch.float32):
    """P0 and f0."""
    projection = np.random.RandomState(1).normal(0, 1, (64, 256)).astype(np.float32) / 16
    first = np.random.RandomState(2).normal(0, 1, (1, 64, 4, 4)).astype(np.float32) / 1024
    return torch.from_numpy(projection).to(dtype), torch.from_numpy(first).to(dtype)


def loss(gem: GEM, features, labels) -> float:
    """Of equal weights."""
    response = torch.nn.functional.conv2d(features, gem.projection[:, :, None, None])
    response = torch.nn.functional.conv2d(response, gem.filter, padding=2)[:, 0, :-1, :-1]
    value = torch.nn.functional.elu(torch.nn.functional.leaky_relu(response, 20.0), 0.05)
    ridge = 0.1 * gem.filter.square().sum() + 1e-4 * gem.projection.square().sum()
    return ((value - labels).square().sum() / len(labels) + ridge).item()


def test_golden_conjugate_gradient(golden) -> None:
    g = golden("atom_online.npz")
    features, labels = made_up(g["centers"], torch.float64)
    one = replace(CONFIG, gauss_newton_steps=1, gauss_newton_cg_iterations=4)
    gem = GEM(one, features, labels, start=start(torch.float64))
    assert relative(gem.filter[0, ::4], g["filter_cg4_64"]) < 1e-6
    assert relative(gem.projection[::4, ::8], g["projection_cg4_64"]) < 1e-6
    gem = GEM(replace(CONFIG, gauss_newton_steps=0), features, labels, start=start(torch.float64))
    gem.update()
    assert relative(gem.filter[0, ::4], g["filter_update_64"]) < 1e-6


@pytest.mark.parametrize(
    ("dtype", "suffix", "near", "last"), [(torch.float64, "_64", 0.005, 0.01), (torch.float32, "", 0.15, 0.2)]
)
def test_golden_run(golden, dtype, suffix, near, last) -> None:
    g = golden("atom_online.npz")
    features, labels = made_up(g["centers"], dtype)
    assert np.abs(labels.numpy() - g["labels"]).max() < 1e-5
    gem = GEM(CONFIG, features, labels, start=start(dtype), first_share=0.25)
    assert loss(gem, features, labels) == pytest.approx(g[f"gn_loss{suffix}"][-1], rel=last)
    tests, taught = made_up(TESTS, dtype)

    def compare(name: str) -> None:
        for sample, expected in zip(tests.split(1), g[name + suffix], strict=True):
            score = gem.score(sample)
            assert relative(score, expected) < near and score.argmax() == expected.argmax()

    compare("score_init")
    slots = [gem.add(x, y, r) for x, y, r in zip(tests.split(1), taught, (0.01, 0.02, 0.01), strict=True)]
    assert slots == g["memory_slot"].tolist()
    assert np.abs(gem.sample_weights.numpy() - g["memory_weight"]).max() < 1e-5
    gem.update()
    compare("score_updated")


def test_golden_labels_window_and_upsampling(golden) -> None:
    g = golden("atom_online.npz")
    rows = zip(g["label_size"], g["label_sigma"], g["label_center"], g["label_map"], strict=True)
    for size, sigma, center, expected in rows:
        label = gaussian_labels(torch.from_numpy(center)[None], float(sigma), int(size))[0]
        assert np.abs(label.numpy() - expected[:size, :size]).max() < 1e-5
    assert np.abs(cosine_window(224)[::4, ::4].numpy() - g["window"]).max() < 1e-5
    upsampled = upsample_score(torch.from_numpy(g["upsampled_input"]), 288)
    assert np.abs(upsampled[::4, ::4].numpy() - g["upsampled"]).max() < 1e-5
