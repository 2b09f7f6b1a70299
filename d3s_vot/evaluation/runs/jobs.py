"""Independent jobs, such as the sequences of a benchmark: in this process, in several, or on a Ray cluster.

Whoever asks for the jobs gets the results as they come and alone writes files. A job that fails, or whose
process dies, gives a `Failure` and costs nothing but itself.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

import cv2

from d3s_vot.evaluation.runs.pools import Failure, J, Place, Pool, R, Start, attempt, begin
from d3s_vot.evaluation.runs.processes import run_in_processes


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
        from d3s_vot.evaluation.runs.cluster import run_on_cluster

        yield from run_on_cluster(start, jobs, pool.ray, pool)
    elif pool.workers > 1:
        yield from run_in_processes(start, jobs, pool.places()[: len(jobs)])
    else:
        yield from _run_here(start, jobs, pool.places()[0])


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
