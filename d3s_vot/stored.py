"""Files in the VOT toolkit's formats: trajectories (.bin and the older .txt), ground truth, `sequence`.

A trajectory holds one entry for every frame. As text: a line with a code, or with the 4 or more numbers of a
rectangle or polygon. The binary form, little-endian throughout, was read off files that vot-toolkit 0.7.4
wrote:

    uint16 version (1), uint32 number of entries; then of each entry a uint8 kind and
    kind 0: uint32 code        kind 1: 4 x float32 x, y, width, height
    kind 2: uint16 N, N x 2 x float32 corners
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from d3s_vot.errors import InputError
from d3s_vot.images import read_image
from d3s_vot.measures import Region

Entry = Region | int  # a region, or a code
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
        if not isinstance(entry, int) and not np.isfinite(entry).all():
            raise InputError(f"{path} holds a value that is not finite in frame {frame}")
    return entries


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
        else:
            raise ValueError(
                "it holds masks, which these measures do not cover" if kind == 3 else f"kind {kind}"
            )
        values = struct.unpack_from(f"<{size}f", data, place)
        place += 4 * size
        entries.append(_region(values))
    if place != len(data):
        raise ValueError(f"{len(data) - place} bytes follow its last entry")
    return entries


def parse_text(text: str) -> list[Entry]:
    """The entries of a text file; ValueError where a line is no code and no region."""
    entries: list[Entry] = []
    for line in text.splitlines():
        values = [float(field) for field in line.split(",")]
        if len(values) > 1:
            entries.append(_region(values))
        elif values[0] in (0, 1, 2):
            entries.append(int(values[0]))
        else:
            raise ValueError(f"{values[0]} is no code")
    return entries


def _region(values: tuple[float, ...] | list[float]) -> Region:
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
    truth: list[Region]
    width: int
    height: int
    pattern: Path  # of the images' files, with %08d for the number

    @classmethod
    def load(cls, folder: Path) -> Sequence:
        """Reads groundtruth.txt and `sequence`; the first image only where no file gives its size.

        Raises:
            InputError: a file is missing, damaged, or the two disagree on the length.
        """
        path = folder / "groundtruth.txt"
        truth: list[Region] = []
        for frame, entry in enumerate(read_trajectory(path), start=1):
            if isinstance(entry, int):
                raise InputError(f"{path} gives no region in frame {frame}; these measures need one in each")
            truth.append(entry)
        if not truth:
            raise InputError(f"{path} is empty")
        facts = _facts(folder / "sequence")
        pattern = folder / facts.get("channels.color", "color/%08d.jpg")
        try:
            length = int(facts.get("length", len(truth)))
            size = [int(facts[key]) for key in ("width", "height") if key in facts]
        except ValueError:
            raise InputError(
                f"{folder / 'sequence'} gives a length or size that is no whole number"
            ) from None
        if length != len(truth):
            raise InputError(f"{folder}: `sequence` says {length} frames, groundtruth.txt has {len(truth)}")
        if len(size) < 2:
            height, width = read_image(_frame(pattern, 0)).shape[:2]
            size = [width, height]
        return cls(folder.name, truth, size[0], size[1], pattern)

    def frame(self, index: int) -> Path:
        """The file of an image, counted from 0; it need not be there."""
        return _frame(self.pattern, index)


def _frame(pattern: Path, index: int) -> Path:
    return Path(str(pattern).replace("%08d", f"{index + 1:08d}"))


def _facts(path: Path) -> dict[str, str]:
    """The lines `key=value` of a file; empty where there is none."""
    if not path.is_file():
        return {}
    lines = (line.partition("=") for line in path.read_text("utf-8", "replace").splitlines())
    return {key.strip(): value.strip() for key, _, value in lines}
