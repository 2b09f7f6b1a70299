"""Where a lost target is looked for."""

from __future__ import annotations

import pytest

from d3s_vot.online.search import places

IMAGE = (480.0, 640.0)


def test_the_last_place_first_and_always() -> None:
    for frame in range(20):
        assert places(IMAGE, (100.0, 200.0), 120.0, frame, 6)[0] == (100.0, 200.0)


def test_near_at_first_then_the_whole_image() -> None:
    side, last = 120.0, (100.0, 200.0)
    first = places(IMAGE, last, side, 0, 100)
    assert all(max(abs(y - last[0]), abs(x - last[1])) <= 0.75 * side for y, x in first)
    late = places(IMAGE, last, side, 50, 1000)
    for y in range(0, 480, 20):
        for x in range(0, 640, 20):  # well within a patch, so that no target is cut in two by all of them
            assert any(abs(y - py) <= side / 4 + 1e-9 and abs(x - px) <= side / 4 + 1e-9 for py, px in late), (y, x)


def test_no_more_than_asked_for_and_the_rest_in_the_next_frames() -> None:
    seen = set()
    for frame in range(40, 80):
        found = places(IMAGE, (100.0, 200.0), 120.0, frame, 6)
        assert len(found) == len(set(found)) == 7
        seen |= set(found)
    assert seen == set(places(IMAGE, (100.0, 200.0), 120.0, 79, 1000))


@pytest.mark.parametrize("last", [(0.0, 0.0), (480.0, 640.0), (240.0, 320.0)])
def test_within_the_image(last: tuple[float, float]) -> None:
    for y, x in places(IMAGE, last, 200.0, 30, 1000):
        assert -50 <= y <= 530 and -50 <= x <= 690


def test_a_target_as_large_as_the_image() -> None:
    assert places(IMAGE, (240.0, 320.0), 4000.0, 5, 6) == [(240.0, 320.0)]
