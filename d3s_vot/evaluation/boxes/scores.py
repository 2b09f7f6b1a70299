"""The measures of the benchmarks whose target is a box: overlaps, centre errors, and what is made of them.

Boxes are N x 4 arrays of x, y, width, height. Curves are 0..1, scores are percent. The benchmarks differ in small
things (is an overlap equal to the threshold a success, is the area under a curve a mean or an integral), so each
has its own functions:

* GOT-10k: L. Huang, X. Zhao, K. Huang, "GOT-10k: A Large High-Diversity Benchmark for Generic Object Tracking in
  the Wild", TPAMI 2021, section 5, and the got10k toolkit.
* TrackingNet: M. Müller, A. Bibi, S. Giancola, S. Al-Subaihi, B. Ghanem, "TrackingNet: A Large-Scale Dataset and
  Benchmark for Object Tracking in the Wild", ECCV 2018, section 4.
* LaSOT: H. Fan et al., "LaSOT: A High-quality Benchmark for Large-scale Single Object Tracking", CVPR 2019,
  section 4.1; success and precision as in Y. Wu, J. Lim, M.-H. Yang, "Object Tracking Benchmark", TPAMI 2015.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Quotients, not multiples of .05 or .01: these are the nearest numbers to the thresholds.
OVERLAPS: Floats = np.arange(21) / 20  # 0, .05 ... 1
PIXELS: Floats = np.arange(51) / 1  # 0, 1 ... 50
SIZES: Floats = np.arange(51) / 100  # 0, .01 ... .5, in sizes of the target
AT_PIXELS = 20  # precision is read off here

# Scores go by these names.
AO, SR50, SR75 = "AO", "SR.5", "SR.75"
SUCCESS, PRECISION, NORMALISED = "success", "precision", "normalised precision"


def overlaps(a: Floats, b: Floats) -> Floats:
    """Intersection over union of N boxes with N others, 0..1; 0 where both are empty.

    >>> overlaps(np.array([[0.0, 0, 10, 10]]), np.array([[5.0, 0, 10, 10]]))
    array([0.33333333])
    """
    low = np.maximum(a[:, :2], b[:, :2])
    high = np.minimum(a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:])
    inside = np.prod(np.maximum(high - low, 0), axis=1)
    union = np.prod(a[:, 2:], axis=1) + np.prod(b[:, 2:], axis=1) - inside
    return np.clip(np.divide(inside, union, out=np.zeros(len(a)), where=union > 0), 0, 1)


def _between_centres(boxes: Floats, truth: Floats) -> Floats:
    """N x 2, from the centres of the truth to those of the boxes."""
    return boxes[:, :2] + boxes[:, 2:] / 2 - truth[:, :2] - truth[:, 2:] / 2


def centre_errors(boxes: Floats, truth: Floats) -> Floats:
    """N distances of the centres, in pixels."""
    return np.hypot(*_between_centres(boxes, truth).T)


def normalised_centre_errors(boxes: Floats, truth: Floats) -> Floats:
    """N distances of the centres, x measured in widths of the truth and y in heights (TrackingNet, equation 1)."""
    return np.hypot(*(_between_centres(boxes, truth) / truth[:, 2:]).T)


def annotated(truth: Floats) -> NDArray[np.bool_]:
    """N; whether the target has a box in a frame: four numbers, its sizes above 0."""
    return np.asarray(np.isfinite(truth).all(axis=1) & (truth[:, 2:] > 0).all(axis=1), bool)


@dataclass(frozen=True)
class Curves:
    """Shares of frames, 0..1, of one sequence or the mean of several.

    Attributes:
        success: 21; of frames whose overlap reaches the threshold in OVERLAPS.
        precision: 51; of frames whose centre error is at most the threshold in PIXELS.
        normalised: 51; of frames whose normalised centre error is at most the threshold in SIZES.
    """

    success: Floats
    precision: Floats
    normalised: Floats

    @classmethod
    def mean(cls, parts: Sequence[Curves]) -> Curves:
        """Every sequence weighs the same, however long."""
        return cls(
            np.mean([part.success for part in parts], axis=0),
            np.mean([part.precision for part in parts], axis=0),
            np.mean([part.normalised for part in parts], axis=0),
        )


def _curves(reached: NDArray[np.bool_], boxes: Floats, truth: Floats) -> Curves:
    """The three curves, given which frame reaches which overlap (N x 21)."""
    near = centre_errors(boxes, truth)[:, None] <= PIXELS
    near_in_sizes = normalised_centre_errors(boxes, truth)[:, None] <= SIZES
    return Curves(reached.mean(axis=0), near.mean(axis=0), near_in_sizes.mean(axis=0))


def trackingnet_curves(boxes: Floats, truth: Floats) -> Curves:
    """The curves of one sequence as TrackingNet's server makes them.

    Boxes and truth are rounded to whole pixels, the first box is the truth, and frame t is a success at the
    threshold s where overlap(t) >= s. Frames without annotation do not count.

    Args:
        boxes: N x 4, a tracker's.
        truth: N x 4, of which one row at least is annotated.
    """
    boxes, truth = np.rint(boxes), np.rint(truth)
    boxes[0] = truth[0]
    counts = annotated(truth)
    boxes, truth = boxes[counts], truth[counts]
    return _curves(overlaps(boxes, truth)[:, None] >= OVERLAPS, boxes, truth)


def trackingnet_scores(curves: Curves) -> dict[str, float]:
    """TrackingNet's three measures, in percent; the truth itself has 100 in each.

    * success: the area under the success curve, by the trapezoidal rule.
    * precision: the share of frames whose centre is at most 20 pixels off.
    * normalised precision: the area under that curve from 0 to .5 by the trapezoidal rule, over .5.
    """
    return {
        SUCCESS: 100 * _area(curves.success),
        PRECISION: 100 * float(curves.precision[AT_PIXELS]),
        NORMALISED: 100 * _area(curves.normalised),
    }


def _area(curve: Floats) -> float:
    """The area under a curve of equal steps over its width, by the trapezoidal rule."""
    return float((curve[:-1] + curve[1:]).mean() / 2)


def lasot_curves(boxes: Floats, truth: Floats) -> Curves:
    """The curves of one sequence as LaSOT's evaluation makes them.

    The first box is the truth, frame t is a success at the threshold s where overlap(t) > s, and frames in which
    the target is absent (NaN) or its box has no area do not count.

    Args:
        boxes: N x 4, a tracker's.
        truth: N x 4, of which one row at least is annotated.
    """
    boxes = np.concatenate([truth[:1], boxes[1:]])
    counts = annotated(truth)
    boxes, truth = boxes[counts], truth[counts]
    return _curves(overlaps(boxes, truth)[:, None] > OVERLAPS, boxes, truth)


def lasot_scores(curves: Curves) -> dict[str, float]:
    """LaSOT's three measures, in percent.

    * success: the mean of the success curve. The truth itself has 95.2: no overlap is above the last threshold, 1.
    * precision: the share of frames whose centre is at most 20 pixels off.
    * normalised precision: the mean of that curve from 0 to .5.
    """
    return {
        SUCCESS: 100 * float(curves.success.mean()),
        PRECISION: 100 * float(curves.precision[AT_PIXELS]),
        NORMALISED: 100 * float(curves.normalised.mean()),
    }


def _bounded(boxes: Floats, size: tuple[int, int]) -> Floats:
    """Boxes brought into an image as the got10k toolkit does it.

    A corner outside is moved to the border, and then a size that is too large is cut.
    """
    low = np.clip(boxes[:, :2], 0, size)
    return np.concatenate([low, np.clip(boxes[:, 2:], 0, size - low)], axis=1)


def got10k_overlaps(
    boxes: Floats, truth: Floats, cover: NDArray[np.int64], size: tuple[int, int]
) -> Floats:
    """The overlaps of one sequence that GOT-10k counts, 0..1.

    Args:
        boxes: N x 4, a tracker's; the first does not count.
        truth: N x 4.
        cover: N values 0..8, how much of the target is seen; frames of 0 do not count.
        size: (width, height) of the image, which boxes and truth are brought into.
    """
    return overlaps(_bounded(boxes[1:], size), _bounded(truth[1:], size))[cover[1:] > 0]


def got10k_scores(overlaps: Floats) -> dict[str, float]:
    """GOT-10k's measures, in percent; NaN where no frame counts.

    Args:
        overlaps: of all frames that count, of all sequences: long ones weigh more.

    Returns:
        AO: the mean overlap; SR.5, SR.75: the shares of overlaps above .5 and .75.
    """
    if not len(overlaps):
        return dict.fromkeys((AO, SR50, SR75), float("nan"))
    return {
        AO: 100 * float(overlaps.mean()),
        SR50: 100 * float((overlaps > 0.5).mean()),
        SR75: 100 * float((overlaps > 0.75).mean()),
    }
