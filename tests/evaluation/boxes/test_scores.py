"""The measures against plain loops over their definitions, against the got10k toolkit, and on the truth itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from d3s_vot.evaluation.boxes.scores import (
    Curves,
    got10k_overlaps,
    got10k_scores,
    lasot_curves,
    lasot_scores,
    overlaps,
    trackingnet_curves,
    trackingnet_scores,
)

Boxes = NDArray[np.float64]
SIZE = (200, 150)


def pair(seed: int, count: int = 300) -> tuple[Boxes, Boxes]:
    """Boxes from near misses to far ones, and a truth."""
    random = np.random.default_rng(seed)
    truth = np.concatenate([random.uniform(-20, 180, (count, 2)), random.uniform(2, 90, (count, 2))], axis=1)
    boxes = truth + random.normal(size=(count, 4)) * random.choice([0, 2, 10, 30], (count, 1))
    boxes[:, 2:] = boxes[:, 2:].clip(1)
    return boxes, truth


def plain_overlap(a: list[float], b: list[float]) -> Fraction:
    """Of exact numbers, so that a comparison with a threshold has no rounding."""
    ax, ay, aw, ah = map(Fraction, a)
    bx, by, bw, bh = map(Fraction, b)
    inside = max(min(ax + aw, bx + bw) - max(ax, bx), 0) * max(min(ay + ah, by + bh) - max(ay, by), 0)
    union = aw * ah + bw * bh - inside
    return inside / union if union else Fraction(0)


def plain_errors(a: list[float], b: list[float]) -> tuple[float, float]:
    """Of the centre, in pixels and in sizes of the second box."""
    dx, dy = a[0] + a[2] / 2 - b[0] - b[2] / 2, a[1] + a[3] / 2 - b[1] - b[3] / 2
    return math.sqrt(dx**2 + dy**2), math.sqrt((dx / b[2]) ** 2 + (dy / b[3]) ** 2)


def shares(values: list[float], meets: Callable[[float, float], bool], thresholds: list[float]) -> list[float]:
    """For each threshold the share of values that meet it."""
    return [sum(meets(value, threshold) for value in values) / len(values) for threshold in thresholds]


def trapezoids(curve: list[float], step: float) -> float:
    return sum((left + right) / 2 * step for left, right in pairwise(curve))


def test_overlaps() -> None:
    boxes, truth = pair(0)
    expected = [float(plain_overlap(a, b)) for a, b in zip(boxes.tolist(), truth.tolist(), strict=True)]
    assert np.allclose(overlaps(boxes, truth), expected, rtol=0, atol=1e-9)
    assert overlaps(np.zeros((1, 4)), np.zeros((1, 4))) == 0


@pytest.mark.parametrize("seed", range(3))
def test_trackingnet(seed: int) -> None:
    boxes, truth = pair(seed)
    a = [[float(round(value)) for value in box] for box in boxes.tolist()]
    b = [[float(round(value)) for value in box] for box in truth.tolist()]
    a[0] = b[0]
    reached = [plain_overlap(p, q) for p, q in zip(a, b, strict=True)]
    errors = [plain_errors(p, q) for p, q in zip(a, b, strict=True)]
    success = shares(reached, lambda v, t: v >= t, [Fraction(i, 20) for i in range(21)])
    normalised = shares([e[1] for e in errors], lambda v, t: v <= t, [i / 100 for i in range(51)])
    expected = {
        "success": 100 * trapezoids(success, 1 / 20),
        "precision": 100 * sum(e[0] <= 20 for e in errors) / len(errors),
        "normalised precision": 100 * trapezoids(normalised, 1 / 100) / 0.5,
    }
    assert trackingnet_scores(trackingnet_curves(boxes, truth)) == pytest.approx(expected, rel=0, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_lasot(seed: int) -> None:
    boxes, truth = pair(seed)
    truth[5:40], truth[60] = np.nan, 0  # absent, and without area
    a, b = boxes.tolist(), truth.tolist()
    a[0] = b[0]
    counted = [(p, q) for i, (p, q) in enumerate(zip(a, b, strict=True)) if not 5 <= i < 40 and i != 60]
    reached = [plain_overlap(p, q) for p, q in counted]
    errors = [plain_errors(p, q) for p, q in counted]
    success = shares(reached, lambda v, t: v > t, [Fraction(i, 20) for i in range(21)])
    normalised = shares([e[1] for e in errors], lambda v, t: v <= t, [i / 100 for i in range(51)])
    expected = {
        "success": 100 * sum(success) / 21,
        "precision": 100 * sum(e[0] <= 20 for e in errors) / len(errors),
        "normalised precision": 100 * sum(normalised) / 51,
    }
    assert lasot_scores(lasot_curves(boxes, truth)) == pytest.approx(expected, rel=0, abs=1e-9)


def test_got10k_as_the_toolkit() -> None:
    metrics = pytest.importorskip("got10k.utils.metrics")
    cover = np.random.default_rng(1).integers(0, 9, 300)
    ours, theirs = [], []
    for seed in range(3):
        boxes, truth = pair(seed)  # some of it outside the image
        ours.append(got10k_overlaps(boxes, truth, cover, SIZE))
        theirs.append(metrics.rect_iou(boxes[1:].copy(), truth[1:].copy(), bound=SIZE)[cover[1:] > 0])
    scores, expected = got10k_scores(np.concatenate(ours)), np.concatenate(theirs)
    assert np.allclose(np.concatenate(ours), expected, rtol=0, atol=1e-9)
    assert scores["AO"] == pytest.approx(100 * expected.mean(), abs=1e-6)
    assert scores["SR.5"] == pytest.approx(100 * (expected > 0.5).mean(), abs=1e-6)
    assert scores["SR.75"] == pytest.approx(100 * (expected > 0.75).mean(), abs=1e-6)
    assert 0 < scores["SR.75"] < scores["SR.5"] < 100


def test_truth_against_itself() -> None:
    _, truth = pair(0)
    whole = np.clip(np.rint(truth), 1, 60)  # inside the image, sides whole numbers
    assert trackingnet_scores(trackingnet_curves(truth, truth)) == dict.fromkeys(
        ("success", "precision", "normalised precision"), 100
    )
    assert got10k_scores(got10k_overlaps(whole, whole, np.full(300, 8), SIZE)) == dict.fromkeys(
        ("AO", "SR.5", "SR.75"), 100
    )
    # No overlap is above 1, the last of the 21 thresholds.
    assert lasot_scores(lasot_curves(whole, whole)) == pytest.approx(
        {"success": 100 * 20 / 21, "precision": 100, "normalised precision": 100}
    )


def test_first_frame() -> None:
    """It is given: it counts as found, or not at all."""
    boxes, truth = pair(4, 50)
    lost = np.concatenate([[[500, 500, 9, 9]], boxes[1:]])
    cover = np.full(50, 8)
    assert np.array_equal(trackingnet_curves(lost, truth).success, trackingnet_curves(boxes, truth).success)
    assert np.array_equal(lasot_curves(lost, truth).success, lasot_curves(boxes, truth).success)
    assert len(got10k_overlaps(lost, truth, cover, SIZE)) == 49
    assert lost[0, 0] == 500  # arguments stay as they are


def test_mean_weighs_sequences_the_same() -> None:
    short, long = (trackingnet_curves(*pair(seed, count)) for seed, count in ((5, 10), (6, 400)))
    scores = [trackingnet_scores(part)["success"] for part in (short, long)]
    assert trackingnet_scores(Curves.mean([short, long]))["success"] == pytest.approx(sum(scores) / 2, abs=1e-9)


def test_no_frame_that_counts() -> None:
    boxes, truth = pair(7, 9)
    scores = got10k_scores(got10k_overlaps(boxes, truth, np.zeros(9, np.int64), SIZE))
    assert list(scores) == ["AO", "SR.5", "SR.75"]
    assert np.isnan(list(scores.values())).all()
