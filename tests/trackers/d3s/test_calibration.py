"""Boxes corrected by the first frame: the arithmetic, and what the tracker does with it under either rules."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scenes import scene

from d3s_vot import Box, D3SConfig, D3STracker, InputError, load_tracker
from d3s_vot.regions import box_iou
from d3s_vot.trackers.d3s.calibration import Calibration
from d3s_vot.trackers.d3s.config import RULES

WHOLE = dataclasses.replace(D3SConfig(), box_calibration=1.0)
HALF = D3SConfig.calibrated()


def test_the_whole_difference_leads_to_the_given_box() -> None:
    found, given = Box(10, 20, 40, 30), Box(12, 15, 50, 36)
    assert tuple(Calibration.between(found, given, WHOLE).correct(found)) == pytest.approx(tuple(given))


def test_half_of_it_is_between() -> None:
    calibration = Calibration.between(Box(0, 0, 40, 40), Box(4, -4, 40 * 1.21, 40 / 1.44), HALF)
    assert calibration.scale == pytest.approx((1.1, 1 / 1.2))
    assert calibration.shift == pytest.approx(((4 + 4.2) / 80, (-4 - (40 - 40 / 1.44) / 2) / 80))


def test_it_goes_with_place_and_size() -> None:
    calibration = Calibration.between(Box(0, 0, 40, 40), Box(0, 0, 40, 50), WHOLE)
    assert tuple(calibration.correct(Box(100, 70, 80, 60))) == pytest.approx((100, 70, 80, 75))


def test_it_is_bounded() -> None:
    calibration = Calibration.between(Box(0, 0, 10, 100), Box(0, 90, 90, 10), HALF)
    assert calibration.scale == pytest.approx((1.5, 1 / 1.5))
    assert calibration.shift == pytest.approx((0.25, 0.225))


def test_nothing_to_correct_changes_no_digit() -> None:
    box = Box(0.1, 0.2, 0.3, 1e-9)
    assert Calibration().correct(box) is box


def follow(rules: str, given: Box) -> tuple[D3STracker, list[Box]]:
    tracker = load_tracker("D3S", device="cpu", rules=rules)
    tracker.initialize(scene(0)[0], given)
    return tracker, [tracker.track(scene(t)[0]).box for t in range(1, 4)]


def test_the_tracker_corrects_what_it_returns_and_nothing_else() -> None:
    x, y, w, h = scene(0)[1]
    wide = Box(x - 8, y, w + 16, h)  # around more than the disc
    published, plain = follow("published", wide)
    calibrated, corrected = follow("calibrated", wide)
    calibration = calibrated.target.segmenter.calibration
    assert calibration.scale[0] > calibration.scale[1]
    assert [calibration.correct(box) for box in plain] == corrected != plain
    assert calibrated.target.position_yx == published.target.position_yx
    assert calibrated.target.scale == published.target.scale
    truth = [Box(b.x - 8, b.y, b.w + 16, b.h) for b in (scene(t)[1] for t in range(1, 4))]
    before, after = (sum(map(box_iou, found, truth)) for found in (plain, corrected))
    assert after > before


def test_other_kinds_of_targets_are_left_alone() -> None:
    tracker = load_tracker("D3S", device="cpu", rules="calibrated")
    tracker.initialize(scene(0)[0], scene(0)[1].polygon)
    assert tracker.target.segmenter.calibration == Calibration()


def test_what_lies_outside_the_image_is_not_compared() -> None:
    """The mask ends with the picture, so a box that reaches out of it says nothing of the target's shape."""
    image, (x, y, w, h) = scene(0)
    tracker = load_tracker("D3S", device="cpu", rules="calibrated")
    tracker.initialize(np.ascontiguousarray(image[:, int(x + w / 2) :]), Box(-w / 2, y, w, h))
    assert tracker.target.segmenter.calibration != Calibration()
    assert max(tracker.target.segmenter.calibration.scale) < 1.2  # the whole box is twice as wide as what is seen


def test_rules_by_name() -> None:
    assert RULES["published"] == D3SConfig() and RULES["published"].changes() == {}
    assert RULES["calibrated"].changes() == {"box_calibration": 0.5}
    assert RULES["judged"].changes() == {"box_calibration": 0.5, "judgement": 1}
    assert load_tracker("D3S", device="cpu").config == RULES["judged"]
    assert load_tracker("D3S", device="cpu", rules="published").config == RULES["published"]
    with pytest.raises(InputError, match="no rules 'mine'; use weights, published, calibrated, judged or witnessed"):
        load_tracker("D3S", device="cpu", rules="mine")
