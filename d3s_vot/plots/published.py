"""What the papers say of trackers on a data set, to stand beside what is measured here."""

from __future__ import annotations

import re

from d3s_vot.evaluation.boxes.scores import AO, NORMALISED, PRECISION, SR50, SR75, SUCCESS
from d3s_vot.trackers.names import by_name

# Which benchmarks of `Published.results` stand beside a data set; the first that a tracker has figures of.
BENCHMARKS = {
    "got10k-val": ("GOT-10k val", "GOT-10k test", "GOT-10k"),
    "trackingnet": ("TrackingNet test", "TrackingNet"),
    "otb100": ("OTB2015",),
    "uav123": ("UAV123",),
    "lasot": ("LaSOT",),
    "nfs30": ("NFS",),
    "avist": ("AVisT",),
}
SAID = {
    "AO": AO, "SR.5": SR50, "SR.75": SR75, "success": SUCCESS, "AUC": SUCCESS, "precision": PRECISION,
    "normalised precision": NORMALISED,
}  # fmt: skip


def published_scores(name: str, tracker: str) -> tuple[str, dict[str, float]] | None:
    """The published figures of a tracker, in percent, and the benchmark that they are of.

    Args:
        name: of the data set.
        tracker: as `d3s-vot trackers` calls it; None comes of other names, and where nothing was published.

    >>> published_scores("lasot", "DiMP-50")
    ('LaSOT', {'success': 56.9})
    """
    entry = by_name(tracker)
    if entry is None:
        return None
    for benchmark in BENCHMARKS.get(name, ()):
        if benchmark in entry.results:
            figures = re.findall(r"(normalised precision|[A-Za-z][\w.]*) (\d*\.?\d+)", entry.results[benchmark])
            return benchmark, {SAID[key]: float(value) for key, value in figures if key in SAID}
    return None
