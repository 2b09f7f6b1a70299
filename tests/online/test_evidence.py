"""What a crop shows of a target, from cells and masks whose answers are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from d3s_vot.online.evidence import MAPS, MEASURES, Appearance, Evidence, cell_means, cells_of, gather

GRID = 6
SIZE = 16 * GRID


def square(first: int, last: int) -> NDArray[np.bool_]:
    """A mask of whole cells, rows and columns first .. last - 1."""
    mask = np.zeros((SIZE, SIZE), bool)
    mask[16 * first : 16 * last, 16 * first : 16 * last] = True
    return mask


def vectors(mask: NDArray[np.bool_], target: int = 0, ground: int = 1) -> NDArray[np.float32]:
    """8 x cells: one unit vector on the mask, another around it."""
    inside = cell_means(mask).ravel() > 0.5
    found = np.zeros((8, GRID * GRID), np.float32)
    found[np.where(inside, target, ground), np.arange(GRID * GRID)] = 1
    return found


def evidence(first: NDArray[np.bool_], cells: NDArray[np.float32], mask: NDArray[np.bool_]) -> Evidence:
    appearance = Appearance.of(vectors(first), first)
    similarities = np.stack([np.full((GRID, GRID), 0.25), np.full((GRID, GRID), 0.5)]).astype(np.float32)
    return gather(appearance, cells, similarities, 0.9 * mask.astype(np.float32), mask)


def measure(found: Evidence, name: str) -> float:
    return float(found.measures[MEASURES.index(name)])


def test_the_first_frame_itself() -> None:
    mask = square(2, 4)
    found = evidence(mask, vectors(mask), mask)
    assert found.maps.shape == (MAPS, GRID, GRID) and found.measures.shape == (len(MEASURES),)
    assert found.maps.dtype == found.measures.dtype == np.float32
    inside = cell_means(mask) > 0.5
    np.testing.assert_array_equal(found.maps[0], inside)
    np.testing.assert_array_equal(found.maps[1], ~inside)
    assert (found.maps[2] == 0.25).all() and (found.maps[3] == 0.5).all()
    np.testing.assert_allclose(found.maps[4], 0.9 * inside, rtol=1e-6)
    expected = {"match": 1, "certainty": 0.9, "area": 0, "mean": 1, "covered": 1, "coverable": 1, "peak": 1}
    for name, value in (expected | {"margin": 1, "fill": 0, "crowd": 4 / 36}).items():
        assert measure(found, name) == pytest.approx(value, abs=1e-6), name


def test_a_mask_elsewhere_matches_nothing_though_the_target_could_be_covered() -> None:
    first = square(2, 4)
    found = evidence(first, vectors(first), square(4, 6))
    assert measure(found, "match") == measure(found, "covered") == 0
    assert measure(found, "coverable") == measure(found, "peak") == 1 and measure(found, "margin") == -1


def test_a_part_is_smaller() -> None:
    first = square(1, 5)
    found = evidence(first, vectors(first), square(2, 4))
    assert measure(found, "area") == pytest.approx(math.log(0.5))  # half as long


def test_nothing_found() -> None:
    first = square(2, 4)
    found = evidence(first, vectors(first), np.zeros((SIZE, SIZE), bool))
    assert measure(found, "match") == measure(found, "certainty") == measure(found, "mean") == 0
    assert measure(found, "area") == pytest.approx(0.5 * math.log(50 / 1024))
    assert np.isfinite(found.measures).all() and np.isfinite(found.maps).all()


def test_a_mask_smaller_than_a_cell_stands_for_the_cells_that_have_most_of_it() -> None:
    mask = np.zeros((SIZE, SIZE), bool)
    mask[40:44, 40:44] = True
    appearance = Appearance.of(vectors(square(2, 3)), mask)
    assert appearance.target.shape[1] >= 1 and appearance.area == 16
    found = gather(appearance, vectors(square(2, 3)), np.zeros((2, GRID, GRID), np.float32), mask * 0.8, mask)
    assert measure(found, "match") == 1 and np.isfinite(found.measures).all()


def test_a_target_that_fills_the_crop_leaves_no_background() -> None:
    mask = np.ones((SIZE, SIZE), bool)
    appearance = Appearance.of(vectors(mask), mask)
    assert appearance.background.shape == (8, 0)
    found = gather(appearance, vectors(mask), np.zeros((2, GRID, GRID), np.float32), mask * 0.8, mask)
    assert (found.maps[1] == 0).all() and measure(found, "margin") == 1


def test_what_is_remembered_counts_as_the_target_but_not_for_its_parts() -> None:
    first, mask = square(2, 4), square(4, 6)
    turned = vectors(mask, target=5)  # the target looks otherwise now, and is elsewhere
    appearance = Appearance.of(vectors(first), first)
    flat = np.zeros((2, GRID, GRID), np.float32)
    before = gather(appearance, turned, flat, 0.9 * mask.astype(np.float32), mask)
    after = gather(appearance, turned, flat, 0.9 * mask.astype(np.float32), mask, [cells_of(turned, mask)])
    assert measure(before, "match") == 0 and measure(after, "match") == measure(after, "peak") == 1
    assert measure(after, "covered") == measure(before, "covered") == 0
    assert cells_of(turned, np.zeros((SIZE, SIZE), bool)).shape == (8, 0)


def test_a_worse_picture_of_the_first_frame_is_evidence_for_target_and_background() -> None:
    first = square(2, 4)
    blurred = vectors(first, target=5, ground=6)
    appearance = Appearance.of(vectors(first), first, [blurred])
    assert [cells.shape for cells in appearance.views] == [(8, 4)]
    assert appearance.target.shape == (8, 4) and appearance.background.shape[1] == 2 * 32
    flat = np.zeros((2, GRID, GRID), np.float32)
    found = gather(appearance, blurred, flat, 0.9 * first.astype(np.float32), first)
    for name in ("match", "covered", "coverable", "margin"):
        assert measure(found, name) == 1, name
    sharp = gather(appearance, vectors(first), flat, 0.9 * first.astype(np.float32), first)
    assert measure(sharp, "covered") == 1  # of one picture or the other, not of both at once
    without = gather(Appearance.of(vectors(first), first), blurred, flat, 0.9 * first.astype(np.float32), first)
    assert measure(without, "match") == measure(without, "covered") == 0
