"""Jobs on a running Ray cluster, which schedules, spreads and retries them.

The package must be installed on every node, in the same version, and the data sets must lie under the same path
there; results travel back, so the output does not.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import socket
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from types import ModuleType
from typing import Any, TypeVar

from d3s_vot.errors import D3SError, InputError
from d3s_vot.evaluation.runs.pools import Failure, Place, Pool, Refusal, Start, describe, work_on

J = TypeVar("J")
R = TypeVar("R")

RETRIES = 3  # after the death of a worker or a node
SPARE = 2  # jobs handed out beyond those that run, so that no node waits for the next
PATIENCE = 10.0  # seconds for the cluster's machine to answer
# Of Ray itself: send no statistics; give up on a cluster that does not answer after seconds, not minutes.
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_gcs_server_port_wait_time_s": "1",
    "RAY_py_gcs_connect_timeout_s": "10",
}


def run_on_cluster(start: Start[J, R], jobs: Sequence[J], address: str, pool: Pool) -> Iterator[tuple[J, R | Failure]]:
    """See `run_jobs`. On a cluster with GPUs each job has one to itself, unless the device is "cpu".

    Raises:
        InputError: there is no Ray, no such cluster, or no node is large enough for a job.
        D3SError: what `start` raised.
    """
    ray = _connect(address)
    try:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        gpu = pool.device != "cpu" and (pool.device != "auto" or any(node.get("GPU") for node in nodes))
        if not _slots(nodes, pool.threads, gpu):
            raise InputError(
                f"no node of the Ray cluster at {address} has {pool.threads} CPUs{' and a GPU' if gpu else ''}; "
                "choose fewer threads or another device"
            )
        # A job on a GPU would otherwise end its process, and the next would load the network again.
        task = ray.remote(max_calls=0, max_retries=RETRIES, scheduling_strategy="SPREAD")(work_on).options(
            num_cpus=pool.threads, num_gpus=int(gpu)
        )
        packed, place = pickle.dumps(start), Place("cuda:0" if gpu else "cpu", pool.threads)
        waiting = deque(jobs)
        running: dict[Any, J] = {}
        while waiting or running:
            nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            while waiting and len(running) < _slots(nodes, pool.threads, gpu) + SPARE:
                job = waiting.popleft()
                running[task.remote(packed, place, job)] = job
            with redirect_stdout(sys.stderr):  # where Ray tells of deaths
                finished, _ = ray.wait(list(running))
            for done in finished:
                result = _result(ray, done)
                if isinstance(result, Refusal):
                    raise result.error
                yield running.pop(done), result
    finally:
        ray.shutdown()  # of a cluster started by others this is only the connection, and the jobs of it


def _connect(address: str) -> ModuleType:
    os.environ.update({name: value for name, value in SETTINGS.items() if name not in os.environ})
    handler = signal.getsignal(signal.SIGTERM)  # which Ray replaces by one of its own as it is imported
    try:
        import ray
    except ImportError as error:
        raise InputError("a Ray cluster needs the package ray: pip install d3s-vot[ray]") from error
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        if host and port.isdigit():  # nobody there is said at once, and without Ray's own lines
            socket.create_connection((host, int(port)), PATIENCE).close()
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, OverflowError, ValueError, RuntimeError) as error:
        raise InputError(f"no Ray cluster can be used at {address}: {error}") from error
    finally:
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) != handler:
            signal.signal(signal.SIGTERM, handler)
    return ray


def _slots(nodes: list[dict[str, float]], threads: int, gpu: bool) -> int:
    """How many jobs the cluster can run at once."""
    return sum(int(min(node.get("CPU", 0) // threads, node.get("GPU", 0) if gpu else float("inf"))) for node in nodes)


def _result(ray: ModuleType, done: Any) -> Any:
    try:
        return ray.get(done)
    except ray.exceptions.RayTaskError as error:  # a job's own errors come as results
        return Refusal(D3SError(f"a node of the cluster cannot do its part: {describe(error.cause)}"))
    except ray.exceptions.RayError as error:
        return Failure(f"the worker died ({type(error).__name__}, says Ray)")
