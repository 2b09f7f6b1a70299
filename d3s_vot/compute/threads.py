"""How many CPU threads the libraries use, and how these wait for each other."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

SPINS = "10000"  # some tens of microseconds; GNU OpenMP's own 300,000 are a millisecond


def wait_briefly() -> None:
    """Let threads with nothing to do sleep soon, where torch is not loaded yet and the user has not said otherwise.

    By default they keep their core busy for a while, in case there is more to do. That costs whatever else runs there:
    another process, or OpenVINO's threads between two of torch's steps. To sleep at once costs the preset exact more
    than a third of its speed, but doubles it on a machine whose cores others use (`benchmarks/busy.py`), so it is
    chosen where that is so at the start. No answer depends on it.
    """
    if "torch" in sys.modules or "OMP_WAIT_POLICY" in os.environ or "GOMP_SPINCOUNT" in os.environ:
        return  # they are read when torch is loaded
    if all(cores_are_taken() for _ in _moments()):
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    else:
        os.environ["GOMP_SPINCOUNT"] = SPINS


def _moments() -> Iterator[None]:
    """Some, as what ends in a moment need not be minded."""
    for _ in range(3):
        yield
        time.sleep(0.002)


def cores_are_taken(statistics: Path = Path("/proc/stat")) -> bool:
    """Whether there is as much to compute as the machine has cores, without this process; False where nobody knows.

    Args:
        statistics: the kernel's, as Linux has them.
    """
    try:
        lines = statistics.read_text().splitlines()
    except OSError:
        return False
    running = next((int(line.split()[1]) for line in lines if line.startswith("procs_running ")), 0)
    return running - 1 >= (os.cpu_count() or 1)


def use_threads(count: int | None) -> None:
    """Set the number of CPU threads of PyTorch and OpenCV; None leaves them as they are."""
    if count is None:
        return
    import cv2  # both take long to import, and a program that sets nothing may need neither
    import torch

    torch.set_num_threads(count)
    cv2.setNumThreads(count)
