"""One table of a VOT workspace's results: accuracy, robustness, EAO, AO, speed, and the published numbers.

Works from the raw results, with `d3s_vot.evaluation.vot.measures`; the sequences' frames need not be there. Incomplete
or damaged results are an error, never a number.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from d3s_vot.errors import InputError
from d3s_vot.evaluation.vot import measures, results_annotated
from d3s_vot.evaluation.vot.measures import Run
from d3s_vot.evaluation.vot.overlaps import Region, exact_overlap
from d3s_vot.evaluation.vot.results_table import TableRow
from d3s_vot.evaluation.vot.stored import Entry, read_trajectory
from d3s_vot.evaluation.vot.workspaces import AnnotatedWorkspace, Workspace, open_workspace
from d3s_vot.mask_codes import PlacedMask

log = logging.getLogger(__name__)

AGREEING = 3  # repetitions after which the toolkit stops where they are the same


@dataclass(frozen=True)
class Row(TableRow):
    """The numbers of one tracker; None where the workspace has no such experiment.

    Attributes:
        tracker: its name.
        a, r100, eao: accuracy, failures per 100 frames, EAO as the papers compute them.
        failures: the mean number of failures in a repetition.
        a_toolkit, r_toolkit, eao_toolkit: the same from vot-toolkit 0.7.4 (R: failures per sequence).
        ao: mean overlap of the unsupervised run, without the first frames.
        ao_toolkit: the toolkit's average_accuracy, without the first ten frames.
        fps: tracked frames per second, reading of the images included, initialisations not.
        repetitions: how often every sequence was run, at least.
    """

    LEGEND: ClassVar[str] = """\
A, R100 (failures per 100 frames), EAO: as the papers compute them. "toolkit": as vot-toolkit 0.7.4 does
(R: failures per sequence). AO: mean overlap of the unsupervised run without the first frame of each
sequence; toolkit: without the first ten. Frames in which the target is absent do not count. (paper): published for
the whole benchmark. NaN: no sequence is as long as the EAO asks for."""

    a: float | None = field(default=None, metadata={"title": "A"})
    r100: float | None = field(default=None, metadata={"title": "R100"})
    eao: float | None = field(default=None, metadata={"title": "EAO"})
    failures: float | None = field(default=None, metadata={"title": "failures", "digits": 1})
    a_toolkit: float | None = field(default=None, metadata={"title": "A toolkit"})
    r_toolkit: float | None = field(default=None, metadata={"title": "R toolkit"})
    eao_toolkit: float | None = field(default=None, metadata={"title": "EAO toolkit"})
    ao: float | None = field(default=None, metadata={"title": "AO"})
    ao_toolkit: float | None = field(default=None, metadata={"title": "AO toolkit"})
    fps: float | None = field(default=None, metadata={"title": "frames/s", "digits": 1})
    repetitions: int | None = field(default=None, metadata={"title": "runs", "digits": 0})


Trajectories = list[list[list[Entry]]]  # of every sequence, its repetitions


def load_trajectories(
    workspace: Workspace, tracker: str, experiment: str, wanted: int, gaps: list[str]
) -> Trajectories:
    """All trajectories of an experiment; what is missing or damaged is added to `gaps`."""
    found: Trajectories = []
    for sequence in workspace.sequences:
        folder = workspace.root / "results" / tracker / experiment / sequence.name
        runs: list[list[Entry]] = []
        for number in range(1, wanted + 1):
            path = folder / f"{sequence.name}_{number:03d}.bin"
            path = path if path.is_file() else path.with_suffix(".txt")
            if not path.is_file():
                break
            try:
                entries = read_trajectory(path)
            except InputError as error:
                gaps.append(str(error))
                break
            if len(entries) != len(sequence.truth):
                gaps.append(f"{path} has {len(entries)} frames instead of {len(sequence.truth)}")
                break
            runs.append(entries)
        else:
            found.append(runs)
            continue
        found.append(runs)
        if path.is_file():
            continue  # damaged, and told
        if not runs:
            gaps.append(f"sequence {sequence.name} of {experiment} is missing")
        elif len(runs) < AGREEING or not all(_agree(run, runs[0]) for run in runs):
            gaps.append(f"sequence {sequence.name} of {experiment} has {len(runs)} repetitions of {wanted}")
    return found


def _agree(a: list[Entry], b: list[Entry]) -> bool:
    """Whether two repetitions are the same, as the toolkit sees it: it stops at an overlap of 0.99999."""
    for p, q in zip(a, b, strict=True):
        if isinstance(p, int) or isinstance(q, int):
            if not (isinstance(p, int) and isinstance(q, int) and p == q):
                return False
        elif not _same(p, q) and exact_overlap(p, q, 1 << 16, 1 << 16) < 0.99999:
            return False
    return True


def _same(p: Region, q: Region) -> bool:
    if isinstance(p, PlacedMask) or isinstance(q, PlacedMask):
        return isinstance(p, PlacedMask) and p == q
    return np.array_equal(p, q)


def speed(workspace: Workspace, tracker: str, experiment: str, runs: Trajectories) -> float | None:
    """Frames a second over the first repetitions' tracked frames; None where no times were stored."""
    seconds, frames = 0.0, 0
    for sequence, repetitions in zip(workspace.sequences, runs, strict=True):
        folder = workspace.root / "results" / tracker / experiment / sequence.name
        path = folder / f"{sequence.name}_001_time.value"
        if not path.is_file():
            return None
        try:
            lines = path.read_text("ascii").splitlines()
            times = [float(line or "nan") for line in lines]  # empty where a frame was skipped
        except ValueError:
            raise InputError(f"{path} holds a line that is no time; run the sequence again") from None
        for entry, time in zip(repetitions[0], times, strict=False):
            if not isinstance(entry, int) and math.isfinite(time):
                seconds, frames = seconds + time, frames + 1
    return frames / seconds if seconds > 0 else None


def evaluate(workspace: Workspace, tracker: str) -> Row:
    """The numbers of one tracker.

    Raises:
        InputError: results are missing, damaged or incomplete; the message lists what.
    """
    stack, folder = workspace.stack, workspace.root / "results" / tracker
    if not folder.is_dir():
        known = ", ".join(workspace.trackers()) or "none"
        raise InputError(
            f"{folder} is missing: {tracker} has no results in this workspace (there are: {known})"
        )
    gaps: list[str] = []
    supervised: Trajectories = []
    if stack.supervised is not None:
        supervised = load_trajectories(workspace, tracker, stack.supervised, stack.repetitions, gaps)
    free_name = stack.unsupervised
    if free_name and stack.supervised and not (folder / free_name).is_dir():  # others publish the baseline alone
        free_name = None
    free: Trajectories = []
    if free_name is not None:
        free = load_trajectories(workspace, tracker, free_name, stack.unsupervised_repetitions, gaps)
    if gaps:
        more = f" and {len(gaps) - 5} more" if len(gaps) > 5 else ""
        raise InputError(
            f"the results of {tracker} are incomplete: {'; '.join(gaps[:5])}{more}; remove damaged files and "
            f"run `vot evaluate --workspace {workspace.root} {tracker}` to fill the gaps"
        )

    def runs(trajectories: Trajectories, convention: measures.Convention) -> list[list[Run]]:
        return [
            [
                Run.compare(entries, sequence.truth, sequence.width, sequence.height, convention)
                for entries in all_
            ]
            for sequence, all_ in zip(workspace.sequences, trajectories, strict=True)
        ]

    free_runs = runs(free, "toolkit") if free_name is not None else None
    row = Row(
        tracker=tracker,
        ao=measures.average_overlap(free_runs) if free_runs else None,
        ao_toolkit=measures.average_overlap(free_runs, measures.BURN_IN) if free_runs else None,
        fps=speed(workspace, tracker, str(free_name or stack.supervised), free or supervised),
        repetitions=min(len(all_) for all_ in supervised or free),
    )
    if not supervised:
        return row
    papers, toolkit = runs(supervised, "papers"), runs(supervised, "toolkit")
    window = stack.window
    return replace(
        row,
        a=measures.accuracy(papers, "papers"),
        r100=measures.robustness_papers(papers),
        eao=measures.eao(papers, *window, "papers") if window else None,
        failures=measures.failures(papers),
        a_toolkit=measures.accuracy(toolkit),
        r_toolkit=measures.robustness_toolkit(toolkit),
        eao_toolkit=measures.eao(toolkit, *window) if window else None,
    )


def table(root: Path, trackers: list[str]) -> Sequence[TableRow]:
    """The rows of a workspace: the trackers asked for, or all, and the published one where there is one.

    Raises:
        InputError: as `open_workspace` and `evaluate`; or the workspace has no results.
    """
    workspace = open_workspace(root)
    names = list(dict.fromkeys(trackers)) or workspace.trackers()
    if not names:
        raise InputError(
            f"{workspace.root / 'results'} holds no results; run `vot evaluate --workspace {root} D3S` first"
        )
    if isinstance(workspace, AnnotatedWorkspace):
        return [results_annotated.evaluate(workspace, name) for name in names]
    rows = [evaluate(workspace, name) for name in names]
    for row in rows:
        if row.ao is None and workspace.stack.unsupervised is not None:
            log.warning("%s has no %s results, so its AO is left empty", row.tracker, workspace.stack.unsupervised)
    if workspace.stack.published:
        # Named in full: the workspace may hold other sequences than the benchmark's.
        benchmark, a, r100, eao = workspace.stack.published
        rows.append(Row(f"D3S (paper, {benchmark})", a, r100, eao))
    return rows
