"""A video file through PyAV: every frame that the container promises, upright, with the time it is shown at."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from d3s_vot.errors import InputError
from d3s_vot.video.sources.decoding import Decoder
from d3s_vot.video.sources.source import Source

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

SCRIPTS = frozenset(("concat", "dash", "hls"))  # files that only name other files
MISSING = 1.0  # seconds that a file may end before the length it states

logger = logging.getLogger(__name__)


class Recording(Source):
    """A video that has an end."""

    def __init__(self, name: str, container: InputContainer) -> None:
        """Decode the first picture; the container is closed with the source.

        Raises:
            InputError: it has no video stream, or no frame of it can be decoded.
        """
        self._container = container
        self._decoder = Decoder(container, video_stream(container, name))
        nothing = f"no frame of video {name} can be decoded; it is damaged, so copy or convert it again"
        super().__init__(name, self._decoder.fps, self._decoder.count, live=False, nothing=nothing)
        self.pixel_shape = self._decoder.pixel_shape

    def _pictures(self) -> Iterator[tuple[float, NDArray[np.uint8] | None]]:
        frames, last = 0, 0.0
        with self._container as container:
            for last, image in self._decoder:
                frames += 1
                yield last, image
            length = self._decoder.length or (container.duration or 0) / 1e6
            if "matroska" in container.format.name:  # it counts from 0, whenever its clock begins
                length -= max(container.start_time or 0, 0) / 1e6
        lost = self._decoder.lost
        if lost == frames:  # the caller says so
            return
        if frames < self._decoder.stated:
            logger.warning("video %s ends early: it has %d of %d frames", self.name, frames, self._decoder.stated)
        elif self._decoder.stopped:
            logger.warning("video %s ends early, after frame %d: %s", self.name, frames - 1, self._decoder.stopped)
        elif length > last + MISSING:
            logger.warning("video %s ends early: its pictures end at %.1f s of %.1f s", self.name, last, length)
        if lost:
            logger.warning("video %s: %d of %d frames cannot be decoded", self.name, lost, frames)


def open_recording(path: Path) -> Recording:
    """Open a video file.

    Raises:
        InputError: it is empty, cannot be read, is no video, or no frame can be decoded.
    """
    if path.is_file() and path.stat().st_size == 0:
        raise InputError(f"video {path} is empty (0 bytes); copy or record it again")
    # "file:" keeps colons in names from being taken for a protocol; nothing but files may be opened from within.
    container = open_container(f"file:{path}", str(path), container_options={"protocol_whitelist": "file"})
    return Recording(str(path), container)


def open_container(address: str, name: str, **options: object) -> InputContainer:
    """`av.open` with errors in one sentence.

    Args:
        address: in FFmpeg's words.
        name: in the user's words.
        options: of `av.open`.

    Raises:
        InputError: it cannot be opened, or PyAV is not installed.
    """
    try:
        import av
    except ModuleNotFoundError as error:
        raise InputError("videos need the package av; install d3s-vot[video]") from error
    try:
        container: InputContainer = av.open(address, "r", metadata_errors="replace", **options)  # type: ignore
    except (av.InvalidDataError, av.ExitError) as error:  # the latter is what an exceeded time limit is called
        if "://" in address:
            raise InputError(f"{name} does not answer, or not with a video; check the address") from error
        raise InputError(f"{name} is not a video, or it is damaged or cut off; copy or convert it again") from error
    except (av.FFmpegError, OSError) as error:
        raise InputError(f"{name} cannot be opened: {error.strerror}; check the path or address") from error
    if container.format.name in SCRIPTS and "://" not in address:
        container.close()
        raise InputError(f"{name} only lists other files; give the video itself")
    return container


def video_stream(container: InputContainer, name: str) -> VideoStream:
    """The stream of moving pictures that FFmpeg's player shows.

    Raises:
        InputError: there is none, or none that PyAV can decode; the container is closed then.
    """
    from av.stream import Disposition

    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]  # no cover pictures
    films = [stream for stream in streams if stream.codec_context is not None]
    if films:
        best = container.streams.best("video")
        chosen = next((stream for stream in films if stream is best), films[0])
        if len(films) > 1:
            width, height = chosen.codec_context.width, chosen.codec_context.height
            text = "%s has %d tracks of pictures; number %d, of %d x %d pixels, is followed"
            logger.info(text, name, len(films), chosen.index, width, height)
        return chosen
    container.close()
    if streams:
        raise InputError(f"{name} is coded in a way that cannot be read here; convert it to H.264")
    raise InputError(f"{name} has sound but no pictures; choose a video")
