"""The frame at which to begin."""

from __future__ import annotations

import re
from dataclasses import dataclass

from d3s_vot.errors import InputError
from d3s_vot.video.sources.source import Frame, Source

CLOCK = re.compile(r"(?:(?:(\d+):)?([0-5]?\d):([0-5]?\d(?:\.\d+)?)|(\d+(?:\.\d+)?)s)")
ROUNDING = 0.0005  # seconds; some containers keep whole milliseconds


@dataclass(frozen=True)
class Start:
    """The frame at which to begin: a number, or the first at or after a time."""

    text: str
    index: int | None = None
    time: float | None = None

    def reached(self, frame: Frame) -> bool:
        """Whether the frame is the one to begin with, or a later one."""
        if self.index is not None:
            return frame.index >= self.index
        return self.time is None or frame.time >= self.time - ROUNDING


def parse_start(text: str, source: Source) -> Start:
    """Understand `--start`: "120" is a frame, counted from 0; "12.5s", "1:02.5" and "00:01:02.5" are times.

    Raises:
        InputError: neither of them, or a frame that the source is known not to have.
    """
    text = text.strip()
    if re.fullmatch(r"\d+", text, re.ASCII):
        index = int(text)
        if source.count is not None and index >= source.count:
            raise InputError(f"there is no frame {index} in {source.name}; its frames are 0 to {source.count - 1}")
        return Start(text, index=index)
    clock = CLOCK.fullmatch(text)
    if clock is None or not text.isascii():
        raise InputError(f"start '{text}' is no frame or time; write 120 for a frame, 12.5s or 1:02.5 for a time")
    hours, minutes, seconds, plain = clock.groups()
    return Start(text, time=float(plain) if plain else 3600 * int(hours or 0) + 60 * int(minutes) + float(seconds))
