"""Several trackers on one data set: each one's scores and curves, overall, by sequence and by attribute, and ranks.

The definitions are those of `reports` for each data set, so that a tracker has the same figures in both; precision and
normalised precision, which the got10k toolkit lacks for some sets, are added. Of several runs of a sequence the mean
counts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from d3s_vot.evaluation.boxes.entries import Entry
from d3s_vot.evaluation.boxes.measuring import TRACKINGNET
from d3s_vot.evaluation.boxes.scores import (
    AO,
    AT_PIXELS,
    NORMALISED,
    OVERLAPS,
    PIXELS,
    PRECISION,
    SIZES,
    SR50,
    SR75,
    SUCCESS,
    Curves,
    Floats,
    centre_errors,
    got10k_overlaps,
    lasot_curves,
    lasot_scores,
    normalised_centre_errors,
    trackingnet_curves,
    trackingnet_scores,
)
from d3s_vot.evaluation.boxes.sequences import Sequence as Video

Scores = dict[str, float]  # percent; NaN where no frame counts
PERCENTS: Floats = np.arange(101) / 100  # overlaps, in GOT-10k's curve
THRESHOLDS = {SUCCESS: OVERLAPS, PRECISION: PIXELS, NORMALISED: SIZES}


@dataclass(frozen=True, eq=False)
class _Part:
    """Shares of the frames of one sequence, 0..1, by curve, and what it weighs beside others."""

    shares: dict[str, Floats]
    weight: float


@dataclass(frozen=True, eq=False)
class Standing:
    """What one tracker is worth.

    Attributes:
        tracker: its name.
        runs: the most that it has of a sequence.
        overall: its scores; the first is the one that ranks go by.
        curves: shares of frames, 0..1, over `thresholds(data set)`.
        sequences: its scores on each.
        attributes: its scores on the sequences that have each attribute.
        rank: 1 for the best, by the first score of all.
        mean_rank: over the sequences, where equal ones share the mean of their ranks.
        frames_per_second: as its files of times have it; None: it has none.
    """

    tracker: str
    runs: int
    overall: Scores
    curves: dict[str, Floats]
    sequences: dict[str, Scores]
    attributes: dict[str, Scores]
    rank: int
    mean_rank: float
    frames_per_second: float | None


def thresholds(name: str) -> dict[str, Floats]:
    """What the curves of a data set run over, by curve."""
    return {**THRESHOLDS, SUCCESS: PERCENTS} if name == "got10k-val" else THRESHOLDS


def stand(
    name: str, entries: Sequence[Entry], sequences: Sequence[Video], attributes: Mapping[str, Collection[str]]
) -> list[Standing]:
    """Measure trackers on the same sequences; they stay in their order.

    Args:
        name: of the data set.
        entries: one or more, each with boxes of every sequence.
        sequences: one or more, with all their boxes.
        attributes: those of each sequence; a sequence that is not in it has none.
    """
    measured = [
        {video.name: _mean([_part(name, run, video) for run in entry.runs[video.name]]) for video in sequences}
        for entry in entries
    ]
    overall = [_mean(list(parts.values())) for parts in measured]
    each = [{key: _scores(name, part) for key, part in parts.items()} for parts in measured]
    main = main_score(name)
    ranks = np.array([_ranks([scores[video.name][main] for scores in each]) for video in sequences])
    places = [_scores(name, part)[main] for part in overall]
    having = {
        attribute: [video.name for video in sequences if attribute in attributes.get(video.name, ())]
        for attribute in sorted({one for video in sequences for one in attributes.get(video.name, ())})
    }
    return [
        Standing(
            entry.tracker,
            max(len(entry.runs[video.name]) for video in sequences),
            _scores(name, overall[k]),
            {curve: overall[k].shares[curve] for curve in THRESHOLDS},
            each[k],
            {key: _scores(name, _mean([measured[k][one] for one in names])) for key, names in having.items()},
            1 + sum(other > places[k] for other in places),
            float(ranks[:, k].mean()),
            entry.frames_per_second,
        )
        for k, entry in enumerate(entries)
    ]


def main_score(name: str) -> str:
    """The score that trackers are ranked by on a data set."""
    return AO if name == "got10k-val" else SUCCESS


def _part(name: str, boxes: Floats, video: Video) -> _Part:
    """The curves of one run on one sequence."""
    if name == "got10k-val":
        return _got10k_part(boxes, video)
    curves: Curves = (trackingnet_curves if name in TRACKINGNET else lasot_curves)(boxes, video.truth)
    return _Part({SUCCESS: curves.success, PRECISION: curves.precision, NORMALISED: curves.normalised}, 1.0)


def _got10k_part(boxes: Floats, video: Video) -> _Part:
    """GOT-10k pools frames, so a sequence weighs by how many of its frames count."""
    assert video.cover is not None and video.size is not None  # GOT-10k has both
    found = got10k_overlaps(boxes, video.truth, video.cover, video.size)
    counts = video.cover[1:] > 0
    if not len(found):
        return _Part({AO: np.full(1, np.nan), **{key: np.full(len(of), np.nan) for key, of in _GOT10K.items()}}, 0.0)
    boxes, truth = boxes[1:][counts], video.truth[1:][counts]
    values = found, centre_errors(boxes, truth), normalised_centre_errors(boxes, truth)
    shares = {
        SUCCESS: (values[0][:, None] > PERCENTS).mean(axis=0),
        PRECISION: (values[1][:, None] <= PIXELS).mean(axis=0),
        NORMALISED: (values[2][:, None] <= SIZES).mean(axis=0),
    }
    return _Part({AO: found.mean(keepdims=True), **shares}, float(len(found)))


_GOT10K = thresholds("got10k-val")


def _mean(parts: Sequence[_Part]) -> _Part:
    """Of several, as they weigh; those in which no frame counts are left out."""
    counted = [part for part in parts if part.weight] or list(parts)
    weights = [part.weight or 1.0 for part in counted]
    shares = {
        key: np.average([part.shares[key] for part in counted], axis=0, weights=weights) for key in parts[0].shares
    }
    # Runs of one sequence weigh the same, so that their mean weighs as each of them.
    return _Part(shares, float(np.mean([part.weight for part in counted])))


def _scores(name: str, part: _Part) -> Scores:
    """The scores that the curves give, the main one first."""
    shares = part.shares
    at = dict(zip(thresholds(name)[SUCCESS].tolist(), shares[SUCCESS].tolist(), strict=True))
    rates = {SR50: 100 * at[0.5], SR75: 100 * at[0.75]}
    others = {PRECISION: 100 * float(shares[PRECISION][AT_PIXELS]), NORMALISED: 100 * float(shares[NORMALISED].mean())}
    if name == "got10k-val":
        return {AO: 100 * float(shares[AO][0]), **rates, **others}
    make = trackingnet_scores if name in TRACKINGNET else lasot_scores
    scores = make(Curves(shares[SUCCESS], shares[PRECISION], shares[NORMALISED]))
    return {SUCCESS: scores[SUCCESS], **rates, PRECISION: scores[PRECISION], NORMALISED: scores[NORMALISED]}


def _ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1, the highest value first; equal ones share the mean.

    >>> _ranks([50, 70, 70, 10])
    [3.0, 1.5, 1.5, 4.0]
    """
    known = np.nan_to_num(np.array(values, np.float64), nan=-1.0)
    return [float((known > value).sum() + ((known == value).sum() + 1) / 2) for value in known]
