"""What a frame is good for, and what is known of the scene after it; with random weights."""

from __future__ import annotations

import copy
import dataclasses
from functools import lru_cache

import pytest
import torch
import torch.nn.functional as F
from kys_golden import random_model
from scenes import scene

from d3s_vot import Tracker
from d3s_vot.prediction import Flag
from d3s_vot.trackers.kys.config import KYSConfig
from d3s_vot.trackers.kys.matching import costs, shifted
from d3s_vot.trackers.kys.scene import shift_to_middle


@lru_cache(maxsize=1)
def begun() -> Tracker:
    """On its first frame; the same for all tests."""
    made = Tracker(random_model())
    made.initialize(*scene(0))
    return made


def tracker(**rules: float) -> Tracker:
    """On its first frame, from where these rules hold."""
    made = copy.deepcopy(begun())
    made.target.config = dataclasses.replace(made.target.config, **rules)
    return made


def test_costs_are_the_products_of_neighbourhoods() -> None:
    g = torch.Generator().manual_seed(0)
    current, previous = torch.rand(2, 2, 3, 6, 6, generator=g)
    patches = [F.unfold(each, 3, padding=1).transpose(1, 2) for each in (previous, current)]  # 2 x 36 x 27
    expected = (patches[0] @ patches[1].transpose(1, 2)).view(2, 6, 6, 6, 6)
    assert torch.allclose(costs(current, previous, 9), expected, atol=1e-5)
    near = costs(current, previous, 2)
    assert torch.equal(near[:, 1, 4, 3, 2], costs(current, previous, 9)[:, 1, 4, 3, 2])
    assert near[:, 1, 4, 4, 4].abs().max() == near[:, 1, 4, 1, 1].abs().max() == 0  # three rows, three columns away


def test_maps_are_shifted_by_whole_and_half_cells() -> None:
    maps = torch.arange(16.0).view(1, 1, 4, 4)
    assert torch.allclose(shifted(maps, (0.5, 0.0))[0, 0, :, :3], maps[0, 0, :, 1:], atol=1e-5)
    assert shifted(maps, (0.5, 0.0))[0, 0, :, 3].abs().max() == 0
    assert torch.allclose(shifted(maps, (0.0, 0.25))[0, 0, :3], maps[0, 0, :3] + 2, atol=1e-5)
    assert torch.allclose(shifted(maps, (2 / 3, 0.0), True)[0, 0, :, :3], maps[0, 0, :, 1:], atol=1e-5)


def test_a_target_far_from_the_middle_comes_there() -> None:
    """The target is 288 / 5 pixels large."""
    assert shift_to_middle((190.0, 120.0, 50.0, 50.0), KYSConfig()) == pytest.approx(
        (2 * (215 / 16 - 9) / 18, 2 * (145 / 16 - 9) / 18)
    )
    assert shift_to_middle((120.0, 121.0, 40.0, 46.0), KYSConfig()) == pytest.approx((0.75 / 18, 0.5 / 18))


def test_a_target_that_is_not_found_stays_and_teaches_nothing() -> None:
    lost = tracker(not_found_score=1.0)
    target = lost.target
    before, learnt, known = target.state, target.filter.kernel, target.scene
    weights = target.filter.sample_weights.clone()
    for t in (1, 2):  # on the second an update is due
        answer = lost.track(scene(t)[0])
        assert answer.flag is Flag.NOT_FOUND and not answer.visible
        assert answer.confidence == target.judgement.fused.response.max().item()
    assert target.state == before and target.filter.kernel is learnt and target.scene is known
    assert torch.equal(target.filter.sample_weights, weights)
    assert tuple(answer.box) == pytest.approx(tuple(scene(0)[1]))


def test_what_is_known_of_the_scene_is_carried_and_forgotten() -> None:
    seen = tracker(not_found_score=0.0, lost_forgets=1)
    target = seen.target
    assert target.scene.state is None
    answer = seen.track(scene(1)[0])
    assert answer.flag is Flag.NORMAL and answer.visible
    known = target.scene
    assert torch.equal(known.state, target.judgement.fused.state) and known.state.abs().max() > 0
    assert (target.filter.sample_weights > 0).sum() == 16
    taught = target.filter.kernel
    seen.track(scene(2)[0])  # an update is due
    assert target.filter.kernel is not taught and target.scene is not known
    known, target.config = target.scene, dataclasses.replace(target.config, not_found_score=1.0)
    seen.track(scene(3)[0])
    assert target.scene.motion is known.motion and target.scene.box == known.box
    assert target.scene.state.abs().max() == 0


def test_something_alike_elsewhere_is_learnt_at_once() -> None:
    rules = {"not_found_score": 0.0, "hard_negative_threshold": 0.0, "hard_negative_score": -1e6}
    hard = tracker(**rules, hard_negatives=1, target_neighborhood_scale=0.0)
    taught = hard.target.filter.kernel
    score = hard.target.filter.score
    hard.target.filter.score = lambda features: score(features).abs() + 0.1  # so that there are two maxima
    assert hard.track(scene(1)[0]).flag is Flag.HARD_NEGATIVE
    assert hard.target.filter.kernel is not taught
    assert hard.target.judgement.learning_rate == hard.target.config.hard_negative_learning_rate
    plain = tracker(**rules, target_neighborhood_scale=0.0)
    assert plain.track(scene(1)[0]).flag is Flag.NORMAL
