"""What a run tells while it goes: lines on the terminal, `log.csv`, TensorBoard."""

from __future__ import annotations

import contextlib
import csv
import io
import logging
import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from d3s_vot.files import write_whole
from train.errors import DataError
from train.validation import NAMES, Scores, Sheet, write_sheet

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Row:
    """A line of `log.csv`.

    Attributes:
        iteration: steps done.
        loss: mean since the last row.
        validation: latest, nan before the first.
        learning_rate: of the last step.
        pairs_per_second: of all processes, since the last row; validation does not count.
        waiting: share of that time, 0..1, in which the first process waited for data.
        skipped: broken pictures met since the run began.
    """

    iteration: int
    loss: float
    validation: float
    learning_rate: float
    pairs_per_second: float
    waiting: float
    skipped: int

    def formatted(self) -> list[str]:
        """As `log.csv` has it."""
        forms = ("d", ".6f", ".4f", ".3e", ".1f", ".3f", "d")
        return [format(value, form) for value, form in zip(astuple(self), forms, strict=True)]


COLUMNS = [field.name for field in fields(Row)]


class Meter:
    """Time between rows, without what `pause` takes."""

    def __init__(self) -> None:
        self.since = time.monotonic()
        self.waited, self.steps = 0.0, 0

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """While the data of a step are waited for."""
        asked = time.monotonic()
        yield
        self.waited += time.monotonic() - asked
        self.steps += 1

    @contextlib.contextmanager
    def pause(self) -> Iterator[None]:
        """While something else is done than training."""
        begun = time.monotonic()
        yield
        self.since += time.monotonic() - begun

    def lap(self) -> tuple[float, float]:
        """Steps per second since the last lap, and the share of the time spent waiting."""
        now = time.monotonic()
        seconds, waited, steps = max(now - self.since, 1e-6), self.waited, self.steps
        self.since, self.waited, self.steps = now, 0.0, 0
        return steps / seconds, min(waited / seconds, 1.0)


class Report:
    """Writes the rows and sheets of a run.

    Args:
        output: folder of the run.
        iterations: of the whole run.
        tensorboard: whether to write `output/tensorboard` too.
        measure: of the validation, in a word.

    Raises:
        DataError: TensorBoard is asked for and not installed.
    """

    def __init__(self, output: Path, iterations: int, tensorboard: bool, measure: str = "iou") -> None:
        self.output, self.iterations, self.measure = output, iterations, measure
        self.path = output / "log.csv"
        self.with_tensorboard = tensorboard
        self.writer: Any = None
        if tensorboard:
            _summary_writer()

    def begin(self, iteration: int) -> None:
        """Keep the rows up to this iteration, drop what a killed run wrote after it.

        Raises:
            OSError: the log cannot be written.
        """
        heading = [f"validation_{self.measure}" if name == "validation" else name for name in COLUMNS]
        rows = [heading, *_rows_until(self.path, iteration)] if iteration else [heading]
        text = io.StringIO(newline="")
        csv.writer(text).writerows(rows)
        write_whole(self.path, text.getvalue().encode())
        if self.with_tensorboard:
            folder = self.output / "tensorboard"
            self.writer = _summary_writer()(str(folder), purge_step=iteration + 1 if iteration else None)

    def row(self, row: Row, minutes_left: float) -> None:
        """Write a row everywhere; a blank on the terminal for what is not known yet."""
        skipped = f"  skipped {row.skipped}" if row.skipped else ""
        log.info(
            "iteration %d of %d  loss %.4f  %s %.3f  %.1f pairs/s  waiting %.0f %%  %.0f min left%s",
            row.iteration, self.iterations, row.loss, NAMES.get(self.measure, self.measure), row.validation,
            row.pairs_per_second, 100 * row.waiting, minutes_left, skipped,
        )  # fmt: skip
        with self.path.open("a", newline="") as file:
            csv.writer(file).writerow(row.formatted())
        if self.writer is not None:
            for name in ("loss", "learning_rate", "pairs_per_second", "waiting", "skipped"):
                self.writer.add_scalar(name, getattr(row, name), row.iteration)
            self.writer.flush()

    def validation(self, iteration: int, scores: Scores, sheet: Sheet) -> None:
        """Write the sheet, and the scores to TensorBoard."""
        write_sheet(self.output / "pairs.png", sheet)
        if self.writer is not None:
            for name, score in (scores.collections | {"all": scores.overall}).items():
                self.writer.add_scalar(f"validation_{self.measure}/{name}", score.value, iteration)
            self.writer.add_image("pairs", sheet, iteration, dataformats="HWC")
            self.writer.flush()

    def end(self) -> None:
        """Close what is open."""
        if self.writer is not None:
            self.writer.close()


def _rows_until(path: Path, iteration: int) -> list[list[str]]:
    """The whole rows of a log up to an iteration; a kill may have cut off the last."""
    if not path.is_file():
        return []
    with path.open(newline="", errors="replace") as file:
        rows = list(csv.reader(file))
    return [r for r in rows if len(r) == len(COLUMNS) and r[0].isdigit() and int(r[0]) <= iteration]


def _summary_writer() -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise DataError(
            "--tensorboard needs the package tensorboard; install it with `pip install 'd3s-vot[train]'`"
        ) from error
    return SummaryWriter
