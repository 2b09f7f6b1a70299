"""Where results go: video, masks, tables; written frame by frame, and whole whenever a run ends.

A file is written under another name in its folder and renamed when it is closed. So what stands under its own name
is whole, also after Ctrl-C or an error: it ends with the last frame that was written. A run that never came to a
frame leaves nothing, and files of an earlier run as they were.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext, suppress
from types import TracebackType

from d3s_vot.errors import D3SError
from d3s_vot.prediction import Prediction
from d3s_vot.video.sources import Frame


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
