"""Looking at all frames of a data set before the first is tracked, at the cost of opening each file once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice, pairwise
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from d3s_vot.errors import InputError
from d3s_vot.evaluation.boxes.sequences import Sequence
from d3s_vot.images import keeps_aspect
from d3s_vot.regions import Box

JPEG_END, JPEG_SCAN = b"\xff\xd9", b"\xff\xda"
PREFIX = "img_"  # of the numbers in the names of AVisT's frames
RESIZED = 4  # times that a frame may be as large as the first, or as small; what is further off is another picture


def check_frames(sequences: Iterable[Sequence], seen: Callable[[Sequence], None] = lambda _: None) -> list[str]:
    """Everything that is wrong with sequences, a sentence each.

    Frames that are missing (a gap in their numbers, too), damaged or of another shape than the first (two sequences of
    GOT-10k's validation set go on at 2/3 of their size); a number of boxes or labels that is not that of the frames; a
    first box that is empty or outside the picture. Of a picture its header and its end are looked at, not each pixel.

    Args:
        sequences: as `open_boxset` gives them.
        seen: called after each.
    """
    problems = []
    for sequence in sequences:
        problems += [f"{sequence.name}: {problem}" for problem in _problems(sequence)]
        seen(sequence)
    return problems


def some(items: Iterable[str], count: int | None = None) -> str:
    """The first five of `count` items.

    >>> some("abcdefgh")
    'a, b, c, d, e and 3 more'
    """
    if count is None:
        items = list(items)
        count = len(items)
    shown = ", ".join(islice(items, 5))
    return f"{shown} and {count - 5} more" if count > 5 else shown


def _problems(sequence: Sequence) -> Iterator[str]:
    frames, truth = sequence.frames, sequence.truth
    if not frames:
        yield "there is not one frame (*.jpg) in its folder"
        return
    size, flawed, other, lost = None, [], [], []
    for frame in frames:
        try:
            found = picture_size(frame)
        except FileNotFoundError:
            lost.append(frame.name)
        except InputError as error:
            flawed.append(str(error))
        else:
            size = size or found
            if not (keeps_aspect(size, found) and 1 / RESIZED <= found[0] / size[0] <= RESIZED):
                other.append(f"{frame.name} is {found[0]} x {found[1]}")
    gaps, gap = _gaps(frames)
    count, folder = len(frames) + gap, frames[0].parent
    if lost or gap:
        yield f"{len(lost) + gap} of {count} frames are missing in {folder}: {some(chain(lost, gaps), len(lost) + gap)}"
    if len(truth) not in (1, count):
        yield f"there are {count} frames in {folder}, but {len(truth)} boxes"
    if sequence.cover is not None and len(sequence.cover) != count:
        yield f"there are {count} frames in {folder}, but {len(sequence.cover)} lines in cover.label"
    if flawed:
        yield f"{len(flawed)} of {count} frames in {folder} cannot be read: {some(flawed)}"
    if other and size:
        yield f"frames in {folder} must keep the size of the first, {size[0]} x {size[1]}: {some(other)}"
    yield from _names(frames)
    yield from _box_problems(sequence, size)


def _gaps(frames: tuple[Path, ...]) -> tuple[Iterator[str], int]:
    """The names that are missing between the frames, and their number."""
    stems = [_stem(frame) for frame in frames]
    prefix = PREFIX if frames[0].stem.startswith(PREFIX) else ""
    numbers = sorted({int(stem) for stem in stems if stem.isdecimal()})
    ranges = [range(before + 1, after) for before, after in pairwise(numbers)]
    width = min(map(len, stems))
    return (f"{prefix}{number:0{width}}.jpg" for number in chain.from_iterable(ranges)), sum(map(len, ranges))


def _stem(frame: Path) -> str:
    """The number in a frame's name, or what stands in its place."""
    return frame.stem.removeprefix(PREFIX)


def _names(frames: tuple[Path, ...]) -> Iterator[str]:
    strange = [frame.name for frame in frames if not _stem(frame).isdecimal()]
    if strange:
        yield f"frames are named by their number, which these in {frames[0].parent} are not: {some(strange)}"
        return
    for before, after in pairwise(frames):
        if int(_stem(after)) <= int(_stem(before)):
            yield f"{before} comes before {after.name}, against their numbers; pad the numbers with zeros"
            return


def _box_problems(sequence: Sequence, size: tuple[int, int] | None) -> Iterator[str]:
    """What is wrong with the boxes, in frames of `size`, (width, height)."""
    truth = sequence.truth
    x, y, w, h = truth[0].tolist()
    try:
        Box(x, y, w, h)  # as the annotation has it, for the message
    except InputError as error:
        yield f"the first {error}"
    else:
        if size and not Box.counted_from(sequence.origin, x, y, w, h).overlaps_image(size[1], size[0]):
            yield f"the first box {(x, y, w, h)} lies outside the frame of {size[0]} x {size[1]}"
    partly = ~np.isfinite(truth[1:]).all(axis=1) & ~np.isnan(truth[1:]).all(axis=1)
    lines = [str(index + 2) for index in np.flatnonzero(partly)]
    if lines:
        yield f"some boxes hold values that are not finite, in line {some(lines)}"


def picture_size(path: Path) -> tuple[int, int]:
    """(width, height) of a picture that has its beginning and its end.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: it is something else, with a clause that begins with its name.
    """
    try:
        with open(path, "rb") as file, Image.open(file) as picture:
            if picture.format == "JPEG":
                file.seek(-2, os.SEEK_END)
                if file.read() != JPEG_END and not _ends(path):
                    raise InputError(f"{path.name} is cut off")
            else:
                picture.load()
            return picture.size
    except (FileNotFoundError, InputError):
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, OSError) and error.strerror:
            raise InputError(f"{path.name} ({error.strerror})") from None
        kind = "no picture" if isinstance(error, UnidentifiedImageError) else "damaged"
        raise InputError(f"{path.name} is {kind if path.stat().st_size else 'empty'}") from None


def _ends(path: Path) -> bool:
    """Whether a JPEG file with something behind its end has an end; its preview, in front of it all, has one, too."""
    data = path.read_bytes()
    return data.rfind(JPEG_END) > data.rfind(JPEG_SCAN)
