"""What LWL learns from masks, and its training as a task of the loop, on a small network."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from lwl_golden import TINY, random_checkpoint
from train_data import draw_stills, find

from d3s_vot import load_tracker
from d3s_vot.errors import CheckpointError
from d3s_vot.trackers.lwl.config import LWLConfig
from train.config import SCHEDULES, PairConfig
from train.data.feed import Feed
from train.data.pairs import PairDataset
from train.loop import STATE, WEIGHTS, Trainer
from train.tasks import lwl
from train.tasks.lwl import FewShot
from train.tasks.lwl_loss import lovasz_hinge
from train.tasks.names import task

CPU = torch.device("cpu")
WIDTHS = {"trunk_width": 8, "target_channels": 32, "decoder_width": 16}
SIZES = LWLConfig.with_changes({**TINY, **WIDTHS, "box_start": 0})
SMALL = dataclasses.replace(
    SCHEDULES["lwl"], iterations=2, epoch=2, batch=2, workers=0, log_every=1, validation_pairs=2, warmup=1,
    precision="float32", tuned_stages=4, checkpoint_minutes=0.0,
    pairs=dataclasses.replace(PairConfig.published(64), search_shift=0.3, area_scale=2.0),
)  # fmt: skip


@pytest.fixture(autouse=True)
def small_network(monkeypatch):
    monkeypatch.setitem(lwl.NETWORKS, "resnet50_caffe", SIZES)


@pytest.fixture(scope="module")
def items(tmp_path_factory):
    found, _ = find("stills", draw_stills(tmp_path_factory.mktemp("stills")))
    return found


def test_the_loss_is_the_overlap_that_is_lost():
    """Of logits far above and below the margin; their errors count twice, as the hinge has them."""
    wanted = torch.zeros(3, 4, 4)
    wanted[:, :2] = 1
    found = wanted.clone()
    found[1, 2] = 1  # 8 of 12
    found[2] = 1 - wanted[2]
    everywhere = torch.ones(3, 4, 4, dtype=torch.bool)
    loss = lovasz_hinge(2 * found - 1, wanted, everywhere)
    assert torch.allclose(loss, 2 * torch.tensor([0, 1 - 8 / 12, 1]))
    rows = everywhere.clone()
    rows[:, 2:] = False
    assert torch.equal(lovasz_hinge(2 * found - 1, wanted, rows) > 0, torch.tensor([False, False, True]))
    nowhere = torch.zeros_like(everywhere)
    assert torch.equal(lovasz_hinge(found, wanted, nowhere), torch.zeros(3))


def test_a_few_steps_lower_the_loss_of_all_parts(items):
    torch.manual_seed(0)
    learner = task("LWL")(SMALL, CPU, None, 1).train()
    assert not learner.network.feature_extractor.bn1.training
    feed = Feed(SMALL.pairs, CPU, 0)
    data = PairDataset(items, {"stills": 1.0}, SMALL.pairs, 0, 2)
    batch = feed.place(next(feed.batches(data, [range(2)])))
    optimizer = torch.optim.AdamW(learner.parameter_groups(SMALL), lr=2e-3)
    before = {name: tensor.clone() for name, tensor in learner.network.named_parameters()}
    found = []
    for _ in range(12):
        loss = learner.loss(batch)
        assert loss.shape == (2,)
        optimizer.zero_grad()
        loss.mean().backward()
        torch.nn.utils.clip_grad_norm_(learner.parameters(), SMALL.clip)
        optimizer.step()
        found.append(loss.mean().item())
    assert found[-1] < 0.8 * found[0]
    moved = {name.split(".")[0] for name, p in learner.network.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {"feature_extractor", "target_model", "label_encoder", "decoder"}
    masks = learner.eval().masks(batch)
    assert masks.shape == (2, 64, 64) and masks.dtype == torch.bool


def test_killed_and_resumed_is_bit_equal_and_ends_in_a_tracker(items, tmp_path, monkeypatch):
    def trainer(name):
        return Trainer(SMALL, items, {"stills": 1.0}, tmp_path / name, CPU, make=FewShot.create)

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
    assert all(torch.equal(whole[name], killed[name]) for name in whole)
    tracker = load_tracker(tmp_path / "killed" / WEIGHTS, "cpu")
    assert (tracker.model.name, tracker.config.trunk_width, tracker.model.gives_masks) == ("LWL", 8, True)


def test_it_begins_with_a_checkpoint_or_with_a_trunk_that_stays(tmp_path):
    start = random_checkpoint(**WIDTHS)
    frozen = dataclasses.replace(SMALL, tuned_stages=0)
    learner = task("LWL")(frozen, CPU, None, 1, start)
    state = learner.network.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in start.tensors.items())
    learning = {name.split(".")[0] for name, p in learner.network.named_parameters() if p.requires_grad}
    assert learning == {"target_model", "label_encoder", "decoder"}

    trunk = {name.removeprefix("feature_extractor."): v for name, v in state.items() if name.startswith("feature_")}
    torch.save(trunk, tmp_path / "trunk.pth")
    learner = task("LWL")(dataclasses.replace(SMALL, tuned_stages=1), CPU, tmp_path / "trunk.pth", 1)
    found = learner.network.feature_extractor
    assert torch.equal(found.conv1.weight, trunk["conv1.weight"]) and not found.layer3[0].conv1.weight.requires_grad
    assert found.layer4[0].conv1.weight.requires_grad and learner.trunk_state().keys() == found.state_dict().keys()


@pytest.mark.parametrize(
    ("change", "start", "message"),
    [
        ({"trunk": "resnet18"}, None, "no trunk 'resnet18'"),
        ({"tuned_stages": 3}, None, "comes from no package"),
        ({}, "D3S", "are of D3S"),
    ],
)
def test_what_it_cannot_begin_with_is_refused(change, start, message):
    config = dataclasses.replace(SMALL, **change)
    checkpoint = dataclasses.replace(random_checkpoint(), tracker=start) if start else None
    with pytest.raises(CheckpointError, match=message):
        task("LWL")(config, CPU, None, 1, checkpoint)
