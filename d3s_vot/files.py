"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under another name in its folder, then rename it.

    A killed process leaves at most a hidden `.NAME.part` behind.

    Raises:
        OSError: it cannot be written; what was there before still is.
    """
    partial = path.with_name(f".{path.name}.part")  # beside it: os.replace stays on one disk
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        with suppress(OSError):  # renamed, or never made: the error above says why
            partial.unlink()
