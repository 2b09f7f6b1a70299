"""The first frame's samples of ATOM and DiMP."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from dimp_golden import picture

from d3s_vot.crops.patches import sample_window
from d3s_vot.crops.squares import image_tensor
from d3s_vot.online.augment import dropout_copies, varied_samples
from d3s_vot.online.config import LARGE, MEDIUM, SMALL


@pytest.mark.parametrize(("name", "plan"), [("18_vot18", LARGE), ("50_vot19", MEDIUM)])
def test_golden_samples(golden, name, plan) -> None:
    g = golden(f"dimp_augment_{name}.npz")
    size = int(g["size"])
    image = image_tensor(picture(240, 320, 0), torch.device("cpu"))
    at = tuple(float(round(p)) for p in g["position_yx"])
    side = plan.window_size(size)
    window = sample_window((240, 320), at, float(g["scale"]), side).cut(image, side)
    samples, shifts = varied_samples(window, size, plan, g["uniform"])
    assert np.array_equal(shifts, g["shift_yx"])
    off = np.abs(samples[:, 1, ::12, ::12].numpy() - g["patch"].astype(np.float32)).max(axis=(1, 2))
    turned = len(plan.angles)
    assert off[:-turned].max() < 0.15 and off[-turned:].max() < 2


@pytest.mark.parametrize(("plan", "count"), [(SMALL, 15), (MEDIUM, 13), (LARGE, 30)])
def test_the_target_is_where_the_shift_says(plan, count) -> None:
    assert plan.count == count
    side = plan.window_size(64)
    window = torch.zeros(1, 3, side, side)
    middle = (side - 1) / 2
    spread = (torch.arange(side) - middle).abs().clamp(max=20)
    window[:] = 20 - torch.maximum(spread[:, None], spread)  # brightest in the middle
    draws = np.random.default_rng(0).random((plan.moved, 2))
    samples, shifts = varied_samples(window, 64, plan, draws)
    assert len(samples) == count - plan.dropouts
    assert np.ptp(shifts.numpy(), axis=0).min() > 30
    grid = torch.arange(64.0)
    for sample, shift in zip(samples[:, 0], shifts, strict=True):
        mass = sample.clamp(min=10) - 10
        y, x = (mass.sum(dim=1) * grid).sum() / mass.sum(), (mass.sum(dim=0) * grid).sum() / mass.sum()
        assert (y.item() - 31.5, x.item() - 31.5) == pytest.approx(tuple(shift.tolist()), abs=0.6)


def test_dropout_keeps_the_mean() -> None:
    features = torch.rand(1, 4, 3, 3)
    copies = dropout_copies(features, np.array([[0.1, 0.3, 0.5, 0.19], [0.2, 0.9, 0.9, 0.0]]))
    assert torch.allclose(copies[0, 1], 1.25 * features[0, 1]) and (copies[0, (0, 3), :] == 0).all()
    assert torch.allclose(copies[1, 0], 1.25 * features[0, 0]) and (copies[1, 3] == 0).all()
