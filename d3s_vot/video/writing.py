"""Answers into outputs: progress on the way, a sum at the end, and whole files whatever ends it."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

from d3s_vot.errors import D3SError
from d3s_vot.interrupts import interruptible, uninterrupted
from d3s_vot.prediction import Prediction
from d3s_vot.progress import Progress
from d3s_vot.video.follow import Answers
from d3s_vot.video.outputs import Output
from d3s_vot.video.outputs.tables import CsvTable
from d3s_vot.video.sources import Frame


def write_answers(
    answers: Iterator[tuple[Frame, Answers]],
    output: Output,
    count: int | None = None,
    endless: bool = False,
    labels: Sequence[str] | None = None,
) -> None:
    """Write one frame after another and say on stderr how far it is, and in the end what came of it.

    Args:
        answers: from `follow`.
        output: closed at the end, whatever that is.
        count: how many frames will come; None: unknown.
        labels: a word for each target; by default its number.
        endless: whether Ctrl-C, or what else `interrupts` knows, is the usual end.

    Raises:
        D3SError: it was interrupted, or the disk is full; the files hold the frames so far.
    """
    tally = Tally(labels)
    rows_tell = output.prints and sys.stdout.isatty()
    progress = None if rows_tell else Progress(count)
    with uninterrupted() as signals:  # so that all files end with the same frame
        try:
            with progress or nullcontext(), _notes(progress):
                while (answer := _next(answers)) is not None:
                    output.write(*answer)
                    tally.add(answer[1])
                    if progress is not None:
                        progress.advance(1, _lost(answer[1], labels))
        except KeyboardInterrupt:
            signals.settle()  # what it wants is done once the files are closed
            if not endless:
                raise D3SError(f"interrupted; what is written ends after {_frames(tally.frames)}") from None
        finally:
            output.close()
            print(tally, file=sys.stderr)


def _next(answers: Iterator[tuple[Frame, Answers]]) -> tuple[Frame, Answers] | None:
    """What is worth being broken off; None: there is no more."""
    with interruptible():
        return next(answers, None)


def _lost(predictions: Sequence[Prediction | None], labels: Sequence[str] | None) -> str:
    hidden = [k for k, answer in enumerate(predictions) if answer is not None and not answer.visible]
    if not hidden:
        return ""
    if len(predictions) == 1:
        return "not visible"
    if labels is not None:
        return f"{', '.join(labels[k] for k in hidden)} not visible"
    return f"target {', '.join(str(k + 1) for k in hidden)} not visible"


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"


class Tally:
    """What a run came to, as one line; its clock starts with it."""

    def __init__(self, labels: Sequence[str] | None = None) -> None:
        self.frames = 0
        self._labels = labels
        self._confidence: dict[int, list[float]] = {}  # sum and count for each target
        self._hidden: dict[int, int] = {}
        self._began = time.monotonic()

    def add(self, predictions: Sequence[Prediction | None]) -> None:
        """Count a frame."""
        self.frames += 1
        for k, answer in enumerate(predictions):
            if answer is not None:
                total = self._confidence.setdefault(k, [0.0, 0])
                total[0] += answer.confidence
                total[1] += 1
                self._hidden[k] = self._hidden.get(k, 0) + (not answer.visible)

    def __str__(self) -> str:
        seconds = time.monotonic() - self._began
        text = f"{_frames(self.frames)} in {seconds:.1f} s ({self.frames / max(seconds, 1e-9):.1f} frames/s)"
        for k, (total, count) in self._confidence.items():
            label = f"target {k + 1}" if self._labels is None else self._labels[k]
            text += f"; {label}: " if len(self._confidence) > 1 else "; "
            text += f"mean confidence {total / count:.2f}, not visible in {_frames(self._hidden[k])}"
        return text


class PrintedCsv(CsvTable):
    """The rows of `CsvTable` on standard output, as they come."""

    prints = True

    def __init__(self) -> None:
        self._head = self.HEAD

    def write(self, frame: Frame, predictions: Sequence[Prediction | None]) -> None:
        rows = self._head + self.text(frame, predictions)
        self._head = ""
        try:
            print(rows.replace("\r\n", "\n"), end="", flush=True)
        except BrokenPipeError:
            # Python would complain of the same once more at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise D3SError("nobody reads the rows any more; give --csv FILE to keep them") from None

    def close(self) -> None:
        """Nothing is left to do."""


@contextmanager
def _notes(progress: Progress | None) -> Iterator[None]:
    """What the package logs does not break into the bar."""
    if progress is None:
        yield
        return
    handler, logger = _Notes(progress), logging.getLogger("d3s_vot")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _Notes(logging.Handler):
    def __init__(self, progress: Progress) -> None:
        super().__init__(logging.WARNING)
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        self._progress.note(record.getMessage())
