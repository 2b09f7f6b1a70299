"""The experiments of a VOT workspace, many sequences at once: `d3s-vot evaluate`.

The VOT toolkit does the work, through its Python interface, so the files are those of `vot evaluate`. Here the
sequences are checked and handed out, every repetition is written whole, and a failure costs its sequence alone.
"""

from __future__ import annotations

import copy
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from d3s_vot.errors import D3SError, InputError
from d3s_vot.evaluation.runs.jobs import run_jobs
from d3s_vot.evaluation.runs.pools import Failure, Place, Pool
from d3s_vot.evaluation.runs.store import Manifest, Store
from d3s_vot.evaluation.vot import identity as vot_identity
from d3s_vot.evaluation.vot import toolkit as vot_workspace
from d3s_vot.evaluation.vot.checks import check_sequences
from d3s_vot.evaluation.vot.results import AGREEING
from d3s_vot.evaluation.vot.toolkit import WholeResults, one_line, signals_between_frames
from d3s_vot.progress import Progress
from d3s_vot.vot import Settings


@dataclass(frozen=True)
class Job:
    """One sequence of one experiment for one tracker.

    Attributes:
        tracker: its name, with @VERSION where it has one.
        experiment: its name in the stack.
        sequence: its name in the list.
        part: which of the sequences that the experiment's transformers make of it; mostly the only one, 0.
        frames: about how many are to be tracked.
        realtime: whether the answer depends on the speed.
    """

    tracker: str
    experiment: str
    sequence: str
    part: int
    frames: int
    realtime: bool

    def __str__(self) -> str:
        return f"{self.tracker} {self.experiment} {self.sequence}"


def evaluate(
    root: Path,
    trackers: Sequence[str],
    *,
    experiments: Collection[str] | None = None,
    workers: int = 1,
    threads: int | None = None,
    ray: str | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Run what is not finished of a workspace's experiments.

    Realtime experiments come last, one sequence at a time, because their answer depends on the speed. The
    environment is that of the trackers, too: D3S_VOT_*, see `d3s_vot.vot`.

    Args:
        root: the workspace, a folder with config.yaml.
        trackers: their names in the registry.
        experiments: their names in the stack; None: all.
        workers: sequences at the same time on this machine; each takes two processes.
        threads: of each D3S; None: what D3S_VOT_THREADS says, else with several workers an equal share of the
            processors, and else all.
        ray: address of a running cluster, whose nodes see the workspace under the same path.
        say: takes lines of text.

    Raises:
        InputError: the workspace, its data or an argument cannot be used; nothing was run.
        D3SError: sequences failed; the others are finished.
    """
    root = Path(root).absolute()
    trackers = [trackers] if isinstance(trackers, str) else trackers
    experiments = [experiments] if isinstance(experiments, str) else experiments
    settings = Settings.from_environment(os.environ)
    given = settings.threads if threads is None else threads
    pool = Pool(workers, 1 if given is None else given, settings.device, ray)
    shared = given is None and (workers > 1 or ray is not None)
    if shared:
        pool = replace(pool, threads=1 if ray is not None else max(_processors() // workers, 1))
    if not (root / "config.yaml").is_file():
        raise InputError(f"{root} is no VOT workspace: there is no config.yaml; `vot initialize` makes one")
    with Store(root / "results").locked():
        workspace = vot_workspace.load(root)
        found = vot_workspace.trackers(root, workspace, trackers)
        chosen = vot_workspace.experiments(root, workspace, experiments)
        check_sequences(root, workspace, chosen)
        jobs, finished, runs = _plan(root, workspace, found, chosen)
        for store, manifest, again in runs:
            store.agree(manifest, again=again)
        say(f"sequences to run: {len(jobs)}, finished before: {finished}")
        if not jobs:
            return
        for store, manifest, again in runs:
            store.begin(manifest, again=again)
        if shared:
            say(f"threads of each tracker: {pool.threads} (--threads); the last digits of results depend on it")
        _forget_analyses(root)
        try:
            failures = _run(root, jobs, pool, given, say)
        finally:
            _forget_analyses(root)
    if failures:
        from d3s_vot.evaluation.runs.run import show  # here, because it needs torch

        show(failures)
        raise D3SError(f"{len(failures)} of {len(jobs)} sequences failed; the same command tries these again")
    say(f"all done; `d3s-vot results {root}` shows the measures")


def _run(root: Path, jobs: list[Job], pool: Pool, given: int | None, say: Callable[[str], None]) -> list[str]:
    """Runs all jobs; returns what failed, a line each."""
    jobs = sorted(jobs, key=lambda job: -job.frames)
    alone = [job for job in jobs if job.realtime]
    several = pool.ray is not None or pool.workers > 1
    settings = _settings(pool.threads if several else given)
    batches = [([job for job in jobs if not job.realtime], pool, settings)]
    if alone:
        say(f"{', '.join(dict.fromkeys(job.experiment for job in alone))}: after the others, one sequence at a time")
        one = pool
        if pool.ray is None:
            one, settings = replace(pool, workers=1), _settings(given)
        batches += [([job], one, settings) for job in alone]
    failures: list[str] = []
    with Progress(sum(job.frames for job in jobs), count=len(jobs)) as progress:
        for batch, place, environment in batches:
            with closing(run_jobs(partial(_start, root, environment), batch, place)) as outcomes:
                for job, outcome in outcomes:
                    if isinstance(outcome, Failure):
                        failures.append(f"{job}: {outcome.reason}")
                        progress.note(f"{job} failed: {outcome.reason}")
                    progress.advance(job.frames, str(job))
    return failures


def _settings(threads: int | None) -> dict[str, str]:
    """What a worker gets of this process's environment, wherever it runs."""
    settings = {name: value for name, value in os.environ.items() if name.startswith(("D3S_VOT_", "VOT_"))}
    return settings if threads is None else {**settings, "D3S_VOT_THREADS": str(threads)}


def _processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start(root: Path, settings: Mapping[str, str], place: Place) -> Callable[[Job], None]:
    """Makes a worker; the trackers that it starts inherit the settings."""
    settings = {**settings, "D3S_VOT_DEVICE": place.device}
    with _environment(settings):
        workspace = vot_workspace.load(root)

    def work(job: Job) -> None:
        defaults = vot_identity.defaults(workspace.stack.experiments[job.experiment])
        with _environment({**defaults, **settings}):
            _execute(root, workspace, job)

    return work


@contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _execute(root: Path, workspace: Any, job: Job) -> None:
    """Does the repetitions of a job that are not there yet.

    Raises:
        D3SError: the tracker failed, or a file cannot be written.
    """
    from vot.tracker import TrackerException

    experiment = workspace.stack.experiments[job.experiment]
    sequence = experiment.transform(workspace.dataset[job.sequence])[job.part]
    tracker, results = _bind(root, workspace.registry[job.tracker], experiment, sequence)
    try:
        with signals_between_frames(tracker):
            experiment.execute(tracker, sequence)
    except TrackerException as error:
        log = root / "logs" / f"{job.tracker}_{job.experiment}_{sequence.name}.log"
        raise D3SError(_complaint(error, log)) from error
    results.flush()


def _complaint(error: Any, log: Path) -> str:
    """One sentence on what went wrong in a tracker's process; all that it printed goes to a file."""
    printed = error.log or ""
    log.parent.mkdir(exist_ok=True)
    log.write_text(printed, "utf-8")
    words = [line for line in printed.splitlines() if line.strip() and not line.startswith(("@@TRAX:", "Process "))]
    text = one_line(error)
    if words and words[-1].rpartition(": ")[2] not in text:
        text += f": {words[-1].strip()}"
    return f"{text} (all that the tracker printed: {log})"


def _bind(root: Path, tracker: Any, experiment: Any, sequence: Any) -> tuple[Any, WholeResults]:
    """The tracker with its results of one sequence, which the toolkit then takes for all there are."""
    results = WholeResults(root, f"{tracker.reference}/{experiment.identifier}/{sequence.name}")
    tracker = copy.copy(tracker)
    tracker._storage = SimpleNamespace(results=lambda *_: results)
    return tracker, results


Known = tuple[Store, Manifest, list[str]]  # of an experiment's results: what they are of, and who has none


def _plan(
    root: Path, workspace: Any, trackers: list[Any], experiments: list[Any]
) -> tuple[list[Job], int, list[Known]]:
    """What is to be done, how many sequences are finished, and what all of it is of.

    Raises:
        InputError: a result is damaged, or an experiment cannot be run on a sequence.
    """
    jobs: list[Job] = []
    known: list[Known] = []
    finished = 0
    data = {sequence.name: vot_identity.describe_data(sequence) for sequence in workspace.dataset}
    for tracker in trackers:
        for experiment in experiments:
            begun: set[str] = set()
            for name in workspace.dataset.list():
                try:
                    for part, sequence in enumerate(experiment.transform(workspace.dataset[name])):
                        bound, results = _bind(root, tracker, experiment, sequence)
                        done = vot_workspace.check_results(results, experiment, sequence)
                        begun |= {name} if done else set()
                        if experiment.scan(bound, sequence)[0]:
                            finished += 1
                            continue
                        frames = _frames(experiment, sequence, done)
                        realtime = experiment.realtime is not None
                        jobs.append(Job(tracker.reference, experiment.identifier, name, part, frames, realtime))
                except InputError:
                    raise
                except Exception as error:  # of any kind, as in `load`
                    raise InputError(f"{experiment.identifier} cannot be run on {name}: {one_line(error)}") from error
            settings = vot_identity.describe(tracker, experiment)
            folder = root / "results" / tracker.reference / experiment.identifier
            name = f".{tracker.reference}.{experiment.identifier}.json"
            store = Store(root / "results", name, f"remove {folder} to run all again")
            manifest = Manifest(settings, {}, {}, data)
            known.append((store, manifest, [name for name in data if name not in begun]))
    return jobs, finished, known


def _frames(experiment: Any, sequence: Any, done: int) -> int:
    """About how many frames are to be tracked, where some repetitions are done."""
    from vot.experiment.multistart import MultiStartExperiment, find_anchors

    if isinstance(experiment, MultiStartExperiment):
        forward, backward = find_anchors(sequence, experiment.anchor)
        return sum(len(sequence) - anchor for anchor in forward) + sum(anchor + 1 for anchor in backward)
    return len(sequence) * max(min(getattr(experiment, "repetitions", 1), AGREEING) - done, 1)


def _forget_analyses(root: Path) -> None:
    """Removes the toolkit's measures of earlier results, which it would take for those of the new ones."""
    folder = root / "cache" / "analysis"
    if folder.is_dir():
        shutil.rmtree(folder)
