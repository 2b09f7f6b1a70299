"""Where a target is: to a sample and back, at other sizes, and within bounds."""

from __future__ import annotations

import pytest

from d3s_vot.online.chance import Chance
from d3s_vot.online.state import Bounds, Place, State

STATE = State.begin((40.0, 30.0, 20.0, 45.0), 5.0, 288)
PLACE = Place((50.0, 52.0), STATE.scale, 288)


def test_a_given_box_comes_back_and_its_sample_is_five_times_as_wide() -> None:
    assert STATE.rectangle == (40, 30, 20, 45)
    assert STATE.scale * 288 == pytest.approx(5 * 30)
    assert STATE.base_hw == pytest.approx((45 / STATE.scale, 20 / STATE.scale))


def test_to_a_sample_and_back_is_half_a_pixel_of_it_away() -> None:
    again = STATE.at_box(STATE.box_in(PLACE), PLACE, STATE.base_hw)
    assert again.size_hw == pytest.approx(STATE.size_hw) and again.scale == pytest.approx(STATE.scale)
    off = [a - b for a, b in zip(again.position_yx, STATE.position_yx, strict=True)]
    assert off == pytest.approx([STATE.scale / 2] * 2)


def test_a_part_stays_in_the_image() -> None:
    assert STATE.moved((-500, 1000), (100, 200), 0.2).position_yx == pytest.approx((-0.3 * 45, 200 + 0.3 * 20))
    assert STATE.moved((50, 60), (100, 200), 0.2).position_yx == (50, 60)


def test_another_size_of_the_view_shows_the_same_target() -> None:
    twice = STATE.resized(2, 2)
    assert twice.size_hw == (90, 40) and twice.scale == 2 * STATE.scale
    assert twice.rectangle[0] == pytest.approx(2 * 40)
    assert twice.base_hw == pytest.approx(STATE.base_hw)


def test_bounds_hold_both_ends_and_what_was_given_is_within() -> None:
    bounds = Bounds.of(STATE, (100, 200), 10)
    assert bounds.keep(STATE) is STATE
    assert min(bounds.keep(STATE.within(1e-9, 1e-9)).size_hw) == pytest.approx(10)
    assert bounds.keep(STATE.within(1e9, 1e9)).size_hw == pytest.approx((100, 100 * 20 / 45))
    tiny, giant = State.begin((5, 5, 3, 2), 5.0, 288), State.begin((-300, -300, 900, 700), 5.0, 288)
    assert all(Bounds.of(one, (100, 200), 10).keep(one) is one for one in (tiny, giant))
    assert min(Bounds.of(tiny, (100, 200), 10).keep(tiny.within(1e-9, 1e-9)).size_hw) == pytest.approx(2)
    grown = bounds.resized(2, 2)
    assert grown.keep(STATE.resized(2, 2).within(1e9, 1e9)).size_hw == pytest.approx((200, 200 * 20 / 45))


def test_chance_is_the_same_for_every_target() -> None:
    one, other = Chance(), Chance()
    for draw in (lambda c: c.shifts(3), lambda c: c.dropout(2, 5), lambda c: c.jitter(9), lambda c: c.normal((2, 2))):
        first = draw(one)
        assert (first == draw(other)).all()
        assert not (first == draw(other)).any()  # the next ones
        draw(one)
    assert abs(Chance().jitter(100)).max() <= 0.5
