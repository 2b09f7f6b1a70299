"""The numbers of a tracker in workspaces of VOT2020 and later: anchors, long runs, several objects.

They are the toolkit's, from the raw results. Incomplete or damaged results are an error, never a number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from d3s_vot.errors import InputError
from d3s_vot.evaluation.vot import longterm, multistart, vots
from d3s_vot.evaluation.vot.annotated import UNKNOWN, Annotated, as_the_toolkit_reads, is_code, is_empty
from d3s_vot.evaluation.vot.results_table import TableRow
from d3s_vot.evaluation.vot.stacks import AnchorStack, LongtermStack, ObjectStack
from d3s_vot.evaluation.vot.stored import Entry, read_trajectory
from d3s_vot.evaluation.vot.workspaces import AnnotatedWorkspace

Rate = {"title": "frames/s", "digits": 1}


@dataclass(frozen=True)
class AnchorRow(TableRow):
    """One tracker, started at anchors; `ao` None: the runs without anchors are not there."""

    LEGEND: ClassVar[str] = """\
A, R, EAO of the runs from the anchors, AO of one run from the first frame: as vot-toolkit 0.7.4 computes them, which
the challenges' papers print. Higher is better in all of them; R: share of the frames before a failure."""

    a: float | None = field(default=None, metadata={"title": "A"})
    r: float | None = field(default=None, metadata={"title": "R"})
    eao: float | None = field(default=None, metadata={"title": "EAO"})
    ao: float | None = field(default=None, metadata={"title": "AO"})
    fps: float | None = field(default=None, metadata=Rate)
    runs: int | None = field(default=None, metadata={"title": "runs", "digits": 0})


@dataclass(frozen=True)
class LongtermRow(TableRow):
    """One tracker in long runs."""

    LEGEND: ClassVar[str] = """\
F, and the precision and recall that it comes from, as vot-toolkit 0.7.4 computes them; the threshold of the confidence
is the one with the largest F. Empty answers where the target is absent can make F larger than 1."""

    f: float | None = field(default=None, metadata={"title": "F"})
    precision: float | None = field(default=None, metadata={"title": "Pr"})
    recall: float | None = field(default=None, metadata={"title": "Re"})
    fps: float | None = field(default=None, metadata=Rate)


@dataclass(frozen=True)
class ObjectsRow(TableRow):
    """One tracker with several objects; `adq` None: none is absent for more than ten frames."""

    LEGEND: ClassVar[str] = """\
As vot-toolkit 0.7.4 computes them. Q: quality, mean overlap with absence; A: accuracy; R: robustness, share of the
frames in which the object is tracked; NRE: in which nothing is reported; DRE: in which the answer lies elsewhere; ADQ:
share of the absent frames that are told. frames/s: of all objects together, starts not."""

    q: float | None = field(default=None, metadata={"title": "Q"})
    a: float | None = field(default=None, metadata={"title": "A"})
    r: float | None = field(default=None, metadata={"title": "R"})
    nre: float | None = field(default=None, metadata={"title": "NRE"})
    dre: float | None = field(default=None, metadata={"title": "DRE"})
    adq: float | None = field(default=None, metadata={"title": "ADQ"})
    fps: float | None = field(default=None, metadata=Rate)
    objects: int | None = field(default=None, metadata={"title": "objects", "digits": 0})


class Files:
    """The results of one tracker in one experiment; what is missing or damaged is remembered.

    Attributes:
        gaps: a sentence for each.
    """

    def __init__(self, workspace: AnnotatedWorkspace, tracker: str, experiment: str, gaps: list[str]) -> None:
        self.folder = workspace.root / "results" / tracker / experiment
        self.experiment, self.gaps = experiment, gaps
        self._seconds, self._frames = 0.0, 0

    def read(self, sequence: Annotated, name: str, frames: int) -> list[Entry] | None:
        """The entries of a run; None where they are not there. Where there are .bin and .txt, the toolkit's is .txt."""
        path = self.folder / sequence.name / f"{name}.txt"
        path = path if path.is_file() else path.with_suffix(".bin")
        if not path.is_file():
            self.gaps.append(f"{name} of {self.experiment} is missing")
            return None
        try:
            entries = read_trajectory(path)
        except InputError as error:
            self.gaps.append(str(error))
            return None
        if len(entries) != frames:
            self.gaps.append(f"{path} has {len(entries)} frames instead of {frames}")
            return None
        return as_the_toolkit_reads(entries) if path.suffix == ".txt" else entries

    def values(self, sequence: Annotated, name: str, frames: int) -> list[float] | None:
        """The numbers of a run's file, NaN where a line is empty; None where there is no file."""
        path = self.folder / sequence.name / f"{name}.value"
        if not path.is_file():
            return None
        try:
            values = [float(line or "nan") for line in path.read_text("ascii").splitlines()]
        except ValueError:
            raise InputError(f"{path} holds a line that is no number; run the sequence again") from None
        return (values + [math.nan] * frames)[:frames]

    def clock(self, times: Sequence[list[float] | None]) -> None:
        """Takes the times of the runs through a sequence; those of objects in one process are the same, and count once.

        The first frame of each is a start.
        """
        distinct: list[list[float]] = []
        for found in times:
            if found is not None and not any(np.array_equal(found, other, equal_nan=True) for other in distinct):
                distinct.append(found)
        spent = [value for found in distinct for value in found[1:] if math.isfinite(value)]
        self._seconds += sum(spent)
        self._frames += max((len(found) - 1 for found in distinct), default=0)

    @property
    def fps(self) -> float | None:
        """Tracked frames a second; None where no times are stored."""
        return self._frames / self._seconds if self._seconds > 0 else None


def evaluate(workspace: AnnotatedWorkspace, tracker: str) -> AnchorRow | LongtermRow | ObjectsRow:
    """The numbers of one tracker.

    Raises:
        InputError: results are missing, damaged or incomplete; the message lists what. Or the sequences do not suit the
            stack.
    """
    if not (workspace.root / "results" / tracker).is_dir():
        known = ", ".join(workspace.trackers()) or "none"
        raise InputError(
            f"{workspace.root / 'results' / tracker} is missing: {tracker} has no results in this workspace (there "
            f"are: {known})"
        )
    stack = workspace.stack
    if isinstance(stack, AnchorStack):
        return _anchors(workspace, stack, tracker)
    if isinstance(stack, LongtermStack):
        return _longterm(workspace, stack, tracker)
    assert isinstance(stack, ObjectStack)
    return _objects(workspace, stack, tracker)


def _complete(workspace: AnnotatedWorkspace, tracker: str, gaps: list[str]) -> None:
    if gaps:
        more = f" and {len(gaps) - 5} more" if len(gaps) > 5 else ""
        raise InputError(
            f"the results of {tracker} are incomplete: {'; '.join(gaps[:5])}{more}; remove damaged files and "
            f"run `vot evaluate --workspace {workspace.root} {tracker}` to fill the gaps"
        )


def _only_object(sequence: Annotated) -> list[Entry]:
    if len(sequence.objects) > 1:
        raise InputError(
            f"{sequence.frames.folder} has {len(sequence.objects)} objects, and the experiments of this stack take "
            "one; choose a stack of several objects"
        )
    return next(iter(sequence.objects.values()))


def _anchors(workspace: AnnotatedWorkspace, stack: AnchorStack, tracker: str) -> AnchorRow:
    gaps: list[str] = []
    files = Files(workspace, tracker, stack.multistart, gaps)
    runs: list[list[multistart.AnchorRun]] = []
    for sequence in workspace.sequences:
        truth = _only_object(sequence)
        if not sequence.runs():
            raise InputError(f"{sequence.frames.folder} has no anchors: there is no number but 0 in anchor.value")
        several = []
        for anchor, order in sequence.runs():
            name = f"{sequence.name}_{anchor:08d}"
            entries = files.read(sequence, name, len(order))
            if entries is None:
                continue
            overlaps = [sequence.overlap(e, truth[i], i, stack.bounded) for e, i in zip(entries, order, strict=True)]
            absent = np.array([is_empty(truth[i]) for i in order], bool)
            several.append(multistart.AnchorRun(np.array(overlaps), absent, stack.grace, stack.threshold))
            files.clock([files.values(sequence, f"{name}_time", len(order))])
        runs.append(several)
    ao = None
    if stack.unsupervised and (workspace.root / "results" / tracker / stack.unsupervised).is_dir():
        ao = _average_overlap(workspace, stack, Files(workspace, tracker, stack.unsupervised, gaps))
    _complete(workspace, tracker, gaps)
    return AnchorRow(
        tracker,
        a=multistart.accuracy(runs),
        r=multistart.robustness(runs, [len(sequence) for sequence in workspace.sequences]),
        eao=multistart.eao(runs, *stack.window) if stack.window else None,
        ao=ao,
        fps=files.fps,
        runs=sum(map(len, runs)),
    )


def _average_overlap(workspace: AnnotatedWorkspace, stack: AnchorStack, files: Files) -> float | None:
    """Mean overlap of the unsupervised runs, sequences weighted by their lengths."""
    means = []
    for sequence in workspace.sequences:
        truth = _only_object(sequence)
        entries = files.read(sequence, f"{sequence.name}_001", len(sequence))
        first = 1 if stack.burn_in is None else stack.burn_in
        known = [i for i in range(first, len(sequence)) if not is_code(truth[i], UNKNOWN)]
        if entries is not None:
            means.append(float(np.mean([sequence.overlap(entries[i], truth[i], i) for i in known])) if known else 0.0)
    if files.gaps:
        return None
    return float(np.average(means, weights=[len(sequence) for sequence in workspace.sequences]))


def _longterm(workspace: AnnotatedWorkspace, stack: LongtermStack, tracker: str) -> LongtermRow:
    gaps: list[str] = []
    files = Files(workspace, tracker, stack.longterm, gaps)
    runs: list[longterm.SureRun] = []
    for sequence in workspace.sequences:
        truth, name = _only_object(sequence), f"{sequence.name}_001"
        entries = files.read(sequence, name, len(sequence))
        if entries is None:
            continue
        sure = files.values(sequence, f"{name}_confidence", len(sequence))
        if sure is None:
            gaps.append(f"{name}_confidence.value of {files.experiment} is missing")
            continue
        overlaps = [sequence.overlap(e, t, i) for i, (e, t) in enumerate(zip(entries, truth, strict=True))]
        present = sum(not isinstance(entry, int) for entry in truth)
        runs.append(longterm.SureRun(np.array(overlaps), np.nan_to_num(np.array(sure)), present))
        files.clock([files.values(sequence, f"{name}_time", len(sequence))])
    _complete(workspace, tracker, gaps)
    score = longterm.score(runs, stack.resolution)
    return LongtermRow(tracker, score.f, score.precision, score.recall, files.fps)


def _objects(workspace: AnnotatedWorkspace, stack: ObjectStack, tracker: str) -> ObjectsRow:
    gaps: list[str] = []
    files = Files(workspace, tracker, stack.objects, gaps)
    runs: list[list[vots.ObjectRun]] = []
    for sequence in workspace.sequences:
        tagged = sequence.tag(stack.tag) if stack.tag else [True] * len(sequence)
        names = {name: f"{sequence.result_name(name)}_001" for name in sequence.objects}
        found: list[vots.ObjectRun] = []
        for name, truth in sequence.objects.items():
            entries = files.read(sequence, names[name], len(sequence))
            if entries is not None:
                found.append(_object(sequence, truth, entries, tagged))
        files.clock([files.values(sequence, f"{result}_time", len(sequence)) for result in names.values()])
        runs.append(found)
    _complete(workspace, tracker, gaps)
    score = vots.score(runs, [len(sequence) for sequence in workspace.sequences] if stack.weighted else None)
    measures = (score.quality, score.accuracy, score.robustness, score.not_reported, score.drift, score.absence)
    return ObjectsRow(tracker, *measures, files.fps, sum(map(len, runs)))


def _object(
    sequence: Annotated, truth: Sequence[Entry], entries: Sequence[Entry], tagged: Sequence[bool]
) -> vots.ObjectRun:
    counted = [i for i in range(len(truth)) if tagged[i] and truth[i] != UNKNOWN]
    absent = np.array([is_empty(truth[i]) for i in counted], bool)
    empty = np.array([is_empty(entries[i]) for i in counted], bool)
    overlaps = np.array([sequence.overlap(entries[i], truth[i], i) for i in counted], np.float64)
    return vots.ObjectRun(overlaps, absent, empty, np.array([i == 0 for i in counted], bool))

