"""What the box regressor learns from boxes, and its training as a task of the loop, on small pictures."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from dimp_models import random_atom
from train_data import draw_stills, find, write_resnet18

from d3s_vot import load_tracker
from d3s_vot.errors import CheckpointError
from d3s_vot.heads import iou
from d3s_vot.regions import Box, box_iou
from d3s_vot.trackers.atom.published import CONFIGURATIONS
from d3s_vot.trackers.atom.weights import TRUNK
from d3s_vot.zoo import load_checkpoint
from train.config import SCHEDULES
from train.errors import DataError
from train.loop import STATE, WEIGHTS, Trainer
from train.tasks.names import task
from train.tasks.regressor import BoxWorth
from train.tasks.regressor_losses import (
    LEAST_OVERLAP,
    density_loss,
    overlap_loss,
    overlapping_boxes,
    overlaps,
    scattered_boxes,
)

CPU = torch.device("cpu")
TRUTH = torch.tensor([[10.0, 20.0, 40.0, 30.0], [50.0, 5.0, 12.0, 60.0]])


def small(schedule: str, **changes):
    config = dataclasses.replace(SCHEDULES[schedule].shortened(2), batch=2, workers=0, log_every=1, validation_pairs=1)
    pairs = dataclasses.replace(config.pairs, size=64, area_scale=2.0, search_shift=0.3, search_scale=0.1)
    return dataclasses.replace(config, pairs=pairs, precision="float32", checkpoint_minutes=0.0, **changes)


@pytest.fixture(scope="module")
def items(tmp_path_factory):
    found, _ = find("stills", draw_stills(tmp_path_factory.mktemp("stills")))
    return found


@pytest.fixture(scope="module")
def resnet18(tmp_path_factory):
    return write_resnet18(tmp_path_factory.mktemp("trunk") / "resnet18.pth")


@pytest.fixture
def narrow(monkeypatch):
    """Box regressors of few channels, for the time that they take."""
    monkeypatch.setattr(iou, "WIDTH", 32)


def drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_drawn_boxes_overlap_and_are_a_function_of_the_generator() -> None:
    boxes = overlapping_boxes(TRUTH, 200, drawn(0))
    assert boxes.shape == (2, 200, 4) and torch.equal(boxes, overlapping_boxes(TRUTH, 200, drawn(0)))
    found = overlaps(boxes, TRUTH)
    own = (boxes == TRUTH[:, None]).all(dim=2)
    assert found.min() >= LEAST_OVERLAP and own.float().mean() < 0.05
    assert (found < 0.6).any() and (found > 0.9).any() and found.mean() < 0.8
    for box, overlap in zip(boxes[1, :5].tolist(), found[1, :5].tolist(), strict=True):
        assert box_iou(Box(*box), Box(*TRUTH[1].tolist())) == pytest.approx(overlap, abs=1e-5)


def test_the_overlap_is_learnt_as_twice_it_less_one() -> None:
    boxes = overlapping_boxes(TRUTH, 16, drawn(1))
    right = 2 * overlaps(boxes, TRUTH) - 1
    assert overlap_loss(right, boxes, TRUTH).tolist() == [0, 0]
    assert overlap_loss(right + torch.tensor([[0.5], [0.0]]), boxes, TRUTH).tolist() == pytest.approx([0.25, 0])


def test_the_density_that_is_learnt_is_the_truths() -> None:
    boxes, offsets = scattered_boxes(TRUTH, 4000, drawn(2))
    middles = (boxes[..., :2] + boxes[..., 2:] / 2 - TRUTH[:, None, :2] - TRUTH[:, None, 2:] / 2) / TRUTH[:, None, 2:]
    assert torch.allclose(middles, offsets[..., :2], atol=1e-4)
    assert torch.allclose(torch.log(boxes[..., 2:] / TRUTH[:, None, 2:]), offsets[..., 2:], atol=1e-5)
    near = (offsets.abs().amax(dim=2) < 0.2).float().mean()
    assert 0.45 < near < 0.6  # half of them are drawn near

    def of(sigma: float) -> torch.Tensor:
        return -offsets.square().sum(dim=2) / (2 * sigma**2)

    right = density_loss(of(0.05), offsets)
    # The entropy of the Gaussian; a constant in all values changes nothing.
    assert right.tolist() == pytest.approx([2 * math.log(2 * math.pi * math.e * 0.05**2)] * 2, abs=0.1)
    assert torch.allclose(density_loss(of(0.05) + 7, offsets), right, atol=0.4)
    for other in (0.03, 0.1, 0.5):
        assert (density_loss(of(other), offsets) > right + 0.1).all()


def test_killed_and_resumed_is_bit_equal_and_ends_in_a_tracker(
    items, resnet18, narrow, tmp_path, monkeypatch
) -> None:
    config = small("atom-density")

    def trainer(name: str) -> Trainer:
        return Trainer(
            config, items, {"stills": 1.0}, tmp_path / name, CPU, trunk_weights=resnet18, make=task("ATOM")
        )  # fmt: skip

    trainer("whole").run()
    step = Trainer.step

    def step_and_die(self, batch):
        loss = step(self, batch)
        if self.iteration == 2:
            raise MemoryError
        return loss

    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(Trainer, "step", step_and_die)
        trainer("killed").run()
    torch.rand(5)  # the numbers of the process play no part
    resumed = trainer("killed")
    resumed.resume()
    assert resumed.iteration == 1
    resumed.run()
    whole, killed = (torch.load(tmp_path / name / STATE, weights_only=True)["task"] for name in ("whole", "killed"))
    assert int(whole["steps"]) == 2 and all(torch.equal(whole[name], killed[name]) for name in whole)
    tracker = load_tracker(tmp_path / "killed" / WEIGHTS, "cpu")
    published = CONFIGURATIONS["ATOM-prob-ml"].config
    assert tracker.config == dataclasses.replace(published, sample_size=64, search_area_scale=2.0)
    trunk = torch.load(resnet18, weights_only=True)["layer3.1.conv2.weight"]
    assert torch.equal(load_checkpoint(tmp_path / "killed" / WEIGHTS).tensors[TRUNK + "layer3.1.conv2.weight"], trunk)


@pytest.mark.parametrize("schedule", ["atom", "atom-density"])
def test_a_few_steps_lower_the_loss_of_a_rendered_batch(items, resnet18, narrow, tmp_path, schedule) -> None:
    config = small(schedule)
    made = Trainer(config, items, {"stills": 1.0}, tmp_path, CPU, trunk_weights=resnet18, make=task("ATOM"))
    batch = made.feed.place(next(made.feed.batches(made.data, [range(2)])))
    learner = made.task.train()
    trunk = [each.clone() for each in learner.trunk.parameters()]
    optimiser, history = torch.optim.Adam(learner.parameters(), 2e-3), []
    for _ in range(5):
        learner.steps.zero_()  # the same boxes each time
        loss = learner.loss(batch)
        assert loss.shape == (2,)
        optimiser.zero_grad()
        loss.mean().backward()
        optimiser.step()
        history.append(loss.mean().item())
    assert history[-1] < (0.7 * history[0] if schedule == "atom" else history[0] - 1)
    assert all(torch.equal(a, b) for a, b in zip(trunk, learner.trunk.parameters(), strict=True))
    masks = learner.eval().masks(batch)
    assert masks.shape == (2, 64, 64) and masks.dtype == torch.bool and masks.flatten(1).any(dim=1).all()


def test_a_pair_without_its_target_teaches_nothing() -> None:
    start = random_atom()
    learner = BoxWorth.create(small("atom"), CPU, None, 1, start)
    begun = learner.checkpoint({}, "ATOM").tensors
    assert begun.keys() == start.tensors.keys() and all(torch.equal(v, begun[k]) for k, v in start.tensors.items())
    shown = torch.zeros(2, 1, 64, 64)
    shown[:, :, 20:40, 16:50] = 1
    gone = shown.clone()
    gone[1] = 0
    batch = {name: torch.zeros(2, 3, 64, 64) for name in ("template", "search")}
    found = learner.loss(batch | {"template_mask": shown, "mask": gone, "weight": torch.ones(2, 1, 64, 64)})
    assert found[0] > 0 and found[1] == 0


def test_what_cannot_be_trained_is_said(tmp_path) -> None:
    config, start = small("atom"), random_atom()
    for changes, begin, file, message in (
        ({"trunk": "resnet50"}, None, None, "no trunk 'resnet50'"),
        ({"rules": "published"}, None, None, "of another tracker"),
        ({}, dataclasses.replace(start, tracker="DiMP"), None, "are of DiMP"),
        ({}, start, tmp_path / "trunk.pth", "leave out --trunk-weights"),
    ):
        with pytest.raises(CheckpointError, match=message):
            BoxWorth.create(dataclasses.replace(config, **changes), CPU, file, 1, begin)
    with pytest.raises(DataError, match="a single one"):
        BoxWorth.create(config, CPU, None, 2, start)


def test_the_schedules() -> None:
    for name, gap in (("atom", 50), ("atom-density", 200)):
        config = SCHEDULES[name]
        assert (config.iterations, config.batch, config.step_iterations) == (50_000, 64, 15_000)
        assert (config.learning_rate, config.step_factor, config.trunk) == (1e-3, 0.2, "resnet18")
        assert (config.pairs.size, config.pairs.area_scale, config.pairs.max_gap) == (288, 5, gap)
