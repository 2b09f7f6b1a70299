"""How far a long command is: a bar on a terminal, a plain line now and then elsewhere; on stderr."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from types import TracebackType
from typing import Any

INTERVAL = 10.0  # seconds between plain lines


class Progress:
    """Counts units of work (frames) and the parts that they come in (sequences).

    The rate is of this run alone, and the time left follows from it; what an earlier run did counts as done.
    Without the package tqdm a terminal gets plain lines too.

    >>> import io, contextlib
    >>> with contextlib.redirect_stderr(io.StringIO()) as text, Progress(30, count=2) as progress:
    ...     progress.advance(20, "car1")
    >>> text.getvalue().startswith("1 of 2 sequences, 20 of 30 frames (66 %), ")
    True
    """

    def __init__(
        self,
        total: int | None,
        unit: str = "frames",
        what: str = "sequences",
        count: int | None = None,
        *,
        done: int = 0,
        finished: int = 0,
    ) -> None:
        """Show nothing yet.

        Args:
            total: units in all; None: unknown, as from a camera.
            unit: what is counted, in the plural.
            what: what the units come in, in the plural.
            count: how many of those in all; None: they are not counted.
            done: units that an earlier run did.
            finished: parts that an earlier run did.
        """
        self._total, self._unit, self._what, self._count = total, unit, what, count
        self._earlier = self._done = done
        self._finished = finished
        self._latest = ""
        self._printed = -1  # parts finished when the last line was printed
        self._started = self._shown = time.monotonic()
        self._bar = self._make_bar() if sys.stderr.isatty() else None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        elif self._printed != self._finished:
            self._print_line()

    def advance(self, units: int, latest: str = "") -> None:
        """One more part is finished.

        Args:
            units: that it has.
            latest: its name, to be shown.
        """
        self._done += units
        self._finished += 1
        self._latest = latest
        if self._bar is not None:
            self._bar.set_description_str(self._parts(), refresh=False)
            self._bar.set_postfix_str(latest, refresh=False)
            self._bar.update(units)
        elif time.monotonic() - self._shown >= INTERVAL:
            self._print_line()

    def note(self, text: str) -> None:
        """A line of its own, such as what failed."""
        if self._bar is not None:
            self._bar.write(text, file=sys.stderr)
        else:
            print(text, file=sys.stderr, flush=True)

    def _make_bar(self) -> Any:
        try:
            from tqdm import tqdm
        except ImportError:
            return None
        return tqdm(
            total=self._total,
            initial=self._done,
            desc=self._parts(),
            unit=f" {self._unit}",
            file=sys.stderr,
            dynamic_ncols=True,
            smoothing=0,  # sequences arrive whole and several at once: only the mean rate means something
        )

    def _parts(self) -> str:
        return "" if self._count is None else f"{self._finished} of {self._count} {self._what}"

    def _print_line(self) -> None:
        self._shown, self._printed = time.monotonic(), self._finished
        rate = (self._done - self._earlier) / max(self._shown - self._started, 1e-9)
        fields = [self._parts()]
        if self._total is None:
            fields.append(f"{self._done} {self._unit}")
        else:
            percent = 100 * self._done // max(self._total, 1)
            fields.append(f"{self._done} of {self._total} {self._unit} ({percent} %)")
        fields.append(f"{rate:.1f} {self._unit}/s")
        if self._total is not None and rate > 0 and self._done < self._total:
            fields.append(f"{timedelta(seconds=round((self._total - self._done) / rate))} left")
        fields.append(self._latest)
        print(", ".join(filter(None, fields)), file=sys.stderr, flush=True)
