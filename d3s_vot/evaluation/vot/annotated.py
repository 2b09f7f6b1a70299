"""Sequences of VOT2020 and later: several objects, anchors, pixels that do not count; as the toolkit reads them.

    groundtruth.txt              of one object, or
    groundtruth_OBJECT.txt       of each; one such file, and groundtruth.txt is not looked at
    groundtruth__ignore.txt      pixels that no measure counts
    anchor.value                 a number a frame: above 0 a run goes from there to the end, below 0 to frame 0
    NAME.tag                     0 or 1 a frame

In ground truth the code 0 means that a frame is not annotated, 1 or an empty mask that the object is absent. In
long-term runs 0 means so, too, and an empty mask is a region.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from d3s_vot.errors import InputError
from d3s_vot.evaluation.vot.layout import Frames, read_facts
from d3s_vot.evaluation.vot.overlaps import Region, pixel_overlap
from d3s_vot.evaluation.vot.stored import Entry, parse_text
from d3s_vot.mask_codes import PlacedMask

UNKNOWN, ABSENT = 0, 1  # codes of ground truth
IGNORED = "_ignore"  # in the place of an object
EMPTY = PlacedMask(0, 0, np.zeros((0, 0), bool))


@dataclass(frozen=True, eq=False)
class Annotated:
    """A sequence and all that is annotated in it.

    Attributes:
        name: of its folder.
        objects: the annotation of each object, an entry a frame: a region, UNKNOWN or ABSENT.
        ignored: of each frame the pixels that do not count, or a code; None where there is no such file.
        anchors: the number of each frame; None where there is no such file.
        frames: the images.
    """

    name: str
    objects: dict[str, list[Entry]]
    ignored: list[Entry] | None
    anchors: list[float] | None
    frames: Frames

    @classmethod
    def load(cls, folder: Path) -> Annotated:
        """Reads all annotation of a folder, and its first image only where no file gives the size.

        Raises:
            InputError: a file is missing or damaged, an object is nowhere, or the files have different lengths.
        """
        folder = Path(folder)
        paths = truth_files(folder)
        read = {name: read_annotation(path) for name, path in paths.items()}
        lengths = {len(entries) for entries in read.values()}
        if len(lengths) > 1:
            first, other = min(read, key=lambda name: len(read[name])), max(read, key=lambda name: len(read[name]))
            raise InputError(
                f"{paths[first]} has {len(read[first])} frames and {paths[other].name} {len(read[other])}; "
                "give every object a line a frame, 0 where it is not annotated"
            )
        ignored = read.pop(IGNORED, None)
        if not read:
            raise InputError(f"{folder} has no object but {IGNORED}")
        for name, entries in read.items():
            if all(map(is_empty, entries)):
                raise InputError(f"{paths[name]} shows its object in no frame")
        count = lengths.pop()
        return cls(folder.name, read, ignored, _anchors(folder, count), Frames.of(folder, count))

    def __len__(self) -> int:
        return len(next(iter(self.objects.values())))

    def runs(self) -> list[tuple[int, range]]:
        """The runs from the anchors: the anchor's frame, and the frames in their order."""
        found = [(frame, value) for frame, value in enumerate(self.anchors or ()) if value]
        return [(frame, range(frame, len(self)) if value > 0 else range(frame, -1, -1)) for frame, value in found]

    def tag(self, name: str) -> list[bool]:
        """Whether each frame has a tag.

        Raises:
            InputError: there is no such file, or a line of it is no 0 or 1.
        """
        path = self.frames.folder / f"{name}.tag"
        values = [value != 0 for value in _values(path)]
        return values + [False] * (len(self) - len(values))

    def overlap(self, answer: Entry, truth: Entry, frame: int, bounded: bool = True) -> float:
        """Overlap of an answer with the truth in a frame, as the toolkit counts it; a code is a region of no pixel."""
        ignored = None if self.ignored is None else _region(self.ignored[frame])
        size = self.frames.width, self.frames.height
        return pixel_overlap(_region(answer), _region(truth), *size, ignored=ignored, bounded=bounded)

    def result_name(self, name: str) -> str:
        """How the toolkit calls an object's results, without the number of the run."""
        return self.name if len(self.objects) == 1 else f"{self.name}_{name}"


def truth_files(folder: Path) -> dict[str, Path]:
    """The ground truth of each object, by its name; of a sequence with one object that has none, "object".

    Raises:
        InputError: there is none.
    """
    found = {path.stem.partition("_")[2]: path for path in sorted(folder.glob("groundtruth_*.txt"))}
    if not found:
        path = folder / read_facts(folder).get("groundtruth", "groundtruth.txt")
        if not path.is_file():
            raise InputError(f"{folder} has no groundtruth.txt and no groundtruth_OBJECT.txt; see docs/vot.md")
        found["object"] = path
    return found


def read_annotation(path: Path) -> list[Entry]:
    """The entries of one file of ground truth, an entry a frame: a region, UNKNOWN or ABSENT.

    Raises:
        InputError: it is missing, damaged or empty.
    """
    try:
        entries = as_the_toolkit_reads(parse_text(path.read_text("ascii").rstrip()))
        entries = [_checked(entry, frame) for frame, entry in enumerate(entries, start=1)]
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no ground truth: {error}") from None
    if not entries:
        raise InputError(f"{path} is empty")
    return entries


def _checked(entry: Entry, frame: int) -> Entry:
    if isinstance(entry, int):
        if entry not in (UNKNOWN, ABSENT):
            raise ValueError(f"it has the code {entry} in frame {frame}, which is of results")
        return entry
    if isinstance(entry, PlacedMask):
        return entry
    if np.isnan(entry).any():
        return UNKNOWN
    if not np.isfinite(entry).all():
        raise ValueError(f"it holds a value that is not finite in frame {frame}")
    return entry


def as_the_toolkit_reads(entries: Sequence[Entry]) -> list[Entry]:
    """Entries of a text file as the toolkit has them: of a mask whose box is one pixel wide it makes an empty one."""
    return [EMPTY if isinstance(entry, PlacedMask) and entry.array.shape[1] == 1 else entry for entry in entries]


def is_code(entry: Entry, code: int) -> bool:
    """Whether an entry is a certain code."""
    return isinstance(entry, int) and entry == code


def is_empty(entry: Entry) -> bool:
    """Whether the toolkit takes an entry for no target: a code, or a region that is not two pixels wide and high.

    >>> is_empty(PlacedMask(3, 4, np.ones((1, 9), bool)))
    True
    """
    if isinstance(entry, int):
        return True
    if isinstance(entry, PlacedMask):
        return (bounds := entry.bounds) is None or bounds[0] == bounds[1] or bounds[2] == bounds[3]
    return bool(min(entry[2:]) <= 0 if entry.ndim == 1 else np.ptp(entry, axis=0).min() == 0)


def _region(entry: Entry) -> Region | None:
    return None if isinstance(entry, int) else entry


def _anchors(folder: Path, count: int) -> list[float] | None:
    path = folder / "anchor.value"
    if not path.is_file():
        return None
    values = _values(path)
    if len(values) > count:
        raise InputError(f"{path} has {len(values)} lines and the sequence {count} frames")
    return values + [0.0] * (count - len(values))


def _values(path: Path) -> list[float]:
    """The numbers of a file, one a line."""
    try:
        values = [float(line) for line in path.read_text("ascii").split()]
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from None
    except (ValueError, UnicodeDecodeError):
        raise InputError(f"{path} holds a line that is no number") from None
    if not all(map(math.isfinite, values)):
        raise InputError(f"{path} holds a number that is not finite")
    return values
