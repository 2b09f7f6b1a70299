"""What OSTrack learns from boxes, and its training as a task of the loop, on a small network."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from ostrack_golden import random_checkpoint
from train_data import draw_stills, find

from d3s_vot import load_tracker
from d3s_vot.errors import CheckpointError
from d3s_vot.trackers.ostrack.weights import constants
from d3s_vot.trunks.vit import SIZES, ViTSize
from d3s_vot.zoo import load_checkpoint
from train.config import SCHEDULES, PairConfig
from train.data.feed import Feed
from train.data.pairs import PairDataset
from train.loop import STATE, WEIGHTS, Trainer
from train.tasks.dropmae_network import DECODERS, DropMAENetwork
from train.tasks.names import task
from train.tasks.ostrack import CentreBoxes
from train.tasks.ostrack_losses import centre_labels, decode_best, focal_loss, label_radius, losses

CPU = torch.device("cpu")
SMALL = dataclasses.replace(
    SCHEDULES["ostrack"], iterations=4, epoch=4, batch=2, workers=0, log_every=2, validation_pairs=2, warmup=1,
    precision="float32", pairs=dataclasses.replace(PairConfig.published(128), search_shift=0.5),
    checkpoint_minutes=0.0,
)  # fmt: skip


@pytest.fixture(autouse=True)
def small_networks(monkeypatch):
    """Of few blocks, one of which eliminates, in place of vit-tiny."""
    monkeypatch.setitem(SIZES, "vit-tiny", ViTSize(64, 4, 1))
    monkeypatch.setitem(DECODERS, "vit-tiny", ViTSize(32, 1, 2))


@pytest.fixture(scope="module")
def items(tmp_path_factory):
    found, _ = find("stills", draw_stills(tmp_path_factory.mktemp("stills")))
    return found


def overlap_of(wh, dx, dy, dw, dh):
    """IoU of a box (0, 0, w, h) with one whose corners are off."""
    w, h = wh
    x0, y0, x1, y1 = dx, dy, w + dw, h + dh
    both = (min(w, x1) - max(0, x0)) * (min(h, y1) - max(0, y0))
    return both / (w * h + (x1 - x0) * (y1 - y0) - both)


@pytest.mark.parametrize("wh", [(16.0, 16.0), (30.0, 6.0), (5.0, 22.0)])
def test_corners_off_by_the_radius_overlap_enough(wh):
    radius = float(label_radius(torch.tensor([wh]))[0])
    for signs in ((1, 1, 1, 1), (1, 1, -1, -1), (-1, -1, 1, 1)):
        assert overlap_of(wh, *(radius * sign for sign in signs)) >= 0.7 - 1e-6
    more = radius + 1
    worst = min(overlap_of(wh, *off) for off in ((more, more, more, more), (more, more, -more, -more)))
    assert worst < 0.7


def test_labels_are_one_at_the_centre_and_wider_for_larger_targets():
    boxes = torch.tensor([[0.2, 0.4, 0.3, 0.5], [0.0, 0.0, 1.0, 1.0]])
    labels = centre_labels(boxes, 16)
    assert labels[0, 7, 4] == 1 and (labels == 1).sum() == 2
    assert labels[1].sum() > labels[0].sum()
    assert labels.flatten(1).argmax(dim=1).tolist() == [7 * 16 + 4, 8 * 16 + 8]


def test_losses_are_least_for_the_true_box():
    box = torch.tensor([[0.25, 0.3, 0.55, 0.7]])
    label = centre_labels(box, 8)
    maps = torch.zeros(1, 5, 8, 8)
    maps[:, 0] = label.clamp(1e-4, 1 - 1e-4)
    maps[0, 1], maps[0, 2] = 0.3, 0.4
    row, column = divmod(int(label.flatten().argmax()), 8)
    maps[0, 3], maps[0, 4] = 0.4 * 8 - column, 0.5 * 8 - row
    assert torch.allclose(decode_best(maps), box, atol=1e-6)
    right = losses(maps, box)
    wrong = maps.clone()
    wrong[0, 1] += 0.1
    assert losses(wrong, box) > right and (losses(maps, box) - focal_loss(maps[:, 0], label)).abs() < 1e-4
    elsewhere = maps.clone()
    elsewhere[:, 0] = maps[:, 0].roll(3, dims=2)
    assert losses(elsewhere, box) > right + 1


def test_the_loss_of_a_batch_leads_to_its_boxes(items):
    torch.manual_seed(0)
    learner = task("OSTrack")(SMALL, CPU, None, 1).train()
    feed = Feed(SMALL.pairs, CPU, 0)
    data = PairDataset(items, {"stills": 1.0}, SMALL.pairs, 0, 4)
    batch = feed.place(next(feed.batches(data, [range(4)])))
    optimizer = torch.optim.AdamW(learner.parameters(), lr=2e-3)
    found = []
    for _ in range(15):
        loss = learner.loss(batch)
        assert loss.shape == (4,)
        optimizer.zero_grad()
        loss.mean().backward()
        optimizer.step()
        found.append(loss.mean().item())
    assert found[-1] < 0.8 * found[0]
    assert int(learner.steps) == 15
    masks = learner.eval().masks(batch)
    assert masks.shape == (4, 128, 128) and masks.dtype == torch.bool


def test_fewer_and_fewer_tokens_are_kept(items):
    learner = task("OSTrack")(dataclasses.replace(SMALL, iterations=300), CPU, None, 1)
    feed = Feed(SMALL.pairs, CPU, 0)
    data = PairDataset(items, {"stills": 1.0}, SMALL.pairs, 0, 2)
    batch, kept = feed.place(next(feed.batches(data, [range(2)]))), []
    for step in (0, 20, 60, 100, 299):
        learner.steps.fill_(step)
        learner.loss(batch)
        kept.append(learner.network.backbone.kept.get(3, 64))
    assert kept == [64, 64, 55, 45, 45]


def test_killed_and_resumed_is_bit_equal_and_ends_in_a_tracker(items, tmp_path, monkeypatch):
    def trainer(name):
        return Trainer(SMALL, items, {"stills": 1.0}, tmp_path / name, CPU, make=CentreBoxes.create)

    trainer("whole").run()
    step = Trainer.step

    def step_and_die(self, batch):
        loss = step(self, batch)
        if self.iteration == 3:
            raise MemoryError
        return loss

    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(Trainer, "step", step_and_die)
        trainer("killed").run()
    torch.rand(5)  # the numbers of the process play no part
    resumed = trainer("killed")
    resumed.resume()
    assert resumed.iteration == 2
    resumed.run()
    whole, killed = (torch.load(tmp_path / name / STATE, weights_only=True)["task"] for name in ("whole", "killed"))
    assert all(torch.equal(whole[name], killed[name]) for name in whole)
    assert load_checkpoint(tmp_path / "killed" / WEIGHTS).provenance["validation_iou"] is not None
    tracker = load_tracker(tmp_path / "killed" / WEIGHTS, "cpu")
    assert (tracker.config.search_size, tracker.config.template_size, tracker.config.temporal) == (128, 64, 1)


def test_it_begins_with_a_checkpoint_or_a_pretraining(tmp_path):
    start = random_checkpoint(depth=4)
    learner = task("OSTrack")(SMALL, CPU, None, 1, start)
    state = learner.network.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in start.tensors.items())
    assert learner.config == constants(start)

    encoder = DropMAENetwork.on("vit-tiny").state_dict()
    torch.save({"model": encoder}, tmp_path / "dropmae.pth")
    large = dataclasses.replace(SMALL, pairs=dataclasses.replace(SMALL.pairs, size=256))
    learner = task("OSTrack")(large, CPU, tmp_path / "dropmae.pth", 1)
    found = learner.network.backbone.blocks[2].mlp.fc1.weight
    assert torch.equal(found, encoder["blocks.2.mlp.fc1.weight"]) and learner.config.temporal == 1


@pytest.mark.parametrize(
    ("change", "start", "message"),
    [
        ({"trunk": "resnet50"}, None, "no trunk 'resnet50'"),
        ({}, {"depth": 3}, "width 64"),
        ({}, {"depth": 4, "search_size": 256}, "crops of 256 pixels"),
    ],
)
def test_what_it_cannot_begin_with_is_refused(change, start, message):
    config = dataclasses.replace(SMALL, **change)
    with pytest.raises(CheckpointError, match=message):
        task("OSTrack")(config, CPU, None, 1, None if start is None else random_checkpoint(**start))


def test_the_weights_of_another_tracker_are_refused():
    with pytest.raises(CheckpointError, match="are of D3S"):
        task("OSTrack")(SMALL, CPU, None, 1, dataclasses.replace(random_checkpoint(), tracker="D3S"))


def test_the_published_schedule():
    published = SCHEDULES["ostrack-published"]
    assert published.iterations * published.batch == 300 * 60_000
    assert published.step_iterations * published.batch == 240 * 60_000
    assert (published.clip, published.trunk_rate, published.learning_rate) == (0.1, 0.1, 4e-4)
