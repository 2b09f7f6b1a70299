"""What a frame is good for: confidence, visibility, what is learnt and when; with random weights."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import torch
from dimp_models import random_atom, random_checkpoint
from scenes import scene

from d3s_vot import Tracker
from d3s_vot.prediction import Flag
from d3s_vot.trackers.names import family

CPU = torch.device("cpu")


@lru_cache(maxsize=2)
def _loaded(name: str):
    return random_atom() if name == "ATOM" else random_checkpoint(name)


def tracker(name: str, **rules: float) -> Tracker:
    """A tracker of random weights, on its first frame."""
    checkpoint = _loaded(name)
    kind = family(checkpoint.tracker)
    config = type(kind.constants(checkpoint)).with_changes(kind.constants(checkpoint).changes() | rules)
    made = Tracker(kind.from_checkpoint(checkpoint, CPU, config))
    made.initialize(*scene(0))
    return made


def weights_of(made: Tracker) -> np.ndarray:
    target = made.target
    return (target.gem if hasattr(target, "gem") else target.filter).sample_weights.numpy().copy()


def taught(made: Tracker) -> torch.Tensor:
    target = made.target
    return target.gem.taps if hasattr(target, "gem") else target.filter.kernel


@pytest.mark.parametrize("name", ["DiMP-18", "ATOM"])
def test_a_target_that_is_not_found_stays_and_is_not_learnt(name: str) -> None:
    lost = tracker(name, not_found_score=1e6)
    before, kept, learnt = lost.target.state, weights_of(lost), taught(lost)
    answer = lost.track(scene(1)[0])
    assert answer.flag is Flag.NOT_FOUND and not answer.visible
    assert lost.target.state == before and (weights_of(lost) == kept).all()
    assert tuple(answer.box) == pytest.approx(tuple(scene(0)[1]))
    assert taught(lost) is learnt  # nothing was due
    lost.track(scene(2)[0])  # here it was: DiMP skips it, ATOM does not
    assert (taught(lost) is learnt) == (name != "ATOM")


@pytest.mark.parametrize("name", ["DiMP-18", "ATOM"])
def test_a_usual_frame_is_learnt_and_every_few_refine_the_filter(name: str) -> None:
    usual = {"not_found_score": -1e6, "distractor_threshold": 1e6, "hard_negative_threshold": 1e6}
    seen = tracker(name, **usual)
    learnt = taught(seen)
    answer = seen.track(scene(1)[0])
    score = seen.target.judgement.found.score
    assert answer.flag is Flag.NORMAL and answer.visible
    assert answer.confidence == pytest.approx(1 - np.exp(-2 * max(score, 0)))
    assert np.count_nonzero(weights_of(seen)) == {"DiMP-18": 15, "ATOM": 30}[name] + 1
    assert taught(seen) is learnt
    seen.track(scene(2)[0])
    assert taught(seen) is not learnt
    hard = tracker(name, **usual | {"hard_negative_threshold": 0.0, "target_neighborhood_scale": 0.0})
    learnt = taught(hard)
    assert hard.track(scene(1)[0]).flag is Flag.HARD_NEGATIVE
    assert taught(hard) is not learnt


def test_the_confidence_of_densities_is_a_probability() -> None:
    raw, soft = tracker("PrDiMP-18", softmax=0, not_found_score=-1e6), tracker("PrDiMP-18")
    a, b = raw.track(scene(1)[0]), soft.track(scene(1)[0])
    assert a.confidence == pytest.approx(b.confidence) == soft.target.judgement.found.score
    assert 1 / 25 <= b.confidence <= 1  # of 5 x 5 cells
    assert raw.target.judgement.found.score != soft.target.judgement.found.score
