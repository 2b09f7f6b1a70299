"""Files of results: begun, grown, whole under their name at the end."""

from __future__ import annotations

from pathlib import Path

from d3s_vot.errors import D3SError, InputError
from d3s_vot.files import Partial


def begin(path: Path) -> Partial:
    """Begin a file of results, and its folder.

    Raises:
        InputError: it is a folder or a device, the folder cannot be made, or another run is writing it.
    """
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder; name a file for the output")
        if path.exists() and not path.is_file():
            raise InputError(f"{path} is no ordinary file; name another one for the output")
        return Partial(path)
    except OSError as error:
        raise unwritable(path, error.strerror) from error


def finish(partial: Partial) -> None:
    """Give a file that is whole its name.

    Raises:
        D3SError: the disk is full, or the folder can no longer be written.
    """
    try:
        partial.finish()
    except OSError as error:
        raise failed(partial.path, error.strerror) from error


class GrowingFile:
    """A text file that is whole after each addition, also on a full disk: what does not fit is taken back."""

    def __init__(self, path: Path) -> None:
        """Begin the file under its temporary name.

        Raises:
            InputError: it cannot be written.
        """
        self.path = path
        self._partial = begin(path)
        self._file = self._partial.file
        self._length = self._before = 0  # bytes; without the last addition

    def add(self, text: str) -> None:
        """Write all of the text or nothing.

        Raises:
            D3SError: the disk is full, or the folder can no longer be written.
        """
        data = memoryview(text.encode())
        written = 0
        try:
            while written < len(data):
                written += self._file.write(data[written:])
        except OSError as error:
            self._cut(self._length)
            raise failed(self.path, error.strerror) from error
        if written:
            self._before, self._length = self._length, self._length + written

    def close(self, end: str = "") -> None:
        """Give the file its name; where nothing was added there is none. A second time does nothing.

        Args:
            end: the last addition; where there is no room for it, the one before it makes some.

        Raises:
            D3SError: as for `add`.
        """
        if self._file.closed:
            return
        if not self._length:
            self._partial.discard()
            return
        try:
            self.add(end)
        except D3SError:
            self._cut(self._before)
            self._end_with(end)
            raise
        finish(self._partial)

    def _end_with(self, end: str) -> None:
        try:
            self.add(end)
        except D3SError:
            self._partial.discard()
        else:
            finish(self._partial)

    def _cut(self, length: int) -> None:
        self._file.seek(length)
        self._file.truncate()
        self._length = length


def unwritable(path: Path, reason: str | None) -> InputError:
    """What to say where an output cannot even be begun."""
    return InputError(f"{path} cannot be written ({reason}); choose another place for the output")


def failed(path: Path, reason: str | None) -> D3SError:
    """What to say where an output was begun and cannot go on."""
    return D3SError(f"{path} cannot be written any more ({reason}); make room on the disk and run again")
