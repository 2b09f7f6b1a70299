"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from d3s_vot.interrupts import uninterrupted

NAME = 40  # characters of a file's name in that of its temporary one, which may be no longer than the system allows


def partial_path(path: Path) -> Path:
    """A hidden name beside a file, `.NAME.0123abcd.part`, under which it is written until it is whole.

    It is in the same folder because os.replace stays on one disk, and another one each time because another run may be
    writing the same file.
    """
    return path.with_name(f".{path.name[:NAME]}.{secrets.token_hex(4)}.part")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under another name in its folder, then rename it; a signal to end waits meanwhile.

    A killed process leaves at most a hidden `.NAME.0123abcd.part` behind.

    Raises:
        OSError: it cannot be written; what was there before still is.
    """
    partial = partial_path(path)
    with uninterrupted():
        try:
            with partial.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
        finally:
            with suppress(OSError):  # renamed, or never made: the error above says why
                partial.unlink()
