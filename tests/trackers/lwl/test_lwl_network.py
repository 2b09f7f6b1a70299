"""The network of LWL and the learning of its filter, against the golden files and automatic differentiation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from lwl_golden import tamed_network
from ostrack_golden import relative

from d3s_vot.trackers.lwl.config import LWLConfig
from d3s_vot.trackers.lwl.learner import descend, objective, respond, zero_filter
from d3s_vot.trackers.lwl.network import LWLNetwork


def soft_ellipse(cy, cx, ry, rx, shape=(240, 416)):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.clip(1.5 - np.sqrt(((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2), 0, 1).astype(np.float32)


def rgb(image):
    return torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float()


def test_golden_network_and_learning(golden, shared):
    net = golden("lwl_net.npz")
    network = tamed_network(shared)
    assert len(network.state_dict()) == 490
    picture = net["image"][:120, :208].repeat(2, axis=0).repeat(2, axis=1)
    levels = network.trunk(rgb(picture))
    for name, channels, step in (("layer1", 16, 3), ("layer2", 32, 3), ("layer3", 64, 3), ("layer4", 64, 3)):
        assert relative(levels[name][0, ::channels, ::step, ::step], net[name]) < 1e-3, name
    x = network.target_model(levels["layer3"])
    assert relative(x[0, ::32], net["target_feature"]) < 1e-3
    y, x_ = np.mgrid[:240, :416]
    masks = [
        ((((y - 120) / 60) ** 2 + ((x_ - 190) / 80) ** 2) < 1).astype(np.float32),
        soft_ellipse(125, 200, 55, 85),
        soft_ellipse(130, 215, 50, 80),
    ]
    labels, weights = network.label_encoder(torch.from_numpy(np.stack(masks))[:, None])
    assert relative(labels[0], net["label"]) < 1e-3 and relative(weights[0], net["label_weight"]) < 1e-3

    regularization = torch.from_numpy(net["filter_reg"])
    f = zero_filter(512, 16, 3, x.device)
    first = objective(labels[:1], weights[:1], regularization)
    losses = [first.loss(f, respond(f, x))]
    for step in range(20):
        f = descend(f, x, first, steps=1)
        losses.append(first.loss(f, respond(f, x)))
        if step == 0:
            assert relative(f[:, ::32], net["filter_iter1"]) < 1e-3
    assert relative(f[:, ::32], net["filter_iter20"]) < 1e-3
    count = labels[:1].numel() + f.numel()
    assert relative(torch.stack(losses) / count, net["losses"]) < 1e-3
    again = descend(zero_filter(512, 16, 3, x.device), x, first, steps=20)
    assert relative(again, f.numpy()) < 1e-4
    samples = torch.cat([x, 1.1 * x.roll((1, 2), (2, 3)), 0.9 * x.roll((-1, 1), (2, 3))])
    share = torch.tensor([0.5, 0.3, 0.2])[:, None, None, None]
    f = descend(f, samples, objective(labels, share * weights, regularization), steps=3)
    assert relative(f[:, ::32], net["filter_update3"]) < 1e-3

    encoding = respond(f, x)
    assert relative(encoding[0], net["encoding"]) < 1e-3
    found = network.decoder.levels(encoding, levels)
    for name, channels, step in (("layer4", 16, 1), ("layer3", 8, 1), ("layer2", 8, 2), ("layer1", 8, 4)):
        assert relative(found[name][0, ::channels, ::step, ::step], net[f"{name}_dec"]) < 1e-3, name
    scores = network.decoder(encoding, levels, (240, 416))
    assert relative(scores[0, ::3, ::3], net["scores"]) < 1e-3


def test_golden_box_start(golden, shared):
    net = golden("lwl_net.npz")
    network, image = tamed_network(shared), net["image"]
    levels = network.trunk(rgb(image))
    x, y, w, h = (int(value) for value in net["box"])
    filled = torch.zeros(1, 1, *image.shape[:2])
    filled[..., y : y + h, x : x + w] = 1
    encoding = network.box_label_encoder(network.target_model(levels["layer3"]), filled)
    assert relative(encoding[0], net["box_label"]) < 1e-3
    scores = network.decoder(encoding, levels, image.shape[:2])
    assert relative(scores[0, ::2, ::2], net["box_scores"]) < 1e-3


@pytest.fixture
def problem():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, 3, 5, 6, generator=generator)
    y, v = (torch.randn(2, 4, 5, 6, generator=generator) for _ in range(2))
    return torch.randn(4, 3, 3, 3, generator=generator), x, objective(y, v, torch.tensor([0.3]))


def test_a_step_is_exact_along_the_slope(problem):
    f, x, taught = problem

    def loss(one):
        return taught.loss(one, respond(one, x))

    with torch.enable_grad():
        wanted = f.clone().requires_grad_()
        (slope,) = torch.autograd.grad(loss(wanted), wanted)
    moved = descend(f, x, taught, steps=1)
    step = (f - moved).flatten()
    assert float(step @ slope.flatten() / (step.norm() * slope.norm())) == pytest.approx(1, abs=1e-5)
    here = float(loss(moved))
    assert here < float(loss(f))
    for factor in (0.9, 1.1):
        assert here < float(loss(f - factor * (f - moved)))


def test_no_step_changes_nothing(problem):
    assert torch.equal(descend(*problem, steps=0), problem[0])


def test_the_descent_can_be_learnt_through(problem):
    f, x, taught = problem
    with torch.enable_grad():
        v = taught.weights.clone().requires_grad_()

        def end(weights):
            found = descend(f.double(), x.double(), objective(taught.labels.double(), weights, torch.tensor([0.3])), 2)
            return found.square().sum()

        (slope,) = torch.autograd.grad(end(v.double()), v)
        place, change = (1, 2, 3, 4), 1e-4
        moved = v.detach().double().clone()
        moved[place] += change
        back = v.detach().double().clone()
        back[place] -= change
        assert float(slope[place]) == pytest.approx(float(end(moved) - end(back)) / (2 * change), rel=1e-3, abs=1e-6)


def test_a_network_for_masks_alone_has_no_box_encoder():
    with torch.device("meta"):
        with_boxes, without = (
            dict(LWLNetwork(LWLConfig(box_start=boxes)).named_parameters()) for boxes in (1, 0)
        )
    assert {k.partition(".")[0] for k in with_boxes.keys() - without.keys()} == {"box_label_encoder"}
