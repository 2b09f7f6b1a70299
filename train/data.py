"""Labelled stills and clips: the index of their objects, and the pairs made from them.

Layout: `SET/images/NAME.jpg` with `SET/masks/NAME.png` (uint8: 0 background, 1..250 instance, 255 ignore). A set
named in `CLIP_SETS` has one folder per video, and its pairs are two frames of one video.
"""

from __future__ import annotations

import logging
import zlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from torch.utils.data import Dataset

from train.augment import Layer, PairMaker
from train.config import PairConfig

log = logging.getLogger(__name__)

CLIP_SETS = ("video_clips", "vsb_motion")
CUTOUT_SETS = ("railvehicle",)  # on white: never a background, always pasted on one
IGNORE = 255
MIN_AREA = 300  # pixels of the picture; smaller objects carry too little shape
HELD_OUT_ONE_IN = 18


class DataError(Exception):
    """A data set that cannot be trained on; the message is one sentence that names the folder or file."""


@dataclass(frozen=True)
class Item:
    """One object in one picture."""

    collection: str
    image: Path
    mask: Path
    instance: int
    group: str  # the video, or the picture itself

    @property
    def held_out(self) -> bool:
        """Whether it is validation data: one group in 18, by the checksum of its name."""
        return zlib.crc32(f"{self.collection}/{self.group}".encode()) % HELD_OUT_ONE_IN == 0

    @property
    def whole_scene_labelled(self) -> bool:
        """Whether unlabelled pixels are surely no other object of interest (COCO `P*` pictures are not)."""
        return not (self.collection == "coco_subset" and self.image.name.startswith("P"))


def index_stills(root: Path) -> list[Item]:
    """All objects of a folder of sets, in a fixed order.

    Raises:
        DataError: the folder is missing, holds no set, or a picture has no mask.
    """
    if not root.is_dir():
        raise DataError(f"there is no data folder {root}; unpack the pictures there or name another with --data")
    items: list[Item] = []
    for folder in sorted(p for p in root.iterdir() if (p / "images").is_dir()):
        for image in sorted((folder / "images").rglob("*.jpg")):
            name = image.relative_to(folder / "images")
            mask = (folder / "masks" / name).with_suffix(".png")
            if not mask.is_file():
                raise DataError(f"picture {image} has no mask {mask}; add it or remove the picture")
            ids = _read_mask(mask)
            group = str(name.parent) if folder.name in CLIP_SETS else str(name)
            areas = np.bincount(ids.ravel(), minlength=256)
            items += [
                Item(folder.name, image, mask, i, group) for i in range(1, IGNORE) if areas[i] >= MIN_AREA
            ]
    if not items:
        raise DataError(f"{root} holds no SET/images/*.jpg with an object of {MIN_AREA} pixels or more")
    return items


def read_layer(item: Item) -> Layer:
    """Picture, object mask and ignored pixels of an item."""
    image = cv2.imread(str(item.image), cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise DataError(f"picture {item.image} cannot be read; replace it")
    ids = _read_mask(item.mask)
    if ids.shape != image.shape[:2]:
        raise DataError(f"mask {item.mask} is {ids.shape[::-1]} pixels, its picture {image.shape[1::-1]}")
    return Layer(image, ids == item.instance, ids == IGNORE)


def _read_mask(path: Path) -> np.ndarray:
    ids = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if ids is None or ids.ndim != 2 or ids.dtype != np.uint8:
        raise DataError(f"mask {path} is not a readable 8-bit single-channel picture; replace it")
    return ids


class PairDataset(Dataset):
    """Training pairs by number: pair n is the same in every run with the same seed, whatever came before.

    Each item is a dict of `template` and `search` (3 x S x S uint8), `template_mask`, `mask`, `weight`
    (1 x S x S float32) and `center` (2, (x, y) of the location channel, counted from 1).
    """

    def __init__(self, items: list[Item], config: PairConfig, seed: int, length: int) -> None:
        self.seed, self.length = seed, length
        self.maker = PairMaker(config)
        self.sets: dict[str, list[Item]] = defaultdict(list)
        self.groups: dict[tuple[str, str, int], list[Item]] = defaultdict(list)
        for item in items:
            self.sets[item.collection].append(item)
            self.groups[item.collection, item.group, item.instance].append(item)
        # A large set says more than a small one, but not in proportion: its pictures are alike.
        self.names = sorted(self.sets)
        weights = np.sqrt([len(self.sets[n]) for n in self.names])
        self.weights = weights / weights.sum()
        self.backgrounds = [i for i in items if i.whole_scene_labelled and i.collection not in CUTOUT_SETS]
        if not self.backgrounds:
            raise DataError("no picture of the data can serve as a background; add stills that are no cut-outs")

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, number: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng([self.seed, number])
        for _ in range(100):
            pair = self._draw(rng)
            if pair is not None:
                return pair
        raise DataError(f"no usable pair in 100 draws for pair {number}; the objects are too small or cut off")

    def _draw(self, rng: np.random.Generator) -> dict[str, np.ndarray] | None:
        items = self.sets[self.names[rng.choice(len(self.names), p=self.weights)]]
        item = items[rng.integers(len(items))]
        frames = self.groups[item.collection, item.group, item.instance]
        other = frames[rng.integers(len(frames))]
        template = read_layer(item)
        search = template if other is item else read_layer(other)
        must_paste = item.collection in CUTOUT_SETS

        def background() -> np.ndarray:
            return read_layer(self.backgrounds[rng.integers(len(self.backgrounds))]).image

        def extra() -> Layer:
            return read_layer(items[rng.integers(len(items))])

        return self.maker(rng, template, search, background, extra, must_paste=must_paste)
