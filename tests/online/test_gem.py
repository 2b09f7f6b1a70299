"""The online model against the golden vectors, automatic differentiation and a plain re-computation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from d3s_vot.errors import InputError
from d3s_vot.online.correlation import Samples
from d3s_vot.online.factorized import GEM
from d3s_vot.online.features import normalize_features
from d3s_vot.online.gauss_newton import Linearization, conjugate_gradient
from d3s_vot.online.interpolation import cosine_window, upsample_score
from d3s_vot.online.labels import gaussian_labels
from d3s_vot.trackers.d3s.config import D3SConfig

CONFIG = D3SConfig()
SMALL = replace(CONFIG, projection_channels=8, memory_size=9)
TEST_CENTERS = np.array([(7.5, 7.5), (5, 10), (10, 6)])


def made_up_features(centers: np.ndarray, channels: int = 1024) -> Tensor:
    """The features of golden/README.md: n x channels x 16 x 16."""
    rng = np.random.default_rng(11)
    base = rng.standard_normal(channels).astype(np.float32)[:, None, None]
    background = rng.standard_normal((4, channels)).astype(np.float32)[:, :, None, None]
    yy, xx = np.mgrid[:16, :16]
    samples = []
    for i, (cy, cx) in enumerate(centers):
        bump = np.exp(-((yy - cy) ** 2 + (xx - cx) ** 2) / 8)
        mix = sum(background[k] * np.sin(0.4 * xx + 0.3 * yy + k + i) for k in range(4))
        samples.append(np.maximum(0, 2 * base * bump + 0.7 * mix))
    return normalize_features(torch.from_numpy(np.stack(samples)).float())


def made_up_labels(centers: np.ndarray) -> Tensor:
    """Labels of features at those centres, moved by half a cell for the even filter: n x 16 x 16."""
    return gaussian_labels(torch.from_numpy(centers) - 7.5 + 0.5, 1.25).float()


def small_problem(seed: int = 0, n: int = 4) -> tuple[Tensor, Tensor]:
    """A quick problem: n x 24 x 16 x 16 features and their labels."""
    centers = np.random.default_rng(seed).uniform(4, 11, (n, 2))
    return made_up_features(centers, channels=24), made_up_labels(centers)


def plain_loss(gem: GEM, features: Tensor, labels: Tensor, weights: Tensor) -> float:
    """The loss of d3s.md, section 2, written with convolutions."""
    projected = F.conv2d(features, gem.projection[:, :, None, None])
    response = F.conv2d(projected, gem.filter, padding=2)[:, 0, :-1, :-1]
    value = F.elu(F.leaky_relu(response, CONFIG.activation_slope), CONFIG.activation_alpha)
    data = (weights[:, None, None] * (value - labels) ** 2).sum()
    ridge = (
        CONFIG.filter_regularization * gem.filter.square().sum()
        + CONFIG.projection_regularization * gem.projection.square().sum()
    )
    return float(data + ridge)


def relative_error(ours: Tensor, reference: np.ndarray) -> float:
    """Relative L2 distance."""
    expected = torch.from_numpy(reference)
    return float((ours - expected).norm() / expected.norm())


@dataclass(frozen=True)
class GoldenRun:
    """What the golden file describes, done by our model."""

    expected: dict[str, np.ndarray]
    score_after_init: Tensor
    replaced: list[int]
    sample_weights: Tensor
    score_after_update: Tensor


@pytest.fixture(scope="module")
def golden_run(golden: Callable[[str], dict[str, np.ndarray]]) -> GoldenRun:
    """Fits the 27 golden samples, adds the three test samples, updates."""
    expected = golden("gem.npz")
    gem = GEM(CONFIG, made_up_features(expected["centers"]), made_up_labels(expected["centers"]))
    tests, labels = made_up_features(TEST_CENTERS).split(1), made_up_labels(TEST_CENTERS)
    after_init = torch.stack([gem.score(x) for x in tests])
    replaced = [gem.add(x, y, CONFIG.learning_rate) for x, y in zip(tests, labels, strict=True)]
    gem.update()
    after_update = torch.stack([gem.score(x) for x in tests])
    return GoldenRun(expected, after_init, replaced, gem.sample_weights, after_update)


def test_golden_labels(golden: Callable[[str], dict[str, np.ndarray]]) -> None:
    expected = golden("gem.npz")
    np.testing.assert_allclose(made_up_labels(expected["centers"]), expected["labels"], rtol=0, atol=1e-5)


def test_golden_memory(golden_run: GoldenRun) -> None:
    expected = golden_run.expected
    assert golden_run.replaced == expected["replaced"].tolist()
    np.testing.assert_allclose(golden_run.sample_weights, expected["sample_weights"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["score_after_init", "score_after_update"])
def test_golden_scores(golden_run: GoldenRun, name: str) -> None:
    for ours, expected in zip(getattr(golden_run, name), golden_run.expected[name], strict=True):
        assert relative_error(ours, expected) <= 0.04
        assert int(ours.argmax()) == expected.argmax()


def test_golden_upsampling_and_window(golden: Callable[[str], dict[str, np.ndarray]]) -> None:
    expected = golden("gem.npz")
    upsampled = upsample_score(torch.from_numpy(expected["score_after_update"][0]))
    np.testing.assert_allclose(upsampled, expected["upsampled"][0], rtol=0, atol=1e-5)
    np.testing.assert_allclose(cosine_window(256), expected["output_window"], rtol=0, atol=1e-5)


def test_normalized_features_have_unit_mean_square_per_item() -> None:
    features = normalize_features(torch.randn(3, 5, 4, 6) * torch.tensor([1e-2, 1, 1e2])[:, None, None, None])
    torch.testing.assert_close(features.square().mean(dim=(1, 2, 3)), torch.ones(3))
    assert not normalize_features(torch.zeros(1, 5, 4, 6)).any()


def test_labels_take_a_sigma_for_each_axis() -> None:
    label = gaussian_labels(torch.tensor([[0.5, -1.5]]), torch.tensor([1.0, 2.0]))[0]  # 16 x 16
    assert label.argmax() == 8 * 16 + 6
    torch.testing.assert_close(label[8, 6], torch.tensor(1.0))
    torch.testing.assert_close(label[9, 6], torch.tensor(0.5).neg().exp())
    torch.testing.assert_close(label[8, 8], torch.tensor(0.5).neg().exp())


def test_upsampling_continues_a_wave_and_puts_the_middle_first() -> None:
    coarse, fine = torch.arange(16) - 8, torch.arange(64) / 4
    wave = torch.cos(2 * torch.pi * 3 * coarse / 16)  # zero displacement at index 8
    expected = torch.cos(2 * torch.pi * 3 * fine / 16)  # zero displacement at index 0
    torch.testing.assert_close(upsample_score(torch.outer(wave, wave), 64), torch.outer(expected, expected))


def test_filter_is_one_of_conv2d() -> None:
    features, labels = small_problem()
    gem = GEM(SMALL, features, labels)
    projected = F.conv2d(features[:1], gem.projection[:, :, None, None])
    expected = F.conv2d(projected, gem.filter, padding=2)[0, 0, :-1, :-1]
    torch.testing.assert_close(gem.score(features[:1]), expected)


@pytest.mark.parametrize("joint", [True, False])
def test_jacobian_against_automatic_differentiation(joint: bool) -> None:
    generator = torch.Generator().manual_seed(1)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    n, c, m, h, w = 3, 7, 5, 6, 8
    samples, labels, weights = random(c, n, h, w), random(n, h, w), random(n).exp()
    taps = random(m if joint else c, 16)
    projection = random(m, c) if joint else torch.eye(c, dtype=torch.float64)

    def residuals(vector: Tensor) -> Tensor:
        f = vector[: taps.numel()].view(1, -1, 4, 4).flip(2, 3)  # the order that Linearization documents
        p = vector[taps.numel() :].view(m, c) if joint else projection
        projected = F.conv2d(samples.transpose(0, 1), p[:, :, None, None])
        response = F.conv2d(projected, f, padding=2)[:, 0, :-1, :-1]
        value = F.elu(F.leaky_relu(response, CONFIG.activation_slope), CONFIG.activation_alpha)
        return weights.sqrt()[:, None, None] * (value - labels)

    parameters = torch.cat([taps.flatten(), projection.flatten()]) if joint else taps.flatten()
    maps = Samples.of(samples.transpose(0, 1))
    problem = Linearization(CONFIG, maps, labels, weights, taps, projection if joint else None)
    v, r = random(parameters.numel()), random(n, h, w)
    expected_residuals, expected_forward = torch.func.jvp(residuals, (parameters,), (v,))
    expected_transpose = torch.func.vjp(residuals, parameters)[1](r)[0]

    torch.testing.assert_close(problem.residuals, expected_residuals)
    torch.testing.assert_close(problem.forward(v), expected_forward)
    torch.testing.assert_close(problem.transpose(r), expected_transpose)
    torch.testing.assert_close((problem.forward(v) * r).sum(), v @ problem.transpose(r))

    product, right_side = problem.normal_equations(parameters, 0.1)
    loss = torch.func.grad(lambda x: 0.5 * residuals(x).square().sum() + 0.05 * x.square().sum())
    torch.testing.assert_close(right_side, -loss(parameters))
    torch.testing.assert_close(product(v), problem.transpose(problem.forward(v)) + 0.1 * v)


@pytest.mark.parametrize("polak_ribiere", [False, True])
def test_conjugate_gradient_solves_and_stays_at_zero(polak_ribiere: bool) -> None:
    generator = torch.Generator().manual_seed(2)
    root = torch.randn(6, 6, generator=generator, dtype=torch.float64)
    matrix = root @ root.T + torch.eye(6, dtype=torch.float64)
    right_side = torch.randn(6, generator=generator, dtype=torch.float64)
    solution = conjugate_gradient(matrix.mv, right_side, 6, matrix.diagonal(), polak_ribiere)
    torch.testing.assert_close(matrix @ solution, right_side)
    assert not conjugate_gradient(matrix.mv, torch.zeros_like(right_side), 3, 1.0, polak_ribiere).any()


def test_first_frame_starts_from_principal_components() -> None:
    features, labels = small_problem()
    gem = GEM(replace(SMALL, gauss_newton_steps=0), features, labels)
    torch.testing.assert_close(gem.projection @ gem.projection.T, torch.eye(8))
    flat = features.transpose(0, 1).flatten(1).double()
    _, _, directions = torch.linalg.svd((flat - flat.mean(dim=1, keepdim=True)).T, full_matrices=False)
    cosines = (gem.projection.double() @ directions[:8].T).diagonal().abs()  # signs are free
    torch.testing.assert_close(cosines[:4], torch.ones(4, dtype=torch.float64), rtol=0, atol=1e-3)
    assert not gem.filter.any()


def test_fit_and_update_lower_the_loss() -> None:
    features, labels = small_problem()
    weights = torch.full((4,), 0.25)
    untrained = GEM(replace(SMALL, gauss_newton_steps=0), features, labels)
    gem = GEM(SMALL, features, labels)
    assert plain_loss(gem, features, labels, weights) < 0.2 * plain_loss(untrained, features, labels, weights)

    other_features, other_labels = small_problem(seed=5, n=2)
    for x, y in zip(other_features, other_labels, strict=True):
        gem.add(x[None], y, 0.3)
    everything = torch.cat([features, other_features]), torch.cat([labels, other_labels])
    before = plain_loss(gem, *everything, gem.sample_weights[:6])
    projection = gem.projection.clone()
    gem.update()
    after = plain_loss(gem, *everything, gem.sample_weights[:6])
    assert after < before
    gem.update(iterations=20)
    assert plain_loss(gem, *everything, gem.sample_weights[:6]) < after
    assert torch.equal(gem.projection, projection)


def test_memory_weights_by_a_plain_computation() -> None:
    features, labels = small_problem()
    gem = GEM(SMALL, features, labels)
    weights = [0.25] * 4 + [0.0] * 5
    last = None
    for i, rate in enumerate([0.0075, 0.0075, 0.02, 0.0075] * 5):
        slot = weights.index(min(weights))
        if last is None:
            weights = [value / (1 - rate) for value in weights]
            weights[slot] = rate
        else:
            weights[slot] = weights[last] / (1 - rate)
        weights = [value / sum(weights) for value in weights]
        last = slot
        assert gem.add(features[i % 4 : i % 4 + 1], labels[i % 4], rate) == slot
        np.testing.assert_allclose(gem.sample_weights, weights, rtol=1e-5)


def test_empty_slots_stay_out_of_the_arithmetic() -> None:
    features, labels = small_problem()
    gem, small = GEM(SMALL, features, labels), GEM(replace(SMALL, memory_size=5), features, labels)
    for model in (gem, small):
        assert model.add(features[:1], labels[0], 0.0075) == 4
        model.update()
    torch.testing.assert_close(gem.filter, small.filter, rtol=1e-3, atol=1e-5)


def test_same_input_same_bits() -> None:
    filters = []
    for _ in range(2):
        features, labels = small_problem()
        gem = GEM(SMALL, features, labels)
        gem.add(features[:1], labels[0], 0.0075)
        gem.update()
        filters.append((gem.filter, gem.projection, gem.score(features[:1])))
    for first, second in zip(*filters, strict=True):
        assert torch.equal(first, second)


def test_update_never_waits_for_the_device() -> None:
    class NoScalars(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            assert func is not torch.ops.aten._local_scalar_dense.default, "a value was read by the host"
            return func(*args, **(kwargs or {}))

    features, labels = small_problem()
    gem = GEM(SMALL, features, labels)
    with NoScalars():
        gem.update()


def test_unusable_input_is_named() -> None:
    features, labels = small_problem()
    with pytest.raises(InputError, match="24 channels; give 64"):
        GEM(CONFIG, features, labels)
    with pytest.raises(InputError, match=r"labels are \(3, 16, 16\)"):
        GEM(SMALL, features, labels[:3])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_agrees_with_the_cpu_and_with_itself() -> None:
    features, labels = small_problem()
    on_cpu = GEM(SMALL, features, labels)
    on_gpu = [GEM(SMALL, features.cuda(), labels.cuda()) for _ in range(2)]
    for gem in (on_cpu, *on_gpu):
        gem.add(features[:1].to(gem.projection.device), labels[0].to(gem.projection.device), 0.0075)
        gem.update()
    assert torch.equal(on_gpu[0].filter, on_gpu[1].filter)
    expected = on_cpu.score(features[:1])
    assert relative_error(on_gpu[0].score(features[:1].cuda()).cpu(), expected.numpy()) < 0.04
