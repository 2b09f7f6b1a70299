"""Stages: own time without that of the stages inside, and nothing at all without a stopwatch."""

from __future__ import annotations

import itertools
import threading
import time

import pytest

from d3s_vot.compute.timing import Stopwatch, stage


@stage("inner")
def inner(value: int) -> int:
    return value + 1


@stage("outer")
def outer(value: int) -> int:
    """Adds two."""
    return inner(inner(value))


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock takes a second."""
    clock = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))


def test_time_goes_to_the_innermost_stage(ticks: None) -> None:
    with Stopwatch() as watch:
        assert outer(1) == 3
        # outer begins 0, inner 1..2, inner 3..4, outer ends 5
        assert watch.lap() == {"outer": 3.0, "inner": 2.0}
        inner(1)
        assert watch.lap() == {"inner": 1.0}
    assert outer(1) == 3 and watch.lap() == {}
    assert outer.__doc__ == "Adds two."


def test_an_error_ends_its_stage(ticks: None) -> None:
    @stage("broken")
    def broken() -> None:
        raise ValueError

    with Stopwatch() as watch:
        with pytest.raises(ValueError):
            broken()
        outer(1)
        assert watch.lap() == {"broken": 1.0, "outer": 3.0, "inner": 2.0}


def test_other_threads_are_not_measured(ticks: None) -> None:
    with Stopwatch() as watch:
        watch.switch("rest")
        thread = threading.Thread(target=outer, args=(1,))
        thread.start()
        thread.join()
        watch.back()
        assert watch.lap() == {"rest": 1.0}
