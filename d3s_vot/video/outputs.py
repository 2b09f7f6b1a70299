"""Where results go: video, masks, tables; written frame by frame, and whole whenever a run ends.

A file is written under another name in its folder and renamed when it is closed. So what stands under its own name
is whole, also after Ctrl-C or an error: it ends with the last frame that was written. A run that never came to a
frame leaves nothing, and files of an earlier run as they were.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext, suppress
from pathlib import Path
from types import TracebackType

from d3s_vot.base import Prediction
from d3s_vot.errors import D3SError, InputError
from d3s_vot.files import Partial
from d3s_vot.video.sources import Frame, Source


class Output(ABC):
    """A context manager that takes the answers for one frame after another and closes itself, however it is left.

    Attributes:
        prints: whether it writes to standard output.
    """

    prints = False

    @abstractmethod
    def write(self, frame: Frame, predictions: Sequence[Prediction | None]) -> None:
        """Add a frame.

        Args:
            frame: of the source; later than the ones before.
            predictions: one per target, of the frame's size; None: not followed yet. The same targets each time.

        Raises:
            D3SError: the disk is full, or the folder can no longer be written.
        """

    @abstractmethod
    def close(self) -> None:
        """Finish the files; a second time does nothing.

        Raises:
            D3SError: as for `write`.
        """

    def __enter__(self) -> Output:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The first error is the one to hear of: a full disk may well spoil the end, too.
        with suppress(D3SError) if isinstance(error, Exception) else nullcontext():
            self.close()


class Outputs(Output):
    """Several in one; each is closed, whatever happens to the others."""

    def __init__(self) -> None:
        self._outputs: list[Output] = []
        self._stack = ExitStack()

    def add(self, output: Output) -> None:
        """One more; those added last are closed first."""
        self._outputs.append(self._stack.enter_context(output))
        self.prints |= output.prints

    def write(self, frame: Frame, predictions: Sequence[Prediction | None]) -> None:
        for output in self._outputs:
            output.write(frame, predictions)

    def close(self) -> None:
        self._stack.close()


def open_outputs(
    source: Source,
    *,
    overlay: str | Path | None = None,
    masks: str | Path | None = None,
    csv: str | Path | None = None,
    jsonl: str | Path | None = None,
    vot: str | Path | None = None,
    one_based: bool = True,
) -> Outputs:
    """Open what a user asks for.

        with open_outputs(source, overlay=Path("bag.mp4"), csv=Path("bag.csv")) as outputs:
            for frame, predictions in follow(source, targets, tracker):
                outputs.write(frame, predictions)

    Args:
        source: of the frames.
        overlay: `OverlayVideo`.
        masks: `CocoJson` where it ends in .json, otherwise `MaskFolder`.
        csv: `CsvTable`.
        jsonl: `JsonLines`.
        vot: `VotText`.
        one_based: of `VotText`.

    Raises:
        InputError: one of them cannot be written, would overwrite the source or another one, or needs a package that
            is not installed; none is opened then.
    """
    from d3s_vot.video.encoding import OverlayVideo
    from d3s_vot.video.masks import CocoJson, MaskFolder
    from d3s_vot.video.tables import CsvTable, JsonLines, VotText

    wanted: list[tuple[str | Path | None, Callable[[Path], Output]]] = [
        (csv, CsvTable),
        (jsonl, JsonLines),
        (vot, lambda path: VotText(path, one_based)),
        (masks, lambda path: CocoJson(path) if path.suffix.lower() == ".json" else MaskFolder(path, source.size)),
        # Last, so that it is closed first: one that filled the disk makes room for the end of the others.
        (overlay, lambda path: OverlayVideo(path, source)),
    ]
    paths = [Path(path) for path, _ in wanted if path is not None]
    for index, path in enumerate(paths):
        if _same(path, Path(source.name)):
            raise InputError(f"{path} is the source; choose another file for the output")
        if any(_same(path, other) for other in paths[:index]):
            raise InputError(f"{path} is asked for twice; give each output a name of its own")
    outputs = Outputs()
    try:
        for wish, kind in wanted:
            if wish is not None:
                outputs.add(kind(Path(wish)))
    except BaseException:
        outputs.close()
        raise
    return outputs


def _same(path: Path, other: Path) -> bool:
    """Whether both name one file, be it there or not."""
    return os.path.realpath(path) == os.path.realpath(other)


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
