"""Files that are written whole or not at all, also where two runs write beside each other."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from d3s_vot.errors import InputError
from d3s_vot.interrupts import uninterrupted

try:
    import fcntl
except ImportError:  # not on Windows, where what a killed run left stays, and two runs do not know of each other
    fcntl = None  # type: ignore[assignment]

NAME = 200  # bytes of a file's name in that of its temporary one, which may have 255


class Partial:
    """A file under a temporary name in its folder, until it is whole; its lock tells other runs that it is in work.

    The name is `.NAME.0123abcd.part`. A run that is killed leaves such a file, which the next run of that NAME removes.

    Attributes:
        path: where it goes in the end.
        temporary: where it is now.
        file: open for writing, without a buffer.
    """

    def __init__(self, path: Path) -> None:
        """Begin the file, and its folder where there is none.

        Raises:
            InputError: another run is writing it; nothing is changed then.
            OSError: it cannot be written.
        """
        self.path = path
        self._folders = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                path.stat()  # a name that is too long is told now
            self.temporary, self.file = _begin(path)
        except BaseException:
            self._remove_folders()
            raise
        if _others_write(path, self.temporary):
            self.discard()
            raise InputError(f"{path} is being written by another run; wait for its end, or choose another name")

    def finish(self) -> None:
        """Give the file its name; what stood there before goes.

        Raises:
            OSError: the disk is full, or the folder can no longer be written; the file is removed.
        """
        try:
            os.fsync(self.file.fileno())  # some file systems find out here that they are full
            if fcntl is None:
                self.file.close()
            os.replace(self.temporary, self.path)
            self.file.close()
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Remove the file, and the folders that were made for it; an error has been told by now, or there is none."""
        with suppress(OSError):
            self.temporary.unlink()
        with suppress(OSError):
            self.file.close()
        self._remove_folders()

    def _remove_folders(self) -> None:
        for folder in self._folders:
            with suppress(OSError):  # others write there by now
                folder.rmdir()


def write_whole(path: Path, content: bytes, sync: bool = True) -> None:
    """Write a file under another name in its folder, then rename it; a signal to end waits meanwhile.

    A killed process leaves at most a hidden `.NAME.0123abcd.part` behind.

    Args:
        path: of the file; its folder exists.
        content: all of it.
        sync: whether it must be on the disk before its name is; not for many small files.

    Raises:
        OSError: it cannot be written; what was there before still is.
    """
    temporary = _temporary(path)
    with uninterrupted():
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                if sync:
                    os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            with suppress(OSError):  # renamed, or never made: the error above says why
                temporary.unlink()


def _stem(path: Path) -> str:
    """What temporary names of a file begin with; short enough, and of no other file in its folder."""
    name = os.fsencode(path.name)
    if len(name) <= NAME:
        return f".{path.name}."
    return f".{name[: NAME // 2].decode(errors='ignore')}.{hashlib.sha256(name).hexdigest()[:16]}."


def _temporary(path: Path) -> Path:
    """A name in the same folder, as os.replace stays on one disk; a new one each time."""
    return path.with_name(f"{_stem(path)}{secrets.token_hex(4)}.part")


def _begin(path: Path) -> tuple[Path, IO[bytes]]:
    """A new file with a lock."""
    while True:
        temporary = _temporary(path)
        file = temporary.open("xb", buffering=0)
        with suppress(FileNotFoundError):
            # Between the two steps another run may have taken it for one that was left.
            if _lock(file) and os.path.samestat(os.fstat(file.fileno()), temporary.stat()):
                return temporary, file
        file.close()


def _lock(file: IO[bytes]) -> bool:
    """Whether nobody else has it; where the file system knows no locks, yes."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _others_write(path: Path, own: Path) -> bool:
    """Whether another run is writing the file; what killed ones left of it is removed."""
    if fcntl is None:
        return False
    for other in _temporaries(path):
        if other == own:
            continue
        with suppress(FileNotFoundError), other.open("r+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            except OSError:  # no locks here, so whose it is cannot be known
                continue
            other.unlink()
    return False


def _temporaries(path: Path) -> Iterator[Path]:
    pattern = re.compile(re.escape(_stem(path)) + r"[0-9a-f]{8}\.part")
    return (path.with_name(name) for name in os.listdir(path.parent) if pattern.fullmatch(name))
