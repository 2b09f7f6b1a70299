"""The measures of VOTS, several objects by their masks: quality, accuracy, robustness and what was missed how.

A frame without an annotation of the object does not count. In the others: an answer that overlaps with the object
tracks it, one that does not has drifted, an empty one does not report it; where the object is absent an empty answer is
right. The first frame counts as one that is not reported.

From the definitions in M. Kristan et al., "The First Visual Object Tracking Segmentation VOTS2023 Challenge Results"
(2023), and the answers of vot-toolkit 0.7.4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ABSENCE = 10  # absent frames that are too few to measure detection of absence


@dataclass(frozen=True, eq=False)
class ObjectRun:
    """The annotated frames of one object, and the answers to them.

    Attributes:
        overlaps: N, 0..1; where the object is absent 1 for an empty answer, else 0.
        absent: N, whether the object is absent.
        empty: N, whether the answer is empty, as the given first frame is.
        first: N, which of them is the given one.
    """

    overlaps: NDArray[np.float64]
    absent: NDArray[np.bool_]
    empty: NDArray[np.bool_]
    first: NDArray[np.bool_]

    @property
    def quality(self) -> float:
        """Mean overlap, 0..1."""
        return float(self.overlaps.mean()) if len(self.overlaps) else 0.0

    @property
    def tracked(self) -> NDArray[np.bool_]:
        """N: the answer overlaps with the object; a thin one, which is empty to the toolkit, may do so too."""
        return ~self.absent & (self.overlaps > 0)

    @property
    def accuracy(self) -> float:
        """Mean overlap where the object is tracked, the first frame among them with 0; 0..1."""
        counted = self.tracked | (self.first & ~self.absent)
        return float(self.overlaps[counted].mean()) if counted.any() else 0.0

    def _share(self, chosen: NDArray[np.bool_]) -> float:
        present = np.count_nonzero(~self.absent)
        return np.count_nonzero(chosen & ~self.absent) / present if present else 0.0

    @property
    def robustness(self) -> float:
        """Share of the frames with the object in which it is tracked, 0..1."""
        return self._share(self.tracked)

    @property
    def not_reported(self) -> float:
        """NRE: share of them in which the answer is empty, 0..1."""
        return self._share(self.empty & ~self.tracked)

    @property
    def drift(self) -> float:
        """DRE: share of them in which the answer lies elsewhere, 0..1."""
        return self._share(~self.empty & ~self.tracked)

    @property
    def absence(self) -> float | None:
        """ADQ: share of the absent frames with an empty answer, 0..1; None: there are not more than ten of them."""
        count = np.count_nonzero(self.absent)
        return np.count_nonzero(self.absent & self.empty) / count if count > ABSENCE else None


@dataclass(frozen=True)
class Score:
    """Means over the objects of a sequence, then over the sequences; 0..1. None: no object is absent for long."""

    quality: float
    accuracy: float
    robustness: float
    not_reported: float
    drift: float
    absence: float | None


Runs = Sequence[Sequence[ObjectRun]]  # of every sequence its objects


def score(runs: Runs, weights: Sequence[int] | None = None) -> Score:
    """All measures.

    Args:
        runs: of every sequence its objects.
        weights: of the sequences for the quality, such as their lengths; None: the same.
    """

    def mean(measure: Callable[[ObjectRun], float]) -> float:
        return float(np.mean([np.mean([measure(run) for run in objects]) for objects in runs]))

    absences = [[run.absence for run in objects if run.absence is not None] for objects in runs]
    known = [np.mean(values) for values in absences if values]
    return Score(
        float(np.average([np.mean([run.quality for run in objects]) for objects in runs], weights=weights)),
        mean(lambda run: run.accuracy),
        mean(lambda run: run.robustness),
        mean(lambda run: run.not_reported),
        mean(lambda run: run.drift),
        float(np.mean(known)) if known else None,
    )
