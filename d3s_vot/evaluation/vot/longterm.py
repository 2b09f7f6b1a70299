"""The measures of long-term tracking, VOT-LT2018 to 2022: precision, recall and F.

A tracker says in every frame how sure it is; where it is less sure than a threshold it is taken to say that the target
is absent. Precision is the mean overlap of the answers that remain, recall their overlap over all frames with a target.

From the definitions in A. Lukezic, L. Cehovin Zajc, T. Vojir, J. Matas, M. Kristan, "Now you see me: evaluating
performance in long-term visual tracking" (2018), and the answers of vot-toolkit 0.7.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESOLUTION = 100  # thresholds, at most


@dataclass(frozen=True, eq=False)
class SureRun:
    """One run through a sequence.

    Attributes:
        overlaps: N, 0..1; of the first frame 0, and of an empty answer where the target is absent 1.
        confidences: N; 0 where none was stored, as in the first frame.
        present: frames that show the target.
    """

    overlaps: NDArray[np.float64]
    confidences: NDArray[np.float64]
    present: int


@dataclass(frozen=True)
class Score:
    """F and the precision and recall that it comes from, 0..1; F may be larger where absence was told by no region."""

    f: float
    precision: float
    recall: float


def thresholds(runs: Sequence[SureRun], resolution: int = RESOLUTION) -> NDArray[np.float64]:
    """The thresholds that are tried, from infinity downwards: every confidence, or of many evenly spaced ones."""
    known = np.sort(np.concatenate([run.confidences for run in runs]))[::-1]
    inner = resolution - 2
    if len(known) > inner:
        margin = len(known) // inner
        places = np.rint(np.linspace(margin, len(known) - margin, inner)).astype(np.int64)
        known = known[np.minimum(places, len(known) - 1)]
    return np.concatenate([[np.inf], known, [-np.inf]])


def precision_recall(
    runs: Sequence[SureRun], resolution: int = RESOLUTION
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision and recall at every threshold, means over the sequences; where no answer remains precision is 1."""
    precision, recall = [], []
    for threshold in thresholds(runs, resolution):
        kept = [run.overlaps[run.confidences >= threshold] for run in runs]
        precision.append(np.mean([part.mean() if len(part) else 1.0 for part in kept]))
        recall.append(np.mean([part.sum() / max(run.present, 1) for part, run in zip(kept, runs, strict=True)]))
    return np.array(precision), np.array(recall)


def score(runs: Sequence[SureRun], resolution: int = RESOLUTION) -> Score:
    """The largest F of all thresholds: twice precision times recall over their sum."""
    precision, recall = precision_recall(runs, resolution)
    both = precision + recall
    f = np.divide(2 * precision * recall, both, out=np.zeros_like(both), where=both > 0)
    best = int(f.argmax())
    return Score(float(f[best]), float(precision[best]), float(recall[best]))
