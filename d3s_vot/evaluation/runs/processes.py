"""Jobs in several processes of this machine; one that dies costs nothing but its job."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import resource_tracker
from threading import Thread
from typing import Any

from d3s_vot.errors import InputError
from d3s_vot.evaluation.runs.pools import Failure, J, Place, R, Refusal, Start, describe, work_on
from d3s_vot.interrupts import uninterrupted


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


def run_in_processes(
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
