"""Targets and losses of the training of SiamFC++."""

from __future__ import annotations

import math

import pytest
import torch

from d3s_vot.trackers.siamfcpp.config import SiamFCppConfig
from d3s_vot.trackers.siamfcpp.locate import crop_boxes
from d3s_vot.trackers.siamfcpp.network import SiamFCppNetwork
from train.tasks.siamfcpp_losses import focal_loss, iou_loss, losses, make_targets

CONFIG = SiamFCppConfig.of_trunk("tinyconv")
BOX = torch.tensor([[120.0, 100.0, 180.0, 200.0]])
SHOWN, ABSENT = torch.tensor([True]), torch.tensor([False])


def logit(p):
    return math.log(p / (1 - p))


def test_positive_locations_are_those_in_the_box():
    positive = make_targets(BOX, SHOWN, CONFIG).positive[0]
    at = [87 + 8 * k for k in range(17)]
    expected = [[120 < x < 180 and 100 < y < 200 for x in at] for y in at]
    assert positive.tolist() == expected
    assert not make_targets(BOX, ABSENT, CONFIG).positive.any()


def test_distances_lead_back_to_the_box():
    targets = make_targets(BOX, SHOWN, CONFIG)
    boxes = torch.from_numpy(crop_boxes(targets.distances[0].numpy(), CONFIG))
    assert torch.equal(boxes, BOX.expand(len(boxes), -1))


def test_the_middle_is_centred_and_the_edge_is_not():
    middle = 151.0
    box = torch.tensor([[middle - 30, middle - 30, middle + 30, middle + 30]])
    centred = make_targets(box, SHOWN, CONFIG).centred[0]
    assert centred[8, 8] == 1
    assert centred[8, 9] == pytest.approx(math.sqrt(22 / 38))
    assert centred[9, 9] == pytest.approx(22 / 38)
    assert centred[0, 0] == 0


def test_the_focal_loss_of_two_locations():
    logits = torch.tensor([logit(0.8), logit(0.3)])
    found = focal_loss(logits, torch.tensor([True, False]))
    assert found.tolist() == pytest.approx([-0.25 * 0.2**2 * math.log(0.8), -0.75 * 0.3**2 * math.log(0.7)], rel=1e-5)


def test_the_loss_of_a_box_is_that_of_its_overlap():
    same, half = torch.tensor([[10.0, 20, 30, 40]]), torch.tensor([[10.0, 20, 10, 40]])
    assert iou_loss(same, same).item() == pytest.approx(0, abs=1e-6)
    assert iou_loss(half, same).item() == pytest.approx(math.log(2), rel=1e-5)


def test_a_right_answer_costs_next_to_nothing_and_a_wrong_one_much():
    targets = make_targets(BOX, SHOWN, CONFIG)
    right = torch.where(targets.positive, 12.0, -12.0)[:, None]
    centre = torch.logit(targets.centred.clamp(1e-6, 1 - 1e-6))[:, None]
    good = losses(right, centre, targets.distances.clamp(min=0.1), targets)
    bad = losses(-right, -centre, 3 * targets.distances.clamp(min=0.1), targets)
    assert good.cls < 1e-6 and good.box < 1e-5
    # Cross-entropy with targets between 0 and 1 has the entropy of these as its least value.
    assert bad.centre > good.centre + 0.1
    assert bad.total > good.total + 10


def test_the_losses_of_pairs_add_up_to_those_of_the_batch():
    boxes = torch.tensor([[120.0, 100, 180, 200], [90, 90, 210, 130], [100, 100, 140, 140]])
    targets = make_targets(boxes, torch.tensor([True, True, False]), CONFIG)
    generator = torch.Generator().manual_seed(0)
    cls, centre = torch.randn(2, 3, 1, 17, 17, generator=generator)
    distances = 10 + 50 * torch.rand(3, 4, 17, 17, generator=generator)
    found = losses(cls, centre, distances, targets)
    count = targets.positive.sum()
    assert found.cls.mean() == pytest.approx((focal_loss(cls[:, 0], targets.positive).sum() / count).item(), rel=1e-5)
    near = targets.positive[1]
    wanted = targets.distances[1][:, near].t()
    expected = iou_loss(distances[1][:, near].t(), wanted).sum() / count
    assert found.box[1] / 3 == pytest.approx(expected.item(), rel=1e-5)
    assert found.centre[2] == found.box[2] == 0 and found.cls[2] > 0


def test_without_a_target_only_the_class_is_learnt():
    targets = make_targets(BOX, ABSENT, CONFIG)
    logits = torch.zeros(1, 1, 17, 17)
    found = losses(logits, logits, torch.ones(1, 4, 17, 17), targets)
    assert found.centre == found.box == 0
    assert found.cls == pytest.approx(17 * 17 * 0.75 * 0.25 * math.log(2), rel=1e-5)


def test_a_few_steps_teach_one_pair():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = SiamFCppNetwork("tinyconv", CONFIG)
    generator = torch.Generator().manual_seed(1)
    search = 80 * torch.rand(1, 3, 303, 303, generator=generator)
    search[..., 110:191, 120:181] = 255 * torch.rand(1, 3, 81, 61, generator=generator)
    template = search[..., 87:214, 87:214]
    box = torch.tensor([[120.0, 110.0, 180.0, 190.0]])
    targets = make_targets(box, SHOWN, CONFIG)
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    history = []
    for _ in range(12):
        (c_z, r_z), (c_x, r_x) = network.encode_template(template), network.encode_search(search)
        cls, centre = network.class_logits(c_x, c_z)
        found = losses(cls, centre, network.distances(r_x, r_z), targets)
        optimiser.zero_grad()
        found.total.mean().backward()
        optimiser.step()
        history.append(found.total.mean().item())
    assert history[-1] < 0.7 * history[0]
