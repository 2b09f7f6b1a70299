"""How many CPU threads the libraries use, and how these wait for each other."""

from __future__ import annotations

import os
import sys

SPINS = "10000"  # some tens of microseconds; GNU OpenMP's own 300,000 are a millisecond


def wait_briefly() -> None:
    """Let threads with nothing to do sleep soon, where torch is not loaded yet and the user has not said otherwise.

    By default they keep their core busy for a while, in case there is more to do. That costs whatever else runs there:
    another process, or OpenVINO's threads between two of torch's steps. To sleep at once costs the preset exact more
    than a third of its speed (`benchmarks/busy.py`).
    """
    if "torch" not in sys.modules and "OMP_WAIT_POLICY" not in os.environ:  # it is read when torch is loaded
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)


def use_threads(count: int | None) -> None:
    """Set the number of CPU threads of PyTorch and OpenCV; None leaves them as they are."""
    if count is None:
        return
    import cv2  # both take long to import, and a program that sets nothing may need neither
    import torch

    torch.set_num_threads(count)
    cv2.setNumThreads(count)
