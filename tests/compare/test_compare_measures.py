"""How trackers are compared frame by frame, and which frames are shown."""

from __future__ import annotations

import numpy as np
import pytest
from simple import simple

from d3s_vot.compare.measures import agreement, losses, moments, overlaps, partings
from d3s_vot.compare.race import Course
from d3s_vot.regions import Box, Mask


def course(name: str, boxes: list[Box], visible: list[bool] | None = None) -> Course:
    """One that answered with these boxes."""
    count = len(boxes)
    seen = [True] * count if visible is None else visible
    return Course(name, simple(None), list(boxes), [0.5] * count, seen, [0.1] * count)


def test_agreement_counts_what_both_see_and_what_neither_sees() -> None:
    here, beside, away = Box(0, 0, 10, 10), Box(5, 0, 10, 10), Box(50, 50, 10, 10)
    a = course("a", [here] * 5, [True, True, True, False, False])
    b = course("b", [here, here, beside, away, here], [True, True, True, False, True])
    found = agreement([a, b])
    assert np.isnan(found[:, 0]).all()
    assert found[0, 1:] == pytest.approx([1, 1 / 3, 1, 0])
    assert np.array_equal(found[0, 1:], found[1, 1:])
    assert np.isnan(agreement([a])).all()


def test_agreement_of_three_is_the_mean_with_the_two_others() -> None:
    near, far = Box(0, 0, 10, 10), Box(50, 50, 10, 10)
    found = agreement([course("a", [near, near]), course("b", [near, near]), course("c", [near, far])])
    assert found[:, 1] == pytest.approx([0.5, 0.5, 0])


def test_overlaps_leave_out_the_first_frame_and_those_without_truth() -> None:
    box = Box(0, 0, 10, 10)
    pixels = np.zeros((40, 40), bool)
    pixels[0:10, 5:15] = True
    found = overlaps(course("a", [box] * 5), [box, box, None, Mask(pixels)])
    assert np.isnan(found[[0, 2, 4]]).all()
    assert found[[1, 3]] == pytest.approx([1, 1 / 3])


def test_a_loss_is_some_frames_long_and_counted_once() -> None:
    found = np.array([np.nan] + 3 * [0.9] + 4 * [0.0] + 2 * [0.9] + 9 * [0.05] + [0.8] + 5 * [0.0])
    assert losses(found) == [10, 20]


def test_frames_where_they_part_are_the_worst_and_lie_apart() -> None:
    lowest = np.full(100, 0.9)
    lowest[[30, 31, 70]] = 0.4, 0.1, 0.3
    lowest[90] = 0.55  # no parting
    assert partings(np.stack([lowest, np.ones(100)])) == [31, 70]
    assert partings(np.full((2, 50), 0.05)) == [0, 20, 40]


def test_a_frame_is_shown_once_with_all_that_happens_there() -> None:
    there, gone = Box(0, 0, 10, 10), Box(50, 50, 10, 10)
    lost = [there, there, *[gone] * 8]
    shown = moments([course("a", lost), course("b", lost), course("c", [there] * 10)], [there] * 10)
    assert [(m.frame, m.title) for m in shown] == [(0, "the target as given"), (2, "a loses it; b loses it")]
