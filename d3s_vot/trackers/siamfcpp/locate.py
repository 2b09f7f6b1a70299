"""From the network's maps to the target's box: pure functions of numbers (paper section 3.3, published code).

Number types are those of the published figures: the network's numbers, the penalty and the candidate in float32; scale,
window, choice and state in float64. The first state, as it was given, is float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from d3s_vot.crops.context import context_crop, context_side
from d3s_vot.crops.squares import Image
from d3s_vot.regions import Box
from d3s_vot.trackers.siamfcpp.config import STRIDE, TEMPLATE_SIZE, SiamFCppConfig

Array = NDArray[np.floating]
Float32 = NDArray[np.float32]

FARTHEST = np.float32(1e6)  # pixels of the crop; no side of a target is farther, nor infinitely far


class State(NamedTuple):
    """Where the target is and how large, in pixels of the image; a box of width w has its centre at x + (w - 1) / 2."""

    center_xy: Array
    size_wh: Array

    @classmethod
    def of_box(cls, box: Box) -> State:
        """The state that a given box starts with, in float32."""
        x, y, w, h = (np.float32(value) for value in box)
        half = np.float32(0.5)
        center = np.array([x + (w - 1) * half, y + (h - 1) * half], np.float32)
        return cls(center, np.array([w, h], np.float32))

    @property
    def rectangle(self) -> Float32:
        """x, y, w, h."""
        return np.asarray([*(self.center_xy - (self.size_wh - 1) / 2), *self.size_wh], np.float32)

    @property
    def scale(self) -> float:
        """Pixels of the crops per pixel of the image."""
        return TEMPLATE_SIZE / context_side(self.size_wh)

    def crop(self, image: Image, size: int, fill: Array) -> Image:
        """What the network looks at: size x size x 3 around the target; see `context_crop`."""
        return context_crop(image, self.center_xy, self.scale, size, fill)

    def resized(self, down: float, right: float) -> State:
        """The same place in an image that shows the same view at another size."""
        factors = np.array([right, down], np.float64)
        return State((self.center_xy + 0.5) * factors - 0.5, self.size_wh * factors)

    def inside(self, image_hw: tuple[int, int], min_size: float) -> State:
        """Clamped to an image: the centre in 0 .. width and 0 .. height, the size in `min_size` .. the image's."""
        limits = np.array([image_hw[1], image_hw[0]], np.float64)
        sides = np.minimum(np.maximum(self.size_wh, min_size), limits)
        return State(np.minimum(np.maximum(self.center_xy, 0), limits), sides)


def cosine_window(size: int) -> NDArray[np.float64]:
    """Window over size x size locations, row by row; zero at the edges."""
    window = np.hanning(size)
    return np.outer(window, window).ravel()


def crop_boxes(distances: Float32, config: SiamFCppConfig) -> Float32:
    """Boxes in the search crop.

    Args:
        distances: 4 x n x n, from every location to the left, top, right, bottom side.
        config: where the locations stand.

    Returns:
        n² x 4: x0, y0, x1, y1, row by row.
    """
    n = distances.shape[-1]
    at = (config.offset + STRIDE * np.arange(n)).astype(np.float32)
    y, x = np.meshgrid(at, at, indexing="ij")  # n x n
    left, top, right, bottom = np.minimum(distances, FARTHEST)
    return np.stack([x - left, y - top, x + right, y + bottom], axis=-1).reshape(-1, 4)


def fuse(scores: Float32, weight: float) -> Float32:
    """One score map of those that M templates gave, the first frame's first: M x n x n -> n x n."""
    if len(scores) == 1:
        return scores[0]
    return np.asarray((1 - weight) * scores[0] + weight * scores[1:].mean(axis=0, dtype=np.float32), np.float32)


@dataclass(frozen=True, eq=False)
class Judgement:
    """What the maps say of a frame.

    Attributes:
        best: index of the chosen location, row by row.
        score: of the network there, 0..1.
        penalty: factor on the score there, for the change of size and shape, 0..1.
        confidence: score times penalty and the window, in the proportion of the window's influence, 0..1.
        candidate: cx, cy, w, h there, pixels of the crop.
        free: the new state before it is clamped to the image.
        state: the new state.
    """

    best: int
    score: np.float32
    penalty: np.float32
    confidence: float
    candidate: Float32
    free: State
    state: State


def judge(
    score: Float32,
    boxes: Float32,
    state: State,
    image_hw: tuple[int, int],
    *,
    config: SiamFCppConfig,
    window: NDArray[np.float64],
) -> Judgement:
    """Choose a location and move the state there.

    Args:
        score: of all locations, n² or n x n.
        boxes: n² x 4, x0, y0, x1, y1 in the search crop.
        state: before the frame; the crop was taken there.
        image_hw: height and width of the frame.
        config: rates, and the crop's size.
        window: from `cosine_window`.
    """
    score = score.ravel()
    scale = state.scale
    sizes = boxes[:, 2:] - boxes[:, :2] + np.float32(1)  # n² x 2: w, h
    penalty = penalties(sizes, state, config.penalty)
    penalized = penalty * score
    choice = penalized * np.float32(1 - config.window_influence) + window * config.window_influence  # float64
    best = int(np.argmax(choice))
    candidate = np.concatenate([(boxes[best, :2] + boxes[best, 2:]) / np.float32(2), sizes[best]])

    rate = float(penalized[best]) * config.size_rate
    seen = candidate / np.float32(scale)  # cx, cy, w, h: pixels of the image, float32
    # The first state is float32, and so is this sum then.
    center = (seen[:2] + state.center_xy).astype(np.float64) - (config.search_size // 2) / scale
    size = seen[2:].astype(np.float64) * rate + (1 - rate) * state.size_wh.astype(np.float64)
    free = State(center, size)
    return Judgement(
        best,
        score[best],
        penalty[best],
        float(choice[best]),
        candidate,
        free,
        free.inside(image_hw, config.min_size),
    )


def penalties(sizes: Float32, state: State, strength: float) -> Float32:
    """Factors on the scores, below 1 where size or shape differ from the state's.

    Args:
        sizes: n² x 2, width and height of the boxes in the crop.
        state: before the frame.
        strength: 0 makes them all 1.
    """
    w, h = sizes.T
    old_w, old_h = (float(side) * state.scale for side in state.size_wh)
    context, old_context = (w + h) * np.float32(0.5), (old_w + old_h) * 0.5
    side = np.sqrt((w + context) * (h + context))
    old_side = np.float32(np.sqrt((old_w + old_context) * (old_h + old_context)))
    grown = _change(side / old_side)
    bent = _change(np.float32(old_w / old_h) / (w / h))
    return np.exp(-(grown * bent - np.float32(1)) * np.float32(strength))


def _change(ratio: Float32) -> Float32:
    """How many times as large or as small."""
    return np.maximum(ratio, np.float32(1) / ratio)
