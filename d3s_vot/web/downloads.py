"""The results as files: made in the background when they are asked for, then fetched."""

from __future__ import annotations

import logging
import threading
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from d3s_vot.errors import D3SError
from d3s_vot.files import Partial
from d3s_vot.video.outputs.encoding import OverlayVideo
from d3s_vot.video.outputs.masks import MaskFolder
from d3s_vot.video.outputs.tables import CsvTable
from d3s_vot.video.sources import Frame
from d3s_vot.web.session import Session

logger = logging.getLogger(__name__)


@dataclass
class _Job:
    version: int  # of the results that it shows
    done: int = 0  # frames
    ready: bool = False
    error: str | None = None


class _Stopped(Exception):
    """The session is closed."""


class Downloads:
    """Files of a session's results so far, for all frames of the video.

    Args:
        session: the results.
        folder: where the files are made.
    """

    def __init__(self, session: Session, folder: Path) -> None:
        self._session, self._folder = session, folder
        self._jobs: dict[str, _Job] = {}
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._stopped = False

    def make(self, name: str) -> None:
        """Begin to make a file, unless it is being made, or is there and shows the present results.

        Args:
            name: of `KINDS`.
        """
        with self._lock:
            job, version = self._jobs.get(name), self._session.version
            if job and not job.error and (not job.ready or job.version == version):
                return
            job = self._jobs[name] = _Job(version)
            thread = threading.Thread(target=self._make, args=(name, job), daemon=True)
            self._threads.append(thread)
            thread.start()

    def path(self, name: str) -> Path | None:
        """The file, where it is ready."""
        job = self._jobs.get(name)
        return self._folder / name if job and job.ready else None

    def state(self) -> dict[str, dict[str, Any]]:
        """Of each file that was asked for: frames done, whether it is ready and shows the present results, an error."""
        version = self._session.version
        return {
            name: {
                "done": job.done,
                "ready": job.ready,
                "current": job.version == version,
                "error": job.error,
            }
            for name, job in list(self._jobs.items())
        }

    def close(self) -> None:
        """Give up what is being made."""
        self._stopped = True
        for thread in self._threads:
            thread.join()

    def _make(self, name: str, job: _Job) -> None:
        def advance(frame: int) -> None:
            if self._stopped:
                raise _Stopped
            job.done = frame + 1

        try:
            KINDS[name](self._session, self._folder / name, advance)
            job.ready = True
        except _Stopped:
            pass
        except Exception as error:  # a thread has nobody to tell but the page
            if not isinstance(error, D3SError):
                logger.exception("%s cannot be made", name)
            job.error = f"{name} cannot be made: {error}"


def _overlay(session: Session, path: Path, advance: Callable[[int], None]) -> None:
    followers = session.followers()
    labels = [f"{k} {name}" for k, name in enumerate(followers, start=1)] if len({*followers} - {""}) > 1 else None
    with session.video.source() as source, OverlayVideo(path, source, labels) as output:
        for frame in source:
            output.write(frame, session.predictions(frame.index, len(followers)))
            advance(frame.index)


def _masks(session: Session, path: Path, advance: Callable[[int], None]) -> None:
    targets, partial = len(session.followers()), Partial(path)
    try:
        with TemporaryDirectory(dir=path.parent) as folder, zipfile.ZipFile(partial.temporary, "w") as archive:
            masks = MaskFolder(folder, session.video.size)
            for index in range(session.video.frames):
                masks.write(Frame(index, session.video.time(index), None), session.predictions(index, targets))
                for picture in masks.folder.glob("*.png"):
                    archive.write(picture, picture.name)
                    picture.unlink()
                advance(index)
            masks.close()
        partial.finish()
    except BaseException:
        partial.discard()
        raise


def _boxes(session: Session, path: Path, advance: Callable[[int], None]) -> None:
    targets = len(session.followers())
    with CsvTable(path) as table:
        for index in range(session.video.frames):
            frame = Frame(index, session.video.time(index), None)
            table.write(frame, session.predictions(index, targets))
            advance(index)


KINDS = {"overlay.mp4": _overlay, "masks.zip": _masks, "boxes.csv": _boxes}
