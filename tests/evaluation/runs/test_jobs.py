"""Jobs in this process and in several: results, failures, deaths, and that nothing is left running."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import pytest
import torch
from waiting import PATIENCE, alive, family, wait_until

import d3s_vot
from d3s_vot.errors import CheckpointError, D3SError, InputError
from d3s_vot.evaluation.runs.jobs import run_jobs
from d3s_vot.evaluation.runs.pools import Failure, Place, Pool, describe
from d3s_vot.regions import Box, box_iou


def start(folder: Path, place: Place) -> Callable[[str], tuple[str, int, int]]:
    """A worker that does what a job says, and notes its process in the folder."""
    (folder / f"start-{os.getpid()}").touch()
    threads = torch.get_num_threads(), cv2.getNumThreads()

    def work(job: str) -> tuple[str, int, int]:
        (folder / f"job-{job}-{os.getpid()}").touch()
        if job.startswith("raise"):
            raise ValueError("first line\nsecond line")
        if job.startswith("refuse"):
            raise InputError("the sequence has no frames")
        if job == "die" or (job == "die-once" and len(list(folder.glob("job-die-once-*"))) == 1):
            os.kill(os.getpid(), signal.SIGKILL)
        if job == "sleep":
            time.sleep(600)
        return job.upper(), *threads

    return work


def start_without_weights(folder: Path, place: Place) -> Callable[[str], str]:
    """A worker that finds no weights."""
    (folder / f"start-{os.getpid()}").touch()
    raise CheckpointError("there are no weights")


def start_broken(place: Place) -> Callable[[str], str]:
    """A worker with a mistake."""
    raise KeyError("weights")


@pytest.fixture
def light_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """New processes get a stand-in for torch, which takes seconds to import; the folder that it is in."""
    folder = tmp_path / "light"
    folder.mkdir()
    (folder / "torch.py").write_text("def set_num_threads(count): pass\ndef get_num_threads(): return 0\n")
    monkeypatch.syspath_prepend(folder)
    return folder


def pids(folder: Path, pattern: str) -> list[int]:
    """The processes that left a note."""
    return [int(path.name.rpartition("-")[2]) for path in folder.glob(pattern)]


def test_in_this_process_in_order_with_its_threads_restored(tmp_path: Path) -> None:
    before = torch.get_num_threads(), cv2.getNumThreads()
    results = list(run_jobs(partial(start, tmp_path), ["a", "raise", "refuse", "b"], Pool(threads=1)))
    assert [job for job, _ in results] == ["a", "raise", "refuse", "b"]
    outcome = dict(results)
    assert outcome["a"] == ("A", 1, 1) and outcome["b"] == ("B", 1, 1)
    assert re.fullmatch(r"ValueError: first line \(test_jobs\.py, line \d+\)", outcome["raise"].reason)
    assert outcome["refuse"] == Failure("the sequence has no frames")
    assert (torch.get_num_threads(), cv2.getNumThreads()) == before
    assert pids(tmp_path, "start-*") == [os.getpid()]


def test_threads_are_restored_when_the_iterator_is_closed(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    results = run_jobs(partial(start, tmp_path), ["a", "b"], Pool(threads=before + 1))
    assert next(results) == ("a", ("A", before + 1, before + 1))
    results.close()
    assert torch.get_num_threads() == before


def test_a_worker_here_that_cannot_start() -> None:
    with pytest.raises(D3SError, match=r"^a worker cannot start: KeyError: 'weights' \(test_jobs\.py, line \d+\)$"):
        list(run_jobs(start_broken, ["a"], Pool()))


def test_no_jobs_start_nothing(tmp_path: Path) -> None:
    assert list(run_jobs(partial(start, tmp_path), [], Pool(workers=2))) == []
    assert not list(tmp_path.iterdir())


def test_an_error_names_our_own_line() -> None:
    with pytest.raises(AttributeError) as caught:
        box_iou(Box(1, 2, 3, 4), "no box")  # type: ignore[arg-type]
    assert re.search(r"^AttributeError: .*\(regions\.py, line \d+\)$", describe(caught.value))


def test_processes(tmp_path: Path) -> None:
    jobs = ["a", "raise", "b", "refuse", "c"]
    outcome = dict(run_jobs(partial(start, tmp_path), jobs, Pool(workers=2, threads=1, device="cpu")))
    assert sorted(outcome) == sorted(jobs)
    assert [outcome[job] for job in ("a", "b", "c")] == [("A", 1, 1), ("B", 1, 1), ("C", 1, 1)]
    assert re.fullmatch(r"ValueError: first line \(test_jobs\.py, line \d+\)", outcome["raise"].reason)
    assert outcome["refuse"] == Failure("the sequence has no frames")
    assert len(pids(tmp_path, "job-raise-*")) == 1
    assert len(pids(tmp_path, "start-*")) == 2
    assert not any(map(alive, pids(tmp_path, "start-*")))


@pytest.mark.usefixtures("light_torch")
def test_a_death_costs_one_more_try_and_two_the_job(tmp_path: Path) -> None:
    jobs = ["die", "a", "die-once", "b"]
    outcome = dict(run_jobs(partial(start, tmp_path), jobs, Pool(workers=2, device="cpu")))
    assert sorted(outcome) == sorted(jobs)
    assert [outcome[job][0] for job in ("a", "b", "die-once")] == ["A", "B", "DIE-ONCE"]
    assert outcome["die"] == Failure("the worker died (signal 9; the memory may be too small)")
    assert len(pids(tmp_path, "job-die-[0-9]*")) == 2 and len(pids(tmp_path, "job-die-once-*")) == 2
    assert not any(map(alive, pids(tmp_path, "start-*")))


@pytest.mark.usefixtures("light_torch")
def test_a_process_that_cannot_start_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"^there are no weights$"):
        list(run_jobs(partial(start_without_weights, tmp_path), ["a", "b", "c"], Pool(workers=2, device="cpu")))
    assert 1 <= len(pids(tmp_path, "start-*")) <= 2
    assert not any(map(alive, pids(tmp_path, "start-*")))


@pytest.mark.usefixtures("light_torch")
def test_closing_the_iterator_ends_the_processes(tmp_path: Path) -> None:
    results = run_jobs(partial(start, tmp_path), ["sleep", "a", "sleep", "b"], Pool(workers=2, device="cpu"))
    assert next(results)[0] == "a"
    wait_until(lambda: len(pids(tmp_path, "job-sleep-*")) == 2, "two jobs")
    results.close()
    assert not any(map(alive, pids(tmp_path, "start-*")))
    assert not list(tmp_path.glob("job-b-*"))


PROGRAM = """
import sys
from functools import partial
from pathlib import Path
from d3s_vot.evaluation.runs.jobs import run_jobs
from d3s_vot.evaluation.runs.pools import Pool
from d3s_vot.interrupts import interruptible
from test_jobs import start

if __name__ == "__main__":
    pool = Pool(workers=2, device="cpu")
    try:
        with interruptible():
            for job, result in run_jobs(partial(start, Path(sys.argv[1])), ["sleep", "sleep"], pool):
                print(job, result)
    except KeyboardInterrupt:
        sys.exit("interrupted")
"""


def launch(folder: Path, light_torch: Path) -> subprocess.Popen[str]:
    """A program with two busy workers, in a group of processes as on a terminal."""
    script = folder / "program.py"
    script.write_text(PROGRAM)
    here = Path(__file__)
    paths = [light_torch, here.parent, here.parents[2], Path(d3s_vot.__file__).parents[1]]
    path = os.pathsep.join(map(str, paths))
    return subprocess.Popen(
        [sys.executable, str(script), str(folder)],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize("early", [False, True], ids=["busy", "starting"])
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGHUP, signal.SIGTERM])
def test_a_signal_ends_all_without_a_word(
    tmp_path: Path, light_torch: Path, early: bool, kind: signal.Signals
) -> None:
    """Ctrl-C and a closed terminal tell all processes of a group, `timeout` does, too."""
    program = launch(tmp_path, light_torch)
    if early:
        wait_until(lambda: len(family(program.pid)) >= 3, "two workers and the tracker of resources", program)
        workers = family(program.pid)
    else:
        wait_until(lambda: len(pids(tmp_path, "job-sleep-*")) == 2, "two jobs", program)
        workers = pids(tmp_path, "start-*")
    os.killpg(program.pid, kind)
    out, err = program.communicate(timeout=PATIENCE)
    assert (program.returncode, out, err) == (1, "", "interrupted\n")
    wait_until(lambda: not any(map(alive, workers)), "all ended")


def test_a_killed_parent_leaves_nobody(tmp_path: Path, light_torch: Path) -> None:
    program = launch(tmp_path, light_torch)
    wait_until(lambda: len(pids(tmp_path, "job-sleep-*")) == 2, "two jobs", program)
    program.kill()
    program.communicate(timeout=PATIENCE)
    wait_until(lambda: not any(map(alive, pids(tmp_path, "start-*"))), "all ended")


def test_gpus_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [place.device for place in Pool(workers=3).places()] == ["cuda:0", "cuda:1", "cuda:0"]
    assert [place.device for place in Pool(workers=2, device="cuda:1").places()] == ["cuda:1", "cuda:1"]
    assert Pool(workers=2, threads=3, device="cpu").places() == [Place("cpu", 3)] * 2
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert Pool().places() == [Place("cpu", 1)]


@pytest.mark.usefixtures("light_torch")
def test_after_a_failure_on_a_gpu_a_new_process(tmp_path: Path) -> None:
    pool = Pool(workers=2, device="cuda:0")
    outcome = dict(run_jobs(partial(start, tmp_path), ["raise", "a", "refuse", "b"], pool))
    assert len(outcome) == 4
    assert len(pids(tmp_path, "job-raise-*")) == 1
    assert pids(tmp_path, "job-raise-*") != pids(tmp_path, "job-refuse-*")


@pytest.mark.parametrize(
    ("switches", "text"),
    [
        ({"workers": 0}, "0 workers of 1 threads: both must be 1 or more"),
        ({"threads": 0}, "1 workers of 0 threads: both must be 1 or more"),
        ({"workers": 2, "ray": "auto"}, "several workers are of this machine and a cluster has its own; choose"),
    ],
)
def test_switches_that_cannot_be(switches: dict, text: str) -> None:
    with pytest.raises(InputError, match=f"^{text}"):
        Pool(**switches)


def test_without_pebble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pebble", None)
    with pytest.raises(InputError, match=r"^several workers need the package pebble: pip install d3s-vot\[got10k\]$"):
        list(run_jobs(partial(start, tmp_path), ["a", "b"], Pool(workers=2)))
