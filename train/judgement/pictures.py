"""Pairs of pictures of one object, for samples: two frames of a video, or a still and another view of it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from d3s_vot.regions import Box
from train.data.items import Item, read_object
from train.errors import DataError
from train.judgement.worsen import motion

Image = NDArray[np.uint8]  # H x W x 3 RGB
Mask = NDArray[np.bool_]  # H x W

LEAST_AREA = 600  # pixels of an object
NEAR, FAR = 9, 45  # frames between the two of a video, as annotated: often fewer than the one, fewer than the other
FAR_APART = 0.35  # share of the pairs of videos that may be far apart
STILLS = 0.45  # share of the pairs
OCCLUDED = 0.35  # share of the pairs in which something lies before the object


@dataclass(frozen=True, eq=False)
class Pair:
    """Two pictures of an object.

    Attributes:
        first, second: each a picture with the visible pixels of the object; of the second there may be none.
        between: the object once more, on the way from the one to the other or in another view, not hidden.
        seen: share of the object in the second picture that nothing hides.
        box: of the object in the second picture, of what can be seen where it can.
        item: the object in the picture `scene`.
        scene: a picture and the object's pixels, as they were read.
    """

    first: tuple[Image, Mask]
    second: tuple[Image, Mask]
    between: tuple[Image, Mask]
    seen: float
    box: Box
    item: Item
    scene: tuple[Image, Mask]


@dataclass(frozen=True)
class Pictures:
    """The objects that samples are drawn from.

    Attributes:
        stills: objects of single pictures.
        videos: of each object of a video its frames, in order.
    """

    stills: list[Item]
    videos: list[list[Item]]
    _alike: dict[str, list[Item]] = field(default_factory=dict)  # stills by collection
    _together: dict[Path, list[Item]] = field(default_factory=dict)  # by picture

    @classmethod
    def of(cls, items: list[Item]) -> Pictures:
        """Those that are large enough and stand in a scene, of the training part.

        Raises:
            DataError: there is no still among them.
        """
        stills, videos, alike, together = [], defaultdict(list), defaultdict(list), defaultdict(list)
        for item in items:
            if item.held_out or item.cutout or item.area < LEAST_AREA:
                continue
            if item.group.endswith((".jpg", ".png")) and "/" not in item.group:
                stills.append(item)
                alike[item.collection].append(item)
            else:
                videos[item.collection, item.group, item.instance].append(item)
            together[item.image].append(item)
        if not stills:  # they are what lies before others, and what a target is confused with
            raise DataError("no still of the data can be drawn from; name stills in a scene with --data")
        ordered = [sorted(frames, key=lambda item: item.frame) for frames in videos.values() if len(frames) > 1]
        return cls(stills, ordered, dict(alike), dict(together))

    def pair(self, rng: np.random.Generator) -> Pair:
        """Draw two pictures of an object."""
        if not self.videos or rng.random() < STILLS:
            item = self.stills[rng.integers(len(self.stills))]
            image, mask, _ = read_object(item)
            first, second, between = (image, mask), another_view(rng, image, mask), another_view(rng, image, mask)
            scene = first
        else:
            frames = self.videos[rng.integers(len(self.videos))]
            reach = FAR if rng.random() < FAR_APART else NEAR
            at, step = int(rng.integers(len(frames))), int(rng.integers(1, reach + 1))
            other = min(at + step, len(frames) - 1) if rng.random() < 0.5 else max(at - step, 0)
            item = frames[other]
            first, second, between = (read_object(frames[k])[:2] for k in (at, other, (at + other) // 2))
            scene = second
        image, mask = second[0].copy(), second[1].copy()
        box, whole = bounding_box(mask), int(mask.sum())
        if box is None:
            return Pair(first, (image, mask), between, 0.0, Box(0, 0, 1, 1), item, scene)
        if rng.random() < OCCLUDED:
            self._hide(rng, image, mask, box)
        seen = float(mask.sum()) / whole
        return Pair(first, (image, mask), between, seen, bounding_box(mask) or box, item, scene)

    def other(self, rng: np.random.Generator, item: Item) -> Item:
        """Another object than one, often of the same collection and so somewhat alike."""
        alike = self._alike.get(item.collection, [])
        choice = alike if alike and rng.random() < 0.7 else self.stills
        return choice[rng.integers(len(choice))]

    def beside(self, rng: np.random.Generator, item: Item) -> Item | None:
        """Another object of the same picture; None where there is none."""
        others = [other for other in self._together.get(item.image, []) if other.instance != item.instance]
        return others[rng.integers(len(others))] if others else None

    def _hide(self, rng: np.random.Generator, image: Image, mask: Mask, box: Box) -> None:
        """Draw another object before the one in a picture, in place."""
        thing, shape, _ = read_object(self.stills[rng.integers(len(self.stills))])
        around = bounding_box(shape)
        if around is None:
            return
        factor = np.sqrt(box.w * box.h / (around.w * around.h)) * rng.uniform(0.5, 2.2)
        middle = np.array(box.center) + rng.normal(0, 0.45, 2) * np.sqrt(box.w * box.h)
        matrix = np.hstack([factor * np.eye(2), (middle - factor * np.array(around.center))[:, None]])
        size = mask.shape[1::-1]
        alpha = cv2.warpAffine(cv2.GaussianBlur(shape.astype(np.float32), (0, 0), 0.8), matrix, size)[..., None]
        drawn = cv2.warpAffine(thing, matrix, size, borderMode=cv2.BORDER_REPLICATE)
        image[:] = np.rint(image * (1 - alpha) + drawn * alpha).astype(np.uint8)
        mask &= alpha[..., 0] <= 0.5


def bounding_box(mask: Mask) -> Box | None:
    """The smallest box around a mask; None of an empty one."""
    return Box(*cv2.boundingRect(mask.astype(np.uint8))) if mask.any() else None


def another_view(rng: np.random.Generator, image: Image, mask: Mask) -> tuple[Image, Mask]:
    """A picture as if from another place and in another light: turned, stretched, moved, sharper or blurred."""
    height, width = mask.shape
    box = bounding_box(mask)
    assert box is not None  # objects of the index have pixels
    middle = np.array(box.center)
    angle, zoom, stretch = np.radians(rng.normal(0, 12)), np.exp(rng.normal(0, 0.2)), np.exp(rng.normal(0, 0.08))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = zoom * turn @ np.diag([stretch, 1 / stretch])
    moved = middle + rng.normal(0, 0.15, 2) * np.sqrt(box.w * box.h)
    matrix = np.hstack([linear, (moved - linear @ middle)[:, None]])
    seen: NDArray = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT).astype(np.float32)
    shape = cv2.warpAffine(mask.astype(np.float32), matrix, (width, height)) > 0.5
    seen = seen * np.exp(rng.normal(0, 0.15)) * np.exp(rng.normal(0, 0.06, 3)) + rng.normal(0, 10)
    if rng.random() < 0.3:
        coarse = rng.uniform(0.4, 0.9)
        seen = cv2.resize(cv2.resize(seen, None, fx=coarse, fy=coarse, interpolation=cv2.INTER_AREA), (width, height))
    if rng.random() < 0.2:
        seen = cv2.filter2D(seen, -1, motion(rng, int(rng.integers(3, 12))))
    return seen.clip(0, 255).astype(np.uint8), shape
