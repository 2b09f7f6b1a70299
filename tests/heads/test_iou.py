"""The box regressor and its refinement."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from dimp_golden import PREDICTOR, filled, filled_trunk, load, pictures, relative, shapes_of

from d3s_vot.heads.config import RefinementConfig
from d3s_vot.heads.iou import BoxRegressor, corners
from d3s_vot.heads.refinement import best_box, climb, jittered
from d3s_vot.trunks.create import create_trunk

RELATIVE = RefinementConfig(
    refinement_steps=10, refinement_relative=1, refinement_step=1e-2, refinement_size_step=5e-2
)


@pytest.fixture(scope="module")
def made_up():
    """A frozen regressor of random weights with its features and modulation, and the same unfrozen."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        raw = BoxRegressor(8, 12)
        for module in raw.modules():
            if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
                module.running_var.uniform_(0.5, 1.5)
                module.running_mean.normal_(0, 0.1)
        frozen = BoxRegressor(8, 12)
        frozen.load_state_dict(raw.state_dict())
        fine, coarse = torch.rand(1, 8, 16, 16), torch.rand(1, 12, 8, 8)
    box = torch.tensor([[30.0, 40.0, 50.0, 30.0]])
    return raw.eval(), frozen.freeze(), fine, coarse, box


def test_gradients_by_hand_are_those_of_automatic_differentiation(made_up) -> None:
    raw, frozen, fine, coarse, box = made_up
    boxes = (box + torch.randn(6, 4, generator=torch.Generator().manual_seed(1)) * 6).requires_grad_()
    values = raw(raw.features(fine, coarse), raw.modulation(fine, coarse, box), boxes[None])[0]
    (gradient,) = torch.autograd.grad(values.sum(), boxes)  # by x, y, w, h
    with torch.inference_mode():
        slope = frozen.slope(frozen.features(fine, coarse), frozen.modulation(fine, coarse, box))
        value, by_edges = slope(boxes.detach())
    by_box = torch.cat([by_edges[:, :2] + by_edges[:, 2:], by_edges[:, 2:]], dim=1)
    assert torch.allclose(value, values, atol=1e-6)
    assert relative(by_box, gradient.numpy()) < 1e-4


@pytest.mark.parametrize("config", [RefinementConfig(refinement_step=0.1), RELATIVE])
def test_boxes_climb(config: RefinementConfig) -> None:
    """Towards the maximum of a smooth hill, in either space."""
    best = torch.tensor([40.0, 20.0, 80.0, 70.0])

    def hill(boxes):
        edges = corners(boxes) - best
        return -(edges**2).sum(dim=1) / 100, -edges / 50

    start = torch.tensor([[30.0, 25.0, 52.0, 40.0], [45.0, 15.0, 25.0, 60.0]])
    found, values = climb(hill, start, replace(config, refinement_steps=400))
    assert torch.allclose(corners(found), best.expand(2, 4), atol=1.0)
    assert torch.allclose(values, torch.zeros(2), atol=0.1)


def test_start_boxes_are_about_the_first() -> None:
    box = torch.tensor([10.0, 20.0, 40.0, 90.0])
    draws = torch.tensor([[0.0] * 4, [0.5, -0.5, 0.5, -0.5], [0, 0, -0.5, 0]])
    found = jittered(box, draws, RefinementConfig(jitter_size=2.0))
    assert torch.equal(found[0], box) and torch.allclose(found[1], box)
    assert torch.allclose(found[2, 2:], torch.tensor([100.0, 30.0]))
    assert torch.allclose(found[2, :2] + found[2, 2:] / 2, torch.tensor([33.0, 62.0]))
    assert torch.allclose(found[3, 2:], torch.tensor([40 / 3, 90.0]))  # a third of the shorter side at least


def test_the_answer_is_the_mean_of_the_best_sound_boxes() -> None:
    boxes = torch.tensor(
        [[0, 0, 10, 10], [2, 2, 10, 10], [4, 4, 10, 10], [9, 9, 10, 10], [0, 0, 70, 10], [0, 0, 1, 9],
         [500, 0, 10, 10], [float("nan"), 0, 10, 10]]
    )  # fmt: skip
    values = torch.tensor([3.0, 2.0, 1.0, 0.0, 9.0, 9.0, 9.0, 9.0])
    assert best_box(boxes, values, 100, RefinementConfig()).tolist() == [2, 2, 10, 10]
    assert best_box(boxes[:2], values[:2], 100, RefinementConfig()).tolist() == [1, 1, 10, 10]
    assert best_box(boxes[4:], values[4:], 100, RefinementConfig()) is None


@pytest.mark.parametrize(
    ("name", "trunk", "shrunk", "step", "size_step"),
    [("atom_net.npz", "resnet18", 0.002, 1e-2, 5e-2), ("dimp_net50.npz", "resnet50", 5e-5, 2.5e-3, 2.5e-3)],
)
def test_golden_regressor(golden, shared, name, trunk, shrunk, step, size_step) -> None:
    g, boxes = golden(name), golden("atom_net.npz")
    network = create_trunk(trunk, state=filled_trunk(trunk, shared))
    regressor = BoxRegressor(*network.channels[2:])
    state = filled(shapes_of(regressor, "bb_regressor."), shared)
    for tensor in PREDICTOR:
        state[tensor] *= shrunk
    regressor = load(regressor, state, "bb_regressor.").freeze()
    with torch.inference_mode():
        reference, test = (network(pictures(k)) for k in (0, 3))
        modulation = regressor.modulation(reference[8], reference[16], torch.from_numpy(boxes["reference_box"])[None])
        features = regressor.features(test[8], test[16])
        steps = (8, 4, 8, 3) if trunk == "resnet18" else (32, 6, 32, 3)
        assert relative(reference[8][0, :: steps[0], :: steps[1], :: steps[1]], g["layer2"]) < 1e-4
        assert relative(reference[16][0, :: steps[2], :: steps[3], :: steps[3]], g["layer3"]) < 1e-4
        assert relative(modulation.fine, g["modulation3"]) < 1e-4
        assert relative(modulation.coarse, g["modulation4"]) < 1e-4
        if "iou_feat3" in g:
            assert relative(features.fine[0, ::16, ::4, ::4], g["iou_feat3"]) < 1e-4
            assert relative(features.coarse[0, ::16, ::3, ::3], g["iou_feat4"]) < 1e-4
        slope = regressor.slope(features, modulation)
        value, by_edges = slope(torch.from_numpy(boxes["proposals"]))
        gradient = torch.cat([by_edges[:, :2] + by_edges[:, 2:], by_edges[:, 2:]], dim=1)
        assert relative(value, g["predicted"]) < 1e-4
        assert relative(gradient, g["box_gradient"]) < 1e-4
        assert torch.allclose(regressor(features, modulation, torch.from_numpy(boxes["proposals"])[None])[0], value)
        spaces = {
            "default": RefinementConfig(),
            "relative": replace(RELATIVE, refinement_step=step, refinement_size_step=size_step),
        }
        for space, config in spaces.items():
            if f"refined_{space}" not in g:
                continue
            found, values = climb(slope, torch.from_numpy(boxes["start_boxes"]), config)
            assert np.abs(found.numpy() - g[f"refined_{space}"]).max() < 0.02
            assert relative(values, g[f"value_{space}"]) < 1e-4
