"""Signals that tell to end: what waits for what, twice, ignored, forked, closed terminals."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from d3s_vot import interrupts
from d3s_vot.interrupts import KINDS, Interrupted, interruptible, uninterrupted

KIND = pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
PATIENCE = 60  # seconds


def handlers() -> list[object]:
    return [signal.getsignal(kind) for kind in KINDS]


@KIND
def test_a_signal_comes_between_the_writes_but_not_within(kind: signal.Signals) -> None:
    before, done = handlers(), []
    with pytest.raises(Interrupted), interruptible():
        with uninterrupted() as signals:
            signal.raise_signal(kind)
            done.append(signals.asked)
        done.append("after")
    assert done == [kind] and handlers() == before
    with pytest.raises(Interrupted), interruptible():
        signal.raise_signal(kind)
        done.append("after")
    assert "after" not in done and handlers() == before


def test_what_is_worth_breaking_off_within_what_is_not() -> None:
    before, done = handlers(), []
    with interruptible(), uninterrupted() as signals:
        try:
            with interruptible():
                signal.raise_signal(signal.SIGTERM)
                done.append("after")
        except Interrupted:
            done.append(signals.asked)
            signals.settle()
        signal.raise_signal(signal.SIGTERM)  # another one is heard again
        done.append(signals.asked)
        with pytest.raises(Interrupted), interruptible():  # it has waited for this
            done.append("within")
        signals.settle()
    assert done == [signal.SIGTERM] * 2 and handlers() == before


def test_without_a_command_around_it_the_signal_goes_where_it_went_before() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        with uninterrupted():
            signal.raise_signal(signal.SIGTERM)
            assert not heard
        assert heard == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        signal.raise_signal(signal.SIGINT)


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with interruptible(), uninterrupted() as signals:
            signal.raise_signal(signal.SIGHUP)
            assert signals.asked is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_threads_hear_of_nothing() -> None:
    before, found = handlers(), []

    def work() -> None:
        with interruptible(), uninterrupted() as signals:
            found.extend([signals.asked, *handlers()])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [None, *before]


def test_an_exception_that_keeps_a_context_from_leaving_costs_nothing() -> None:
    before = handlers()
    with pytest.raises(Interrupted), interruptible(), uninterrupted():
        interruptible().__enter__()  # a signal came just before it was to be left
        signal.raise_signal(signal.SIGTERM)
    assert handlers() == before and not interrupts._contexts


def run(body: str, **options: object) -> subprocess.Popen[str]:
    """A program that says "ready" on a line when it can be sent a signal."""
    head = "import os, signal, sys, time\nfrom d3s_vot import interrupts\nfrom d3s_vot.interrupts import *\n"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    environment = {**os.environ, "PYTHONPATH": str(Path(interrupts.__file__).parents[1])}
    return subprocess.Popen([sys.executable, "-c", head + body], text=True, env=environment, **pipes)  # type: ignore


TWICE = """
interrupts.ONE_WISH = {wish}
with interruptible(), uninterrupted(at_once={at_once}):
    os.kill(os.getpid(), signal.{first})
    time.sleep(0.01)
    os.kill(os.getpid(), signal.{second})
    print("whole", flush=True)
print("never")
"""


@pytest.mark.parametrize(
    ("first", "second", "wish", "at_once", "ends"),
    [
        ("SIGINT", "SIGINT", 0, True, True),
        ("SIGTERM", "SIGHUP", 0, True, True),
        ("SIGTERM", "SIGTERM", 60, True, False),  # one wish, told twice
        ("SIGINT", "SIGINT", 0, False, False),
    ],
)
def test_the_second_signal(first: str, second: str, wish: float, at_once: bool, ends: bool) -> None:
    with run(TWICE.format(first=first, second=second, wish=wish, at_once=at_once)) as program:
        out, err = program.communicate(timeout=PATIENCE)
    if ends:
        assert (program.returncode, out) == (-getattr(signal, second), "")
    else:
        assert out == "whole\n" and "Interrupted" in err and program.returncode not in (0, -getattr(signal, second))


def test_a_forked_process_is_ended_as_ever() -> None:
    body = """
with interruptible(), uninterrupted():
    if not (child := os.fork()):
        os.kill(os.getpid(), signal.SIGTERM)
        os._exit(0)
    print(os.WTERMSIG(os.waitpid(child, 0)[1]), signal.getsignal(signal.SIGTERM) == interrupts._heed)
"""
    with run(body) as program:
        assert program.communicate(timeout=PATIENCE)[0].split() == [str(int(signal.SIGTERM)), "True"]


def test_words_to_a_closed_terminal_are_no_error(tmp_path: Path) -> None:
    body = f"""
try:
    with interruptible():
        print("ready", flush=True)
        time.sleep({PATIENCE})
except KeyboardInterrupt:
    print("nobody reads this", flush=True)
    print("nor this", file=sys.stderr, flush=True)
    open({str(tmp_path / "done")!r}, "w").close()
"""
    ours, theirs = pty.openpty()
    program = run(body, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    assert b"ready" in os.read(ours, 100)
    os.close(ours)
    program.send_signal(signal.SIGHUP)  # as the system does to those whose terminal it is
    assert program.wait(PATIENCE) == 0 and (tmp_path / "done").exists()
