"""Files in the VOT toolkit's formats: trajectories (.bin and the older .txt), ground truth, `sequence`.

A trajectory holds one entry for every frame. As text: a line with a code, with the 4 or more numbers of a rectangle or
polygon, or with that of a mask (`d3s_vot.mask_codes`). In ground truth a frame in which the target is absent, or not
annotated, has the code 0, numbers that are NaN, or a region of no size, all as data sets have it. The binary form,
little-endian throughout, was read off files that vot-toolkit 0.7.4 wrote:

    uint16 version (1), uint32 number of entries; then of each entry a uint8 kind and
    kind 0: uint32 code        kind 1: 4 x float32 x, y, width, height
    kind 2: uint16 N, N x 2 x float32 corners
    kind 3: int16 x, y, uint16 width, height, N, N x uint16 runs of a mask
"""

from __future__ import annotations

import struct
from collections.abc import Sequence as Many
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from d3s_vot.errors import InputError
from d3s_vot.evaluation.vot.layout import Frames, read_facts
from d3s_vot.evaluation.vot.measures import SKIPPED
from d3s_vot.evaluation.vot.overlaps import Region, Shape
from d3s_vot.mask_codes import PlacedMask, from_bytes, from_code, to_bytes, to_code
from d3s_vot.regions import Box, Mask, Polygon, from_vot

Entry = Region | int  # a region, or a code
TRAJECTORIES = (".bin", ".txt")  # suffixes
_HEADER = struct.Struct("<HI")
_CODE = struct.Struct("<I")
_COUNT = struct.Struct("<H")


def read_trajectory(path: Path) -> list[Entry]:
    """All entries of a trajectory file.

    Raises:
        InputError: the file is missing, cut off, of another format, or holds values that are not finite.
    """
    try:
        entries = (
            parse_binary(path.read_bytes()) if path.suffix == ".bin" else parse_text(path.read_text("ascii"))
        )
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except (struct.error, IndexError):
        raise InputError(f"{path} is cut off") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no trajectory: {error}") from None
    for frame, entry in enumerate(entries, start=1):
        if isinstance(entry, np.ndarray) and not np.isfinite(entry).all():
            raise InputError(f"{path} holds a value that is not finite in frame {frame}")
    return entries


def read_truth(path: Path) -> list[Region | None]:
    """The regions of a groundtruth.txt, a line a frame; None where the target is absent.

    Raises:
        InputError: the file is missing, damaged or empty, or the first frame has no target.
    """
    path = Path(path)
    try:
        entries = parse_text(path.read_text("ascii").rstrip())
        truth = [_true_region(entry, frame) for frame, entry in enumerate(entries, start=1)]
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); sequences in VOT layout have this file") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no ground truth: {error}") from None
    if not truth:
        raise InputError(f"{path} is empty")
    if truth[0] is None:
        raise InputError(f"{path} gives no target in the first frame, which is where it is given to a tracker")
    return truth


def _true_region(entry: Entry, frame: int) -> Region | None:
    """An entry of ground truth; ValueError where it is none."""
    if isinstance(entry, int):
        if entry != SKIPPED:
            raise ValueError(f"it has the code {entry} in frame {frame}, which is of results")
        return None
    if isinstance(entry, PlacedMask):
        return None if entry.bounds is None else entry
    if np.isnan(entry).all():
        return None
    if not np.isfinite(entry).all():
        raise ValueError(f"it holds a value that is not finite in frame {frame}")
    nothing = (entry[2:] <= 0).any() if entry.ndim == 1 else not np.ptp(entry, axis=0).any()
    return None if nothing else entry


def as_given(region: Region, height: int, width: int) -> Box | Polygon | Mask:
    """A stored region as trackers take it, in an image of that size.

    Raises:
        InputError: it is empty.
    """
    if isinstance(region, PlacedMask):
        return Mask(region.window(0, 0, width, height))
    return from_vot(region)


def parse_binary(data: bytes) -> list[Entry]:
    """The entries of a .bin file; ValueError, IndexError or struct.error where it is no such file."""
    version, count = _HEADER.unpack_from(data)
    if version != 1:
        raise ValueError(f"version {version} of the format is not known")
    place = _HEADER.size
    entries: list[Entry] = []
    for _ in range(count):
        kind = data[place]
        place += 1
        if kind == 0:
            entries.append(_CODE.unpack_from(data, place)[0])
            place += _CODE.size
            continue
        if kind == 2:
            size = 2 * _COUNT.unpack_from(data, place)[0]
            place += _COUNT.size
        elif kind == 1:
            size = 4
        elif kind == 3:
            mask, place = from_bytes(data, place)
            entries.append(mask)
            continue
        else:
            raise ValueError(f"it holds a region of the kind {kind}")
        values = struct.unpack_from(f"<{size}f", data, place)
        place += 4 * size
        entries.append(_region(values))
    if place != len(data):
        raise ValueError(f"{len(data) - place} bytes follow its last entry")
    return entries


def parse_text(text: str) -> list[Entry]:
    """The entries of a text file; ValueError where a line is no code and no region."""
    entries: list[Entry] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            raise ValueError(f"line {number} is empty")
        if line.startswith("m"):
            entries.append(from_code(line))
            continue
        values = [float(field) for field in line.split(",")]
        if len(values) > 1:
            entries.append(_region(values))
        elif values[0] in (0, 1, 2):
            entries.append(int(values[0]))
        else:
            raise ValueError(f"{values[0]} is no code")
    return entries


def as_text(entries: Many[Entry]) -> str:
    """The text of a trajectory or of ground truth, a line an entry."""
    return "".join(f"{_line(entry)}\n" for entry in entries)


def _line(entry: Entry) -> str:
    if isinstance(entry, PlacedMask):
        return to_code(entry)
    return str(entry) if isinstance(entry, int) else ",".join(f"{value:.17g}" for value in entry.ravel())


def as_binary(entries: Many[Entry]) -> bytes:
    """A trajectory's .bin file.

    Raises:
        ValueError: a mask does not fit; see `d3s_vot.mask_codes.storable`.
    """
    parts = [_HEADER.pack(1, len(entries))]
    for entry in entries:
        if isinstance(entry, PlacedMask):
            parts.append(b"\x03" + to_bytes(entry))
        elif isinstance(entry, int):
            parts.append(b"\x00" + _CODE.pack(entry))
        elif entry.ndim == 1:
            parts.append(b"\x01" + struct.pack("<4f", *entry))
        else:
            parts.append(b"\x02" + _COUNT.pack(len(entry)) + struct.pack(f"<{entry.size}f", *entry.ravel()))
    return b"".join(parts)


def _region(values: tuple[float, ...] | list[float]) -> Shape:
    """4 numbers: a rectangle; 6, 8, ...: the corners of a polygon."""
    region = np.array(values, np.float64)
    if len(region) == 4:
        return region
    if len(region) < 6 or len(region) % 2:
        raise ValueError(f"{len(region)} numbers are no region")
    return region.reshape(-1, 2)


@dataclass(frozen=True)
class Sequence:
    """A sequence of a data set: its annotation, the size of its images in pixels, and where they lie."""

    name: str
    truth: list[Region | None]  # None: the target is absent
    width: int
    height: int
    folder: Path
    pattern: str  # of the images' files below it, such as color/%08d.jpg
    first: int = 1  # number of the first image

    @classmethod
    def load(cls, folder: Path) -> Sequence:
        """Reads groundtruth.txt and `sequence`; the first image only where no file gives its size.

        Raises:
            InputError: a file is missing, damaged, or the two disagree on the length.
        """
        try:
            return cls._load(Path(folder))
        except OSError as error:  # such as of a name that is too long
            raise InputError(f"the sequence {folder} cannot be read ({error.strerror})") from None

    @classmethod
    def _load(cls, folder: Path) -> Sequence:
        truth = read_truth(folder / read_facts(folder).get("groundtruth", "groundtruth.txt"))
        frames = Frames.of(folder, len(truth))
        return cls(folder.name, truth, frames.width, frames.height, folder, frames.pattern, frames.first)

    def frame(self, index: int) -> Path:
        """The file of an image, counted from 0; it need not be there."""
        return self.folder / (self.pattern % (self.first + index))
