"""The networks of KYS and its rules one by one, against the golden files; how scenes are matched and moved."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from dimp_golden import relative
from kys_golden import golden_model, golden_predictor, golden_state

from d3s_vot.compute.arithmetic import exact
from d3s_vot.heads.config import STRIDE
from d3s_vot.heads.iou import BoxFeatures
from d3s_vot.online.memory import SampleWeights
from d3s_vot.online.state import Place, State
from d3s_vot.trackers.kys.config import KYSConfig
from d3s_vot.trackers.kys.locate import locate, middle_window
from d3s_vot.trackers.kys.matching import costs
from d3s_vot.trackers.kys.network import ScenePredictor
from d3s_vot.trackers.kys.published import CONFIGURATIONS
from d3s_vot.trackers.kys.scene import Scene
from d3s_vot.trackers.kys.target import first_label

SETS = {"default": CONFIGURATIONS["KYS"].config, "default_vot": CONFIGURATIONS["KYS-VOT"].config}
STEEP = {"cost_volume_proc1.1.1.weight": 4.0, "cost_volume_proc2.1.1.weight": 40.0}


def tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values, np.float32))


def off(a: torch.Tensor, b: np.ndarray) -> float:
    """The largest difference."""
    return float(np.abs(a.detach().numpy().reshape(b.shape) - b).max())


def test_the_networks_of_a_picture(golden, shared) -> None:
    g = golden("kys_net.npz")
    picture = g["crop_half"].repeat(2, axis=0).repeat(2, axis=1)
    model = golden_model(golden_state(shared), SETS["default"])
    boxes = tensor(g["iou_boxes"])
    with exact():
        sight = model.networks["sight"]
        image = tensor(picture).permute(2, 0, 1)[None]
        features = sight.trunk(image)
        motion, classification, *box_features = sight(image)
        modulation = model.regressor.modulation(features[8], features[16], boxes[:1])
        values = model.regressor.slope(BoxFeatures(*box_features), modulation)(boxes)[0]
    assert relative(features[8][0, ::32, ::5, ::5], g["layer2"]) < 1e-4
    assert relative(motion[0, ::32, ::3, ::3], g["layer3"]) < 1e-4
    assert relative(classification[0, ::16, ::3, ::3], g["classification"]) < 1e-4
    assert relative(values, g["iou"]) < 1e-3


@pytest.mark.parametrize(("part", "steps"), [("a", 3), ("b", 1)])
def test_the_predictor_step_by_step(golden, shared, part, steps) -> None:
    g = {k.removeprefix(f"{part}_"): v for k, v in golden("kys_predictor.npz").items() if k.startswith(part)}
    predictor = golden_predictor(shared, STEEP)
    feat, window = tensor(g["feat"])[:, None], tensor(g["window"])
    n = len(window)
    with exact():
        state = predictor.first_state(tensor(g["label"])[None, None])
        for k in range(steps):
            cost = costs(feat[k + 1], feat[k], predictor.config.reach)
            places = np.arange(0, n * n, 17)
            expected = g[f"cost_{k}"]
            assert off(cost.view(n * n, n, n)[places], expected) < 1e-4 * np.abs(expected).max()
            weights = predictor.match(cost)
            assert off(weights[0, places], g[f"weights_{k}"]) < 1e-4
            carried, uncertain = predictor.carry(weights, state)
            assert off(carried, g[f"propagated_{k}"]) < 1e-4 and off(uncertain, g[f"entropy_{k}"]) < 1e-4
            score = tensor(g[f"score_{k}"])[None, None]
            fused = predictor.fuse(carried, predictor.to_cells(score), uncertain)
            assert off(fused, g[f"fused_raw_{k}"]) < 1e-4
            found = predictor(feat[k + 1], feat[k], score, window, state)
            assert off(found.response, np.maximum(g[f"response_{k}"], 0)) < 1e-4
            assert off(found.state, g[f"state_{k}"]) < 1e-4
            assert off(predictor.target_in(found.state), g[f"is_target_{k}"]) < 1e-4
            state = found.state


@pytest.mark.parametrize("name", SETS)
def test_the_rules_of_a_configuration(golden, name) -> None:
    g, c = golden("kys_parts.npz"), SETS[name]
    g = {k.removeprefix(f"{name}_"): v for k, v in g.items()}
    assert off(middle_window(c), g["window"]) < 1e-5

    (h, w), size = g["label_size_yx"].tolist(), c.sample_size
    for (y, x, sample_y, sample_x, scale), expected in zip(g["label_in"].tolist(), g["label"], strict=True):
        state = State.begin((x - (w - 1) / 2, y - (h - 1) / 2, w, h), c.search_area_scale, size)
        assert np.hypot(*np.subtract(state.position_yx, (y, x))) < 1e-9
        assert off(first_label(state, Place((sample_y, sample_x), scale, size), c), expected) < 1e-5

    cell = STRIDE * 1.3
    cases = (g[f"loc_{each}"] for each in ("fused", "dimp", "flag", "shift_yx"))
    for response, score, flag, shift in zip(*cases, strict=True):
        found, told = locate(tensor(response), tensor(score), cell, (h, w), c)
        assert str(found.flag) == flag and found.displacement == pytest.approx(shift.tolist(), abs=1e-4)
        peak = np.unravel_index(response.T.argmax(), response.T.shape)[::-1]
        assert found.score == response.max() and told == pytest.approx(score[peak] * g["window"][peak], abs=1e-6)

    weights = SampleWeights(c.memory_size, c.first_samples.count, c.first_frame_share)
    slots, seen = [], []
    for k in range(70):
        slots.append(weights.add(0.02 if name == "default_vot" and k % 11 == 5 else c.learning_rate))
        if k in (0, 1, 10, 34, 35, 36, 69):
            seen.append(weights.weights.numpy().copy())
    assert slots == g["mem_slot"].tolist() and np.abs(np.array(seen) - g["mem_weights"]).max() < 1e-5

    scene_map = tensor(g["recentre_in"])[None, None]
    for box, expected in zip(g["recentre_box"].tolist(), g["recentre_out"], strict=True):
        centred = Scene(scene_map, scene_map, tuple(box)).centred(c)
        assert off(centred.motion, expected) < 1e-4 and off(centred.state, expected) < 1e-4


def test_shifts_of_a_quarter_of_a_cell(golden) -> None:
    g = golden("kys_parts.npz")
    predictor, given = ScenePredictor(KYSConfig()), tensor(g["shift_in"])[None, None]
    assert off(predictor.to_cells(given), g["shift_minus"]) < 1e-5
    assert off(predictor.from_cells(given), g["shift_plus"]) < 1e-5
