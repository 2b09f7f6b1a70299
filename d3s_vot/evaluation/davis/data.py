"""DAVIS on disk: sequences of pictures with a mask for each, in the packages of 2016 and of 2017.

    DAVIS/JPEGImages/480p/SEQ/00000.jpg
    DAVIS/Annotations/480p/SEQ/00000.png    2016: 0 and 255; 2017: the objects' numbers, 1 to N, and 255 for "void"
    DAVIS/ImageSets/480p/val.txt            2016: the two paths of a frame a line
    DAVIS/ImageSets/{2016,2017}/val.txt     2017: a name a line

Without ImageSets, as many copies are, the names come from `davis_names`; without some of these, from the folders. The
folder 480p may be missing, too.
"""

from __future__ import annotations

import difflib
import io
import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from d3s_vot.errors import InputError
from d3s_vot.evaluation.boxes.checks import picture_size, some
from d3s_vot.evaluation.davis.names import VALIDATION
from d3s_vot.labels import VOID, Labels, objects_in, read_labels, voc_palette
from d3s_vot.leftovers import is_leftover, without_leftovers

log = logging.getLogger(__name__)

LISTS = {
    "davis16-val": ("ImageSets/480p/val.txt", "ImageSets/2016/val.txt"),
    "davis17-val": ("ImageSets/2017/val.txt",),
}
PICTURES, MASKS = "JPEGImages/480p", "Annotations/480p"
BARE_PICTURES, BARE_MASKS = "JPEGImages", "Annotations"


@dataclass(frozen=True)
class DavisSequence:
    """One video whose objects are given as masks on its first frame.

    Attributes:
        name: as the list has it.
        frames: N pictures in the order of time.
        annotations: N files of masks; a file that is missing on disk has its place all the same, here and there.
        joined: whether all objects are one (DAVIS-2016).
    """

    name: str
    frames: tuple[Path, ...]
    annotations: tuple[Path, ...]
    joined: bool

    def __len__(self) -> int:
        return len(self.frames)

    def truth(self, index: int) -> tuple[Labels, NDArray[np.bool_]]:
        """Labels (joined objects are number 1) and, H x W, the pixels that do not count of a frame's annotation.

        Raises:
            InputError: the annotation is missing or damaged.
        """
        labels = read_masks(self.annotations[index], joined=self.joined)
        if self.joined:
            return (labels > 0).astype(np.uint8), np.zeros(labels.shape, bool)
        void = (labels == VOID) & (VOID not in self._numbers)
        return np.where(void, 0, labels).astype(np.uint8), void

    @cached_property
    def _numbers(self) -> list[int]:
        """Of the objects in the first annotation."""
        return objects_in(read_masks(self.annotations[0]))


def read_masks(path: Path, *, joined: bool = False) -> Labels:
    """`read_labels` of an annotation or a result.

    Raises:
        InputError: the file is missing or damaged, or a picture of another kind.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing; get the data set again, or track this sequence first")
    return read_labels(path, joined=joined)


def encode_labels(labels: Labels) -> bytes:
    """Labels as an indexed PNG in the colours of DAVIS."""
    picture = Image.fromarray(labels)
    picture.putpalette(voc_palette())
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def open_davis(name: str, root: Path, names: Collection[str] | None = None) -> list[DavisSequence]:
    """The sequences of a list, in its order.

    Args:
        name: of the benchmark, a key of LISTS.
        root: the folder DAVIS or the one that it lies in.
        names: of the sequences wanted; None: all.

    Raises:
        InputError: this is not the data set, or there is no sequence of that name.
    """
    root, names = Path(root), {names} if isinstance(names, str) else names
    listing = _find_list(name, root)
    if listing is not None:
        folder = listing.parents[2]
        if not _places(folder)[0].is_dir():
            raise InputError(f"{folder} has no folder {PICTURES}; get the package of DAVIS in 480p")
        stems = _read_list(listing)
    else:
        folder, stems = _find_folders(name, root)
    pictures, masks = _places(folder)
    for wanted in names or ():
        if wanted not in stems:
            close = difflib.get_close_matches(wanted, stems, 3)
            advice = f"did you mean {', '.join(close)}" if close else f"{listing or pictures} lists them"
            raise InputError(f"{name} has no sequence {wanted}; {advice}")
    chosen = [sequence for sequence in stems if names is None or sequence in names]
    joined = name == "davis16-val"
    return [_sequence(pictures / sequence, masks / sequence, stems[sequence], joined) for sequence in chosen]


def _folders(folder: Path) -> list[Path]:
    """The folders in a folder, without leftovers."""
    try:
        return without_leftovers(path for path in folder.iterdir() if path.is_dir())
    except OSError as error:
        raise InputError(f"{folder} cannot be opened as a folder: {error.strerror}; give the folder DAVIS") from None


def _places(folder: Path) -> tuple[Path, Path]:
    """The folders of pictures and of masks of a data set."""
    with_size = (folder / PICTURES).is_dir() or not any(without_leftovers((folder / BARE_PICTURES).glob("*/*.jpg")))
    return (folder / PICTURES, folder / MASKS) if with_size else (folder / BARE_PICTURES, folder / BARE_MASKS)


def _find_folders(name: str, root: Path) -> tuple[Path, dict[str, set[str]]]:
    """A data set without lists: its folder, and the names of the sequences; no frames are listed."""
    for level in [root], _folders(root):
        found = [folder for folder in level if all(place.is_dir() for place in _places(folder))]
        if len(found) > 1:
            raise InputError(f"{root} holds several data sets, such as {found[0]} and {found[1]}; give one's folder")
        if found:
            there = {path.name for path in _folders(_places(found[0])[1])}
            known = set(VALIDATION[name]) <= there
            names = VALIDATION[name] if known else sorted(there)
            what = f"the {len(names)} of {name}" if known else f"all {len(names)} folders, not all of {name}"
            log.warning("%s has no %s; taken are %s", found[0], LISTS[name][-1], what)
            return found[0], {sequence: set() for sequence in names}
    raise InputError(
        f"{root} is not the data of {name}: there is no {' or '.join(LISTS[name])}; give the folder DAVIS, or one with "
        f"{PICTURES} and {MASKS}"
    )


def _find_list(name: str, root: Path) -> Path | None:
    """The list of the sequences, under `root` or one of its folders; None: there is no list of any year.

    Raises:
        InputError: there are several, or that of another year alone.
    """
    folders = _folders(root)
    for level in [root], folders:
        every = [[folder / part for part in LISTS[name] if (folder / part).is_file()] for folder in level]
        found = [lists[0] for lists in every if lists]
        if len(found) > 1:
            raise InputError(f"{root} holds several data sets, such as {found[0]} and {found[1]}; give one's folder")
        if found:
            return found[0]
    if name == "davis17-val" and any((folder / LISTS["davis16-val"][0]).is_file() for folder in (root, *folders)):
        raise InputError(
            f"{root} is not the data of {name}: there is no {' or '.join(LISTS[name])}; this is the package of 2016, "
            "which does not tell objects apart"
        )
    return None


def _read_list(path: Path) -> dict[str, set[str]]:
    """Names of the sequences with the numbers of the frames that the list has; none where it has names alone."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a list: {error}") from None
    stems: dict[str, set[str]] = {}
    for first in (line.split()[0] for line in lines if line.strip()):
        if "/" in first:
            stems.setdefault(Path(first).parent.name, set()).add(Path(first).stem)
        else:
            stems.setdefault(first, set())
    if not stems:
        raise InputError(f"{path} is empty; get the data set again")
    return stems


def _sequence(pictures: Path, masks: Path, listed: set[str], joined: bool) -> DavisSequence:
    """All frames of which the list, a picture or a mask knows."""
    files = [*pictures.glob("*.jpg"), *masks.glob("*.png")]
    stems = sorted(listed | {path.stem for path in files if not is_leftover(path.name)})
    return DavisSequence(
        pictures.name,
        tuple(pictures / f"{stem}.jpg" for stem in stems),
        tuple(masks / f"{stem}.png" for stem in stems),
        joined,
    )


def check_sequence(sequence: DavisSequence) -> list[str]:
    """What is wrong with a sequence's files, a sentence each; pictures are looked at by their headers and ends."""
    return [f"{sequence.name}: {problem}" for problem in _problems(sequence)]


def _problems(sequence: DavisSequence) -> Iterator[str]:
    count = len(sequence)
    if not count:
        yield f"there are no frames; there must be pictures in {PICTURES}/{sequence.name}"
        return
    if count < 3:
        yield f"there are {count} frames; it takes 3, since the first and the last are not measured"
    sizes: dict[Path, tuple[int, int]] = {}
    for kind, paths in (("pictures", sequence.frames), ("annotations", sequence.annotations)):
        missing = []
        for path in paths:
            try:
                sizes[path] = picture_size(path)
            except FileNotFoundError:
                missing.append(path.name)
            except InputError as error:
                yield f"in {path.parent}, {error}"
        if missing:
            yield f"{len(missing)} of {count} {kind} are missing in {paths[0].parent}: {some(missing)}"
    yield from _number_problems(sequence)
    first = next(iter(sizes.values()), (0, 0))
    for path, (width, height) in sizes.items():
        if (width, height) != first:
            yield f"{path} is {width} x {height} pixels, the first frame {first[0]} x {first[1]}"
    if sequence.annotations[0] in sizes:
        try:
            if not sequence.truth(0)[0].any():
                yield f"{sequence.annotations[0]} is empty; no object can be tracked"
        except InputError as error:
            yield str(error)


def _number_problems(sequence: DavisSequence) -> Iterator[str]:
    """Frames are numbered from 0 on."""
    stems = [path.stem for path in sequence.frames]
    strange = [stem for stem in stems if not stem.isdecimal()]
    if strange:
        yield f"frames are named by their number, which these are not: {some(strange)}"
        return
    numbers = {int(stem) for stem in stems}
    if gap := max(numbers) + 1 - len(numbers):
        absent = (f"{number:05d}" for number in range(max(numbers)) if number not in numbers)
        yield f"{gap} of {max(numbers) + 1} frames are missing: {some(absent, gap)}"
