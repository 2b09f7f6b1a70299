"""One self-contained HTML page of a VOT workspace's results: the table, curves, and frames of every sequence.

The numbers are those of `d3s_vot.evaluation.vot.results`. The supervised experiment shows failures, the unsupervised
one overlap; either may be missing, and so may the frames. The same input gives the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from d3s_vot.errors import InputError
from d3s_vot.evaluation.vot import measures, stored
from d3s_vot.evaluation.vot.measures import FAILED
from d3s_vot.evaluation.vot.results import Row
from d3s_vot.evaluation.vot.results_charts import Axis, Chart, Line, eao_chart, number_text, success_chart
from d3s_vot.evaluation.vot.results_experiments import Experiment, Results, confidence, load
from d3s_vot.evaluation.vot.results_pictures import TRUTH, Moment, Outline, Shot, strip
from d3s_vot.evaluation.vot.results_table import cells_of, titles_of
from d3s_vot.evaluation.vot.stored import Entry
from d3s_vot.evaluation.vot.workspaces import Workspace
from d3s_vot.files import write_whole
from d3s_vot.images import read_image

FAILURES_SHOWN = 4  # of every sequence
SEQUENCE_BYTES, ALL_BYTES = 100_000, 6_500_000  # of JPEGs; a third more in the page


@dataclass(frozen=True)
class Section:
    """What the page says of one sequence.

    Attributes:
        scores: number and name of every tracker, its accuracy, failures and AO as text.
        chart: overlap over time.
        shots: the strip of frames.
        notes: sentences on what is not shown.
    """

    sequence: stored.Sequence
    scores: list[tuple[int, str, str, str, str]]
    chart: Chart
    shots: list[Shot]
    notes: list[str]


class Sequences:
    """Makes the sections of the page, sequence by sequence."""

    def __init__(self, workspace: Workspace, trackers: Sequence[Results]) -> None:
        self.workspace, self.trackers, self.first = workspace, trackers, trackers[0]
        self.limit = min(SEQUENCE_BYTES, ALL_BYTES // len(workspace.sequences))
        # Overlap over time is of the same experiment for all trackers: the unsupervised one where all have it.
        self.free = all(results.free for results in trackers) or not all(results.supervised for results in trackers)

    def charted(self, results: Results) -> Experiment | None:
        """The experiment that overlap over time is taken from; None where the tracker lacks it."""
        return results.free if self.free else results.supervised

    def section(self, index: int) -> Section:
        """All of one sequence."""
        sequence = self.workspace.sequences[index]
        moments, notes = self._moments(index)
        shots = strip(moments, lambda frame: read_image(sequence.frame(frame)), self.limit)
        if 0 < len(shots) < len(moments):
            missing = len(moments) - len(shots)
            notes.append(f"{missing} of {len(moments)} pictures cannot be shown: no such file, or damaged.")
        scores = [self._scores(results, index) for results in self.trackers]
        return Section(sequence, scores, self._chart(index), shots, notes)

    def _scores(self, results: Results, index: int) -> tuple[int, str, str, str, str]:
        a, lost, ao = None, "\N{EN DASH}", None
        if results.supervised:
            runs = results.supervised.runs[index]
            a = measures.accuracy([runs], "papers")
            lost = f"{measures.failures([runs]):.1f}".removesuffix(".0")
        if results.free:
            ao = measures.average_overlap([results.free.runs[index]])
        return results.number, results.tracker, number_text(a), lost, number_text(ao)

    def _chart(self, index: int) -> Chart:
        """Overlap of every tracker and confidence of the first over time, and every failure."""
        sequence = self.workspace.sequences[index]
        frames = np.arange(1, len(sequence.truth) + 1)
        axis = Axis(1, max(len(frames), 2))
        lines, losses = [], []
        for results in self.trackers:
            shown = self.charted(results)
            if shown:
                path = axis.path(frames, shown.runs[index][0].overlaps)
                lines.append(Line(results.number, f"{results.tracker}: overlap", path))
            if results is self.first and shown:
                sure = confidence(self.workspace, results.tracker, shown.name, sequence.name, len(frames))
                if np.isfinite(sure).any():
                    path = axis.path(frames, sure)
                    lines.append(Line(results.number, f"{results.tracker}: confidence", path, dotted=True))
            if results.supervised:
                lost = np.flatnonzero(results.supervised.runs[index][0].codes == FAILED)
                if len(lost):
                    losses.append((results.number, [axis.place(frame + 1) for frame in lost.tolist()]))
        return Chart("overlap", "frame", axis.ticks(), lines, losses=losses)

    def _moments(self, index: int) -> tuple[list[Moment], list[str]]:
        """The frames to show of the first tracker, and what is left out."""
        sequence, first = self.workspace.sequences[index], self.first
        given = sequence.truth[0]
        assert given is not None  # as it was read
        start = Moment(0, "start", "the target as given", [Outline(TRUTH, given)], whole=True)
        moments, notes = [start], []
        if first.supervised:
            run = first.supervised.runs[index][0]
            lost = np.flatnonzero(run.codes == FAILED).tolist()
            for number, frame in enumerate(lost[:FAILURES_SHOWN], start=1):
                title = f"failure {number} of {len(lost)}"
                moments.append(self._moment(index, frame, title, first.supervised, late=True))
            if len(lost) > FAILURES_SHOWN:
                notes.append(f"{FAILURES_SHOWN} of {len(lost)} failures are shown.")
        shown = self.charted(first)
        if shown and np.isfinite(overlaps := shown.runs[index][0].overlaps).any():
            worst = np.flatnonzero(overlaps == np.nanmin(overlaps))
            title = "worst overlap" + (f", as in {len(worst) - 1} more" if len(worst) > 1 else "")
            moments.append(self._moment(index, int(worst[len(worst) // 2]), title, shown))
        return moments, notes

    def _moment(self, index: int, frame: int, title: str, shown: Experiment, late: bool = False) -> Moment:
        """A frame with the truth and all trackers' answers in an experiment."""
        sequence = self.workspace.sequences[index]
        truth = sequence.truth[frame]
        assert truth is not None  # else nothing is said of the frame
        outlines = [Outline(TRUTH, truth)]
        for results in self.trackers:
            same = results.free if shown.name == self.workspace.stack.unsupervised else results.supervised
            behind = late and results is self.first
            answer: Entry = same.entries[index][0][frame - behind] if same else 0
            if not isinstance(answer, int):
                outlines.append(Outline(results.number, answer, behind))
        overlap = 0.0 if late else float(shown.runs[index][0].overlaps[frame])
        sure = confidence(self.workspace, self.first.tracker, shown.name, sequence.name, len(sequence.truth))[frame]
        numbers = f"overlap {overlap:.2f}" + ("" if math.isnan(sure) else f", confidence {sure:.2f}")
        return Moment(frame, title, numbers, outlines)


def write_page(workspace_path: Path, trackers: Sequence[str], target: Path) -> None:
    """Writes the page; needs nothing but a browser, no network.

    Args:
        workspace_path: folder with config.yaml and results/.
        trackers: to show; none: all. Frames are shown for the first.
        target: FILE.html, written whole or not at all.

    Raises:
        InputError: the workspace or its results cannot be used, or the target is no name for a page.
    """
    workspace_path, target = Path(workspace_path), Path(target)
    if target.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{target} is no name for a page; give FILE.html, and trackers before --html")
    if not target.parent.is_dir():
        raise InputError(f"there is no folder {target.parent} to write {target.name} to; make it first")
    workspace = Workspace.load(workspace_path)
    names = list(dict.fromkeys(trackers)) or workspace.trackers()
    if not names:
        raise InputError(f"{workspace_path / 'results'} holds no results; run `vot evaluate` first")
    found = [load(workspace, number, name) for number, name in enumerate(names)]
    sequences = Sequences(workspace, found)
    published = workspace.stack.published
    rows = [(results.number, cells_of(results.row)) for results in found]
    if published:
        benchmark, a, r100, eao = published
        rows.append((TRUTH, cells_of(Row(f"D3S (paper, {benchmark})", a, r100, eao))))
    environment = Environment(
        loader=PackageLoader("d3s_vot"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("results.html").render(
        name=workspace_path.resolve().name,
        stack=workspace.stack,
        titles=titles_of(Row),
        rows=rows,
        trackers=found,
        eao=eao_chart(workspace.stack.window, found),
        success=success_chart(found),
        charted=workspace.stack.unsupervised if sequences.free else workspace.stack.supervised,
        sections=[sequences.section(index) for index in range(len(workspace.sequences))],
        frames=sum(len(sequence.truth) for sequence in workspace.sequences),
    )
    write_whole(target, page.encode())
