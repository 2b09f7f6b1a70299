"""The charts on the page of results, as SVG paths: expected overlap, success."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from d3s_vot.evaluation.vot import measures
from d3s_vot.evaluation.vot.results_experiments import Results

FIELD = 1000  # charts are drawn on a square of this side, which the page stretches
THRESHOLDS = np.linspace(0, 1, 101)  # of the success curve


@dataclass(frozen=True)
class Line:
    """A tracker's line in a chart; trackers are numbered as they come, which gives the colour."""

    tracker: int
    label: str
    path: str
    dotted: bool = False


@dataclass(frozen=True)
class Chart:
    """Lines of values 0..1 over an axis; places along it are in percent of its length.

    Attributes:
        title: what the lines show.
        axis: what the axis counts.
        ticks: place and number.
        lines: at least one.
        window: place and width of the shaded part.
        losses: the failures of every tracker that has any: its number and their places.
    """

    title: str
    axis: str
    ticks: list[tuple[float, str]]
    lines: list[Line]
    window: tuple[float, float] | None = None
    losses: list[tuple[int, list[float]]] = field(default_factory=list)


@dataclass(frozen=True)
class Axis:
    """The values from left to right."""

    left: float
    right: float

    def place(self, value: float) -> float:
        """Where a value lies, in percent.

        >>> Axis(1, 201).place(101)
        50.0
        """
        return round(100 * (value - self.left) / max(self.right - self.left, 1e-9), 2)

    def ticks(self) -> list[tuple[float, str]]:
        """Up to eight round numbers and their places.

        >>> [text for _, text in Axis(1, 201).ticks()]
        ['50', '100', '150', '200']
        """
        rough = (self.right - self.left) / 7
        power = 10 ** math.floor(math.log10(max(rough, 1e-9)))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
        numbers = np.arange(math.ceil(self.left / step), math.floor(self.right / step + 1e-9) + 1) * step
        return [(self.place(number), f"{number:g}") for number in numbers]

    def path(self, x: ArrayLike, y: ArrayLike) -> str:
        """An SVG path through y (0..1) over x, interrupted where y is NaN.

        >>> Axis(0, 4).path([0, 1, 2, 3, 4], [1, 0.5, float("nan"), 0, 0])
        'M0,0 250,500 M750,1000 1000,1000'
        """
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        words, drawn = [], False
        across = (x - self.left) * FIELD / max(self.right - self.left, 1e-9)
        for column, row in zip(across, FIELD * (1 - y), strict=True):
            if not math.isnan(row):
                words.append(f"{'' if drawn else 'M'}{column:.0f},{row:.0f}")
            drawn = not math.isnan(row)
        return " ".join(words)


def number_text(value: float | None) -> str:
    """A measure as the tables have it; a dash where there is none."""
    return "\N{EN DASH}" if value is None or math.isnan(value) else f"{value:.3f}"


def eao_chart(window: tuple[int, int] | None, trackers: Sequence[Results]) -> Chart | None:
    """Expected overlap over length, as the papers compute it, with the window of the EAO."""
    curves = [(r, measures.eao_curve(r.supervised.runs, "papers")) for r in trackers if r.supervised]
    if not curves:
        return None
    longest = max(len(curve) for _, curve in curves)
    axis = Axis(1, min(longest, math.ceil(1.5 * window[1])) if window else longest)
    lines = []
    for results, curve in curves:
        lengths = np.arange(2, min(len(curve), int(axis.right)) + 1)  # element n is n frames after the first
        label = f"{results.tracker} {number_text(results.row.eao)}" if window else results.tracker
        lines.append(Line(results.number, label, axis.path(lengths, curve[lengths - 1])))
    shaded = None
    if window and window[0] < axis.right:
        left, right = axis.place(window[0]), axis.place(min(window[1], axis.right))
        shaded = left, round(right - left, 2)
    return Chart("expected overlap", "length in frames", axis.ticks(), lines, shaded)


def success(runs: measures.Runs) -> NDArray[np.float64]:
    """Share of the frames whose overlap is above each of THRESHOLDS; the area below it is the AO.

    Args:
        runs: of the unsupervised experiment; the first frame of each does not count.

    Returns:
        As many values as THRESHOLDS, 0..1.
    """
    shares = []
    for repetitions in runs:
        counted = [run.counted(1) for run in repetitions]
        shares.append(
            np.mean([(part[:, None] > THRESHOLDS).mean(axis=0) if len(part) else 0 * THRESHOLDS for part in counted], 0)
        )
    return np.average(shares, axis=0, weights=[len(repetitions[0]) for repetitions in runs])


def success_chart(trackers: Sequence[Results]) -> Chart | None:
    """The success curves of the unsupervised runs; None where no tracker has any."""
    axis = Axis(0, 1)
    lines = [
        Line(r.number, f"{r.tracker} {number_text(r.row.ao)}", axis.path(THRESHOLDS, success(r.free.runs)))
        for r in trackers
        if r.free
    ]
    return Chart("share of frames", "overlap is above", axis.ticks(), lines) if lines else None
