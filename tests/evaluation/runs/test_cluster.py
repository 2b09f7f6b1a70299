"""Jobs on a Ray cluster of two nodes on this machine, one of which is killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from waiting import PATIENCE, alive, wait_until

import d3s_vot
from d3s_vot.errors import CheckpointError, InputError
from d3s_vot.evaluation.runs.cluster import _slots
from d3s_vot.evaluation.runs.jobs import run_jobs
from d3s_vot.evaluation.runs.pools import Failure, Place, Pool

MEMORY = 80 << 20  # bytes of each node's object store
LONGEST = 30  # characters of a folder: Ray puts sockets some 70 deeper, and the system allows 107


def start(folder: Path, seconds: float, place: Place) -> Callable[[str], str]:
    """A worker that takes a time for a job, and notes its process and the job in the folder."""
    (folder / f"start-{os.getpid()}").touch()

    def work(job: str) -> str:
        (folder / f"job-{job}").touch()
        if job == "raise":
            raise ValueError("no such frame")
        if job == "die":
            os._exit(3)
        time.sleep(600 if job.startswith("sleep") else seconds)
        return f"{job} {place}"

    return work


def start_without_weights(place: Place) -> Callable[[str], str]:
    """A worker that finds no weights."""
    raise CheckpointError("there are no weights")


def pids(folder: Path) -> list[int]:
    """The processes of the workers."""
    return [int(path.name.partition("-")[2]) for path in folder.glob("start-*") if path.name != f"start-{os.getpid()}"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of one CPU each; their processes get a stand-in for torch, which takes seconds to import."""
    pytest.importorskip("ray", reason="needs the package ray")
    places = [place for place in (tempfile.gettempdir(), "/tmp", "/var/tmp") if len(place) <= LONGEST]
    usable = [place for place in places if os.access(place, os.W_OK | os.X_OK)]
    if not usable:
        pytest.skip("Ray needs a folder for temporary files with a short path")
    with (
        tempfile.TemporaryDirectory(prefix="ray", dir=usable[0]) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("RAY_TMPDIR", folder)  # in which it expects a folder that another part of it makes
        (Path(folder) / "ray").mkdir()
        (Path(folder) / "torch.py").write_text("def set_num_threads(count): pass\n")
        paths = [Path(folder), Path(__file__).parent, Path(__file__).parents[2], Path(d3s_vot.__file__).parents[1]]
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, paths)))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        from ray.cluster_utils import Cluster

        quick = {
            "health_check_initial_delay_ms": 0,
            "health_check_period_ms": 500,
            "health_check_failure_threshold": 4,
        }
        node = {"num_cpus": 1, "num_gpus": 0, "object_store_memory": MEMORY, "include_dashboard": False}
        head = {**node, "temp_dir": f"{folder}/ray", "_system_config": quick}
        nodes = Cluster(initialize_head=True, head_node_args=head)
        try:
            nodes.add_node(**node)
            yield nodes
        finally:
            nodes.shutdown()


def test_a_killed_node_costs_nothing(cluster: Any, tmp_path: Path) -> None:
    """All jobs are done, as without a cluster; one that raises and one that kills its process fail alone."""
    jobs = [f"car{i}" for i in range(6)]
    here = dict(run_jobs(partial(start, tmp_path, 0), jobs, Pool(device="cpu")))
    there = {}
    jobs += ["raise", "die"]
    for job, result in run_jobs(partial(start, tmp_path, 0.6), jobs, Pool(ray=cluster.address)):
        if not there:
            (other,) = cluster.worker_nodes
            cluster.remove_node(other, allow_graceful=False)
        there[job] = result
    failures = there.pop("raise"), there.pop("die")
    assert there == here
    assert failures[0].reason.startswith("ValueError: no such frame (test_cluster.py, line ")
    assert failures[1] == Failure("the worker died (WorkerCrashedError, says Ray)")
    assert not any(map(alive, pids(tmp_path)))


def test_a_worker_that_cannot_start_ends_the_run(cluster: Any) -> None:
    with pytest.raises(CheckpointError, match=r"^there are no weights$"):
        list(run_jobs(start_without_weights, ["a", "b"], Pool(ray=cluster.address)))


def test_closing_the_iterator_ends_the_jobs(cluster: Any, tmp_path: Path) -> None:
    jobs = ["a", "sleep-1", "sleep-2", "b"]
    results = run_jobs(partial(start, tmp_path, 0), jobs, Pool(ray=cluster.address))
    assert next(results) == ("a", "a Place(device='cpu', threads=1)")
    wait_until(lambda: (tmp_path / "job-sleep-1").exists(), "the second job")
    results.close()
    wait_until(lambda: not any(map(alive, pids(tmp_path))), "all ended")
    assert not (tmp_path / "job-b").exists()


PROGRAM = """
import sys
from functools import partial
from pathlib import Path
from d3s_vot.evaluation.runs.jobs import run_jobs
from d3s_vot.evaluation.runs.pools import Pool
from d3s_vot.interrupts import interruptible
from test_cluster import start

try:
    with interruptible():
        list(run_jobs(partial(start, Path(sys.argv[1]), 0), ["sleep-1", "sleep-2"], Pool(ray=sys.argv[2])))
except KeyboardInterrupt:
    sys.exit("interrupted")
"""


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGHUP])
def test_a_program_that_is_told_to_end(cluster: Any, tmp_path: Path, kind: signal.Signals) -> None:
    """Ray, which has a way of its own to end on SIGTERM, leaves it to the program; the jobs end with it."""
    (tmp_path / "program.py").write_text(PROGRAM)
    arguments = [sys.executable, str(tmp_path / "program.py"), str(tmp_path), cluster.address]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) as program:
        wait_until(lambda: (tmp_path / "job-sleep-1").exists(), "a job", program)
        program.send_signal(kind)
        _, said = program.communicate(timeout=PATIENCE)
    assert (program.returncode, said.splitlines()[-1:]) == (1, ["interrupted"])
    wait_until(lambda: not any(map(alive, pids(tmp_path))), "all ended")


@pytest.mark.parametrize(
    ("switches", "text"),
    [
        ({"threads": 64}, "has 64 CPUs; choose fewer threads or another device"),
        ({"device": "cuda"}, "has 1 CPUs and a GPU; choose fewer threads or another device"),
    ],
)
def test_no_node_is_large_enough(cluster: Any, switches: dict, text: str) -> None:
    with pytest.raises(InputError, match=rf"^no node of the Ray cluster at {cluster.address} {text}$"):
        list(run_jobs(start_without_weights, ["a"], Pool(ray=cluster.address, **switches)))


def test_jobs_at_once() -> None:
    nodes = [{"CPU": 5.0, "GPU": 1.0}, {"CPU": 3.0}, {"memory": 1.0}]
    assert [_slots(nodes, threads, gpu=False) for threads in (1, 2, 4, 8)] == [8, 3, 1, 0]
    assert _slots(nodes, 2, gpu=True) == 1


def test_nobody_answers() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(InputError, match=f"^no Ray cluster can be used at {address}: .*refused"):
            list(run_jobs(start_without_weights, ["a"], Pool(ray=address)))


def test_no_address() -> None:
    pytest.importorskip("ray", reason="needs the package ray")
    with pytest.raises(InputError, match=r"^no Ray cluster can be used at here: Invalid address format: here$"):
        list(run_jobs(start_without_weights, ["a"], Pool(ray="here")))


def test_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"^a Ray cluster needs the package ray: pip install d3s-vot\[ray\]$"):
        list(run_jobs(start_without_weights, ["a"], Pool(ray="auto")))
