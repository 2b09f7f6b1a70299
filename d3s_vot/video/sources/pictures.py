"""A folder or glob of pictures as a video: natural order, 25 frames a second."""

from __future__ import annotations

import glob
import logging
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from d3s_vot.errors import InputError
from d3s_vot.images import read_image
from d3s_vot.leftovers import is_leftover
from d3s_vot.video.sources.source import FPS, Source

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jp2", ".png", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm", ".pbm", ".pnm")

logger = logging.getLogger(__name__)


class Pictures(Source):
    """Picture files, one frame each."""

    def __init__(self, name: str, paths: list[Path]) -> None:
        """Read the first picture.

        Args:
            name: for messages.
            paths: at least one, in order.

        Raises:
            InputError: the first picture cannot be read.
        """
        self._paths = paths
        super().__init__(name, FPS, len(paths), live=False, nothing=f"{name} holds no pictures")

    @classmethod
    def of_folder(cls, folder: Path) -> Pictures:
        """The pictures in a folder, without hidden ones and folders within.

        Raises:
            InputError: there are none, two of one name, or the first cannot be read.
        """
        try:
            paths = in_order(path for path in folder.iterdir() if not is_leftover(path.name))
        except OSError as error:
            raise InputError(f"folder {folder} cannot be read: {error.strerror}") from error
        if not paths:
            raise InputError(f"folder {folder} holds no pictures; they end in .jpg, .png, .bmp, .tif or .webp")
        return cls(str(folder), paths)

    @classmethod
    def of_pattern(cls, pattern: str) -> Pictures:
        """The pictures that match a glob pattern; `**` stands for any folders.

        Raises:
            InputError: there are none, two of one name, or the first cannot be read.
        """
        fixed = next((k for k, part in enumerate(Path(pattern).parts) if any(letter in part for letter in "*?[")), 0)
        found = (Path(name) for name in glob.glob(pattern, recursive=True))
        paths = in_order(path for path in found if not any(map(is_leftover, path.parts[fixed:])))
        if not paths:
            raise InputError(f"no pictures match {pattern}; check the pattern and put it in quotes")
        return cls(pattern, paths)

    def _pictures(self) -> Iterator[tuple[float, NDArray[np.uint8] | None]]:
        for index, path in enumerate(self._paths):
            image = None
            try:
                image = read_image(path)
            except InputError as error:
                if index == 0:
                    raise
                logger.warning("frame %d is left out: %s", index, error)
            yield index / FPS, image


def in_order(paths: Iterable[Path]) -> list[Path]:
    """Picture files as a person orders them: 2.jpg before 10.jpg.

    Raises:
        InputError: two differ in their endings alone, so one of them may be the mask, or a copy, of the other.
    """

    def key(path: Path) -> tuple[list[str | int], str]:
        parts = re.split(r"(\d+)", str(path))  # text and number in turn
        return [int(part) if i % 2 else part.casefold() for i, part in enumerate(parts)], str(path)

    found = sorted((path for path in paths if path.suffix.lower() in SUFFIXES and path.is_file()), key=key)
    first: dict[Path, Path] = {}
    for path in found:
        twin = first.setdefault(path.with_suffix(""), path)
        if twin != path:
            pattern = path.parent / f"*{twin.suffix}"
            raise InputError(f"{twin} and {path.name} lie side by side; name one kind, such as \"{pattern}\"")
    return found
