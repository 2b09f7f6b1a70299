"""Independent jobs, such as the sequences of a benchmark: in this process, in several, or on a Ray cluster.

Whoever asks for the jobs gets the results as they come and alone writes files. A job that fails, or whose
process dies, gives a `Failure` and costs nothing but itself.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import resource_tracker
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import cv2

import d3s_vot
from d3s_vot.errors import D3SError, InputError
from d3s_vot.interrupts import uninterrupted

J = TypeVar("J")  # a job
R = TypeVar("R")  # its result


@dataclass(frozen=True)
class Place:
    """Where one worker runs.

    Attributes:
        device: "cpu", "cuda:0" ...
        threads: of the CPU.
    """

    device: str
    threads: int


@dataclass(frozen=True)
class Pool:
    """The user's switches.

    Attributes:
        workers: processes on this machine.
        threads: of the CPU, for each worker. Rounding depends on it, so it does not follow from `workers`.
        device: for all workers; "auto": one GPU each in turn, or the CPU where there is none.
        ray: address of a running cluster ("auto": the one on this machine), which then decides how many
            jobs run at once and on which GPU.
    """

    workers: int = 1
    threads: int = 1
    device: str = "auto"
    ray: str | None = None

    def __post_init__(self) -> None:
        if self.workers < 1 or self.threads < 1:
            raise InputError(f"{self.workers} workers of {self.threads} threads: both must be 1 or more")
        if self.ray is not None and self.workers > 1:
            raise InputError("several workers are of this machine and a cluster has its own; choose one of the two")

    def places(self) -> list[Place]:
        """Where each worker on this machine runs."""
        import torch  # here and below, where it is needed: it takes seconds

        count = torch.cuda.device_count() if self.device == "auto" else 0
        devices = [f"cuda:{gpu}" for gpu in range(count)] or ["cpu" if self.device == "auto" else self.device]
        return [Place(devices[worker % len(devices)], self.threads) for worker in range(self.workers)]


@dataclass(frozen=True)
class Failure:
    """What a job gives instead of a result.

    Attributes:
        reason: one sentence.
    """

    reason: str


@dataclass(frozen=True)
class Refusal:
    """What a job gives where its worker could not even start; no other worker could."""

    error: D3SError


Start = Callable[[Place], Callable[[J], R]]  # makes a worker: loads the network, returns what does a job


def run_jobs(start: Start[J, R], jobs: Sequence[J], pool: Pool) -> Generator[tuple[J, R | Failure], None, None]:
    """Run independent jobs; few are handed out ahead, in their order, and each result is yielded once.

    Closing the iterator, or an exception such as of Ctrl-C or SIGTERM in it, ends all workers at once. A job whose
    worker was killed is tried once more on a fresh one (on Ray three times); one that raised an exception is not.
    Anything that crosses to another process must be picklable: `start` (a function of a module, or a partial of one),
    jobs and results. Arrays in the results may be read-only.

    Args:
        start: makes a worker, once per process.
        jobs: long ones first, so that none is left over at the end.
        pool: where they run.

    Yields:
        Each job and its result, in the order of completion.

    Raises:
        D3SError: what `start` raised; no other job is begun.
        InputError: a package is missing, or there is no such cluster.
    """
    if not jobs:
        return
    if pool.ray is not None:
        from d3s_vot.evaluation.cluster import run_on_cluster

        yield from run_on_cluster(start, jobs, pool.ray, pool)
    elif pool.workers > 1:
        yield from _run_in_processes(start, jobs, pool.places()[: len(jobs)])
    else:
        yield from _run_here(start, jobs, pool.places()[0])


def describe(error: BaseException) -> str:
    """One sentence on an error: our own ones say it all; others get their type and the line of ours they came from."""
    if isinstance(error, D3SError):
        return str(error)
    text = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}".rstrip(": ")
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return text
    package = Path(d3s_vot.__file__).parent
    frame = ([frame for frame in frames[1:] if Path(frame.filename).is_relative_to(package)] or frames)[-1]
    return f"{text} ({Path(frame.filename).name}, line {frame.lineno})"


def begin(start: Start[J, R], place: Place) -> Callable[[J], R]:
    """Make this process a worker.

    Raises:
        D3SError: it cannot be one.
    """
    import torch

    torch.set_num_threads(place.threads)
    cv2.setNumThreads(place.threads)
    try:
        return start(place)
    except D3SError:
        raise
    except Exception as error:
        raise D3SError(f"a worker cannot start: {describe(error)}") from error


def attempt(work: Callable[[J], R], job: J) -> R | Failure:
    """The result of a job, or what went wrong."""
    try:
        return work(job)
    except Exception as error:
        return Failure(describe(error))


@lru_cache(maxsize=1)
def _begun(start: bytes, place: Place) -> Callable[[Any], Any]:
    return begin(lambda place: pickle.loads(start)(place), place)


def work_on(start: bytes, place: Place, job: Any) -> Any:
    """One job in another process, which becomes a worker with its first and stays one; `start` is pickled."""
    try:
        work = _begun(start, place)
    except D3SError as error:
        return Refusal(error)
    return attempt(work, job)


def _run_here(start: Start[J, R], jobs: Sequence[J], place: Place) -> Iterator[tuple[J, R | Failure]]:
    import torch

    threads = torch.get_num_threads(), cv2.getNumThreads()
    try:
        work = begin(start, place)
        for job in jobs:
            yield job, attempt(work, job)
    finally:
        torch.set_num_threads(threads[0])
        cv2.setNumThreads(threads[1])


def _follow_parent() -> None:
    """End this process with its parent, even if that was killed and a job is running."""

    def follow() -> None:
        if (parent := multiprocessing.parent_process()) is not None:
            parent.join()
            os._exit(1)

    Thread(target=follow, daemon=True).start()


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Processes started here never see Ctrl-C and closed terminals, which come to all at once; this one does later."""
    with uninterrupted():
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])  # which new processes inherit
        try:
            resource_tracker.ensure_running()  # it has a way of its own with Ctrl-C, and would lift the mask of it
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


class _Worker:
    """One process, replaced after a death: a pool of its own, so that no death breaks another's pipe."""

    def __init__(self, start: bytes, place: Place) -> None:
        self._start = start
        self.place = place
        self._open()

    def _open(self) -> None:
        from pebble import ProcessPool

        context = multiprocessing.get_context("spawn")
        self.pool = ProcessPool(max_workers=1, initializer=_follow_parent, context=context)

    def submit(self, job: object) -> Future[Any]:
        with _interrupts_held():
            return self.pool.schedule(work_on, (self._start, self.place, job))

    def replace(self) -> None:
        """Do the next job in a new process."""
        self.pool.stop()
        self.pool.join()
        self._open()


def _run_in_processes(
    start: Start[J, R], jobs: Sequence[J], places: Sequence[Place]
) -> Iterator[tuple[J, R | Failure]]:
    try:
        from pebble import ProcessExpired
    except ImportError as error:
        raise InputError("several workers need the package pebble: pip install d3s-vot[got10k]") from error
    waiting = deque(jobs)
    workers = [_Worker(pickle.dumps(start), place) for place in places]
    running: dict[Future[Any], tuple[_Worker, J, bool]] = {}  # whether the job's first worker died
    try:
        for worker in workers:
            job = waiting.popleft()
            running[worker.submit(job)] = worker, job, False
        while running:
            finished = []
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                worker, job, again = running.pop(future)
                problem = future.exception()
                died = isinstance(problem, (ProcessExpired, BrokenProcessPool))
                if problem is None:
                    result = future.result()
                elif died:
                    result = Failure(_death(problem))
                else:
                    result = Failure(describe(problem))
                if isinstance(result, Refusal):
                    raise result.error
                # An error of CUDA stays with its process.
                if died or (isinstance(result, Failure) and worker.place.device != "cpu"):
                    worker.replace()
                if died and not again:
                    running[worker.submit(job)] = worker, job, True
                    continue
                finished.append((job, result))
                if waiting:
                    job = waiting.popleft()
                    running[worker.submit(job)] = worker, job, False
            yield from finished
    finally:
        for worker in workers:  # all at once, whatever they do
            worker.pool.stop()
        for worker in workers:
            worker.pool.join()


def _death(problem: BaseException) -> str:
    code = getattr(problem, "exitcode", None)
    if code is None:
        return "the worker died"
    hint = "; the memory may be too small" if code == -signal.SIGKILL else ""
    return f"the worker died ({f'signal {-code}' if code < 0 else f'exit code {code}'}{hint})"
