"""Videos with masks as people have them, read for a workspace: DAVIS, YouTube-VOS, or folders of one's own.

    JPEGImages[/480p]/VIDEO/NAME.jpg, Annotations[/480p]/VIDEO/NAME.png      DAVIS, YouTube-VOS
    images/VIDEO/NAME.jpg, masks/VIDEO/NAME.png                              one's own; `frames` will do for `images`
    images/NAME.jpg, masks/NAME.png                                          a single video, named after its folder

A frame without a mask is not annotated. What a mask's values mean: `d3s_vot.labels`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from d3s_vot.errors import InputError
from d3s_vot.evaluation.boxes.checks import picture_size, some
from d3s_vot.labels import VOID, objects_in, read_labels
from d3s_vot.leftovers import without_leftovers
from d3s_vot.mask_codes import PlacedMask

PLACES = (
    ("JPEGImages/480p", "Annotations/480p"),
    ("JPEGImages", "Annotations"),
    ("images", "masks"),
    ("frames", "masks"),
)
PICTURES = (".jpg", ".jpeg", ".png", ".bmp")  # of frames
MASKS = (".png", ".bmp")


@dataclass(frozen=True)
class Video:
    """A video on disk: its frames in their order, and the mask of each; None where it is not annotated."""

    name: str
    frames: tuple[Path, ...]
    masks: tuple[Path | None, ...]


@dataclass(frozen=True, eq=False)
class Masks:
    """What a video's masks show.

    Attributes:
        size_wh: of the frames, pixels.
        objects: the mask of each object in each frame, by its number; None where the frame is not annotated, 0 x 0
            where the object is not to be seen.
        void: the pixels of each frame that are neither object nor background; None where there are none in all.
    """

    size_wh: tuple[int, int]
    objects: Mapping[int, Sequence[PlacedMask | None]]
    void: Sequence[PlacedMask | None] | None


def find_videos(root: Path, names: Sequence[str] | None = None) -> list[Video]:
    """The videos of a folder.

    Args:
        root: a data set, or the folder of one video.
        names: those wanted, in this order; None: all, by their names.

    Raises:
        InputError: the folder is of no layout that is known, or there is no video of a name.
    """
    root = Path(root).absolute()
    if not root.is_dir():
        raise InputError(f"there is no folder {root}; give one with frames and masks")
    found = [(root / frames, root / masks) for frames, masks in PLACES]
    places = next(((f, m) for f, m in found if f.is_dir() and m.is_dir()), None)
    if places is None:
        raise InputError(
            f"{root} has no folders {' or '.join(f'{frames} and {masks}' for frames, masks in PLACES)}; give a folder "
            "of DAVIS or YouTube-VOS, or one of frames and masks"
        )
    frames, masks = places
    videos = [path.name for path in without_leftovers(path for path in masks.iterdir() if path.is_dir())]
    if not videos:
        if names:
            raise InputError(f"{root} is a single video, which has no list of names")
        return [_video(root.name, frames, masks)]
    unknown = [name for name in names or () if name not in videos]
    if unknown:
        raise InputError(f"{masks} has no video {some(unknown)}")
    return [_video(name, frames / name, masks / name) for name in (videos if names is None else dict.fromkeys(names))]


def _video(name: str, frames: Path, masks: Path) -> Video:
    pictures = _files(frames, PICTURES)
    annotations = {path.stem: path for path in _files(masks, MASKS)}
    strange = sorted(annotations.keys() - {path.stem for path in pictures})
    if strange:
        raise InputError(f"{masks} has masks of frames that {frames} has not: {some(strange)}")
    if not annotations:
        raise InputError(f"{masks} holds no masks ({', '.join(MASKS)})")
    return Video(name, tuple(pictures), tuple(annotations.get(path.stem) for path in pictures))


def _files(folder: Path, endings: Sequence[str]) -> list[Path]:
    """The pictures of a folder in the order of their numbers, where all have one, else of their names."""
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}")
    paths = [path for path in without_leftovers(folder.iterdir()) if path.suffix.lower() in endings]
    stems = [path.stem for path in paths]
    if len(set(stems)) < len(stems):
        raise InputError(f"{folder} has several files of the name {next(s for s in stems if stems.count(s) > 1)!r}")
    return sorted(paths, key=lambda path: int(path.stem)) if all(map(str.isdecimal, stems)) else paths


def problems_of(video: Video) -> Iterator[str]:
    """What is wrong with a video's files, a sentence each; pictures are looked at by their headers and ends."""
    if len(video.frames) < 2:
        yield f"{video.name}: there are {len(video.frames)} frames; it takes 2"
        return
    endings = {path.suffix.lower() for path in video.frames}
    if len(endings) > 1:
        yield f"{video.name}: its frames are of several kinds, {' and '.join(sorted(endings))}"
    first: tuple[int, int] | None = None
    for path in (*video.frames, *(mask for mask in video.masks if mask is not None)):
        try:
            size = picture_size(path)
        except FileNotFoundError:
            yield f"{video.name}: {path} is missing"
            continue
        except InputError as error:
            yield f"{video.name}: in {path.parent}, {error}"
            continue
        first = first or size
        if size != first:
            yield f"{video.name}: {path} is {size[0]} x {size[1]} pixels, the first frame {first[0]} x {first[1]}"
            return


def read_video(video: Video) -> Masks:
    """Reads all masks of a video.

    Raises:
        InputError: one cannot be read, or none shows an object.
    """
    labels = [None if path is None else read_labels(path) for path in video.masks]
    found = {number for frame in labels if frame is not None for number in np.unique(frame).tolist()}
    whole = np.array(sorted(found), np.uint8)
    numbers = objects_in(whole)
    if not numbers:
        raise InputError(f"{video.name}: its masks show no object")
    objects = {
        number: [None if frame is None else PlacedMask.of(frame == number) for frame in labels] for number in numbers
    }
    void = None
    if VOID in found and VOID not in numbers:
        void = [None if frame is None else PlacedMask.of(frame == VOID) for frame in labels]
    width, height = picture_size(video.frames[0])
    return Masks((width, height), objects, void)
