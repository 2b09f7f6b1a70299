"""A stand-in for the tracker behind the TraX process: no network, fails where the target turns or hides.

`python tests/standin.py` is `python -m d3s_vot.vot` with this tracker in the place of D3S.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from dataclasses import dataclass

import cv2
import numpy as np

import d3s_vot
from d3s_vot import vot
from d3s_vot.errors import CheckpointError, InputError
from d3s_vot.regions import Box, Mask, Polygon, Region


@dataclass
class Prediction:
    """What `track` returns, as far as the adapters look."""

    region: Region
    confidence: float
    visible: bool = True


class StandIn:
    """Matches the first frame's box in the neighbourhood of the last position; the shape never changes."""

    def __init__(self, noise: bool = False, reach: int = 12, pause: float = 0.0) -> None:
        self.noise, self.reach, self.pause = noise, reach, pause

    def fork(self) -> StandIn:
        return StandIn(self.noise, self.reach, self.pause)

    def initialize(self, image: np.ndarray, region: Region) -> None:
        if not region.box.overlaps_image(*image.shape[:2]):
            raise InputError("the target lies outside the image")
        self.region, self.shift = region, np.zeros(2)
        x, y, w, h = (round(value) for value in region.box)
        self.x, self.y = max(x, 0), max(y, 0)
        self.template = image[self.y : max(y + h, self.y + 1), self.x : max(x + w, self.x + 1)].copy()

    def track(self, image: np.ndarray) -> Prediction:
        time.sleep(self.pause)
        if os.environ.get("STANDIN_BUG"):
            raise ZeroDivisionError
        if self.noise:
            print("half a line of chatter", end="", flush=True)
            ctypes.CDLL(None).printf(b"half a line in a buffer of C")  # written out when the process ends
            os.write(1, b"half a line of C chatter")
            os.write(2, b"half a line of C complaints")
        dx, dy = self.shift.astype(int)
        x0, y0 = max(self.x + dx - self.reach, 0), max(self.y + dy - self.reach, 0)
        h, w = self.template.shape[:2]
        window = image[y0 : self.y + dy + h + self.reach, x0 : self.x + dx + w + self.reach]
        confidence = 0.0
        if window.shape[0] >= h and window.shape[1] >= w:
            scores = cv2.matchTemplate(window, self.template, cv2.TM_CCOEFF_NORMED)
            row, column = np.unravel_index(scores.argmax(), scores.shape)
            confidence = float(np.clip(scores[row, column], 0, 1))
            self.shift = np.array([x0 + column - self.x, y0 + row - self.y], float)
        return Prediction(self._moved(), confidence, visible=confidence > 0.5)

    def _moved(self) -> Region:
        if isinstance(self.region, Box):
            return Box(
                self.region.x + self.shift[0], self.region.y + self.shift[1], self.region.w, self.region.h
            )
        if isinstance(self.region, Polygon):
            return Polygon(self.region.points + self.shift)
        moved = np.roll(self.region.array, self.shift.astype(int)[::-1], axis=(0, 1))
        return Mask(moved)


def load_tracker(
    weights: str = "D3S", device: str = "auto", trunk_weights: object = None, preset: str = "exact", rules: str = ""
) -> StandIn:
    """Stands in for `d3s_vot.load_tracker`; the environment says how it behaves."""
    if weights != "D3S":
        raise CheckpointError(f"there are no weights {weights}; give the path of a checkpoint")
    return StandIn(
        noise=bool(os.environ.get("STANDIN_NOISE")), pause=float(os.environ.get("STANDIN_PAUSE", "0"))
    )


def track_together(trackers: list[StandIn], image: np.ndarray) -> list[Prediction]:
    """Stands in for `d3s_vot.track_together`."""
    return [tracker.track(image) for tracker in trackers]


if __name__ == "__main__":
    setattr(d3s_vot, "track_together", track_together)  # noqa: B010 - of another type on purpose
    setattr(d3s_vot, "load_tracker", load_tracker)  # noqa: B010 - of another type on purpose
    sys.exit(vot.main())
