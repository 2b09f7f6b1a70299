"""The unit of the training data, one object in one picture, and how it is read."""

from __future__ import annotations

import math
import struct
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from d3s_vot.errors import InputError
from d3s_vot.labels import VOID, read_labels
from train.data import coco
from train.errors import DataError

LAYOUTS = ("youtube-vos", "davis", "stills", "coco", "clips")
MIN_AREA = 300  # pixels of the picture; smaller objects carry too little shape
IGNORE = VOID  # in a mask of ids: neither object nor background
WHOLE = 255  # as an instance: the mask has no ids, it is one object
# What PIL raises for a damaged file, besides OSError without an errno.
DAMAGED = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)

Picture = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Source:
    """One data set to train on, as `--data` names it.

    Attributes:
        layout: one of LAYOUTS.
        root: its folder.
        weight: its share of the pairs, relative to those of the other sources.
    """

    layout: str
    root: Path
    weight: float = 1.0

    @classmethod
    def parse(cls, text: str) -> Source:
        """Understand `NAME=DIR` or `NAME=DIR:WEIGHT`; a DIR that ends in `:NUMBER` needs a weight behind it.

        >>> Source.parse("davis=sets/DAVIS:0.5").weight
        0.5

        Raises:
            DataError: no such layout, no folder, or a weight that is not above 0.
        """
        layout, equals, folder = text.partition("=")
        if not equals or not folder:
            raise DataError(f"data '{text}' is not NAME=DIR or NAME=DIR:WEIGHT, such as stills=../pictures:0.5")
        if layout not in LAYOUTS:
            raise DataError(f"there is no layout '{layout}' (in '{text}'); choose one of {', '.join(LAYOUTS)}")
        head, colon, tail = folder.rpartition(":")
        weight = _number(tail) if colon and head else None
        if weight is None:
            return cls(layout, Path(folder).expanduser())
        if not (math.isfinite(weight) and weight > 0):
            raise DataError(f"the weight {tail} of '{text}' must be a finite number above 0")
        return cls(layout, Path(head).expanduser(), weight)


def source_names(sources: Iterable[Source]) -> list[str]:
    """The name of each source: its layout, numbered from the second of that layout on.

    >>> source_names([Source("stills", Path("a")), Source("davis", Path("b")), Source("stills", Path("c"))])
    ['stills', 'davis', 'stills-2']
    """
    seen: Counter[str] = Counter()
    names = []
    for source in sources:
        seen[source.layout] += 1
        count = seen[source.layout]
        names.append(source.layout if count == 1 else f"{source.layout}-{count}")
    return names


@dataclass(frozen=True, slots=True)
class Item:
    """One object in one picture, which may be a frame of a video.

    Attributes:
        source: name of the source, see `source_names`.
        collection: the set within the source: the folder SET of stills, the NAME of COCO, else the layout.
        group: the video, or the picture itself; unique within the collection.
        frame: number of the frame as the data set counts; 0 for a still.
        image: the picture.
        mask: PNG of ids, or the JSON of COCO's instances.
        instance: id in the mask (annotation of COCO's instances, segment of its panoptic PNG); WHOLE: see there.
        area: pixels of the object.
        box: x, y, w, h in pixels: the smallest box around those.
        held_out: whether it is validation data; all items of a group agree.
        cutout: whether the picture is a blank ground but for the object, which must be pasted on another picture.
        background: whether the picture may serve as the background of other objects.
    """

    source: str
    collection: str
    group: str
    frame: int
    image: Path
    mask: Path
    instance: int
    area: int
    box: tuple[int, int, int, int]
    held_out: bool
    cutout: bool = False
    background: bool = True

    @property
    def facts(self) -> tuple[object, ...]:
        """What tells it from others, wherever it lies."""
        place = (self.source, self.collection, self.group, self.frame)
        return (*place, self.instance, self.area, self.box, self.held_out)

    @property
    def bytes(self) -> int:
        """Of the picture's file."""
        return self.image.stat().st_size


def read_image(path: Path) -> Picture:
    """A picture as H x W x 3 RGB, as its pixels are stored: masks know nothing of a tag that turns it.

    Raises:
        DataError: it is missing or cannot be decoded.
    """
    try:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:  # larger than OpenCV decodes
        image = None
    if image is None:
        raise DataError(f"picture {path} cannot be read; replace it")
    return image.astype(np.uint8, copy=False)


def read_ids(path: Path, *, joined: bool = False) -> NDArray[np.uint8]:
    """The numbers in a mask, H x W, by the one rule of `d3s_vot.labels`: a soft mask has 255 on its object.

    Args:
        path: of the picture.
        joined: whether all that is not black is one object (WHOLE), in whatever colour.

    Raises:
        DataError: it is missing or damaged, or no such picture; the system's error behind that is its cause.
    """
    try:
        return read_labels(path, joined=joined)
    except InputError as error:
        raise DataError(str(error)) from (error.__cause__ or error.__context__)


def read_masks(item: Item) -> tuple[Mask, Mask]:
    """The pixels of an item's object and those that are to be ignored, each H x W.

    To be ignored are the pixels of value 255 in a mask of ids, and the crowds of COCO.

    Raises:
        DataError: the mask is missing or damaged, or does not have the object any more.
    """
    if item.source.startswith("coco"):
        if item.mask.suffix == ".json":
            return coco.read_instance(item.mask, item.instance)
        return coco.read_segment(item.mask, item.instance)
    whole = item.instance == WHOLE
    ids = read_ids(item.mask, joined=whole and item.source.startswith("davis"))
    return ids == item.instance, np.zeros_like(ids, bool) if whole else ids == IGNORE


def read_object(item: Item) -> tuple[Picture, Mask, Mask]:
    """An item's picture (H x W x 3 RGB), object and pixels to be ignored (H x W each).

    Raises:
        DataError: one of them cannot be read, or their sizes differ.
    """
    image = read_image(item.image)
    mask, ignore = read_masks(item)
    if mask.shape != image.shape[:2]:
        sizes = [" x ".join(map(str, array.shape[1::-1])) for array in (mask, image)]
        raise DataError(f"mask {item.mask} has {sizes[0]} pixels, its picture {item.image} {sizes[1]}; replace one")
    return image, mask, ignore


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
