"""Made-up frames and answers, for the tests of what is written, and a disk that is full."""

from __future__ import annotations

import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from d3s_vot.crops.squares import Crop
from d3s_vot.prediction import MaskPatch, Prediction
from d3s_vot.regions import Box, Polygon
from d3s_vot.video.sources import Source

SIZE = (64, 48)  # width, height


class Made(Source):
    """Frames of a plain colour that gets brighter; some may be lost."""

    def __init__(
        self, times: Sequence[float], size: tuple[int, int] = SIZE, lost: Sequence[int] = (), fps: float = 25
    ) -> None:
        self._times, self._made, self._lost = times, size, lost
        super().__init__("made", fps, len(times), live=False, nothing="no picture")

    def _pictures(self) -> Iterator[tuple[float, np.ndarray | None]]:
        for index, time in enumerate(self._times):
            lost = index in self._lost
            yield time, None if lost else np.full((*self._made[::-1], 3), 40 + 10 * (index % 20), np.uint8)


def answer(
    shape: Box | Polygon | None = None, size: tuple[int, int] = SIZE, confidence: float = 0.87, visible: bool = True
) -> Prediction:
    """A box with a mask that fills it, unless the target is lost."""
    shape = shape or Box(10.25, 8, 20.5, 16)
    x, y, w, h = (round(value) for value in shape.box)
    mask = np.zeros(size[::-1], bool)
    mask[max(y, 0) : y + h, max(x, 0) : x + w] = True
    crop = Crop.around((x + w / 2, y + h / 2), (w, h), 1.5, 96)
    patch = MaskPatch(crop, crop.cut_mask(mask)) if visible else None
    return Prediction(shape, confidence, visible, size[::-1], patch)


@contextmanager
def little_room(limit: int) -> Iterator[None]:
    """Files of this process end at so many bytes, with the same kind of error as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
