"""A tracker without a network and a video without a file, for tests of what stands around them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from simple import SimpleTarget, simple
from standin import StandIn

from d3s_vot.given import Frame, Given
from d3s_vot.prediction import Prediction
from d3s_vot.tracker import Tracker
from d3s_vot.video import follow
from d3s_vot.video.sources import Source


class Matching(SimpleTarget):
    """Finds the first frame's box again; its mask is the given shape, moved."""

    def __init__(self, frame: Frame, given: Given) -> None:
        self._finder = StandIn()
        self._finder.initialize(frame.image, given.region)

    def track(self, image: np.ndarray) -> Prediction:
        found = self._finder.track(image)
        answer = follow.given(found.region, image.shape[:2])
        return replace(answer, confidence=found.confidence, visible=found.confidence > 0.5)


def matching() -> Tracker:
    """A tracker of such targets."""
    return simple(Matching)


class Made(Source):
    """A video of the images that come; 25 a second."""

    def __init__(self, images: Iterable[np.ndarray | None], count: int | None = None, live: bool = False) -> None:
        self._images = images
        super().__init__("made", 25.0, count, live, nothing="no images")

    def _pictures(self) -> Iterator[tuple[float, np.ndarray | None]]:
        for index, image in enumerate(self._images):
            yield index / 25, image
