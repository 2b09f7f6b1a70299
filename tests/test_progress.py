"""Progress on a terminal and elsewhere."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from contextlib import redirect_stderr

import pytest

from d3s_vot import progress as module
from d3s_vot.progress import Progress


class Terminal(io.StringIO):
    """A stderr that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the seconds since the start."""
    monkeypatch.setattr(module.time, "monotonic", lambda: 100.0)
    return lambda seconds: monkeypatch.setattr(module.time, "monotonic", lambda: 100.0 + seconds)


def test_lines_at_intervals_and_at_the_end(clock: Callable[[float], None], capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(1000, count=4) as progress:
        clock(4)
        progress.advance(100, "car1")  # too early for a line
        clock(10)
        progress.advance(400, "car2")
        clock(19)
        progress.advance(300, "car3")
        progress.note("car3 failed: the frames are empty")
        clock(25)
        progress.advance(200, "car4")
        clock(26)
    assert capsys.readouterr() == (
        "",
        "2 of 4 sequences, 500 of 1000 frames (50 %), 50.0 frames/s, 0:00:10 left, car2\n"
        "car3 failed: the frames are empty\n"
        "4 of 4 sequences, 1000 of 1000 frames (100 %), 40.0 frames/s, car4\n",
    )


def test_an_earlier_run_counts_as_done_but_not_for_the_rate(
    clock: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress(9000, count=30, done=6000, finished=20) as progress:
        clock(20)
        progress.advance(1000, "car21")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "21 of 30 sequences, 7000 of 9000 frames (77 %), 50.0 frames/s, 0:00:40 left, car21"


def test_an_unknown_total(clock: Callable[[float], None], capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(None) as progress:
        clock(10)
        progress.advance(250)
    assert capsys.readouterr().err.splitlines()[0] == "250 frames, 25.0 frames/s"


def test_an_interrupted_run_ends_with_how_far_it_was(
    clock: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(KeyboardInterrupt), Progress(100, "pixels", "images", 2) as progress:
        clock(5)
        progress.advance(50)
        raise KeyboardInterrupt
    assert capsys.readouterr().err == "1 of 2 images, 50 of 100 pixels (50 %), 10.0 pixels/s, 0:00:05 left\n"


def test_a_bar_on_a_terminal() -> None:
    pytest.importorskip("tqdm", reason="needs the package tqdm")
    with redirect_stderr(Terminal()) as terminal, Progress(1000, count=3, done=200, finished=1) as progress:
        progress.advance(300, "car1")
        progress.note("car1 failed")
        progress.advance(500, "car2")
    text = terminal.getvalue()
    assert "\rcar1 failed\n" in text
    last = text.rstrip("\n").rpartition("\r")[2]
    assert last.startswith("3 of 3 sequences: 100%|") and "| 1000/1000 [" in last
    assert "frames/s" in last and "car2" in last


def test_a_bar_of_unknown_length() -> None:
    pytest.importorskip("tqdm", reason="needs the package tqdm")
    with redirect_stderr(Terminal()) as terminal, Progress(None) as progress:
        progress.advance(7)
    assert terminal.getvalue().rstrip("\n").rpartition("\r")[2].startswith("7 frames [")


def test_a_terminal_without_tqdm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with redirect_stderr(Terminal()) as terminal, Progress(10) as progress:
        progress.advance(10)
    assert terminal.getvalue().startswith("10 of 10 frames (100 %), ")
