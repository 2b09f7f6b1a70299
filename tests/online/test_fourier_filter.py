"""Filters learnt in the Fourier domain: against the golden file, and against the loss that they make least."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from eco_golden import relative
from torch import Tensor

from d3s_vot.errors import InputError
from d3s_vot.online import fourier
from d3s_vot.online.config import FourierConfig
from d3s_vot.online.fourier import Regularizer
from d3s_vot.online.fourier_filter import FourierFilter, principal_directions
from d3s_vot.online.fourier_fit import (
    JointFit,
    Model,
    correlations,
    filter_preconditioner,
    inner,
    responses,
)

Golden = Callable[[str], dict[str, np.ndarray]]
SIZE, BASE, FIRST = 48, (18.0, 24.0), 6
CONFIGS = (
    FourierConfig(channels=3, memory_size=9, self_adjoint=0),
    FourierConfig(channels=4, memory_size=9, self_adjoint=0, label_sigma_factor=0.25, penalty_least=1e-3,
                  penalty_edge=0.05, penalty_threshold=0.1, learning_rate=0.0075),
)  # fmt: skip


def penalty_of(config: FourierConfig) -> Regularizer:
    return Regularizer.of_target(
        SIZE, BASE, least=config.penalty_least, edge=config.penalty_edge, threshold=config.penalty_threshold
    )


def block(config: FourierConfig, features: Tensor, projection: Tensor) -> tuple[FourierFilter, JointFit, Tensor]:
    """A filter that has learnt nothing, its first problem, and the samples of that."""
    samples = fourier.series(features[:FIRST])
    sigma = config.label_sigma_factor * (BASE[0] * BASE[1]) ** 0.5
    label, penalty = fourier.gaussian_label(samples.shape[-2], SIZE, sigma), penalty_of(config)
    energy = torch.einsum("Nckl,cd->Ndkl", samples, projection + 0j).abs().square().mean(dim=0)
    return (
        FourierFilter(config, label, penalty, projection),
        JointFit(samples, label, penalty, energy, config),
        samples,
    )


@pytest.mark.parametrize("place", [0, 1])
def test_golden_first_frame(place: int, golden: Golden) -> None:
    expected, config = golden("eco_filter.npz"), CONFIGS[place]
    features, projection = (torch.from_numpy(expected[f"{x}_{place}"]) for x in ("features", "projection_pca"))
    own = principal_directions(features[:FIRST], config.channels)
    assert ((own * projection).sum(dim=0).abs() - 1).abs().max() < 1e-5
    filter, problem, samples = block(config, features, projection)
    assert relative(filter._label, expected[f"label_{place}"]) < 1e-5
    assert relative(filter._regularizer.kernel, expected[f"regularisation_{place}"]) < 1e-5
    assert relative(problem._filter_scale, expected[f"precond_filter_1_{place}"]) < 1e-4
    assert float(problem._projection_scale) == pytest.approx(float(expected["precond_projection"][place]), rel=1e-4)
    for name, steps, iterations in (("1_gn_of_1_cg", 1, 1), ("1_gn", 1, 10), ("10_gn", 10, 10)):
        found = problem.solve(Model(filter.filter, projection), steps, iterations)
        assert relative(found.filter, expected[f"filter_{name}_{place}"]) < 1e-4
        assert relative(found.projection, expected[f"projection_{name}_{place}"]) < 1e-4
    filter.learn(samples)
    assert relative(filter.energy, expected[f"energy_{place}"]) < 1e-4
    assert relative(filter.filter, expected[f"filter_symmetric_{place}"]) < 1e-4
    assert relative(filter.projection, expected[f"projection_symmetric_{place}"]) < 1e-4


@pytest.mark.parametrize("place", [0, 1])
def test_golden_corrected_first_frame(place: int, golden: Golden) -> None:
    given, expected = golden("eco_filter.npz"), golden("eco_corrected.npz")
    features, projection = (torch.from_numpy(given[f"{x}_{place}"]) for x in ("features", "projection_pca"))
    filter, problem, _ = block(replace(CONFIGS[place], self_adjoint=1), features, projection)
    found = problem.solve(Model(filter.filter, projection), 10, 10)
    assert relative(found.filter, expected[f"filter_10_gn_{place}"]) < 1e-4
    assert relative(found.projection, expected[f"projection_10_gn_{place}"]) < 1e-4


def test_golden_later_frames(golden: Golden) -> None:
    expected = golden("eco_filter.npz")
    blocks = []
    for place, config in enumerate(CONFIGS):
        features = torch.from_numpy(expected[f"features_{place}"])
        filter, _, samples = block(config, features, torch.from_numpy(expected[f"projection_pca_{place}"]))
        filter.learn(samples)
        blocks.append((filter, features))
    for turn, number in enumerate((6, 7, 8, 6, 7, 8)):
        refine = turn in (2, 5)
        for place, (filter, features) in enumerate(blocks):
            (sight,) = filter.look(features[number : number + 1])
            assert filter.add(sight) == expected["slots"][turn, place]
            assert np.abs(filter.sample_weights.numpy() - expected["weights"][turn, place]).max() < 1e-6
            if refine:
                filter.update(sight)
                raw = torch.from_numpy(expected[f"filter_cg_{turn + 1}_{place}"])
                assert relative(filter.filter, fourier.symmetric(raw).numpy()) < 1e-4
                assert relative(filter.projection, expected[f"projection_cg_{turn + 1}_{place}"]) < 1e-4
        if refine:
            scores = [filter.respond(filter.look(features[6:9])) for filter, features in blocks]
            total = fourier.sample(fourier.add(0.4 * scores[0], 0.6 * scores[1]), SIZE)
            assert relative(total, expected[f"score_cg_{turn + 1}"]) < 1e-4


def made_up(seed: int = 0) -> tuple[FourierConfig, Tensor, Tensor]:
    """Constants, features (6 x 5 x 7 x 7) and a projection."""
    generator = torch.Generator().manual_seed(seed)
    config = FourierConfig(channels=2, memory_size=8, label_sigma_factor=0.25, projection_regularization=0.1)
    features = torch.rand(6, 5, 7, 7, generator=generator)
    return config, features, principal_directions(features, 2)


def loss(problem: JointFit, samples: Tensor, model: Model, config: FourierConfig, label: Tensor) -> Tensor:
    """Half of the squares that the corrected problem makes least."""
    kernel = torch.einsum("cd,dkl->ckl", model.projection + 0j, model.filter)
    missed = (samples * kernel).sum(dim=1) - label
    data = sum(inner(one, one) for one in missed) / len(samples)
    penalty = inner(model.filter, penalty_of(config).apply(model.filter))
    return 0.5 * (data + penalty + config.projection_regularization * model.projection.square().sum())


def test_the_slope_is_that_of_the_loss() -> None:
    config, features, projection = made_up()
    filter, problem, samples = block(config, features, projection)
    model = Model(fourier.symmetric(fourier.spectrum(torch.rand(2, 7, 7, generator=torch.Generator().manual_seed(1)))),
                  projection)  # fmt: skip
    residuals = responses(samples, torch.einsum("cd,dkl->ckl", projection + 0j, model.filter)) - filter._label
    slope = problem._transpose(residuals, model, model, whole=True)
    direction = Model(fourier.spectrum(torch.rand(2, 7, 7, generator=torch.Generator().manual_seed(2))),
                      torch.rand(5, 2, generator=torch.Generator().manual_seed(4)))  # fmt: skip
    told = inner(slope.filter, direction.filter) + (slope.projection * direction.projection).sum()
    small = torch.tensor(1e-3)
    ahead, behind = (loss(problem, samples, model.along(sign * small, direction), config, filter._label)
                     for sign in (1, -1))  # fmt: skip
    assert float((ahead - behind) / (2 * small)) == pytest.approx(float(told), rel=1e-2)


def test_responses_and_correlations_are_adjoint() -> None:
    _, features, _ = made_up()
    samples = fourier.series(features)
    kernel, maps = samples[0].clone(), samples[:, 1].clone()
    there = sum(inner(a, b) for a, b in zip(responses(samples, kernel), maps, strict=True))
    assert float(there) == pytest.approx(float(inner(kernel, correlations(samples, maps))), rel=1e-4)


def test_learning_makes_the_loss_less_and_an_update_does_it_again() -> None:
    config, features, projection = made_up()
    filter, problem, samples = block(config, features, projection)
    start = Model(filter.filter, projection)
    few, many = (problem.solve(start, steps, 5) for steps in (1, 4))
    losses = [float(loss(problem, samples, m, config, filter._label)) for m in (start, few, many)]
    assert losses[0] > losses[1] > losses[2]
    filter.learn(samples)
    before = filter.filter
    (sight,) = filter.look(features[1:2])
    filter.add(sight)
    filter.update(sight)
    assert filter.filter is not before and torch.isfinite(torch.view_as_real(filter.filter)).all()
    scale = filter_preconditioner(filter.energy, penalty_of(config), config)
    assert scale.shape == filter.filter.shape and scale.min() > 0


def test_the_memory_has_room_for_the_first_frame() -> None:
    config, features, projection = made_up()
    filter, _, samples = block(replace(config, memory_size=3), features, projection)
    with pytest.raises(InputError, match="memory_size of 6"):
        filter.learn(samples)


def test_a_target_that_shows_nothing_teaches_nothing() -> None:
    config, features, projection = made_up()
    filter, _, samples = block(config, 0 * features, projection)
    filter.learn(samples)
    assert torch.isfinite(torch.view_as_real(filter.filter)).all()
