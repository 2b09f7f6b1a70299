"""What a tracker's boxes are worth, as files: a table, performance.json, per_sequence.csv and curves.

Scores are percent. performance.json has the same keys for every benchmark, null where it does not define a measure;
toolkit.json is what the got10k toolkit writes, where it measured.
"""

from __future__ import annotations

import csv
import io
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from d3s_vot.errors import InputError
from d3s_vot.evaluation.boxes.layouts import LAYOUTS, read_boxes, read_times, write_file
from d3s_vot.evaluation.boxes.measuring import Curve, Scores, measure
from d3s_vot.evaluation.boxes.scores import AO, NORMALISED, PRECISION, SR50, SR75, SUCCESS, Floats, annotated
from d3s_vot.evaluation.boxes.sequences import Sequence

MEASURES = (AO, SR50, SR75, SUCCESS, PRECISION, NORMALISED)
SPEED = "frames/s"
# From the paper on D3S; both sets keep their truth on a server, so the rows say of what they are.
PUBLISHED = {
    "got10k-val": ("D3S (paper, GOT-10k test)", {AO: 59.7, SR50: 67.6, SR75: 46.2}),
    "trackingnet": ("D3S (paper, TrackingNet test)", {SUCCESS: 72.8, PRECISION: 66.4, NORMALISED: 76.8}),
}
AXES = {
    SUCCESS: "overlap threshold",
    PRECISION: "centre error threshold [pixels]",
    NORMALISED: "centre error threshold [widths and heights of the target]",
}


def report(name: str, tracker: str, sequences: list[Sequence], results: Path, folder: Path) -> str:
    """Measure a tracker on the sequences of a data set.

    Args:
        name: of the data set.
        tracker: its name in the files.
        sequences: one or more, with all their boxes.
        results: folder of the result files.
        folder: for performance.json, table.txt, per_sequence.csv, curves (PNG) and toolkit.json.

    Returns:
        The table.

    Raises:
        InputError: a result is missing or damaged, the truth is not at hand, or the folder cannot be written.
    """
    boxes, times = {}, {}
    for sequence in sequences:
        check_measurable(name, sequence)
        boxes[sequence.name] = read_boxes(LAYOUTS[name].boxes(results, tracker, sequence.name), len(sequence))
        times[sequence.name] = read_times(LAYOUTS[name].times(results, tracker, sequence.name), len(sequence))
    measured = measure(name, tracker, sequences, results, boxes)
    paper, published = PUBLISHED.get(name, ("", {}))
    performance: dict[str, Any] = {
        "benchmark": name,
        "tracker": tracker,
        "sequences": len(sequences),
        "frames": sum(map(len, sequences)),
        "overall": {**_all(measured.overall), **_speeds(np.concatenate(list(times.values())))},
        "published": {paper: _all(published)} if paper else {},
        "per_sequence": {
            s.name: {"frames": len(s), **_all(measured.sequences[s.name]), **_speeds(times[s.name])} for s in sequences
        },
        "curves": {
            title: {"thresholds": curve.thresholds.tolist(), "shares": curve.shares.tolist()}
            for title, curve in measured.curves.items()
        },
        "measured by": f"got10k {version('got10k')}" if measured.toolkit else f"d3s-vot {version('d3s-vot')}",
        "versions": {package: version(package) for package in ("d3s-vot", "numpy")},
    }
    table = _table(performance, [*measured.overall, SPEED])
    files = {
        f"{title.replace(' ', '_')}.png": plot(
            f"{title.capitalize()} on {name}, {len(sequences)} sequences",
            AXES[title],
            f"{tracker}: {curve.score} {measured.overall[curve.score]:.1f}",
            curve,
        )
        for title, curve in measured.curves.items()
    }
    if measured.toolkit:
        files["toolkit.json"] = measured.toolkit
    files["per_sequence.csv"] = _spreadsheet(performance["per_sequence"]).encode()
    files["table.txt"] = (table + "\n").encode()
    files["performance.json"] = (json.dumps(performance, indent=2, allow_nan=False) + "\n").encode()
    for file, content in files.items():
        write_file(folder / file, content)
    return table


def check_measurable(name: str, sequence: Sequence) -> None:
    """Whether a sequence can be measured.

    Raises:
        InputError: its truth is not at hand, is not as long as its frames, or has no box.
    """
    if name == "got10k-test" or len(sequence.truth) == 1 < len(sequence):
        raise InputError(f"the server of {name} keeps the ground truth and measures; send it the submission")
    for what, lines in ("annotation", sequence.truth), ("cover.label", sequence.cover):
        if lines is not None and len(lines) != len(sequence):
            raise InputError(f"{sequence.name} has {len(sequence)} frames, but {len(lines)} lines in its {what}")
    if len(sequence) < 2 or not annotated(sequence.truth).any():
        raise InputError(f"{sequence.name} cannot be measured: it needs two frames and a box; leave it out")


def _all(scores: Scores) -> dict[str, float | None]:
    """Every measure; None: it is not one of this benchmark, or no frame counts."""
    return {key: float(scores[key]) if np.isfinite(scores.get(key, np.nan)) else None for key in MEASURES}


def _speeds(seconds: Floats) -> Scores:
    """Frames a second, initialisations included: frames over their time, then the mean and median of 1 / time."""
    return {
        SPEED: float(len(seconds) / seconds.sum()),
        f"{SPEED}, mean": float((1 / seconds).mean()),
        f"{SPEED}, median": float(np.median(1 / seconds)),
    }


def _table(performance: dict[str, Any], columns: list[str]) -> str:
    """The tracker's row, and the paper's where there is one."""
    rows = {performance["tracker"]: performance["overall"], **performance["published"]}
    cells = [["", *columns]]
    for label, row in rows.items():
        values = [row.get(column) for column in columns]
        cells.append([label, *("-" if value is None else f"{value:.1f}" for value in values)])
    first, *rest = (max(map(len, column)) for column in zip(*cells, strict=True))
    counts = f"{performance['sequences']:,} sequences, {performance['frames']:,} frames"
    lines = [f"{performance['benchmark']}: {counts}; scores in percent"]
    for label, *values in cells:
        lines.append(f"{label:<{first}}" + "".join(f"  {v:>{max(6, w)}}" for v, w in zip(values, rest, strict=True)))
    return "\n".join(lines)


def _spreadsheet(rows: dict[str, dict[str, Any]]) -> str:
    """A line for each sequence."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["sequence", *next(iter(rows.values()))])
    for name, row in rows.items():
        writer.writerow([name, *(f"{value:.3f}" if isinstance(value, float) else value for value in row.values())])
    return text.getvalue()


def plot(title: str, axis: str, label: str, curve: Curve) -> bytes:
    """A curve over its thresholds, as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(curve.thresholds, curve.shares, label=label, linewidth=2, clip_on=False, zorder=3)
    axes.set(title=title, xlabel=axis, ylabel="share of frames", xlim=(0, curve.thresholds[-1]), ylim=(0, 1))
    axes.grid(alpha=0.4)
    axes.legend(loc="lower left" if curve.shares[0] > curve.shares[-1] else "lower right")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()
