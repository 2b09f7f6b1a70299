"""The VOT toolkit as a program, and a small workspace that it has evaluated with the stand-in tracker."""

from __future__ import annotations

import fcntl
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from waiting import PATIENCE

from d3s_vot.sample.write import write_sample

TESTS = Path(__file__).resolve().parent
VOT = [sys.executable, "-m", "vot"]
SEQUENCES = (
    "cat",
    "shuttle",
    "cup",
)  # two of polygons, one of rectangles; the stand-in fails on the first two

STACK = """
title: a small stack
experiments:
  baseline:
    type: supervised
    repetitions: 15
    skip_initialize: 5
    analyses:
      - type: supervised_average_ar
        sensitivity: 30
      - type: cumulative_failures
      - type: supervised_eao_score
        low: 10
        high: 48
      - type: supervised_eao_curve
  unsupervised:
    type: unsupervised
    repetitions: 1
    analyses:
      - type: average_accuracy
"""
REGISTRY = f"""
[StandIn]
label = StandIn
protocol = traxpython
command = standin
paths = {TESTS}
timeout = {PATIENCE:.0f}
env_LD_LIBRARY_PATH = $LD_LIBRARY_PATH
"""
CONFIG = "registry: [./trackers.ini]\nstack: ./stack.yaml\nsequences: ./sequences\n"


def environment(**settings: str) -> dict[str, str]:
    """That of the toolkit: one thread, no cache of analyses, which would ignore changed results."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "VOT_PERSISTENT_CACHE": "0", **settings}


def vot(*arguments: str, **settings: str) -> str:
    """Runs the toolkit and returns all that it printed; its exit code says little and is not checked."""
    done = subprocess.run(
        [*VOT, *arguments], env=environment(**settings), capture_output=True, text=True, timeout=2 * PATIENCE
    )
    return done.stdout + done.stderr


folder_of_this_run: Path | None = None  # set before the tests; all processes of a run of them have the same


def _made_once(name: str, make: Callable[[Path], object]) -> Path:
    """A folder that is made by whichever process of the run needs it first; one that fails leaves it to the next."""
    assert folder_of_this_run is not None
    folder = folder_of_this_run / name
    with folder.with_suffix(".lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        if not lock.read():
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            lock.write("made")
    return folder


@functools.cache
def sample() -> Path:
    """The folder of all sample sequences, rendered once; do not write to it."""
    return _made_once("sample", write_sample)


def new_workspace(root: Path) -> Path:
    """A workspace without results on three sample sequences."""
    (root / "sequences").mkdir(parents=True)
    for name in SEQUENCES:
        (root / "sequences" / name).symlink_to(sample() / name)
    (root / "sequences" / "list.txt").write_text("\n".join(SEQUENCES) + "\n")
    (root / "trackers.ini").write_text(REGISTRY)
    (root / "stack.yaml").write_text(STACK)
    (root / "config.yaml").write_text(CONFIG)
    return root


def _evaluate(root: Path) -> None:
    new_workspace(root)
    printed = vot("evaluate", "--workspace", str(root), "StandIn")
    printed += vot("analysis", "--workspace", str(root), "--name", "all", "--format", "json", "StandIn")
    assert (root / "analysis" / "all.json").is_file(), printed


@functools.cache
def evaluated() -> Path:
    """A workspace that the toolkit has evaluated and analysed (analysis/all.json); do not write to it."""
    return _made_once("evaluated", _evaluate)


def copy_of_evaluated(root: Path) -> Path:
    """A workspace with the same results, to damage."""
    new_workspace(root)
    shutil.copytree(evaluated() / "results", root / "results")
    return root
