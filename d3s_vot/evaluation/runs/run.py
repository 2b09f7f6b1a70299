"""One run of a benchmark, from the folder of the data to the report.

The same call goes on with a run that was stopped, at the sequences that are not finished; where all are, it
reports again.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import sys
from collections.abc import Collection, Iterable
from contextlib import closing
from dataclasses import asdict, replace
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from d3s_vot.compute.device import choose_device
from d3s_vot.errors import D3SError, InputError
from d3s_vot.evaluation.runs.benchmark import Benchmark, R, V
from d3s_vot.evaluation.runs.jobs import run_jobs
from d3s_vot.evaluation.runs.pools import Failure, Pool
from d3s_vot.evaluation.runs.store import Manifest, Store
from d3s_vot.interrupts import uninterrupted
from d3s_vot.progress import Progress
from d3s_vot.weights.find import packaged
from d3s_vot.zoo import Choice, configuration, find, load_checkpoint

SHOWN = 20  # problems that are listed


def run(
    benchmark: Benchmark[V, R],
    root: Path,
    output: Path,
    *,
    tracker: str = "D3S",
    choice: Choice | None = None,
    pool: Pool | None = None,
    names: Collection[str] | None = None,
    restart: bool = False,
) -> None:
    """Track what is not finished, then print and write the report, or write the submission.

    Args:
        benchmark: what to track.
        root: folder of its data.
        output: folder of runs; this one gets the benchmark's name.
        tracker: its name in the files.
        choice: what to track with, but for the device, which is the pool's; default: the shipped weights.
        pool: where; default: here, one sequence after the other.
        names: the sequences to track and report; None: all.
        restart: remove the results of earlier runs first.

    Raises:
        InputError: the data, the output folder or a setting cannot be used; nothing was tracked.
        CheckpointError: the weights cannot be used.
        D3SError: sequences failed; the others are finished.
    """
    check_name(tracker)
    root, output = Path(root), Path(output)
    choice, pool = portable(choice or Choice()), pool or Pool()
    if benchmark.masks:
        choice.demand_masks(benchmark.name, "choose one that gives masks, see `d3s-vot trackers`")
    sequences = benchmark.open(root.absolute(), names)
    store = Store(output / benchmark.name)
    settings, information = describe(tracker, choice, pool)
    manifest = Manifest(
        {"data set": benchmark.name, **settings},
        {"root": str(root.absolute()), **information},
        {sequence.name: len(sequence) for sequence in sequences},
        {sequence.name: benchmark.data(sequence) for sequence in sequences},
    )
    with store.locked():
        left = [s for s in sequences if restart or not store.finished(benchmark.paths(tracker, s))]
        again = [sequence.name for sequence in left]
        store.agree(manifest, restart, again)
        check(benchmark, left, root)
        store.begin(manifest, restart, again)
        failures = _track(benchmark, sequences, left, store, tracker, choice, pool)
        if failures:
            show(f"{name}: {reason}" for name, reason in failures)
            raise D3SError(
                f"{len(failures)} of {len(sequences)} sequences failed, so there is no report; the same command "
                "tries these again"
            )
        _conclude(benchmark, sequences, store, tracker, names is None)


def report(
    benchmark: Benchmark[V, R],
    root: Path,
    output: Path,
    *,
    tracker: str = "D3S",
    names: Collection[str] | None = None,
) -> None:
    """Report a finished run again; nothing is tracked, so nothing depends on settings.

    Raises:
        InputError: results are missing or damaged, or as in `run`.
    """
    check_name(tracker)
    root, output = Path(root), Path(output)
    sequences = benchmark.open(root.absolute(), names)
    store = Store(output / benchmark.name)
    missing = [s.name for s in sequences if not store.finished(benchmark.paths(tracker, s))]
    if missing:
        show(f"{name}: no results" for name in missing)
        raise InputError(
            f"{len(missing)} of {len(sequences)} sequences have no results of {tracker} in {store.folder}; track "
            "them first, or pick others with --sequences"
        )
    with store.locked():
        store.agree_on_data({sequence.name: benchmark.data(sequence) for sequence in sequences})
        _conclude(benchmark, sequences, store, tracker, names is None)


def check(benchmark: Benchmark[V, R], sequences: list[V], root: Path) -> None:
    """Look at all files before the first is tracked.

    Raises:
        InputError: something is wrong; it has been listed.
    """
    if not sequences:
        return
    frames = sum(map(len, sequences))
    with Progress(frames, what="sequences checked", count=len(sequences)) as progress:
        problems = benchmark.check(sequences, lambda sequence: progress.advance(len(sequence), sequence.name))
    if problems:
        show(problems)
        raise InputError(
            f"the data under {root} have {len(problems)} problem{'s' * (len(problems) > 1)}; mend them, or pick "
            "other sequences with --sequences"
        )


def show(lines: Iterable[str]) -> None:
    """Print lines on stderr, of very many the first."""
    lines = list(lines)
    for line in lines[:SHOWN]:
        print(f"  {line}", file=sys.stderr)
    if len(lines) > SHOWN:
        print(f"  ... and {len(lines) - SHOWN} more", file=sys.stderr)


def check_name(tracker: str) -> None:
    """Whether a tracker's name can be that of a folder.

    Raises:
        InputError: it cannot.
    """
    if not re.fullmatch(r"\w[\w .+-]*", tracker):
        raise InputError(f"the tracker's name {tracker!r} is no name for a folder; use letters, digits, '-' and '_'")


def portable(choice: Choice) -> Choice:
    """The same tracker for processes that run in other folders.

    Raises:
        CheckpointError: there are no such weights.
    """
    path = find(choice.tracker)
    named = path == packaged().get(str(choice.tracker))
    return replace(
        choice,
        tracker=choice.tracker if named else str(path.absolute()),
        trunk=None if choice.trunk is None else Path(choice.trunk).absolute(),
    )


def describe(tracker: str, choice: Choice, pool: Pool) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a manifest says of the tracker.

    Returns:
        What results depend on, and what is good to know.

    Raises:
        CheckpointError: the weights cannot be used.
        InputError: there is no such device.
    """
    path = find(choice.tracker)
    checkpoint = load_checkpoint(path)
    settings = {
        "tracker": tracker,
        "weights": _sha256(path),
        "trunk": checkpoint.config.get("trunk") if choice.trunk is None else _sha256(Path(choice.trunk)),
        "preset": choice.preset,
        "device": _device(pool),
        "threads": pool.threads,
        "versions": {
            "d3s-vot": version("d3s-vot"),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "opencv": cv2.__version__,
            **_compiler(choice),
        },
        "configuration": asdict(configuration(checkpoint, choice.rules)),
    }
    information = {
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "weights": choice.tracker,
        "trunk": None if choice.trunk is None else str(choice.trunk),
        "machine": f"{platform.platform()}, {os.cpu_count()} CPUs",
        "versions": {"python": platform.python_version(), "torchvision": version("torchvision")},
    }
    return settings, information


def _device(pool: Pool) -> str:
    """The kind of device, as far as this process can know it."""
    if pool.ray is not None and pool.device != "cpu":
        return f"{pool.device} on Ray"
    device = choose_device(pool.device)
    return "cpu" if device.type == "cpu" else torch.cuda.get_device_name(device)


def _compiler(choice: Choice) -> dict[str, str]:
    """The version of what the preset fast compiles with, where it is installed."""
    try:
        return {"openvino": version("openvino")} if choice.preset == "fast" else {}
    except PackageNotFoundError:
        return {}


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check the path") from error


def _track(
    benchmark: Benchmark[V, R],
    sequences: list[V],
    left: list[V],
    store: Store,
    tracker: str,
    choice: Choice,
    pool: Pool,
) -> list[tuple[str, str]]:
    """Track what is left, the longest first; returns the names that failed, and why."""
    failures: list[tuple[str, str]] = []
    if not left:
        return failures
    frames, ahead = sum(map(len, sequences)), sum(map(len, left))
    jobs = sorted(left, key=len, reverse=True)
    progress = Progress(frames, count=len(sequences), done=frames - ahead, finished=len(sequences) - len(left))
    with progress, closing(run_jobs(benchmark.worker(choice), jobs, pool)) as results:
        for sequence, result in results:
            if isinstance(result, Failure):
                failures.append((sequence.name, result.reason))
                progress.note(f"{sequence.name} failed: {result.reason}")
            else:
                with uninterrupted():  # a sequence has all its files or none
                    store.write(benchmark.files(tracker, sequence, result))
            progress.advance(len(sequence), sequence.name)
    return failures


def _conclude(benchmark: Benchmark[V, R], sequences: list[V], store: Store, tracker: str, whole: bool) -> None:
    """Report or submission of finished sequences."""
    if benchmark.measurable(sequences):
        folder = store.folder / "report"
        print(benchmark.report(tracker, sequences, store.results, folder))
        print(f"report: {folder}")
    if not benchmark.server:
        return
    if whole:
        target = store.folder / f"{tracker}.zip"
        benchmark.submission(tracker, sequences, store.results, target)
        print(f"submission, checked: {target}")
    else:
        print("no submission: the server takes all sequences; leave out --sequences to make it")
