"""Videos without labels: folders of frames and video files, found and read."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from train.data.items import Picture, Source, read_image, source_names
from train.data.layouts import HELD_OUT_ONE_IN, PICTURES, checksum
from train.errors import DataError

LAYOUT = "clips"
VIDEOS = (".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mpg")
HELD_OUT_MOST = 100  # videos

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Clip:
    """A video.

    Attributes:
        source: name of the source, see `source_names`.
        collection: "clips".
        group: its path in the source, without a file's ending.
        image: the folder of frames, or the file.
        frames: names of the pictures in the folder; of a file, none.
        count: number of frames.
        bytes: of the file, or of all pictures.
        held_out: whether it is validation data.
    """

    source: str
    collection: str
    group: str
    image: Path
    frames: tuple[str, ...]
    count: int
    bytes: int
    held_out: bool = False

    @property
    def facts(self) -> tuple[object, ...]:
        """What tells it from others, wherever it lies."""
        return self.source, self.group, self.frames, self.count, self.held_out

    def read(self, numbers: Sequence[int]) -> list[Picture]:
        """Frames by number, each H x W x 3 RGB.

        Raises:
            DataError: one cannot be read.
        """
        if self.frames:
            return [read_image(self.image / self.frames[n]) for n in numbers]
        video = _open(self.image)
        found = []
        for number in numbers:
            video.set(cv2.CAP_PROP_POS_FRAMES, number)
            fine, frame = video.read()
            if not fine:
                raise DataError(f"frame {number} of video {self.image} cannot be read; replace the file")
            found.append(np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8))
        return found


def find_clips(sources: Sequence[Source]) -> list[Clip]:
    """The videos of some folders: every folder in them with two pictures or more, and every video file.

    One in 18 is held out, by its name.

    Args:
        sources: of the layout `clips`.

    Raises:
        DataError: one is of another layout, missing, or holds no video, or there are fewer than two in all.
    """
    clips: list[Clip] = []
    for source, name in zip(sources, source_names(sources), strict=True):
        if source.layout != LAYOUT:
            raise DataError(f"{source.layout}={source.root} has labels, which are of no use here; give clips=DIR")
        if not source.root.is_dir():
            raise DataError(f"there is no folder {source.root}; give one of videos or of folders of frames")
        found = list(_search(name, source.root))
        if not found:
            raise DataError(f"{source.root} holds no video, nor a folder with two pictures; check the path")
        log.info("%s: %d videos with %d frames", name, len(found), sum(clip.count for clip in found))
        clips += found
    if len(clips) < 2:
        raise DataError("there is one video, and one is held out to validate on; add another")
    number = min(max(len(clips) // HELD_OUT_ONE_IN, 1), HELD_OUT_MOST)
    order = sorted(range(len(clips)), key=lambda n: (checksum(clips[n].source, clips[n].group), n))
    held = set(order[:number])
    return [replace(clip, held_out=n in held) for n, clip in enumerate(clips)]


def _search(source: str, root: Path) -> Iterator[Clip]:
    for folder, folders, files in os.walk(root, followlinks=True):
        folders.sort()
        here, place = Path(folder), Path(folder).relative_to(root)
        pictures = tuple(sorted(n for n in files if n.lower().endswith(PICTURES) and not n.startswith(".")))
        if len(pictures) > 1:
            size = sum((here / name).stat().st_size for name in pictures)
            yield Clip(source, LAYOUT, place.as_posix(), here, pictures, len(pictures), size)
        for name in sorted(n for n in files if n.lower().endswith(VIDEOS) and not n.startswith(".")):
            path = here / name
            try:
                count = int(_open(path).get(cv2.CAP_PROP_FRAME_COUNT))
            except DataError as error:
                log.warning("left out: %s", error)
                continue
            if count > 1:
                yield Clip(source, LAYOUT, (place / path.stem).as_posix(), path, (), count, path.stat().st_size)


def _open(path: Path) -> cv2.VideoCapture:
    """A video that is open, decoded by one thread.

    Raises:
        DataError: it cannot be opened.
    """
    video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    if not video.isOpened():
        raise DataError(f"video {path} cannot be opened; replace it")
    return video
