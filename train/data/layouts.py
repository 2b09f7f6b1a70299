"""From a folder to the objects in it: what all layouts have in common; see `train.stills` and `train.videos`.

A layout lists files when it is made, which is quick, and says which pictures with masks to look into; what was seen
in those becomes the items. All that depends on the disk is in `stamps`, so that the outcome can be kept.
"""

from __future__ import annotations

import os
import zlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from d3s_vot.leftovers import is_leftover
from train.data.items import MIN_AREA, Item, read_ids
from train.errors import DataError

HELD_OUT_ONE_IN = 18
PICTURES = (".jpg", ".jpeg", ".png")
TOO_SMALL = f"object under {MIN_AREA} pixels"
NO_OBJECT = "mask without an object"
NO_MASK = "picture without a mask"
NO_PICTURE = "mask without a picture"


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture with its mask, before anyone has looked into them; see `Item`. `joined`: see `read_ids`."""

    collection: str
    group: str
    frame: int
    image: Path
    mask: Path
    joined: bool = False

    @property
    def where(self) -> Path:
        """The file to look at when something is wrong with the mask; a JSON of COCO has thousands of masks."""
        return self.image if self.mask.suffix == ".json" else self.mask


@dataclass(frozen=True, slots=True)
class Seen:
    """An object found in a mask: id, pixels, and x, y, w, h of the box around those."""

    instance: int
    area: int
    box: tuple[int, int, int, int]


@dataclass
class Skipped:
    """What was left out: how many by reason, and where this was met first."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, reason: str, where: object, count: int = 1) -> None:
        """Count something left out."""
        self.counts[reason] += count
        self.examples.setdefault(reason, str(where))


def measure_ids(frame: Frame) -> tuple[tuple[int, int], list[Seen]]:
    """Size (H, W) of a mask of ids and what it shows, IGNORE like an object.

    Raises:
        DataError: it cannot be read.
    """
    ids = read_ids(frame.mask, joined=frame.joined)
    seen = []
    for instance, area in enumerate(np.bincount(ids.ravel(), minlength=256)):
        if instance and area:
            x, y, w, h = (int(v) for v in cv2.boundingRect((ids == instance).astype(np.uint8)))
            seen.append(Seen(instance, int(area), (x, y, w, h)))
    return ids.shape, seen  # type: ignore[return-value]


class Layout(ABC):
    """A folder in one layout.

    Attributes:
        name: of the layout.
        measure: looks into the mask of a frame.
        source: name of the source, for the items.
        root: the folder.
        stamps: path, size and time of every file listed.
        skipped: what was left out so far.
    """

    name: str
    measure = staticmethod(measure_ids)

    def __init__(self, source: str, root: Path) -> None:
        """List the files.

        Raises:
            DataError: the folder or a part of the layout is missing.
        """
        self.source, self.root = source, root
        self.stamps: list[tuple[str, int, int]] = []
        self.skipped = Skipped()
        if not root.is_dir():
            raise DataError(f"there is no data folder {root}; unpack the data set there or name another folder")

    @abstractmethod
    def frames(self) -> list[Frame]:
        """The pictures with masks to look into, in a fixed order."""

    def items(self, seen: list[tuple[Frame, list[Seen]]]) -> list[Item]:
        """The items of those frames, in the order given; one group in 18 is held out, by the checksum of its name."""
        found = []
        for frame, objects in seen:
            held_out = checksum(frame.collection, frame.group) % HELD_OUT_ONE_IN == 0
            found += self.items_of(frame, objects, held_out)
        return found

    def items_of(
        self, frame: Frame, objects: list[Seen], held_out: bool, *, cutout: bool = False, background: bool = True
    ) -> list[Item]:
        """The objects of a frame that are large enough."""
        if not objects:
            self.skipped.add(NO_OBJECT, frame.where)
        large = [o for o in objects if o.area >= MIN_AREA]
        if len(large) < len(objects):
            self.skipped.add(TOO_SMALL, frame.where, len(objects) - len(large))
        return [
            Item(
                self.source, frame.collection, frame.group, frame.frame, frame.image, frame.mask,
                o.instance, o.area, o.box, held_out, cutout, background,
            )
            for o in large
        ]  # fmt: skip

    def list_files(self, folder: Path, suffixes: Iterable[str]) -> list[PurePosixPath]:
        """Files of some suffixes in a folder and those within, relative to it and sorted; none that systems leave."""
        names = []
        for name, entry in _walk(folder, ""):
            if os.path.splitext(name)[1].lower() in suffixes:
                self.stamp(folder / name, entry.stat())
                names.append(PurePosixPath(name))
        return sorted(names, key=lambda n: n.parts)

    def stamp(self, path: Path, stat: os.stat_result | None = None) -> None:
        """Note that the outcome depends on a file."""
        stat = stat or path.stat()
        self.stamps.append((path.relative_to(self.root).as_posix(), stat.st_size, stat.st_mtime_ns))

    def part(self, choice: str) -> Path:
        """A folder that the layout must have, by its path within the root.

        Raises:
            DataError: it is missing.
        """
        if (self.root / choice).is_dir():
            return self.root / choice
        wanted = f"{choice}, a part of the layout {self.name}"
        raise DataError(f"{self.root} has no folder {wanted}; name the folder that contains it")


def checksum(collection: str, group: str) -> int:
    """A number from the name of a group, the same on every machine, by which groups are held out."""
    return zlib.crc32(f"{collection}/{group}".encode())


def _walk(folder: Path, prefix: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return  # as good as empty: what should be in it is missed by name
    except OSError as error:
        raise DataError(f"folder {folder} cannot be listed ({error.strerror}); make it readable") from None
    for entry in entries:
        if is_leftover(entry.name):
            continue
        if entry.is_dir():
            yield from _walk(folder / entry.name, f"{prefix}{entry.name}/")
        elif entry.is_file():
            yield f"{prefix}{entry.name}", entry
