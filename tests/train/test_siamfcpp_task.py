"""Pairs and task of the training of SiamFC++, on small pictures that the tests draw."""

from __future__ import annotations

import csv
import dataclasses
import math

import cv2
import numpy as np
import pytest
import torch
from train_data import draw_stills, find

from d3s_vot import Box, load_tracker
from d3s_vot.errors import CheckpointError
from d3s_vot.trackers.siamfcpp.config import SiamFCppConfig
from d3s_vot.zoo import load_model, save_checkpoint
from train.config import SCHEDULES, LightConfig, TrainConfig
from train.data.items import read_image
from train.loop import WEIGHTS, Trainer
from train.tasks.names import task
from train.tasks.siamfcpp import DenseBoxes, mask_boxes
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
        learner = DenseBoxes(trunk, SiamFCppConfig.of_trunk(trunk)).train()
    dataset = pairs_of(items, PLAIN)
    batch = collate([dataset[number] for number in range(4)])
    groups = learner.parameter_groups(TrainConfig())
    assert sum(len(group["params"]) for group in groups) == len(list(learner.network.parameters()))
    for group in groups:
        group["lr"] = 2e-3 * group["share"]
    optimiser = torch.optim.Adam(groups)
    history = []
    for _ in range(8):
        loss = learner.loss(batch)
        assert loss.shape == (4,) and loss.isfinite().all()
        optimiser.zero_grad()
        loss.mean().backward()
        optimiser.step()
        history.append(loss.mean().item())
    assert history[-1] < 0.8 * history[0]
    with torch.no_grad():
        overlaps = learner.eval().overlaps(batch)
    assert overlaps.shape == (4,) and (overlaps >= 0).all() and (overlaps <= 1).all()
    save_checkpoint(tmp_path / "a.safetensors", learner.checkpoint({"data": "ellipses"}, "published"))
    tracker = load_tracker(tmp_path / "a.safetensors", "cpu")
    image = read_image(items[0].image)
    tracker.initialize(image, Box(*items[0].box))
    assert tracker.track(cv2.GaussianBlur(image, (0, 0), 1)).box.w >= 10
    assert tracker.model.architecture == trunk


def test_a_frozen_trunk_does_not_learn():
    learner = DenseBoxes("lite0", SiamFCppConfig.of_trunk("lite0"), tuned=False)
    learning = {id(p) for group in learner.parameter_groups(TrainConfig()) for p in group["params"]}
    trunk = learner.network.basemodel.trunk
    assert not any(id(p) in learning for p in trunk.parameters())
    assert all(id(p) in learning for p in learner.network.basemodel.channel_reduce.parameters())
    assert not any(module.training for module in learner.train().network.basemodel.trunk.modules())
    assert learner.network.head.training


def test_boxes_around_masks():
    masks = torch.zeros(2, 20, 20, dtype=torch.bool)
    masks[0, 3:8, 5:17] = True
    boxes, shown = mask_boxes(masks)
    assert boxes[0].tolist() == [5, 3, 16, 7]
    assert shown.tolist() == [True, False]


def test_the_loop_trains_it_on_masks(items, tmp_path):
    """By the command's own schedule, for a few steps; the weights that come out are loaded and track."""
    config = dataclasses.replace(SCHEDULES["siamfcpp"].shortened(6), trunk="tinyconv", batch=4, validation_pairs=4)
    config = dataclasses.replace(config, workers=0, log_every=3, epoch=3)
    trainer = Trainer(config, items, {"stills": 1.0}, tmp_path / "run", torch.device("cpu"), make=task("SiamFCpp"))
    trainer.run()
    rows = list(csv.DictReader((tmp_path / "run" / "log.csv").open()))
    assert len(rows) == 2 and all(math.isfinite(float(row["loss"])) for row in rows)
    model = load_model(tmp_path / "run" / WEIGHTS, "cpu")
    assert (model.name, model.architecture, model.config.search_size) == ("SiamFCpp", "tinyconv", 303)


def test_a_rendered_batch_is_learnt(items, tmp_path):
    config = dataclasses.replace(SCHEDULES["siamfcpp"].shortened(6), trunk="tinyconv", batch=4, validation_pairs=4)
    config = dataclasses.replace(config, workers=0)
    trainer = Trainer(config, items, {"stills": 1.0}, tmp_path / "run", torch.device("cpu"), make=task("SiamFCpp"))
    (batch,) = trainer.feed.batches(trainer.data, [range(4)])
    placed = trainer.feed.place(batch)
    learner = trainer.task.train()
    optimiser = torch.optim.Adam(learner.parameters(), 2e-3)
    history = []
    for _ in range(10):
        loss = learner.loss(placed).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        history.append(loss.item())
    assert history[-1] < 0.8 * history[0]
    masks = learner.eval().masks(placed)
    assert masks.shape == placed["mask"][:, 0].shape and masks.dtype == torch.bool
    assert masks.flatten(1).any(dim=1).all()


def test_what_cannot_be_trained_is_said(tmp_path):
    config = SCHEDULES["siamfcpp"]
    with pytest.raises(CheckpointError, match="no trunk 'resnet50'"):
        DenseBoxes.create(dataclasses.replace(config, trunk="resnet50"), torch.device("cpu"), None, 1)
    start = DenseBoxes("tinyconv", SiamFCppConfig()).checkpoint({}, "published")
    with pytest.raises(CheckpointError, match="start from"):
        DenseBoxes.create(config, torch.device("cpu"), None, 1, start)
    begun = DenseBoxes.create(dataclasses.replace(config, trunk="tinyconv"), torch.device("cpu"), None, 1, start)
    assert torch.equal(begun.network.c_x.conv.weight, start.tensors["c_x.conv.weight"])
