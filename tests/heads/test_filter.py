"""The classifier: its networks and what teaches the filter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from dimp_golden import filled, filled_trunk, load, pictures, relative, shapes_of

from d3s_vot.heads.config import ClassifierConfig
from d3s_vot.heads.filter import (
    Classifier,
    GaussianLeastSquares,
    LearntLeastSquares,
    NewtonCrossEntropy,
    centers_in_cells,
    distances,
)
from d3s_vot.heads.iou import corners
from d3s_vot.online.correlation import Samples
from d3s_vot.online.discriminative import as_filter, as_kernel
from d3s_vot.online.steepest import steepest_descent
from d3s_vot.trunks.create import create_trunk

NEWTON = ClassifierConfig(least_regularization=0.05, step_damping=0.05)


def teachers():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        learnt = LearntLeastSquares(ClassifierConfig())
        learnt.start()
        newton = NewtonCrossEntropy(NEWTON)
        newton.start()
        plain = GaussianLeastSquares(ClassifierConfig(step_damping=0.01))
        plain.filter_reg.data.fill_(0.2)
    return learnt, newton, plain


@pytest.mark.parametrize("kind", range(3))
def test_gradient_and_step_are_those_of_the_loss(kind) -> None:
    """By automatic differentiation of the loss; least squares leave out the factor 2."""
    teacher = teachers()[kind].double()
    g = torch.Generator().manual_seed(kind)
    features = torch.randn(3, 5, 6, 6, generator=g).double()
    kernel = as_kernel(torch.randn(1, 5, 4, 4, generator=g).double() / 5).requires_grad_()
    lessons = teacher.lessons(torch.tensor([[3.0, 3.2], [2.5, 4.0], [1.0, 5.0]]).double(), 7)
    objective = teacher.objective(lessons, torch.tensor([0.5, 0.3, 0.2]).double())

    def loss(k):
        return objective.loss(k, F.conv2d(features, as_filter(k), padding=2)[:, 0])

    (gradient,) = torch.autograd.grad(loss(kernel), kernel)
    # The cross-entropy's descent leaves it out in the regularisation alone.
    gradient = gradient - objective.regularization * kernel if kind == 1 else gradient / 2
    moved = steepest_descent(kernel, Samples.of(features), objective, 1)
    step = (kernel - moved) / gradient
    assert torch.allclose(step, step[0, 0].expand_as(step))
    many = steepest_descent(kernel, Samples.of(features), objective, 30)
    assert loss(many) < loss(moved) < loss(kernel)
    (by_kernel,) = torch.autograd.grad(loss(many), kernel)  # training goes through the descent
    assert torch.isfinite(by_kernel).all() and by_kernel.abs().max() > 0


def test_the_learnt_functions_are_interpolated() -> None:
    teacher, _, _ = teachers()
    values = torch.arange(100.0)
    teacher.label_map_predictor.weight.data[:] = values.view(1, -1, 1, 1)
    center = torch.tensor([[0.0, 0.03]])
    label = teacher.lessons(center, 19)[0, 0]
    d = distances(center, 19)[0] * 10
    assert torch.allclose(label, d.clamp(max=99), atol=1e-3)


def test_the_networks_features_have_one_norm() -> None:
    block = Classifier(256, teachers()[0]).feature_extractor.eval()
    with torch.no_grad():
        x = block(torch.rand(2, 256, 6, 6) * torch.tensor([1.0, 50.0])[:, None, None, None])
    assert torch.allclose(x.square().mean(dim=(1, 2, 3)), torch.tensor(1 / (16 * 256.0)), rtol=1e-3)


@pytest.fixture(scope="module")
def net18(shared):
    """Features of the golden samples, the filled classifier and the first filter."""
    trunk = create_trunk("resnet18", state=filled_trunk("resnet18", shared))
    classifier = Classifier(256, LearntLeastSquares(ClassifierConfig()))
    classifier = load(classifier, filled(shapes_of(classifier, "classifier."), shared), "classifier.").freeze()
    with np.load(shared / "golden" / "dimp_net18.npz") as archive:
        g = dict(archive)
    boxes = torch.from_numpy(g["boxes"])
    with torch.inference_mode():
        features = classifier.feature_extractor(trunk(pictures(0, 3, 5))[16])
        first = classifier.filter_initializer(features, corners(boxes))
    return g, classifier, features, first, centers_in_cells(boxes)


def follow(net18, teacher, iterations, weights=None, kernel=None):
    """Losses before each iteration and after, and the kernel."""
    _, _, features, first, centers = net18
    kernel = as_kernel(first) if kernel is None else kernel
    weights = torch.full((3,), 1 / 3) if weights is None else weights
    samples, losses = Samples.of(features), []
    with torch.inference_mode():
        objective = teacher.objective(teacher.lessons(centers, 19), weights)
        for _ in range(iterations):
            losses.append(objective.loss(kernel, F.conv2d(features, as_filter(kernel), padding=2)[:, 0]).item())
            kernel = steepest_descent(kernel, samples, objective, 1)
        score = F.conv2d(features, as_filter(kernel), padding=2)[:, 0]
        losses.append(objective.loss(kernel, score).item())
    return losses, score, kernel


def test_golden_features_and_first_filter(net18) -> None:
    g, _, features, first, _ = net18
    assert relative(features[0, ::8, ::3, ::3], g["classification"]) < 1e-3
    assert relative(first[0, ::4], g["initial_filter"]) < 1e-3
    assert relative(F.conv2d(features, first, padding=2)[:, 0], g["initial_score"]) < 1e-3


def test_golden_first_filter_on_resnet50(golden, shared) -> None:
    g = golden("dimp_net50.npz")
    trunk = create_trunk("resnet50", state=filled_trunk("resnet50", shared))
    classifier = Classifier(1024, LearntLeastSquares(ClassifierConfig()))
    classifier = load(classifier, filled(shapes_of(classifier, "classifier."), shared), "classifier.").freeze()
    box = torch.from_numpy(golden("atom_net.npz")["reference_box"])[None]
    with torch.inference_mode():
        features = classifier.feature_extractor(trunk(pictures(0))[16])
        first = classifier.filter_initializer(features, corners(box))
    assert relative(features[0, ::16, ::3, ::3], g["classification"]) < 1e-3
    assert relative(first[0, ::4], g["initial_filter"]) < 1e-3


def test_golden_descent_of_the_filled(net18) -> None:
    g, classifier, _, _, centers = net18
    teacher = classifier.filter_optimizer
    label, mask, weight = teacher.lessons(centers, 19).unbind(dim=1)
    for name, values in (("label", label), ("mask", mask), ("weight", weight)):
        assert relative(values, g[f"{name}_filled"]) < 1e-3
    hats = (1 - (distances(centers, 19)[0] / 0.1 - torch.arange(99)[:, None, None]).abs()).clamp(min=0)
    assert relative(hats[::9, ::3, ::3][:11], g["distance_map"][:11]) < 1e-3
    losses, score, _ = follow(net18, teacher, 5)
    assert np.allclose(losses, g["gn_filled_loss"], rtol=1e-4)
    assert relative(score, g["gn_filled_score"]) < 1e-3


def test_golden_descent_from_the_starting_values(net18) -> None:
    g = net18[0]
    teacher = LearntLeastSquares(ClassifierConfig()).requires_grad_(False)
    teacher.start()
    for name, values in teacher.state_dict().items():
        assert np.allclose(values.flatten(), g[f"start_{name.replace('.', '_')}"], atol=1e-6)
    label, mask, _ = teacher.lessons(net18[4], 19).unbind(dim=1)
    assert relative(label, g["label_start"]) < 1e-3 and relative(mask, g["mask_start"]) < 1e-3
    losses, score, kernel = follow(net18, teacher, 10)
    assert np.allclose(losses, g["gn_start_loss"], rtol=1e-4)
    assert relative(score, g["gn_start_score"]) < 1e-3
    assert relative(as_filter(kernel)[0, ::4], g["gn_start_filter"]) < 1e-3
    losses, score, _ = follow(net18, teacher, 2, torch.from_numpy(g["sample_weight"]), kernel)
    assert np.allclose(losses, g["gn_weighted_loss"], rtol=1e-4)
    assert relative(score, g["gn_weighted_score"]) < 1e-3


def test_golden_descent_of_newton(net18, shared) -> None:
    g = net18[0]
    teacher = NewtonCrossEntropy(NEWTON).requires_grad_(False)
    prefix = "classifier.filter_optimizer."
    teacher = load(teacher, filled(shapes_of(teacher, prefix), shared), prefix)
    assert relative(teacher.lessons(net18[4], 19)[:, 0], g["density"]) < 1e-3
    losses, score, kernel = follow(net18, teacher, 10)
    assert np.allclose(losses, g["newton_loss"], rtol=1e-4)
    assert relative(score, g["newton_score"]) < 1e-3
    assert relative(as_filter(kernel)[0, ::4], g["newton_filter"]) < 1e-3
    losses, score, _ = follow(net18, teacher, 2, torch.from_numpy(g["sample_weight"]), kernel)
    assert np.allclose(losses, g["newton_weighted_loss"], rtol=1e-4)
    assert relative(score, g["newton_weighted_score"]) < 1e-3


def test_golden_descent_of_the_plain_one(net18, shared) -> None:
    g = net18[0]
    teacher = GaussianLeastSquares(ClassifierConfig()).requires_grad_(False)
    prefix = "classifier.filter_optimizer."
    teacher = load(teacher, filled(shapes_of(teacher, prefix), shared), prefix)
    losses, score, _ = follow(net18, teacher, 5)
    assert np.allclose(losses, g["l2_loss"], rtol=1e-4)
    assert relative(score, g["l2_score"]) < 1e-3
