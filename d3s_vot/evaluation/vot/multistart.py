"""The measures of anchor-based short-term tracking, VOT2020 and later: accuracy, robustness, EAO.

A tracker is started at every anchor and runs to the end of the sequence, or back to its beginning; it is never started
again. A run fails at the first of ten frames in a row in which the target is there and the overlap at most 0.1.

From the definitions in M. Kristan et al., "The Eighth Visual Object Tracking VOT2020 Challenge Results" (2020),
and the answers of vot-toolkit 0.7.4, whose first frame has the overlap 0 and counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

GRACE = 10  # frames in a row
THRESHOLD = 0.1  # of the overlap


@dataclass(frozen=True, eq=False)
class AnchorRun:
    """One run from an anchor.

    Attributes:
        overlaps: N, 0..1, in the order of the run; of the first frame 0.
        absent: N, whether the target is absent.
    """

    overlaps: NDArray[np.float64]
    absent: NDArray[np.bool_]
    grace: int = GRACE
    threshold: float = THRESHOLD

    def __len__(self) -> int:
        return len(self.overlaps)

    @property
    def end(self) -> int:
        """The frame in which it fails; its length where it does not.

        >>> AnchorRun(np.array([0.0] + [0.6] * 5 + [0.1] * 10), np.zeros(16, bool)).end
        6
        """
        lost = (self.overlaps <= self.threshold) & ~self.absent
        if len(lost) < self.grace:
            return len(lost)
        full = np.lib.stride_tricks.sliding_window_view(lost, self.grace).all(axis=1)
        return int(full.argmax()) if full.any() else len(lost)


Runs = Sequence[Sequence[AnchorRun]]  # of every sequence


def accuracy(runs: Runs) -> float:
    """A: mean overlap up to the failures, 0..1, over the frames of all runs."""
    kept = np.concatenate([run.overlaps[: run.end] for several in runs for run in several])
    return float(kept.mean()) if len(kept) else 0.0


def robustness(runs: Runs, lengths: Sequence[int]) -> float:
    """R: share of the frames before a failure, 0..1; sequences weigh by their lengths.

    Args:
        runs: of every sequence, one or more.
        lengths: of the sequences, in frames.
    """
    shares = [sum(run.end for run in several) / sum(map(len, several)) for several in runs]
    return float(np.average(shares, weights=lengths))


def eao_curve(runs: Runs, high: int) -> NDArray[np.float64]:
    """Expected overlap 0 .. high - 1 frames after a start.

    A run that is longer counts with the mean overlap of as many frames, the first one not among them; one that has
    failed goes on with overlaps of 0, one that has not is known no further.

    Returns:
        `high` values, 0..1; 0 where nothing is known.
    """
    total, count = np.zeros(high), np.zeros(high)
    frames = np.arange(1, high)
    for run in (run for several in runs for run in several):
        failed = run.end < len(run)
        kept = np.where(np.arange(len(run)) < run.end, run.overlaps, 0.0)[1:]
        sums = np.cumsum(kept)
        known = min(len(kept), high - 1)
        total[1 : known + 1] += sums[:known] / frames[:known]
        count[1 : known + 1] += 1
        if failed and known < high - 1:  # as the toolkit has it, by one frame less
            total[known + 1 :] += (sums[-1] if len(sums) else 0.0) / np.maximum(frames[known:] - 1, 1)
            count[known + 1 :] += 1
    return np.divide(total, count, out=np.zeros(high), where=count > 0)


def eao(runs: Runs, low: int, high: int) -> float:
    """Expected average overlap, 0..1: the mean of the curve over the lengths low .. high - 1."""
    return float(eao_curve(runs, high)[low:].mean())
