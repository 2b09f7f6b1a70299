"""Whether data are those of an earlier run: a short text that changes when they do."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

LENGTH = 16  # hexadecimal digits


def of_frames(frames: Sequence[Path]) -> str:
    """Names and sizes of all files, contents of the first, the middle and the last; wherever their folder lies.

    Files that are missing are told apart from those that are not; nothing else is looked at.
    """
    digest = hashlib.sha256()
    for frame in frames:
        size = -1
        with suppress(OSError):  # missing
            size = frame.stat().st_size
        digest.update(f"{frame.name} {size}\n".encode())
    for frame in {index: frames[index] for index in (0, len(frames) // 2, len(frames) - 1)}.values() if frames else ():
        digest.update(of_file(frame).encode())
    return digest.hexdigest()[:LENGTH]


def of_file(path: Path) -> str:
    """The content of a file; empty where it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:LENGTH]
    except OSError:
        return ""
