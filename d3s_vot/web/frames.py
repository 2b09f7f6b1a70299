"""A video file from any frame on, for a page that scrubs and for tracking that begins in the middle.

The file is read once from its beginning, in the background: that counts the frames, and notes the time and a mark of
each picture. Later readings begin at a key frame, and are believed only if their pictures have the noted marks.
"""

from __future__ import annotations

import bisect
import logging
import threading
import zlib
from collections import OrderedDict
from collections.abc import Generator, Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from d3s_vot.errors import InputError
from d3s_vot.video.sources import Frame, Source
from d3s_vot.video.sources.decoding import Decoder
from d3s_vot.video.sources.recording import Recording, open_container, video_stream

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

SIDE = 960  # pixels of the longer side of a picture for display, at most
QUALITY = 82  # of its JPEG
CACHE = 256 * 2**20  # bytes of JPEG that are kept: some 4,000 pictures
AHEAD = 40  # frames: farther ones are looked for from their key frame
BEHIND = 16  # frames that are kept for steps back
EARLIER = (0.0, 1.0, 5.0)  # seconds before the wanted time; some containers land behind it
WITHOUT = -1  # the mark of a frame that could not be decoded

logger = logging.getLogger(__name__)


class Video:
    """A video file whose frames can be had from any one on; safe to use from several threads.

    Attributes:
        name: for messages.
        size: (width, height) of the upright frames.
        fps: nominal rate; 0: unknown.
        complete: whether the first reading is over, so that `frames` is the number of all.
        lost: frames without a picture so far.
    """

    def __init__(self, path: Path, name: str) -> None:
        """Open the file and begin to read it in the background.

        Raises:
            InputError: it is empty, is no video, or no frame of it can be decoded.
        """
        if path.stat().st_size == 0:
            raise InputError(f"{name} is empty (0 bytes); copy or record it again")
        self.name, self._path = name, path
        source = self.source()
        self.size, self.fps, self._promised = source.size, source.fps, source.count or 0
        self.complete, self.lost = False, 0
        self._times: list[float] = []
        self._marks: list[int] = []
        self._closed = False
        self._grown = threading.Condition()
        self._cache = _Cache()
        self._showing = threading.Lock()
        self._shown: Generator[Frame, None, None] | None = None
        self._shown_next = self._shown_last = 0
        self._thread = threading.Thread(target=self._read_all, args=(source,), daemon=True)
        self._thread.start()
        self._has(0)

    @property
    def frames(self) -> int:
        """How many frames are read, so that they can be asked for."""
        return len(self._marks)

    @property
    def count(self) -> int:
        """How many frames there are; a guess until the video is `complete`."""
        return self.frames if self.complete else max(self._promised, self.frames)

    def time(self, index: int) -> float:
        """Seconds of a frame since the first one."""
        return self._times[index]

    def source(self) -> Recording:
        """The file from its beginning, once more."""
        return Recording(self.name, self._container())

    def close(self) -> None:
        """Let go of the file; readings end."""
        with self._grown:
            self._closed = True
            self._grown.notify_all()
        self._thread.join()
        with self._showing:
            if self._shown is not None:
                self._shown.close()

    def read(self, start: int) -> Generator[Frame, None, None]:
        """The frames from `start` on; frames out = frames of the first reading, which they wait for."""
        last = start - 1
        with closing(self._frames_from(start)) as frames:
            for frame in frames:
                if not self._has(frame.index):
                    return
                last = frame.index
                yield Frame(last, self._times[last], frame.image)
        while self._has(last + 1):
            last += 1
            yield Frame(last, self._times[last], None)

    def picture(self, index: int) -> bytes:
        """A frame as JPEG; one that could not be decoded shows the last one before it that could.

        Raises:
            InputError: there is no such frame, or it is not read yet.
        """
        if not 0 <= index < self.frames:
            raise InputError(f"there is no frame {index}; the frames read so far are 0 to {self.frames - 1}")
        with_picture = (k for k in (*range(index, -1, -1), *range(index, self.frames)) if self._marks[k] != WITHOUT)
        index = next(with_picture, index)
        found = self._cache.get(index)
        if found is None:
            with self._showing:
                found = self._decoded(index)
        return found

    def _decoded(self, index: int) -> bytes:
        """A frame as JPEG; going on from the last one where that is near, and keeping those before it on a way back."""
        back = 0 < self._shown_last - index <= BEHIND
        self._shown_last = index
        if self._shown is None or not 0 <= index - self._shown_next <= AHEAD:
            if self._shown is not None:
                self._shown.close()
            self._shown_next = max(index - BEHIND, 0) if back else index
            self._shown = self.read(self._shown_next)
        for frame in self._shown:
            self._shown_next = frame.index + 1
            if frame.image is not None and (back or frame.index == index):
                jpeg = encoded(frame.image)
                self._cache.put(frame.index, jpeg)
                if frame.index == index:
                    return jpeg
        raise InputError(f"frame {index} of {self.name} cannot be decoded")

    def _read_all(self, source: Source) -> None:
        """The first reading: notes of every frame, and pictures while there is room."""
        try:
            with source:
                for frame in source:
                    if frame.image is not None and self._cache.has_room:
                        self._cache.put(frame.index, encoded(frame.image))
                    with self._grown:
                        self._times.append(frame.time)
                        self._marks.append(mark(frame.image))
                        self.lost += frame.image is None
                        self._grown.notify_all()
                        if self._closed:
                            return
        except Exception:
            logger.exception("reading of %s ended early", self.name)
        finally:
            with self._grown:
                self.complete = True
                self._grown.notify_all()

    def _has(self, index: int) -> bool:
        """Whether there is such a frame; waits until that is known."""
        with self._grown:
            self._grown.wait_for(lambda: index < self.frames or self.complete or self._closed)
            return index < self.frames and not self._closed


    def _container(self) -> InputContainer:
        return open_container(f"file:{self._path}", self.name, container_options={"protocol_whitelist": "file"})

    def _frames_from(self, start: int) -> Generator[Frame, None, None]:
        """Frames from `start` on, numbered from the beginning of the file; their times are not."""
        source: Source
        source, first = self._near(start) or (self.source(), 0)
        frames = self._numbered(source, first, start)
        frame = next(frames, None)
        if frame is None and first > 0:
            source.close()
            logger.debug("%s: frame %d is looked for from the beginning", self.name, start)
            source = self.source()
            frames = self._numbered(source, 0, start)
            frame = next(frames, None)
        with source:
            if frame is not None:
                yield frame
                yield from frames

    def _numbered(self, source: Source, first: int, start: int) -> Iterator[Frame]:
        """The frames from `start` on of a source that begins at frame `first`; none where it does not."""
        for frame in source:
            index = first + frame.index
            if first > 0 and index <= start and mark(frame.image) != self._marks[index]:
                return
            if index >= start:
                yield Frame(index, frame.time, frame.image)

    def _near(self, start: int) -> tuple[Source, int] | None:
        """The video from a key frame before `start`, and that frame's number as its time tells it."""
        import av

        for earlier in EARLIER:
            container = self._container()
            try:
                stream = video_stream(container, self.name)
                begin, clock = _first_stamp(container, stream), stream.time_base or Fraction(1)
                wanted = begin + int((self._times[start] - earlier) / clock)
                container.seek(wanted, stream=stream)
                seconds = float((_first_stamp(container, stream) - begin) * clock)
                after = min(bisect.bisect(self._times, seconds), self.frames - 1)
                index = min((max(after - 1, 0), after), key=lambda k: abs(self._times[k] - seconds))
                if index <= start:
                    container.seek(wanted, stream=stream)
                    return _Part(self.name, container, stream), index
            except (av.FFmpegError, InputError) as error:
                logger.debug("%s: no frame is found at %.2f s: %s", self.name, self._times[start] - earlier, error)
            container.close()
        return None


class _Part(Source):
    """The rest of a video; the frames are numbered from 0."""

    def __init__(self, name: str, container: InputContainer, stream: VideoStream) -> None:
        self._container, self._decoder = container, Decoder(container, stream)
        super().__init__(name, 0.0, None, live=False, nothing=f"no more frames of {name} can be decoded")

    def _pictures(self) -> Iterator[tuple[float, NDArray[np.uint8] | None]]:
        with self._container:
            yield from self._decoder


class _Cache:
    """The pictures asked for last; the oldest are dropped when there is no room."""

    def __init__(self) -> None:
        self._pictures: OrderedDict[int, bytes] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    @property
    def has_room(self) -> bool:
        return self._size < CACHE

    def get(self, index: int) -> bytes | None:
        with self._lock:
            if index in self._pictures:
                self._pictures.move_to_end(index)
            return self._pictures.get(index)

    def put(self, index: int, picture: bytes) -> None:
        with self._lock:
            self._size += len(picture) - len(self._pictures.pop(index, b""))
            self._pictures[index] = picture
            while self._size > CACHE:
                self._size -= len(self._pictures.popitem(last=False)[1])


def _first_stamp(container: InputContainer, stream: VideoStream) -> int:
    """Time of the next key frame, in the stream's clock."""
    for packet in container.demux(stream):
        if packet.size and packet.is_keyframe:
            stamp = packet.dts if packet.pts is None else packet.pts
            if stamp is not None:
                return stamp
    raise InputError("there are no more key frames")


def encoded(image: NDArray[np.uint8]) -> bytes:
    """JPEG of an H x W x 3 RGB picture, made smaller where it is larger than a page shows."""
    height, width = image.shape[:2]
    factor = SIDE / max(height, width)
    if factor < 1:
        size = max(round(width * factor), 1), max(round(height * factor), 1)
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return data.tobytes()


def mark(image: NDArray[np.uint8] | None) -> int:
    """A number that tells pictures apart, from a sample of the pixels."""
    return WITHOUT if image is None else zlib.crc32(image[::8, ::8].tobytes())
