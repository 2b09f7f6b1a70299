"""The surroundings in which the tracker computes: its own, whatever the caller has set for other networks.

Answers are the same bit for bit inside `torch.autocast`, after `torch.set_float32_matmul_precision("medium")`, in any
grad mode and in a forked process. The number of threads is the caller's: rounding depends on it. Default dtype and
default device are not set here; every tensor of the tracker names its own.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import copy_context
from typing import Any, ParamSpec, TypeVar

import torch

P = ParamSpec("P")
T = TypeVar("T")


class _Shared:
    """Settings of the whole process, held while any thread needs them: set by the first, restored by the last."""

    def __init__(self, make: Callable[[], AbstractContextManager[None]]) -> None:
        self._make, self._lock = make, threading.Lock()
        self._held, self._holders = ExitStack(), 0
        if hasattr(os, "register_at_fork"):  # not on Windows
            os.register_at_fork(after_in_child=self._forget)

    def __enter__(self) -> None:
        with self._lock:
            if self._holders == 0:
                self._held.enter_context(self._make())
            self._holders += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._holders -= 1
            if self._holders == 0:
                self._held.close()

    def _forget(self) -> None:
        """The threads that held the settings are not in the new process."""
        self._lock, self._holders = threading.Lock(), 0
        self._held.close()


@contextmanager
def _full(setting: Any) -> Iterator[None]:
    """One of torch's settings for products of float32 numbers at full precision, then as it was."""
    before = setting.fp32_precision
    setting.fp32_precision = "ieee"
    try:
        yield
    finally:
        setting.fp32_precision = "none"  # as a more general setting says
        if setting.fp32_precision != before:
            setting.fp32_precision = before


@contextmanager
def _full_precision() -> Iterator[None]:
    """float32 throughout, and cuDNN without autotuning: the same input gives the same output."""
    backends: Any = torch.backends
    with ExitStack() as stack:
        stack.enter_context(_full(backends.mkldnn.conv))
        stack.enter_context(_full(backends.mkldnn.matmul))
        if torch.cuda.is_initialized():
            deterministic = torch.backends.cudnn.flags(True, benchmark=False, deterministic=True, allow_tf32=False)
            stack.enter_context(deterministic)
            stack.enter_context(_full(backends.cudnn.conv))
            stack.enter_context(_full(backends.cuda.matmul))
        yield


_PRECISION = _Shared(_full_precision)


@contextmanager
def exact() -> Iterator[None]:
    """Inference mode, no autocast, full precision."""
    with (
        _PRECISION,
        torch.autocast("cpu", enabled=False),
        torch.autocast("cuda", enabled=False),
        torch.inference_mode(),
    ):
        yield


def computes(function: Callable[P, T]) -> Callable[P, T]:
    """Marks what a caller enters the tracker's arithmetic by: it runs inside `exact`."""

    @functools.wraps(function)
    def inside(*args: P.args, **kwargs: P.kwargs) -> T:
        with exact():
            return function(*args, **kwargs)

    @functools.wraps(function)
    def entered(*args: P.args, **kwargs: P.kwargs) -> T:
        if threading.get_ident() == _forked:
            return _elsewhere(lambda: inside(*args, **kwargs))
        return inside(*args, **kwargs)

    return entered


_forked: int | None = None  # the thread that a fork began this process with


def _begin_process() -> None:
    global _forked
    _forked = threading.get_ident()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_process)


def _elsewhere(work: Callable[[], T]) -> T:
    """Work done by a new thread.

    The thread that comes through a fork would wait for ever for OpenMP's other threads, which do not come through; a
    new one gets new ones.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(copy_context().run, work).result()
