"""Ctrl-C and SIGTERM, heeded where it does no harm."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class StopSignals:
    """A context in which Ctrl-C and SIGTERM are but a wish to stop.

    Args:
        at_once: whether a second Ctrl-C stops at once. Not among the processes of torchrun, which hands on to them
            the Ctrl-C that they have got from the terminal already.

    Attributes:
        asked: whether a signal came.
    """

    def __init__(self, at_once: bool) -> None:
        self.at_once, self.asked = at_once, False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            self._before = {kind: signal.signal(kind, self._note) for kind in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for kind, handler in self._before.items():
            signal.signal(kind, handler)

    def _note(self, kind: int, _: FrameType | None) -> None:
        if self.asked and self.at_once and kind == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = True
