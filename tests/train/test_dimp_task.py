"""Sets of frames, and the training of DiMP as a task of the loop, on small pictures."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from dimp_models import random_atom, random_checkpoint
from train_data import draw_stills, find, write_resnet18

from d3s_vot import load_tracker
from d3s_vot.errors import CheckpointError
from d3s_vot.heads import iou
from d3s_vot.trackers.dimp.published import CONFIGURATIONS
from train.config import SCHEDULES
from train.data.sets import PairSets
from train.loop import STATE, WEIGHTS, Trainer
from train.tasks.dimp import FRAMES, ITERATIONS, PredictedFilter, hinge_error, score_labels
from train.tasks.names import task

CPU = torch.device("cpu")


def small(**changes):
    config = dataclasses.replace(SCHEDULES["dimp"].shortened(2), batch=1, workers=0, log_every=1, validation_pairs=1)
    near = {"search_shift": 0.3, "search_scale": 0.1, "template_shift": 0.2, "template_scale": 0.1}
    pairs = dataclasses.replace(config.pairs, size=64, area_scale=2.0, **near)
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


def test_sets_are_of_one_target_and_a_function_of_seed_and_number(items) -> None:
    def sets(seed: int) -> PairSets:
        return PairSets(items, {"stills": 1.0}, small().pairs, seed, 30, count=3)

    one, again, other = sets(0)[4], sets(0)[4], sets(1)[4]
    assert len(one.pairs) == 3 and one.skipped == 0
    for a, b in zip(one.pairs, again.pairs, strict=True):
        assert all((x.patch == y.patch).all() for x, y in zip(a.layers, b.layers, strict=True))
    assert any((a.layers[0].matrix != b.layers[0].matrix).any() for a, b in zip(one.pairs, other.pairs, strict=True))
    mirrored = set()
    for number in range(12):
        matrices = [layer.matrix for pair in sets(0)[number].pairs for layer in pair.layers[:2]]
        turned = {bool(m[0][0] * m[1][1] - m[0][1] * m[1][0] < 0) for m in matrices}
        assert len(turned) == 1  # all of a set, or none
        mirrored |= turned
    assert mirrored == {False, True}


def test_the_filters_error_counts_negative_scores_at_the_target_alone() -> None:
    labels = score_labels(torch.tensor([[24.0, 8.0, 16.0, 32.0]]), 5, 0.9)
    assert labels[0, 1].argmax() == 2 and labels.max().item() == pytest.approx(math.exp(-0.5**2 / (2 * 0.9**2)))
    assert hinge_error(torch.where(labels > 0.05, labels, -3.0), labels) == 0
    off = torch.zeros_like(labels)
    off[0, 4, 0] = 2.0
    assert hinge_error(torch.where(labels > 0.05, labels, off), labels).item() == pytest.approx(4 / 25)
    assert hinge_error(labels - 1, labels) > 0.2


def test_the_filter_is_learnt_through_its_descent(items, resnet18, narrow, tmp_path) -> None:
    """Every part of the networks gets a gradient, and a few steps lower the loss of a batch."""
    made = Trainer(small(), items, {"stills": 1.0}, tmp_path, CPU, trunk_weights=resnet18, make=task("DiMP"))
    batch, learner = made.feed.place(next(made.feed.batches(made.data, [range(1)]))), made.task.train()
    assert len(batch["search"]) == FRAMES
    groups = learner.parameter_groups(small())
    assert sorted({group["share"] for group in groups}) == [0.05, 0.2, 0.5, 1.0]
    optimiser, history = torch.optim.Adam([{**group, "lr": 2e-3 * group["share"]} for group in groups]), []
    for _ in range(3):
        learner.steps.zero_()  # the same boxes each time
        loss = learner.loss(batch)
        assert loss.shape == (1,)
        optimiser.zero_grad()
        loss.mean().backward()
        optimiser.step()
        history.append(loss.item())
    assert history[-1] < 0.9 * history[0]
    for name in ("trunk.stages.0.0.weight", "classifier.feature_extractor.1.weight", "regressor.iou_predictor.weight",
                 "classifier.filter_initializer.filter_conv.weight", "classifier.filter_optimizer.log_step_length",
                 "classifier.filter_optimizer.label_map_predictor.weight"):  # fmt: skip
        assert learner.get_parameter(name).grad.abs().max() > 0, name
    with torch.no_grad():
        box = torch.tensor([[20.0, 16.0, 24.0, 32.0]])
        features = learner.classifier.feature_extractor(learner.look(batch)[0][16][:1])
        assert len(learner.filters(features, box)) == ITERATIONS + 1
        masks = learner.eval().masks({name: each[:1] for name, each in batch.items()})
    assert masks.shape == (1, 64, 64) and masks.dtype == torch.bool


def test_killed_and_resumed_is_bit_equal_and_ends_in_a_tracker(
    items, resnet18, narrow, tmp_path, monkeypatch
) -> None:
    config = small()

    def trainer(name: str) -> Trainer:
        return Trainer(
            config, items, {"stills": 1.0}, tmp_path / name, CPU, trunk_weights=resnet18, make=task("DiMP")
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
    published = CONFIGURATIONS["DiMP-18"].config
    assert tracker.config == dataclasses.replace(published, sample_size=64, search_area_scale=2.0)
    assert tracker.model.architecture == "resnet18"


def test_what_cannot_be_trained_is_said() -> None:
    for changes, begin, message in (
        ({"trunk": "resnet34"}, None, "no trunk 'resnet34'"),
        ({"rules": "published"}, None, "of another tracker"),
        ({"rules": "PrDiMP-18"}, None, "of another tracker"),
        ({}, random_atom(), "not of DiMP on resnet18"),
        ({}, random_checkpoint("PrDiMP-18"), "not of DiMP on resnet18"),
    ):
        with pytest.raises(CheckpointError, match=message):
            PredictedFilter.create(small(**changes), CPU, None, 1, begin)


def test_it_begins_with_a_checkpoint() -> None:
    start = random_checkpoint()
    begun = PredictedFilter.create(small(), CPU, None, 1, start).checkpoint({}, "DiMP-18").tensors
    assert begun.keys() == start.tensors.keys()
    for name, tensor in start.tensors.items():
        assert torch.allclose(begun[name].float(), tensor, rtol=1e-3, atol=1e-6), name  # the trunk's are of float16
