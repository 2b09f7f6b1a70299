"""What sequences are hard by, such as occlusion: the attributes that benchmarks give to their sequences.

Benchmarks keep them as a file SEQ.txt a sequence with a 0 or 1 for each attribute, in an order that the benchmark's own
evaluation knows, which `ORDERS` repeats; a file names.txt beside them, a name a line, comes before it. A table of one's
own is a CSV file whose first row has the names: sequence,blur,night. GOT-10k says more in the files of each sequence.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from d3s_vot.errors import InputError
from d3s_vot.evaluation.boxes.sequences import Sequence as Video

OTB = (
    "illumination variation", "out-of-plane rotation", "scale variation", "occlusion", "deformation", "motion blur",
    "fast motion", "in-plane rotation", "out of view", "background clutter", "low resolution",
)  # fmt: skip
UAV123 = (
    "scale variation", "aspect ratio change", "low resolution", "fast motion", "full occlusion", "partial occlusion",
    "out of view", "background clutter", "illumination variation", "viewpoint change", "camera motion",
    "similar object",
)  # fmt: skip
LASOT = (
    "illumination variation", "partial occlusion", "deformation", "motion blur", "camera motion", "rotation",
    "background clutter", "viewpoint change", "scale variation", "full occlusion", "fast motion", "out of view",
    "low resolution", "aspect ratio change",
)  # fmt: skip
ORDERS = {"otb50": OTB, "otb100": OTB, "uav123": UAV123, "lasot": LASOT, "lasot-extension": LASOT}
PLACES = ("anno/UAV123/att", "anno/att", "att")  # below the data set
NAMES = "names.txt"

Attributes = dict[str, tuple[str, ...]]


def read_attributes(name: str, root: Path, sequences: Sequence[Video], given: Path | None = None) -> Attributes:
    """The attributes of sequences; of one without a file, or of a data set that has none, nothing.

    Args:
        name: of the data set.
        root: its folder.
        sequences: of it.
        given: a folder of files, or a table; None: where the data set itself has them.

    Raises:
        InputError: what is given is not there or has none of the sequences, or a file cannot be read.
    """
    if given is not None:
        found = _table(given) if given.is_file() else _flags(name, given, sequences)
        known = {video.name for video in sequences}
        if not known & found.keys():
            raise InputError(f"{given} has the attributes of no sequence of {name}; {sequences[0].name} is one")
        return {key: value for key, value in found.items() if key in known}
    if name == "got10k-val":
        return {video.name: _got10k(video) for video in sequences}
    for place in PLACES:
        if name in ORDERS and (root / place).is_dir():
            return _flags(name, root / place, sequences)
    return {}


def _flags(name: str, folder: Path, sequences: Sequence[Video]) -> Attributes:
    """Of a folder with SEQ.txt."""
    if not folder.is_dir():
        raise InputError(f"there is no {folder}; give the folder or the table of attributes")
    if (folder / NAMES).is_file():
        names = tuple(filter(None, map(str.strip, _text(folder / NAMES).splitlines())))
    elif name in ORDERS:
        names = ORDERS[name]
    else:
        raise InputError(f"the attributes in {folder} have no names; write them into {folder / NAMES}, one a line")
    found = {}
    for video in sequences:
        for stem in dict.fromkeys((video.name, video.name.replace(".", "-"))):  # the second of a video's targets
            path = folder / f"{stem}.txt"
            if not path.is_file():
                continue
            flags = re.split(r"[\s,]+", _text(path).strip())
            if len(flags) != len(names) or set(flags) - {"0", "1"}:
                raise InputError(f"{path} must have {len(names)} values 0 or 1, one for each attribute")
            found[video.name] = tuple(one for one, flag in zip(names, flags, strict=True) if flag == "1")
    return found


def _table(path: Path) -> Attributes:
    """Of a CSV file."""
    head, *rows = list(csv.reader(_text(path).splitlines())) or [[]]
    if len(head) < 2 or head[0] != "sequence":
        raise InputError(f"{path} must begin with a row such as sequence,blur,night")
    found = {}
    for number, row in enumerate(rows, 2):
        if len(row) != len(head) or set(row[1:]) - {"0", "1"}:
            raise InputError(f"{path}: line {number} must be a sequence and {len(head) - 1} values 0 or 1")
        found[row[0]] = tuple(one for one, flag in zip(head[1:], row[1:], strict=True) if flag == "1")
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a text file") from None


def _got10k(video: Video) -> tuple[str, ...]:
    """What GOT-10k's labels of each frame and its facts of a sequence say."""
    folder = video.frames[0].parent
    found = [
        title
        for file, title in (("absence.label", "absent at times"), ("cut_by_image.label", "cut by the image"))
        if (folder / file).is_file() and "1" in _text(folder / file).split()
    ]
    facts = dict(re.findall(r"^(\w+): *(.*\S)", _text(folder / "meta_info.ini"), re.MULTILINE))
    found += [f"{key.replace('_', ' ')}: {facts[key]}" for key in ("root_class", "motion_class") if key in facts]
    return tuple(found)
