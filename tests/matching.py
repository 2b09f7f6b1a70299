"""A tracker without a network and a video without a file, for tests of what stands around them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from standin import StandIn

from d3s_vot.prediction import Prediction
from d3s_vot.regions import Region
from d3s_vot.tracker import Tracker
from d3s_vot.video.follow import given
from d3s_vot.video.sources import Source


class Matching(Tracker):
    """Finds the first frame's box again; its mask is the given shape, moved."""

    def initialize(self, image: np.ndarray, region: Region | None = None, *, mask: object = None) -> None:
        assert region is not None and mask is None
        self._finder = StandIn()
        self._finder.initialize(image, region)

    def track(self, image: np.ndarray) -> Prediction:
        found = self._finder.track(image)
        answer = given(found.region, image.shape[:2])
        return replace(answer, confidence=found.confidence, visible=found.confidence > 0.5)

    def fork(self) -> Matching:
        return Matching()


class Made(Source):
    """A video of the images that come; 25 a second."""

    def __init__(self, images: Iterable[np.ndarray | None], count: int | None = None, live: bool = False) -> None:
        self._images = images
        super().__init__("made", 25.0, count, live, nothing="no images")

    def _pictures(self) -> Iterator[tuple[float, np.ndarray | None]]:
        for index, image in enumerate(self._images):
            yield index / 25, image
