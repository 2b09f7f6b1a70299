"""Where the time of a frame goes: functions carry the name of their stage, and a `Stopwatch` adds them up.

Without a stopwatch a stage costs one look at a variable. A stopwatch sees the thread that it was started in.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
T = TypeVar("T")

_running: ContextVar[Stopwatch | None] = ContextVar("stopwatch", default=None)


def stage(name: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Marks a function as a stage; the stages it calls are taken off its own time."""

    def mark(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def timed(*args: P.args, **kwargs: P.kwargs) -> T:
            watch = _running.get()
            if watch is None:
                return function(*args, **kwargs)
            watch.switch(name)
            try:
                return function(*args, **kwargs)
            finally:
                watch.back()

        return timed

    return mark


class Stopwatch:
    """Collects seconds per stage while it is the context manager in force; one at a time.

    Attributes:
        seconds: of each stage since the last `lap`.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._stack: list[str] = []
        self._since = 0.0
        self._wait = torch.cuda.synchronize if torch.cuda.is_available() else lambda: None

    def __enter__(self) -> Stopwatch:
        self._before = _running.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _running.reset(self._before)

    def switch(self, name: str) -> None:
        """A stage begins."""
        self._book()
        self._stack.append(name)

    def back(self) -> None:
        """The innermost stage ends."""
        self._book()
        self._stack.pop()

    def lap(self) -> dict[str, float]:
        """The seconds of each stage since the last lap."""
        lap, self.seconds = self.seconds, {}
        return lap

    def _book(self) -> None:
        """Adds the time since the last change to the stage in force."""
        self._wait()
        now = time.perf_counter()
        if self._stack:
            self.seconds[self._stack[-1]] = self.seconds.get(self._stack[-1], 0.0) + now - self._since
        self._since = now
