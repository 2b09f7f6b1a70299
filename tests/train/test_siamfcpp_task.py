"""Pairs and task of the training of SiamFC++, on small pictures that the tests draw."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from train_data import draw_stills, find

from d3s_vot import Box, load_tracker
from d3s_vot.trackers.siamfcpp.config import SiamFCppConfig
from d3s_vot.zoo import save_checkpoint
from train.config import LightConfig
from train.data.items import read_image
from train.tasks.siamfcpp import DenseBoxes
from train.tasks.siamfcpp_pairs import BoxPairConfig, BoxPairs, collate

PLAIN = BoxPairConfig(light=LightConfig(*[0.0] * 10), absent=0.0, flip=0.0)


@pytest.fixture(scope="module")
def items(tmp_path_factory):
    found, _ = find("stills", draw_stills(tmp_path_factory.mktemp("stills")))
    return found


def pairs_of(items, config, length=64, seed=0):
    return BoxPairs(items, {"stills": 1.0}, config, seed, length)


def test_the_box_is_around_the_ellipse_of_the_crop(items):
    """Each ellipse has one colour: half of its box and more shows it."""
    dataset = pairs_of(items, PLAIN)
    for number in range(20):
        pair = dataset[number]
        x0, y0, x1, y1 = pair.box
        assert pair.shown
        assert (x1 - x0 + 1) / (y1 - y0 + 1) == pytest.approx(41 / 61, rel=0.05)
        x, y = round((x0 + x1) / 2), round((y0 + y1) / 2)
        if not (0 <= x < 303 and 0 <= y < 303):
            continue
        alike = np.abs(pair.search.astype(int) - pair.search[y, x]).max(axis=2) < 20
        inside = alike[max(round(y0), 0) : round(y1) + 1, max(round(x0), 0) : round(x1) + 1]
        assert inside.mean() > 0.6
        assert alike[:, : max(round(x0) - 8, 0)].mean() < 0.2 or x0 < 9


def test_templates_show_the_object_in_the_middle(items):
    dataset = pairs_of(items, PLAIN)
    for number in range(10):
        template = dataset[number].template.astype(int)
        assert template.shape == (127, 127, 3)
        assert np.abs(template[58:69, 58:69] - template[63, 63]).max() < 30


def test_pairs_depend_on_seed_and_number_alone(items):
    config = BoxPairConfig()
    one, again, other = pairs_of(items, config), pairs_of(items, config), pairs_of(items, config, seed=1)
    a, b, c = one[5], again[5], other[5]
    assert np.array_equal(a.search, b.search) and np.array_equal(a.template, b.template)
    assert a.box.tolist() == b.box.tolist()
    assert not np.array_equal(a.search, c.search)


def test_a_share_of_the_search_crops_shows_something_else(items):
    dataset = pairs_of(items, BoxPairConfig(absent=0.5), length=200)
    shown = [dataset[number].shown for number in range(80)]
    assert 20 < sum(shown) < 60


def test_mirrored_pairs_have_mirrored_boxes(items):
    straight, mirrored = pairs_of(items, PLAIN), pairs_of(items, BoxPairConfig(light=PLAIN.light, absent=0.0, flip=1.0))
    for number in range(5):
        a, b = straight[number], mirrored[number]
        assert np.array_equal(a.search[:, ::-1], b.search)
        assert np.array_equal(a.template[:, ::-1], b.template)
        assert b.box == pytest.approx([302 - a.box[2], a.box[1], 302 - a.box[0], a.box[3]])


@pytest.mark.parametrize("trunk", ["tinyconv", "lite0"])
def test_the_task_learns_and_its_weights_track(items, trunk, tmp_path):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        task = DenseBoxes(trunk, SiamFCppConfig.of_trunk(trunk)).train()
    dataset = pairs_of(items, PLAIN)
    batch = collate([dataset[number] for number in range(4)])
    groups = task.parameter_groups()
    assert sum(len(group["params"]) for group in groups) == len(list(task.network.parameters()))
    for group in groups:
        group["lr"] = 2e-3 * group["share"]
    optimiser = torch.optim.Adam(groups)
    history = []
    for _ in range(8):
        loss = task.loss(batch)
        assert loss.shape == (4,) and loss.isfinite().all()
        optimiser.zero_grad()
        loss.mean().backward()
        optimiser.step()
        history.append(loss.mean().item())
    assert history[-1] < 0.8 * history[0]
    with torch.no_grad():
        overlaps = task.eval().overlaps(batch)
    assert overlaps.shape == (4,) and (overlaps >= 0).all() and (overlaps <= 1).all()
    save_checkpoint(tmp_path / "a.safetensors", task.checkpoint({"data": "ellipses"}))
    tracker = load_tracker(tmp_path / "a.safetensors", "cpu")
    image = read_image(items[0].image)
    tracker.initialize(image, Box(*items[0].box))
    assert tracker.track(cv2.GaussianBlur(image, (0, 0), 1)).box.w >= 10
    assert tracker.model.architecture == trunk


def test_a_frozen_trunk_does_not_learn():
    task = DenseBoxes("lite0", SiamFCppConfig.of_trunk("lite0"), tuned=False)
    learning = {id(p) for group in task.parameter_groups() for p in group["params"]}
    trunk = task.network.basemodel.trunk
    assert not any(id(p) in learning for p in trunk.parameters())
    assert all(id(p) in learning for p in task.network.basemodel.channel_reduce.parameters())
    assert not any(module.training for module in task.train().network.basemodel.trunk.modules())
    assert task.network.head.training
