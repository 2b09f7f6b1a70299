"""The results of a tracker for the page of results: every experiment with its overlaps, and the confidences.

The numbers are those of `d3s_vot.evaluation.vot.results`; here an experiment may be missing, the supervised one too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from d3s_vot.errors import InputError
from d3s_vot.evaluation.vot import measures
from d3s_vot.evaluation.vot.measures import BURN_IN, Run
from d3s_vot.evaluation.vot.results import Row, Trajectories, evaluate, load_trajectories, speed
from d3s_vot.evaluation.vot.workspaces import Workspace


@dataclass(frozen=True)
class Experiment:
    """What one tracker left in one experiment: of every sequence its repetitions, and their overlaps."""

    name: str
    entries: Trajectories
    runs: list[list[Run]]


@dataclass(frozen=True)
class Results:
    """The results of one tracker; None for an experiment that was not run.

    Attributes:
        number: its place among the trackers shown, from 0.
        row: the numbers of `d3s_vot.evaluation.vot.results`.
        supervised: the experiment with resets; overlaps as the papers count them.
        free: the one without; overlaps as the toolkit counts them, which the AO has.
    """

    number: int
    row: Row
    supervised: Experiment | None
    free: Experiment | None

    @property
    def tracker(self) -> str:
        """The tracker's name."""
        return self.row.tracker


def _experiment(
    workspace: Workspace, tracker: str, name: str | None, repetitions: int, convention: measures.Convention
) -> Experiment | None:
    """The results of an experiment with all its overlaps; None where it was not run."""
    if name is None or not (workspace.root / "results" / tracker / name).is_dir():
        return None
    gaps: list[str] = []
    entries = load_trajectories(workspace, tracker, name, repetitions, gaps)
    if gaps:
        more = f" and {len(gaps) - 5} more" if len(gaps) > 5 else ""
        raise InputError(
            f"the results of {tracker} are incomplete: {'; '.join(gaps[:5])}{more}; remove damaged files and run "
            f"`vot evaluate --workspace {workspace.root} {tracker}`"
        )
    runs = [
        [Run.compare(run, sequence.truth, sequence.width, sequence.height, convention) for run in repetitions_]
        for sequence, repetitions_ in zip(workspace.sequences, entries, strict=True)
    ]
    return Experiment(name, entries, runs)


def load(workspace: Workspace, number: int, tracker: str) -> Results:
    """All results of a tracker, with the row of `d3s_vot.evaluation.vot.results`.

    Raises:
        InputError: results are missing, damaged or incomplete.
    """
    stack = workspace.stack
    supervised = _experiment(workspace, tracker, stack.supervised, stack.repetitions, "papers")
    free = _experiment(workspace, tracker, stack.unsupervised, stack.unsupervised_repetitions, "toolkit")
    if free is None or supervised is not None:
        return Results(number, evaluate(workspace, tracker), supervised, free)
    row = Row(
        tracker,
        ao=measures.average_overlap(free.runs),
        ao_toolkit=measures.average_overlap(free.runs, BURN_IN),
        fps=speed(workspace, tracker, free.name, free.entries),
        repetitions=min(len(runs) for runs in free.runs),
    )
    return Results(number, row, None, free)


def confidence(workspace: Workspace, tracker: str, experiment: str, sequence: str, frames: int) -> NDArray[np.float64]:
    """The confidence that a tracker stored with its first run, of every frame; NaN where it stored none."""
    path = workspace.root / "results" / tracker / experiment / sequence / f"{sequence}_001_confidence.value"
    values = np.full(frames, math.nan)
    if path.is_file():
        try:
            lines = path.read_text("ascii").splitlines()[:frames]
            values[: len(lines)] = [float(line or "nan") for line in lines]
        except ValueError:
            raise InputError(f"{path} holds a line that is no confidence; run the sequence again") from None
    return np.where((values >= 0) & (values <= 1), values, math.nan)  # other trackers may mean another thing by it
