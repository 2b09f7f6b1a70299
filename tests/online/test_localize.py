"""Localisation: each flag, the blanked neighbourhood, the uncertainty against the golden traces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from d3s_vot.online.labels import gaussian_labels
from d3s_vot.online.localize import Localization, ScoreHistory, localize
from d3s_vot.prediction import Flag
from d3s_vot.trackers.d3s.config import D3SConfig

CONFIG = D3SConfig()
FLAT = torch.ones(256, 256)  # a window that favours no displacement
SIZE_HW = (40.0, 30.0)  # of the target; the neighbourhood reaches 44 and 33 px of the patch at scale 1
NEAR, OTHER_NEAR, FAR, OTHER_FAR = (0, 4), (0, -4), (-6, -6), (6, 6)  # cells of 16 px; near is below 89.6 px


def bumps(*peaks: tuple[tuple[int, int], float]) -> Tensor:
    """A 16 x 16 response with peaks at displacements in cells, of given heights."""
    centers = torch.tensor([cell for cell, _ in peaks]) + 0.5  # the cell of zero displacement is at 0.5
    heights = torch.tensor([height for _, height in peaks])
    return (heights[:, None, None] * gaussian_labels(centers, 1.0)).sum(dim=0)


def test_one_peak_is_normal_and_measured_in_image_pixels() -> None:
    found = localize(bumps(((2, -3), 0.8)), 1.5, (60.0, 60.0), CONFIG, FLAT)
    assert found.displacement == (2 * 16 * 1.5, -3 * 16 * 1.5)
    assert found.score == pytest.approx(0.8, abs=0.02)
    assert found.flag == "normal"
    assert str(found.flag) == f"{found.flag}" == "normal"


def test_cosine_window_is_the_default_and_favours_the_middle() -> None:
    response = bumps(((0, 1), 0.9), ((0, -6), 1.0))
    assert localize(response, 1.0, SIZE_HW, CONFIG).displacement[1] == pytest.approx(16, abs=3)
    assert localize(response, 1.0, SIZE_HW, CONFIG, FLAT).displacement[1] == pytest.approx(-96, abs=3)


@pytest.mark.parametrize(("height", "flag"), [(0.5, Flag.HARD_NEGATIVE), (0.2, Flag.NORMAL)])
def test_second_peak_is_a_hard_negative_above_a_share_of_the_first(height: float, flag: Flag) -> None:
    found = localize(bumps((NEAR, 1.0), (FAR, height)), 1.0, SIZE_HW, CONFIG, FLAT)
    assert found.displacement == pytest.approx((0, 64), abs=1)
    assert found.flag == flag


@pytest.mark.parametrize(
    ("size_hw", "scale", "flag"),
    [
        ((40.0, 30.0), 1.0, Flag.HARD_NEGATIVE),  # reaches 33 px sideways; the other peak is at 80 px
        ((40.0, 110.0), 1.0, Flag.NORMAL),  # reaches 121 px sideways
        ((110.0, 30.0), 1.0, Flag.HARD_NEGATIVE),  # 121 px, but up and down
        ((40.0, 110.0), 2.0, Flag.HARD_NEGATIVE),  # 60 px of the patch: the peak at 80 px stays
    ],
)
def test_neighborhood_is_the_targets(size_hw: tuple[float, float], scale: float, flag: Flag) -> None:
    response = bumps(((0, 0), 1.0), ((0, 5), 0.6))
    assert localize(response, scale, size_hw, CONFIG, FLAT).flag == flag


def test_neighborhood_is_clipped_and_does_not_wrap() -> None:
    # 16 px apart across the edge of the periodic map, which is less than the reach of 44 px.
    response = bumps(((7, 0), 1.0), ((-8, 0), 0.5))
    assert localize(response, 1.0, SIZE_HW, CONFIG, FLAT).flag == Flag.HARD_NEGATIVE


@pytest.mark.parametrize(
    ("first", "second", "chosen", "flag"),
    [
        (NEAR, FAR, NEAR, Flag.HARD_NEGATIVE),
        (FAR, NEAR, NEAR, Flag.HARD_NEGATIVE),
        (NEAR, OTHER_NEAR, NEAR, Flag.UNCERTAIN),
        (FAR, OTHER_FAR, FAR, Flag.UNCERTAIN),
    ],
)
def test_distractor_logic(
    first: tuple[int, int], second: tuple[int, int], chosen: tuple[int, int], flag: Flag
) -> None:
    config = replace(CONFIG, distractor_threshold=0.8)  # the published 100 asks for a first maximum below 0
    found = localize(bumps((first, 1.0), (second, 0.9)), 1.0, SIZE_HW, config, FLAT)
    assert found.displacement == pytest.approx((16 * chosen[0], 16 * chosen[1]), abs=1)
    assert found.score == pytest.approx(1.0, abs=0.02)
    assert found.flag == flag


def test_low_scores_are_not_found() -> None:
    assert localize(torch.full((16, 16), -1.5), 1.0, SIZE_HW, CONFIG, FLAT).flag == Flag.NOT_FOUND
    assert localize(torch.full((16, 16), float("nan")), 1.0, SIZE_HW, CONFIG, FLAT).flag == Flag.NOT_FOUND


def test_localize_reads_the_device_once() -> None:
    class NoScalars(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            # tolist, the one transfer, is not dispatched; item and indexing by a tensor are.
            assert func is not torch.ops.aten._local_scalar_dense.default, "a value was read by the host"
            return func(*args, **(kwargs or {}))

    with NoScalars():
        localize(bumps((NEAR, 1.0), (FAR, 0.5)), 1.0, SIZE_HW, CONFIG, FLAT)


def seen(score: float, flag: Flag = Flag.NORMAL) -> Localization:
    """A frame's localisation with that score."""
    return Localization((0.0, 0.0), score, flag)


def observe(history: ScoreHistory, found: Localization) -> float:
    """The uncertainty of a frame that goes by; asking changes nothing."""
    first, again = history.uncertainty(found), history.uncertainty(found)
    assert first == again
    history.add(found)
    return first


def test_uncertainty_is_zero_in_the_first_frames_and_then_mean_over_score() -> None:
    history = ScoreHistory(CONFIG)
    assert [observe(history, seen(0.5)) for _ in range(4)] == [0] * 4  # frames 2 to 5
    assert observe(history, seen(0.3)) == pytest.approx((1 + 4 * 0.5) / 5 / 0.3)


def test_uncertain_frames_stay_out_of_the_history() -> None:
    history = ScoreHistory(CONFIG)
    for _ in range(4):
        observe(history, seen(1.0))
    assert observe(history, seen(0.25)) == pytest.approx(4)
    assert observe(history, seen(5.0, Flag.NOT_FOUND)) == 100
    assert observe(history, seen(0.0)) == observe(history, seen(-0.5)) == 100
    assert observe(history, seen(0.5)) == pytest.approx(2)


def test_history_keeps_the_newest() -> None:
    history = ScoreHistory(CONFIG)
    for _ in range(24):
        observe(history, seen(0.5))
    assert observe(history, seen(0.5)) == pytest.approx((1 + 24 * 0.5) / 25 / 0.5)
    assert observe(history, seen(0.5)) == pytest.approx(1)


def test_not_found_counts_in_the_first_frames_too() -> None:
    assert observe(ScoreHistory(CONFIG), seen(-2.0, Flag.NOT_FOUND)) == 100


@pytest.mark.parametrize("name", ["trace_bag.npz", "trace_car.npz"])
def test_golden_uncertainty(golden: Callable[[str], dict[str, np.ndarray]], name: str) -> None:
    history = ScoreHistory(CONFIG)
    trace = golden(name)["pos_yx_scale_score_uncertainty"]  # no score of these is refused
    uncertainties = [observe(history, seen(float(score))) for score in trace[:, 3]]
    np.testing.assert_allclose(uncertainties, trace[:, 4], rtol=1e-5)
