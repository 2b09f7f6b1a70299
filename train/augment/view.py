"""The geometry of a pair: how the target moved, which square around it is the crop, what of the picture that shows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from train.config import PairConfig

Array = NDArray


@dataclass(frozen=True)
class Subject:
    """A picture (H x W x 3 RGB uint8), its object and its ignored pixels (H x W bool)."""

    image: Array
    mask: Array
    ignore: Array


@dataclass(frozen=True)
class View:
    """A crop of a picture: the matrix to it, and the target in it."""

    matrix: Array  # 3 x 3, pixels of the picture to pixels of the crop
    outline: Array  # N x 2, the target's convex hull in the crop
    target: Array  # (x, y) of the middle of its box in the crop
    wh: Array  # of its box, pixels of the crop

    @property
    def length(self) -> float:
        """sqrt(w h), pixels of the crop."""
        return math.sqrt(self.wh[0] * self.wh[1])

    @classmethod
    def around(
        cls, rng: np.random.Generator, c: PairConfig, mask: Array, motion: Array, shift: float, scale: float
    ) -> View:
        """The crop around a target that was moved by a 3 x 3 motion, in units of sqrt(w h) about its middle."""
        hull = convex_hull(mask)
        low, high = hull.min(axis=0), hull.max(axis=0)
        unit = math.sqrt(np.prod(high - low + 1))
        to_unit = np.array([[1, 0, -(low[0] + high[0]) / 2], [0, 1, -(low[1] + high[1]) / 2], [0, 0, unit]]) / unit
        moved = motion @ to_unit  # picture to units
        points = project(moved, hull)
        low, high = points.min(axis=0), points.max(axis=0)
        wh = high - low + 1 / unit
        length = math.sqrt(wh[0] * wh[1])
        factor = c.size / (c.area_scale * length * math.exp(scale * rng.standard_normal()))
        offset = (c.size - 1) / 2 - factor * ((low + high) / 2 + rng.uniform(-shift, shift, 2) * length)
        to_crop = np.array([[factor, 0, offset[0]], [0, factor, offset[1]], [0, 0, 1]])
        return cls(to_crop @ moved, points * factor + offset, factor * (low + high) / 2 + offset, factor * wh)


def convex_hull(mask: Array) -> Array:
    """N x 2 (x, y): the hull of a mask that is not empty, from the ends of its rows."""
    rows = np.flatnonzero(mask.any(axis=1))
    part = mask[rows]
    left, right = part.argmax(axis=1), part.shape[1] - 1 - part[:, ::-1].argmax(axis=1)
    ends = np.concatenate([np.stack([left, rows], axis=1), np.stack([right, rows], axis=1)])
    return cv2.convexHull(ends.astype(np.float32))[:, 0].astype(np.float64)


def project(matrix: Array, points: Array) -> Array:
    """N x 2 points under a 3 x 3 matrix."""
    moved = points @ matrix[:, :2].T + matrix[:, 2]
    return moved[:, :2] / moved[:, 2:]


def draw_motion(rng: np.random.Generator, c: PairConfig, strength: float, flip: bool, still: bool) -> Array:
    """3 x 3: mirror, rotation, stretch and tilt. The frames of a video have moved already, and get half of it."""
    strength = strength if still else 0.5 * strength
    angle = math.radians(strength * c.rotation / 2 * rng.standard_normal())
    stretch = math.exp(strength * c.stretch * rng.standard_normal())
    shear = strength * c.stretch * 0.6 * rng.standard_normal()
    # More than this and the horizon would come into the crop.
    tilt = strength * c.perspective * rng.standard_normal(2).clip(-2.5, 2.5)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    linear = turn @ np.array([[stretch, shear], [0, 1 / stretch]]) @ np.diag([-1.0 if flip else 1.0, 1.0])
    matrix = np.eye(3)
    matrix[:2, :2], matrix[2, :2] = linear, tilt
    return matrix


def cut(subject: Subject, matrix: Array, c: PairConfig) -> tuple[Array, Array]:
    """The patch of a picture that a crop shows, and the way from the crop to it."""
    s = c.size
    margin = 2 * c.bend_size * s / c.area_scale if c.bend else 0.0
    a, b = -margin, s - 1 + margin
    seen = project(np.linalg.inv(matrix), np.array([(a, a), (b, a), (b, b), (a, b)], np.float64))
    return window(subject, seen.min(axis=0), seen.max(axis=0), matrix, patch_size(c))


def patch_size(c: PairConfig) -> int:
    """Side of a patch, pixels: somewhat finer than the crop, since a turned crop needs more of the picture."""
    return c.size * 7 // 6


def window(subject: Subject, low: Array, high: Array, matrix: Array, size: int) -> tuple[Array, Array]:
    """The square around a part of a picture as a patch; the picture's border is replicated, its object is not."""
    side = max(float((high - low).max()), 2.0)
    factor = (size - 1) / side
    corner = (low + high - side) / 2
    to_patch = np.array([[factor, 0, -factor * corner[0]], [0, factor, -factor * corner[1]], [0, 0, 1]])
    patch = np.empty((size, size, 5), np.uint8)
    patch[..., :3] = cv2.warpAffine(
        subject.image, to_patch[:2], (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    for channel, mask in ((3, subject.mask), (4, subject.ignore)):
        if mask.any():
            levels = np.where(mask, np.uint8(255), np.uint8(0))
            patch[..., channel] = cv2.warpAffine(levels, to_patch[:2], (size, size), flags=cv2.INTER_LINEAR)
        else:
            patch[..., channel] = 0
    return patch, to_patch @ np.linalg.inv(matrix)


def cover(rng: np.random.Generator, shape: tuple[int, ...], size: int) -> Array:
    """3 x 3: a random part of a picture that fills the crop."""
    h, w = shape[:2]
    factor = size / (min(h, w) * rng.uniform(0.5, 1.0))
    x, y = rng.uniform(0, max(w * factor - size, 0)), rng.uniform(0, max(h * factor - size, 0))
    return np.array([[factor, 0, -x], [0, factor, -y], [0, 0, 1]])
