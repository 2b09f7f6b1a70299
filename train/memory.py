"""Settings of the process, and the precision, that a run is faster with."""

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


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """The precision of a name: "auto" is bfloat16 but for CPUs that do not compute in it, where it takes twenty times
    as long as float32."""
    if name == "auto":
        slow = device.type == "cpu" and not torch.ops.mkldnn._is_mkldnn_bf16_supported()
        name = "float32" if slow else "bfloat16"
    return getattr(torch, name)
