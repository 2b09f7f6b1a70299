"""How many CPU threads the libraries use, and how these wait for each other."""

from __future__ import annotations

import os
import sys


def sleep_while_waiting() -> None:
    """Let threads that have nothing to do sleep, where torch is not loaded yet and the user has not said otherwise.

    By default they keep their core busy for a while, in case there is more to do. That costs whatever else runs there:
    another process, or OpenVINO's threads between two of torch's steps; and on a machine that is busy, threads wait
    for one that waits for the core.
    """
    if "torch" not in sys.modules:  # OpenMP reads it once, when it is loaded
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def use_threads(count: int | None) -> None:
    """Set the number of CPU threads of PyTorch and OpenCV; None leaves them as they are."""
    if count is None:
        return
    import cv2  # both take long to import, and a program that sets nothing may need neither
    import torch

    torch.set_num_threads(count)
    cv2.setNumThreads(count)
