"""The page of a comparison of result files: three plots, the table, attributes, and every sequence, to be sifted."""

from __future__ import annotations

import math
from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from d3s_vot.evaluation.boxes.scores import NORMALISED, PRECISION, SUCCESS, Floats
from d3s_vot.evaluation.boxes.standings import main_score, thresholds
from d3s_vot.evaluation.vot.results_charts import Axis, Chart, Line
from d3s_vot.plots.tables import Comparison
from d3s_vot.video.overlay import COLOURS

AXES = {
    SUCCESS: "overlap is above",
    PRECISION: "centre is off by at most, in pixels",
    NORMALISED: "centre is off by at most, in sizes of the target",
}
DASH = "\N{EN DASH}"
POOR, APART = 30, 20  # percent: a score below is poor; trackers that differ by more differ


def page(comparison: Comparison, film: str | None = None, sequence: str = "") -> str:
    """The page as HTML; it needs no other file but the film.

    Args:
        comparison: of one tracker or more.
        film: the name of a film beside it; None: there is none.
        sequence: that the film shows.
    """
    environment = Environment(
        loader=PackageLoader("d3s_vot"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    main = main_score(comparison.name)
    first = comparison.standings[0]
    tags = sorted({one for names in comparison.attributes.values() for one in names})
    return environment.get_template("plots.html").render(
        name=comparison.name,
        main=main,
        counts=(len(comparison.standings), len(comparison.sequences), sum(map(len, comparison.sequences))),
        titles=[*first.overall, "mean rank", "frames/s"],
        rows=_rows(comparison),
        published=_published(comparison),
        charts=[_chart(comparison, curve, title) for curve, title in AXES.items()],
        trackers=[standing.tracker for standing in comparison.standings],
        attributes=[
            (
                key,
                sum(key in names for names in comparison.attributes.values()),
                _best([standing.attributes[key][main] for standing in comparison.standings]),
            )
            for key in first.attributes
        ],
        tags=tags,
        sequences=[
            (
                video.name,
                len(video),
                [tags.index(one) for one in comparison.attributes.get(video.name, ())],
                _best(values := [standing.sequences[video.name][main] for standing in comparison.standings]),
                *_range(values),
            )
            for video in comparison.sequences
        ],
        left_out=comparison.left_out,
        several_runs=[standing.tracker for standing in comparison.standings if standing.runs > 1],
        film=film,
        shown=sequence,
        colours=COLOURS,
        poor=POOR,
        apart=APART,
    )


def _text(value: float | None) -> str:
    return DASH if value is None or math.isnan(value) else f"{value:.1f}"


def _rows(comparison: Comparison) -> list[tuple[int, int, str, list[str]]]:
    """Rank, number, name and cells of every tracker, the best first."""
    rows = []
    for number, standing in comparison.ranked:
        cells = [*map(_text, standing.overall.values()), f"{standing.mean_rank:.2f}", _text(standing.frames_per_second)]
        rows.append((standing.rank, number, standing.tracker, cells))
    return rows


def _published(comparison: Comparison) -> list[tuple[str, list[str]]]:
    """Names and cells of what is published of these trackers."""
    titles = comparison.standings[0].overall
    return [
        (f"{tracker}, published ({benchmark})", [*(_text(scores.get(title)) for title in titles), DASH, DASH])
        for tracker, (benchmark, scores) in comparison.published.items()
    ]


def _chart(comparison: Comparison, curve: str, axis_title: str) -> Chart:
    """One plot; the legend has the score that is made of the curve, the best first."""
    x: Floats = thresholds(comparison.name)[curve]
    axis = Axis(0, float(x[-1]))
    score = main_score(comparison.name) if curve == SUCCESS else curve
    ordered = sorted(enumerate(comparison.standings), key=lambda pair: -pair[1].overall[score])
    lines = [
        Line(number, f"{standing.tracker} {_text(standing.overall[score])}", axis.path(x, standing.curves[curve]))
        for number, standing in ordered
    ]
    return Chart(f"{curve}: share of frames", axis_title, axis.ticks(), lines)


def _best(values: Sequence[float]) -> list[tuple[str, bool]]:
    """Texts, and whether each is the best of several."""
    known = [value for value in values if not math.isnan(value)]
    return [(_text(value), len(known) > 1 and value == max(known)) for value in values]


def _range(values: Sequence[float]) -> tuple[float, float]:
    """The lowest and the highest, of those that are known."""
    known = [value for value in values if not math.isnan(value)] or [0.0]
    return round(min(known), 3), round(max(known), 3)
