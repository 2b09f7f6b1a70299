"""Settings of the process that a run on the CPU is faster with."""

from __future__ import annotations

import ctypes
import os
import sys

import torch

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
KEPT = 2**30  # bytes


def use_cpu_well(workers: int) -> None:
    """Leave the workers a core each, and let freed memory stay with the process.

    glibc gives a large block back to the system when it is freed, and asks for a fresh one, which the system first
    clears: that is a third of the time of a step. Two processes that share cores with torch's threads wait for each
    other. Workers that are forked later inherit the first setting.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):  # glibc alone
            libc.mallopt(M_MMAP_THRESHOLD, KEPT)
            libc.mallopt(M_TRIM_THRESHOLD, KEPT)
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max((os.cpu_count() or 1) - workers, 1))
