"""One run at a time in a folder."""

from __future__ import annotations

import errno
import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from d3s_vot.errors import InputError

LOCK = ".lock"  # its name in the folder; it stays


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a folder, which is made where it is missing, for this run alone.

    Raises:
        InputError: another run is writing to it, or it cannot be written.
        OSError: of the system, where it is locked.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("a")
    except OSError as error:
        raise InputError(f"{folder} is no folder to write to ({error.strerror}); choose another") from None
    with file:  # its end, even by a kill, unlocks
        lock(file, folder)
        yield


def lock(file: IO[str], folder: Path) -> None:
    """Lock a file of a folder until it is closed; on file systems that know no locks the user has to take care.

    Raises:
        InputError: another run has it.
        OSError: of the system.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(f"another run is writing to {folder}; wait for it, or choose another folder") from None
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP):
            raise
