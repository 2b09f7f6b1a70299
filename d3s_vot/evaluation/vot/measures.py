"""The measures of the VOT short-term challenges: overlap, accuracy, failures, robustness, EAO, AO.

Two conventions are in use and differ by up to .012 on VOT2018, so both are here:

* `toolkit`: what vot-toolkit 0.7.4 computes (supervised_average_ar, supervised_eao_score,
  average_accuracy). Overlaps count pixels, corners rounded; accuracies are weighted by sequence lengths.
* `papers`: what papers report for the challenges of 2015 to 2019, computed as in pysot. Overlaps are exact
  areas; accuracy is the mean over all frames; in the EAO a failure that no new start could follow counts as
  the end of the sequence, and every sequence weighs the same.

From the definitions in M. Kristan et al., "The Visual Object Tracking VOT2015 challenge results" (2015) and
"A novel performance evaluation methodology for single-target trackers" (2016), and the programs' answers.

A region here is a stored one, see `d3s_vot.evaluation.vot.overlaps`. A run is what a tracker left for one sequence:
for every frame a region, or a code: 1 = initialised, 2 = failed, 0 = skipped or unknown. Frames in whose truth the
target is absent do not count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from d3s_vot.evaluation.vot.overlaps import Region, exact_overlap, pixel_overlap

SKIPPED, INITIALIZED, FAILED = 0, 1, 2
ENDED = 3  # here alone: a reset in a frame without a target, which is no failure
BURN_IN = 10  # frames after an initialisation that do not count for accuracy
SKIP = 5  # frames from a failure to the next initialisation
Convention = Literal["toolkit", "papers"]


@dataclass(frozen=True)
class Run:
    """One repetition on one sequence, reduced to what the measures need.

    Attributes:
        codes: T; INITIALIZED, FAILED, ENDED, SKIPPED, or -1 where the tracker gave a region.
        overlaps: T; overlap with the truth, 0..1; NaN where there is a code, or no target.
    """

    codes: NDArray[np.int64]
    overlaps: NDArray[np.float64]

    @classmethod
    def compare(
        cls,
        answers: Sequence[Region | int],
        truth: Sequence[Region | None],
        width: int,
        height: int,
        convention: Convention = "toolkit",
    ) -> Run:
        """The run of a tracker's answers, frame by frame beside the ground truth; None: the target is absent."""
        overlap = pixel_overlap if convention == "toolkit" else exact_overlap
        codes = np.array([answer if isinstance(answer, int) else -1 for answer in answers], np.int64)
        codes[(codes == FAILED) & np.array([true is None for true in truth], bool)] = ENDED
        overlaps = [
            math.nan if isinstance(answer, int) or true is None else overlap(answer, true, width, height)
            for answer, true in zip(answers, truth, strict=True)
        ]
        return cls(codes, np.array(overlaps, np.float64))

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def failures(self) -> int:
        """How often the target was lost."""
        return int(np.count_nonzero(self.codes == FAILED))

    def counted(self, burn_in: int) -> NDArray[np.float64]:
        """Overlaps of the frames that lie `burn_in` or more after an initialisation."""
        index = np.arange(len(self))
        start = np.maximum.accumulate(np.where(self.codes == INITIALIZED, index, -1))
        return self.overlaps[(start >= 0) & (index - start >= burn_in) & ~np.isnan(self.overlaps)]

    def fragments(self, convention: Convention) -> list[tuple[NDArray[np.float64], bool]]:
        """The stretches from an initialisation to a failure or the end.

        Returns:
            Overlaps of the frames after each initialisation (codes count as 0), and whether it failed.
        """
        stretches = []
        present = (self.codes != -1) | ~np.isnan(self.overlaps)
        for start in np.flatnonzero(self.codes == INITIALIZED):
            resets = start + np.flatnonzero((self.codes[start:] == FAILED) | (self.codes[start:] == ENDED))
            ended = bool(len(resets)) and bool(self.codes[resets[0]] == ENDED)
            failed = bool(len(resets)) and not ended and (convention == "toolkit" or resets[0] + SKIP <= len(self))
            frames = slice(start + 1, resets[0] if failed or ended else len(self))
            stretches.append((np.nan_to_num(self.overlaps[frames][present[frames]]), failed))
        return stretches


Runs = Sequence[Sequence[Run]]  # of every sequence, its repetitions


def _weighted(runs: Runs, values: Sequence[float]) -> float:
    """Mean over the sequences, weighted by their lengths."""
    return float(np.average(values, weights=[len(repetitions[0]) for repetitions in runs]))


def accuracy(runs: Runs, convention: Convention = "toolkit", burn_in: int = BURN_IN) -> float:
    """A: mean overlap while tracking, 0..1; NaN where no frame counts.

    In the toolkit's convention a sequence without a frame that counts has the accuracy 0.
    """
    counted = [[run.counted(burn_in) for run in repetitions] for repetitions in runs]
    if convention == "toolkit":
        means = [[float(part.mean()) if len(part) else 0.0 for part in parts] for parts in counted]
        return _weighted(runs, [float(np.mean(values)) for values in means])
    overlaps = np.concatenate([part for parts in counted for part in parts])
    weights = np.concatenate([np.full(len(part), 1 / len(parts)) for parts in counted for part in parts])
    return float(np.average(overlaps, weights=weights)) if len(overlaps) else math.nan


def failures(runs: Runs) -> float:
    """Failures over all sequences, the mean of the repetitions."""
    return float(sum(np.mean([run.failures for run in repetitions]) for repetitions in runs))


def robustness_papers(runs: Runs) -> float:
    """R of the papers: failures per 100 frames."""
    return 100 * failures(runs) / sum(len(repetitions[0]) for repetitions in runs)


def robustness_toolkit(runs: Runs) -> float:
    """R of the toolkit's analyses: failures per sequence, weighted by the sequences' lengths."""
    return _weighted(runs, [float(np.mean([run.failures for run in repetitions])) for repetitions in runs])


def eao_curve(runs: Runs, convention: Convention = "toolkit") -> NDArray[np.float64]:
    """Expected overlap after tracking for 0, 1, 2 ... frames.

    Element n is the mean, over all fragments known for n frames, of the mean overlap of those frames.
    After a failure a fragment goes on with overlaps of 0; where the sequence ends it is known no further.

    Returns:
        L values, 0..1, L the length of the longest sequence; the first value is 0. NaN: nothing is known.
    """
    longest = max(len(run) for repetitions in runs for run in repetitions)
    total, count = np.zeros(longest), np.zeros(longest)
    for repetitions in runs:
        # the toolkit lets a sequence with 15 repetitions weigh five times one with 3
        weight = 1.0 if convention == "toolkit" else 1 / len(repetitions)
        for run in repetitions:
            for overlaps, failed in run.fragments(convention):
                known = longest - 1 if failed else len(overlaps)
                padded = np.zeros(known)
                padded[: len(overlaps)] = overlaps
                total[1 : known + 1] += weight * np.cumsum(padded) / np.arange(1, known + 1)
                count[1 : known + 1] += weight
    count[0] = 1
    return np.divide(total, count, out=np.full(longest, np.nan), where=count > 0)


def eao(runs: Runs, low: int, high: int, convention: Convention = "toolkit") -> float:
    """Expected average overlap: the mean of the curve over the window of typical lengths; 0..1.

    Args:
        runs: every sequence's repetitions.
        low, high: lengths in frames. The toolkit takes them as frames after the first, the papers with it.

    Returns:
        The mean over the known part of the window; NaN where no fragment reaches it.
    """
    first = low if convention == "toolkit" else low - 1
    window = eao_curve(runs, convention)[first : high + 1 if convention == "toolkit" else high]
    window = window[~np.isnan(window)]
    return float(window.mean()) if len(window) else math.nan


def average_overlap(runs: Runs, burn_in: int = 1) -> float:
    """AO of an unsupervised run: mean overlap, sequences weighted by their lengths; 0..1.

    Args:
        runs: every sequence's repetitions.
        burn_in: 1 leaves out the first frame alone, which was given; the toolkit's average_accuracy has 10.
    """
    return accuracy(runs, "toolkit", burn_in)
