"""Fourier series of signals: against the golden file, and against what they stand for."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from eco_golden import relative
from torch import Tensor

from d3s_vot.online import fourier
from d3s_vot.online.fourier import Regularizer

Golden = Callable[[str], dict[str, np.ndarray]]
PENALTIES = ({"least": 1e-4, "edge": 0.01, "threshold": 0.05}, {"least": 1e-3, "edge": 0.05, "threshold": 0.1})


def test_golden_windows_and_interpolation(golden: Golden) -> None:
    parts = golden("eco_parts.npz")
    for side in (13, 15, 52, 60):
        profile = parts[f"window_{side}"]
        assert relative(fourier.window(side), np.outer(profile, profile)) < 1e-5
    for side in (13, 15, 53, 61):
        rows, columns = fourier.interpolation(side)
        assert relative(rows, parts[f"interpolation_y_{side}"]) < 2e-3
        assert relative(columns, parts[f"interpolation_x_{side}"]) < 2e-3


def test_golden_series(golden: Golden) -> None:
    parts = golden("eco_parts.npz")
    found = {}
    for kind in ("even", "odd"):
        spectrum = fourier.spectrum(torch.from_numpy(parts[f"fft_{kind}_in"]))
        assert relative(spectrum, parts[f"fft_{kind}_out"]) < 1e-5
        rows, columns = fourier.interpolation(spectrum.shape[-2])
        found[kind] = spectrum * (rows[:, None] * columns)
        assert relative(found[kind], parts[f"coefficients_{kind}"]) < 1e-5
    total = fourier.add(0.4 * found["even"], 0.6 * found["odd"])
    assert relative(total, parts["sum_04_06"]) < 1e-5
    assert torch.equal(fourier.add(0.6 * found["odd"], 0.4 * found["even"]), total)
    assert relative(fourier.sample(total, 24), parts["sum_sampled_24"]) < 1e-5
    assert relative(fourier.shift(total, (0.7, -0.3)), parts["sum_shifted"]) < 1e-5


def test_golden_labels_and_penalties(golden: Golden) -> None:
    parts = golden("eco_parts.npz")
    seen = 0
    for place, (*_, base_h, base_w, size, n_shallow, n_deep, _, _) in enumerate(parts["geometry"]):
        for block, (side, factor) in enumerate(((n_shallow, 1 / 16), (n_deep, 1 / 4))):
            found = Regularizer.of_target(int(size), (base_h, base_w), **PENALTIES[block])
            expected = parts[f"regularisation_{place}_{block}"]
            assert found.kernel.shape == expected.shape and relative(found.kernel, expected) < 1e-5
            if f"label_{place}_{block}" in parts:
                label = fourier.gaussian_label(int(side), int(size), math.sqrt(base_h * base_w) * factor)
                assert relative(label, parts[f"label_{place}_{block}"]) < 1e-5
                seen += 1
    assert seen == 4


def random_series(side: int = 7, channels: int = 2) -> Tensor:
    """The series of random signals."""
    return fourier.spectrum(torch.rand(channels, side, side, generator=torch.Generator().manual_seed(3)))


def test_a_series_gives_its_signal_back() -> None:
    signal = torch.rand(2, 9, 9, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(fourier.sample(fourier.spectrum(signal) / 81, 9), signal, atol=1e-6)


def test_a_shift_moves_the_content_back() -> None:
    coefficients = random_series()
    moved = fourier.sample(fourier.shift(coefficients, (2 * math.pi * 3 / 28, -2 * math.pi * 5 / 28)), 28)
    assert torch.allclose(moved, fourier.sample(coefficients, 28).roll((-3, 5), (1, 2)), atol=1e-4)


def test_a_label_is_one_where_the_target_is() -> None:
    label = fourier.sample(fourier.gaussian_label(53, 208, 6.0) + 0j, 208)
    assert label[0, 0].item() == pytest.approx(1, abs=1e-3) and label.argmax() == 0
    assert label[6, 0].item() == pytest.approx(math.exp(-0.5), abs=1e-3)


def test_symmetric_series_are_those_of_real_signals() -> None:
    coefficients = random_series()
    assert torch.allclose(fourier.symmetric(coefficients), coefficients, atol=1e-5)
    twisted = fourier.symmetric(coefficients + torch.rand_like(coefficients))[..., 0]
    assert torch.equal(twisted, twisted.flip(-1).conj())


def whole(half: Tensor) -> Tensor:
    """All columns of a series: n x n' to n x n."""
    return torch.cat([half[:, 1:].flip(0, 1).conj(), half], dim=1)


def test_a_penalty_is_two_convolutions_of_the_whole_series() -> None:
    size, target = 208, (60.0, 34.0)
    penalty = Regularizer.of_target(size, target, **PENALTIES[1])
    assert penalty.energy == pytest.approx(float(penalty.kernel.square().sum()))
    p, q = (side // 2 for side in penalty.kernel.shape)
    filters = random_series(7, 1)
    series = torch.nn.functional.pad(whole(filters[0]), (2 * q, 2 * q, 2 * p, 2 * p))  # zero beyond itself
    for _ in range(2):
        series = sum(
            penalty.kernel[p + y, q + x] * series.roll((y, x), (0, 1))
            for y in range(-p, p + 1)
            for x in range(-q, q + 1)
        )
    expected = series[2 * p : 2 * p + 7, 2 * q + 3 : 2 * q + 7]
    assert torch.allclose(penalty.apply(filters)[0], expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
    assert not torch.allclose(penalty.apply(filters, whole=False), penalty.apply(filters), rtol=1e-3)
