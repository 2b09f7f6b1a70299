"""What every source of frames is: one frame at a time, of one size."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

from d3s_vot.errors import InputError

FPS = 25.0  # nominal, of pictures that carry no times
logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a source.

    Attributes:
        index: 0 is the first of the source.
        time: seconds since the first frame; increases from frame to frame.
        image: H x W x 3 RGB uint8, upright; None where the frame could not be decoded.
    """

    index: int
    time: float
    image: NDArray[np.uint8] | None


class Source(ABC):
    """A context manager that gives its `Frame`s in order, once; a second loop goes on where the first one stopped.

    It holds no more than a few frames, and all of one size: where the size changes on the way, frames are scaled to
    that of the first.

    Attributes:
        name: for messages; without the password of an address.
        size: (width, height) of the upright frames.
        fps: nominal rate; 0: unknown.
        count: how many frames there are; None: unknown.
        live: it has no end, and frames that come while nobody asks are dropped.
        pixel_shape: width over height of a pixel as it is shown; other than 1 on tapes and DVDs.
    """

    pixel_shape = Fraction(1)

    def __init__(self, name: str, fps: float, count: int | None, live: bool, nothing: str) -> None:
        """Read as far as the first picture.

        Args:
            name: see the class, as `fps`, `count` and `live`.
            nothing: the error's sentence where no picture comes at all.

        Raises:
            InputError: no picture comes.
        """
        self.name, self.fps, self.count, self.live = name, fps, count, live
        self._scaled = False
        self._stream = self._pictures()
        self._ahead: deque[tuple[float, NDArray[np.uint8] | None]] = deque()
        for time, image in self._stream:
            self._ahead.append((time, image))
            if image is not None:
                self.size = (image.shape[1], image.shape[0])
                break
        else:
            raise InputError(nothing)
        self._frames = self._numbered()

    @abstractmethod
    def _pictures(self) -> Iterator[tuple[float, NDArray[np.uint8] | None]]:
        """Time and picture of each frame; a generator that lets go of what it reads when it is closed."""

    def _numbered(self) -> Iterator[Frame]:
        index = 0
        while self._ahead:
            yield Frame(index, *self._ahead.popleft())
            index += 1
        for time, image in self._stream:
            yield Frame(index, time, None if image is None else self._fitted(image, index))
            index += 1

    def _fitted(self, image: NDArray[np.uint8], index: int) -> NDArray[np.uint8]:
        """The picture in the size of the first one."""
        height, width = image.shape[:2]
        if (width, height) == self.size:
            return image
        if not self._scaled:
            text = "%s: frame %d is %d x %d pixels; it and others of another size are scaled to %d x %d"
            logger.warning(text, self.name, index, width, height, *self.size)
            self._scaled = True
        return np.asarray(cv2.resize(image, self.size, interpolation=cv2.INTER_AREA), np.uint8)

    def __iter__(self) -> Iterator[Frame]:
        return self._frames

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file or device; no more frames come."""
        self._ahead.clear()
        self._stream.close()  # type: ignore[attr-defined]  # a generator
