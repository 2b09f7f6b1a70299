"""Where frames come from: a video file, a folder or glob of pictures, a camera, an address; one frame at a time."""

from __future__ import annotations

import logging
import re
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

from d3s_vot.errors import InputError

FPS = 25.0  # nominal, of pictures that carry no times
ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
CAMERA = re.compile(r"(/dev/video)?(\d{1,3})")
CLOCK = re.compile(r"(?:(?:(\d+):)?([0-5]?\d):([0-5]?\d(?:\.\d+)?)|(\d+(?:\.\d+)?)s)")
ROUNDING = 0.0005  # seconds; some containers keep whole milliseconds

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


def open_source(text: str | Path) -> Source:
    """Open what a user names.

    Args:
        text: a video file, a picture, a folder or glob pattern of pictures, the number of a camera ("0"), or an
            address (rtsp://, http:// ...). A file or folder of that name comes before a camera.

    Raises:
        InputError: it is not there, is no video, or gives no picture.
    """
    if not str(text).strip() or "\0" in str(text):
        raise InputError("no source is named; give a video file, a folder of pictures, a camera number or an address")
    path = Path(text)
    if isinstance(text, str):
        camera = CAMERA.fullmatch(text)
        if ADDRESS.match(text):
            from d3s_vot.video.live import open_address

            return open_address(text)
        if camera and (camera[1] or not path.exists()):
            from d3s_vot.video.live import open_camera

            return open_camera(int(camera[2]))
    from d3s_vot.video.pictures import SUFFIXES, Pictures

    if path.is_dir():
        return Pictures.of_folder(path)
    if path.exists():
        if path.suffix.lower() in SUFFIXES:
            from d3s_vot.video.stacks import open_pictures

            return open_pictures(path)
        from d3s_vot.video.recording import open_recording

        return open_recording(path)
    if any(letter in str(path) for letter in "*?["):
        return Pictures.of_pattern(str(path))
    raise InputError(f"there is no video or folder {path}; check the path")


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
