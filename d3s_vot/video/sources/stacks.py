"""One picture file that is a video: TIFF stacks, animated PNG and WebP; read a picture at a time."""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from d3s_vot.errors import InputError
from d3s_vot.headers import page_numbers, unusable_depth
from d3s_vot.video.sources.source import FPS, Source

logger = logging.getLogger(__name__)


class Stack(Source):
    """The pictures in a file, with the times of an animation; a TIFF has 25 a second."""

    def __init__(self, path: Path, pages: list[int]) -> None:
        """Read the first picture.

        Args:
            path: of the file.
            pages: where its pictures are, from `page_numbers`.

        Raises:
            InputError: it cannot be read, or has values that 0..255 cannot show.
        """
        self._path, self._pages = path, pages
        self._animation: Image.Image | None = None
        with path.open("rb") as file:
            if problem := unusable_depth(file):
                raise InputError(f"{path} has {problem}; convert it to 8 bits, as it shall look")
            self._tiff = file.read(2) in (b"II", b"MM")
        nothing = f"no picture of {path} can be decoded; it is damaged, so copy or convert it again"
        super().__init__(str(path), FPS, len(pages), live=False, nothing=nothing)

    def _pictures(self) -> Iterator[tuple[float, NDArray[np.uint8] | None]]:
        time = 0.0
        for index, page in enumerate(self._pages):
            image, seconds = self._page(page) if self._tiff else self._frame(page)
            if image is None:
                logger.warning("frame %d of %s is left out: it is damaged", index, self._path)
            yield time, image
            time += seconds

    def _page(self, page: int) -> tuple[NDArray[np.uint8] | None, float]:
        """A page of a TIFF, which Pillow cannot read in all its kinds, and for how long it is shown."""
        # In a copy of the file, of which only what is touched takes memory, the page is the first.
        data = np.memmap(self._path, np.uint8, "c")
        order, begin, size = ">" if data[0] == ord("M") else "<", *((8, "Q") if 43 in data[2:4] else (4, "I"))
        place = struct.pack(order + size, page)
        data[begin : begin + len(place)] = np.frombuffer(place, np.uint8)
        try:
            image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
        except cv2.error:  # larger than OpenCV decodes
            image = None
        return (None if image is None else np.asarray(image, np.uint8)), 1 / FPS

    def _frame(self, page: int) -> tuple[NDArray[np.uint8] | None, float]:
        """A frame of an animation, as the ones before left the canvas, and for how long it is shown."""
        try:
            if self._animation is None:
                self._animation = Image.open(self._path)
            self._animation.seek(page)
            image = np.asarray(self._animation.convert("RGB"), np.uint8)
        except Exception:  # of PIL's many readers, each has its own for a damaged file
            return None, 1 / FPS
        return image, self._animation.info.get("duration", 0) / 1000 or 1 / FPS

    def close(self) -> None:
        super().close()
        if self._animation is not None:
            self._animation.close()


def open_pictures(path: Path) -> Source:
    """A picture file as a video: all that it holds.

    Raises:
        InputError: it cannot be read.
    """
    from d3s_vot.video.sources.pictures import Pictures

    try:
        with path.open("rb") as file:
            pages = page_numbers(file)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    return Stack(path, pages) if len(pages) > 1 else Pictures(str(path), [path])
