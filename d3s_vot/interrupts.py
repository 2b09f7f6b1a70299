"""Signals that tell the program to end, heeded where that does no harm: one room for every command that writes.

They are Ctrl-C (SIGINT), SIGTERM (`kill`, `timeout`, docker stop, Slurm, systemd) and SIGHUP (a closed terminal), and
mean the same: what is done stands whole under its name, the rest is for another run.

    with interruptible():                # around a whole command; `Interrupted` may come anywhere in it,
        for name in names:
            result = compute(name)
            with uninterrupted():        # but not here: it waits until the block is done
                write(result)

A second signal, a moment later or more, ends the program at once, as the system does it, wherever it is. A signal that
the caller has the program ignore (Ctrl-C in the background job of a script, SIGHUP under nohup) stays ignored. Only
the main thread hears of signals: in others both contexts do nothing. A forked process begins without them.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

# Put back in the other order: of the handlers before ours, Python's own one of Ctrl-C raises.
KINDS = [getattr(signal, name) for name in ("SIGINT", "SIGHUP", "SIGTERM") if hasattr(signal, name)]
# Seconds within which signals are one wish: `timeout` and closing terminals tell a process and its group, systemd
# sends two kinds.
ONE_WISH = 1.0


class Interrupted(KeyboardInterrupt):
    """The program was told to end; handled like Ctrl-C, whichever signal it was."""


class Signals:
    """A context in which a signal raises `Interrupted`, or waits; from `interruptible` and `uninterrupted`.

    Attributes:
        asked: the signal that came; None: none did.
        when: it came, by the monotonic clock.
        at_once: whether a second signal ends the program.
    """

    def __init__(self, raises: bool, at_once: bool) -> None:
        self.asked: signal.Signals | None = None
        self.when = 0.0
        self.at_once = at_once
        self._raises = raises
        self._inside = False  # between entering and leaving, so that neither is left half done

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            _contexts.append(self)
            if len(_contexts) == 1:
                _install()
            if self._raises and any(context.asked for context in _contexts):  # before, or by now
                _leave(self)
                raise Interrupted
            self._inside = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        seen = self._raises and self.asked is not None  # it has raised, and if that goes no farther, was seen to
        self._inside = False
        if self not in _contexts:
            return
        _leave(self)
        if self.asked is None:
            return
        if _contexts and not (seen and not isinstance(error, Interrupted)):
            _contexts[-1].note(self.asked, self.when, told=seen)
        elif not seen:
            signal.raise_signal(self.asked)  # to whoever heeded it before

    def settle(self) -> None:
        """What the signal wants is done; nobody else hears of it."""
        for context in _contexts:
            context.asked = None

    def note(self, kind: signal.Signals, when: float, told: bool = False) -> None:
        """A signal has come.

        Args:
            kind: of signal.
            when: by the monotonic clock.
            told: whether `Interrupted` is on its way.

        Raises:
            Interrupted: the context is interruptible.
        """
        self.asked, self.when = kind, when
        if self._raises and self._inside and not told:
            raise Interrupted


def interruptible() -> Signals:
    """A context that is left with `Interrupted` as soon as a signal comes."""
    return Signals(raises=True, at_once=True)


def uninterrupted(at_once: bool = True) -> Signals:
    """A context that is done before a signal is heeded; inside, `asked` tells whether one came.

    Unless it is settled, the signal is passed on at the end: `Interrupted` comes in an `interruptible` context, and
    what the caller's program makes of the signal where there is none.

    Args:
        at_once: whether a second signal ends the program. Not among the processes of torchrun, which hands on to them
            the Ctrl-C that they have got from the terminal already.
    """
    return Signals(raises=False, at_once=at_once)


_contexts: list[Signals] = []  # in force, the innermost last
_before: dict[signal.Signals, Any] = {}  # handlers to put back
_terminals: list[int] = []  # descriptors of the output that were terminals


def _install() -> None:
    _terminals[:] = [number for number in (1, 2) if os.isatty(number)]
    for kind in KINDS:
        handler = signal.getsignal(kind)
        if handler not in (signal.SIG_IGN, None):  # None: of another language, so it could not be put back
            _before[kind] = handler
            signal.signal(kind, _heed)


def _restore() -> None:
    while _before:
        signal.signal(*_before.popitem())


def _leave(context: Signals) -> None:
    """Leave a context, and those in it that an exception kept from leaving."""
    del _contexts[_contexts.index(context) + 1 :]
    if len(_contexts) == 1:
        _restore()
    _contexts.remove(context)


def _heed(number: int, _: FrameType | None) -> None:
    kind, now = signal.Signals(number), time.monotonic()
    _leave_closed_terminals()
    earlier = [context.when for context in _contexts if context.asked is not None]
    if not earlier:
        _contexts[-1].note(kind, now)
    elif now - min(earlier) > ONE_WISH and all(context.at_once for context in _contexts):
        signal.signal(kind, signal.SIG_DFL)
        signal.raise_signal(kind)


def _leave_closed_terminals() -> None:
    """Words to a terminal that is gone are errors; they go nowhere instead."""
    for number in _terminals:
        if not os.isatty(number):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, number)
            os.close(nowhere)


def _forget() -> None:
    """A forked process has its parent's handlers, but not its work."""
    _contexts.clear()
    _restore()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
