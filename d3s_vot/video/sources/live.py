"""Cameras and network streams: a thread reads, the tracker takes the newest picture, so it never falls behind."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Generator, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from d3s_vot.errors import InputError
from d3s_vot.video.sources.decoding import Decoder
from d3s_vot.video.sources.recording import Recording, open_container, video_stream
from d3s_vot.video.sources.source import Source

TIMEOUT = 10.0  # seconds that an address may be silent
CLOSING = 2.0  # seconds that closing waits for a device in the middle of a picture

logger = logging.getLogger(__name__)


class Live(Source):
    """The newest picture of a device; the times are those of its arrival."""

    def __init__(self, name: str, fps: float, device: Generator[NDArray[np.uint8], None, None]) -> None:
        """Wait for the first picture.

        Args:
            name: for messages.
            fps: nominal rate; 0: unknown.
            device: its pictures, H x W x 3 RGB; read and closed by a thread.

        Raises:
            InputError: the device gives no picture.
        """
        self._device = device
        super().__init__(name, fps, None, live=True, nothing=f"{name} gives no picture; is another program using it?")

    def _pictures(self) -> Iterator[tuple[float, NDArray[np.uint8] | None]]:
        newest = _Newest()
        thread = threading.Thread(target=newest.fill, args=(self._device,), daemon=True)
        thread.start()
        started: float | None = None
        try:
            for arrived, image in newest:
                started = arrived if started is None else started
                yield arrived - started, image
        finally:
            newest.stopped = True
            thread.join(CLOSING)
        if newest.error is not None:
            raise newest.error
        if started is not None:
            logger.warning("%s ended: no more pictures come", self.name)


class _Newest:
    """A place for one picture: a newer one replaces it until it is taken."""

    def __init__(self) -> None:
        self.stopped = False
        self.error: Exception | None = None
        self._ended = False
        self._picture: tuple[float, NDArray[np.uint8]] | None = None
        self._changed = threading.Condition()

    def fill(self, device: Generator[NDArray[np.uint8], None, None]) -> None:
        """Read the device to its end, or until `stopped`; what goes wrong is kept for the reader."""
        try:
            for image in device:
                with self._changed:
                    self._picture = time.monotonic(), image
                    self._changed.notify()
                if self.stopped:
                    break
        except Exception as error:
            self.error = error
        finally:
            device.close()
            with self._changed:
                self._ended = True
                self._changed.notify()

    def __iter__(self) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._picture is not None or self._ended)
                newest, self._picture = self._picture, None
            if newest is None:
                return
            yield newest


def open_camera(number: int) -> Live:
    """Open a camera of this machine.

    Raises:
        InputError: it is not there or gives no picture.
    """
    log = cv2.utils.logging
    level = log.getLogLevel()
    log.setLogLevel(log.LOG_LEVEL_SILENT)  # what OpenCV says of a missing camera is long
    try:
        capture = cv2.VideoCapture(number)
    finally:
        log.setLogLevel(level)
    if not capture.isOpened():
        capture.release()
        raise InputError(f"there is no camera {number}, or another program uses it; the first camera is 0")
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return Live(f"camera {number}", max(capture.get(cv2.CAP_PROP_FPS), 0.0), _captured(capture))


def _captured(capture: cv2.VideoCapture) -> Generator[NDArray[np.uint8], None, None]:
    try:
        while True:
            good, image = capture.read()
            if not good:
                return
            yield np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
    finally:
        capture.release()


def open_address(address: str) -> Source:
    """Open a stream of the network; a video of known length is read whole, as a file is.

    Raises:
        InputError: nothing answers within `TIMEOUT`, or it is no video.
    """
    name = re.sub(r"//[^/]*@", "//", address)  # without user and password
    rtsp = address.lower().startswith("rtsp")
    options = {"rtsp_transport": "tcp"} if rtsp else {}  # UDP loses packets, and so pictures
    container = open_container(address, name, options=options, timeout=TIMEOUT)
    if container.duration is not None and not rtsp:
        return Recording(name, container)
    decoder = Decoder(container, video_stream(container, name))

    def pictures() -> Generator[NDArray[np.uint8], None, None]:
        with container:
            for _, image in decoder:
                if image is not None:
                    yield image
            if decoder.stopped:
                logger.warning("%s broke off: %s", name, decoder.stopped)

    live = Live(name, decoder.fps, pictures())
    live.pixel_shape = decoder.pixel_shape
    return live
