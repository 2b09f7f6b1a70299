"""All numbers of a comparison of result files, as one JSON file and as tables."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from d3s_vot.evaluation.boxes.scores import Floats
from d3s_vot.evaluation.boxes.sequences import Sequence as Video
from d3s_vot.evaluation.boxes.standings import Scores, Standing, thresholds


@dataclass(frozen=True, eq=False)
class Comparison:
    """What the files and the page are made of.

    Attributes:
        name: of the data set.
        standings: of the trackers, in the order in which they were given; this numbers their colours.
        sequences: on which all were measured.
        attributes: of each sequence that has any.
        left_out: sequences that some trackers lack, and which.
        published: by tracker, the benchmark and its figures, where there are any.
    """

    name: str
    standings: Sequence[Standing]
    sequences: Sequence[Video]
    attributes: Mapping[str, Sequence[str]]
    left_out: Mapping[str, Sequence[str]]
    published: Mapping[str, tuple[str, Scores]]

    @property
    def ranked(self) -> list[tuple[int, Standing]]:
        """Number and standing of every tracker, the best first."""
        return sorted(enumerate(self.standings), key=lambda pair: pair[1].rank)


def files(comparison: Comparison) -> dict[str, bytes]:
    """The content of numbers.json, trackers.csv, sequences.csv and attributes.csv, which only data with them have."""
    made = {
        "numbers.json": (json.dumps(_json(comparison), indent=1, allow_nan=False) + "\n").encode(),
        "trackers.csv": _csv(
            ("rank", "tracker", *comparison.standings[0].overall, "mean rank", "runs", "frames/s"),
            (
                (s.rank, s.tracker, *s.overall.values(), s.mean_rank, s.runs, s.frames_per_second)
                for _, s in comparison.ranked
            ),
        ),
        "sequences.csv": _scores_csv("sequence", {s.tracker: s.sequences for s in comparison.standings}),
    }
    if comparison.standings[0].attributes:
        made["attributes.csv"] = _scores_csv("attribute", {s.tracker: s.attributes for s in comparison.standings})
    return made


def _scores_csv(what: str, scores: Mapping[str, Mapping[str, Scores]]) -> bytes:
    """A line for each sequence or attribute and tracker."""
    first = next(iter(scores.values()))
    titles = (what, "tracker", *next(iter(first.values())))
    return _csv(titles, ((key, tracker, *rows[key].values()) for key in first for tracker, rows in scores.items()))


def _csv(titles: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(titles)
    for row in rows:
        known = [None if isinstance(value, float) and math.isnan(value) else value for value in row]
        writer.writerow([f"{value:.4f}" if isinstance(value, float) else value for value in known])
    return text.getvalue().encode()


def _json(comparison: Comparison) -> dict[str, Any]:
    return {
        "benchmark": comparison.name,
        "sequences": len(comparison.sequences),
        "frames": sum(map(len, comparison.sequences)),
        "left out": {key: list(names) for key, names in comparison.left_out.items()},
        "attributes": {key: list(names) for key, names in comparison.attributes.items()},
        "thresholds": {key: values.tolist() for key, values in thresholds(comparison.name).items()},
        "trackers": {s.tracker: _tracker(comparison, s) for s in comparison.standings},
        "measured by": f"d3s-vot {version('d3s-vot')}",
    }


def _tracker(comparison: Comparison, standing: Standing) -> dict[str, Any]:
    published = comparison.published.get(standing.tracker)
    return {
        "rank": standing.rank,
        "mean rank": standing.mean_rank,
        "runs": standing.runs,
        "frames/s": standing.frames_per_second,
        "overall": _known(standing.overall),
        "published": None if published is None else {"benchmark": published[0], **published[1]},
        "attributes": {key: _known(scores) for key, scores in standing.attributes.items()},
        "sequences": {key: _known(scores) for key, scores in standing.sequences.items()},
        "curves": {key: _shares(curve) for key, curve in standing.curves.items()},
    }


def _shares(curve: Floats) -> list[float | None]:
    return [None if math.isnan(share) else share for share in curve.tolist()]


def _known(scores: Scores) -> dict[str, float | None]:
    """Scores; None where no frame counts."""
    return {key: None if math.isnan(value) else value for key, value in scores.items()}
