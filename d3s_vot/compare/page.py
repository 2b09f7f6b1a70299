"""The page and the table of a comparison: figures, curves, and the frames where trackers lose the target or part."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray

from d3s_vot.compare.measures import LOST_FRAMES, PARTED, Moment, agreement, losses, moments, overlaps
from d3s_vot.compare.race import Course
from d3s_vot.evaluation.vot.results_charts import Axis, Chart, Line
from d3s_vot.files import write_whole
from d3s_vot.regions import Region
from d3s_vot.video.overlay import COLOURS
from d3s_vot.video.sources import open_source

WIDTH = 360  # pixels of a frame's picture
QUALITY = 75  # of its JPEG
COLUMNS = ("frame", "tracker", "x", "y", "w", "h", "confidence", "visible", "overlap", "agreement", "seconds")


def write_comparison(
    folder: Path,
    name: str,
    courses: Sequence[Course],
    truth: Sequence[Region | None] | None,
    film: Path,
) -> None:
    """Write `index.html` and `frames.csv`, each whole or not at all.

    Args:
        folder: to write to; the film lies in it.
        name: of the video.
        courses: of the trackers, one frame or more.
        truth: the target in each frame, None where it is absent; None: it is not known.
        film: with the answers drawn in, a frame for each.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    measured = [overlaps(course, truth) if truth is not None else None for course in courses]
    agreed = agreement(courses)
    write_whole(folder / "frames.csv", _table(courses, measured, agreed).encode())
    shown = moments(courses, truth)
    pictures, times, size = _look(film, {moment.frame for moment in shown})
    titles = ["overlap", "success", "lost"] if truth is not None else []
    titles += ["agreement"] if len(courses) > 1 else []
    environment = Environment(
        loader=PackageLoader("d3s_vot"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("compare.html").render(
        name=name,
        titles=[*titles, "confidence", "seen", "initialisation", "frames/s"],
        rows=[(course.name, _cells(course, *row)) for course, *row in zip(courses, measured, agreed, strict=True)],
        truth=truth is not None,
        frames=len(courses[0].shapes),
        size=size,
        times=times,
        film=film.name,
        poster=pictures.get(0),
        charts=_charts(courses, measured, agreed),
        calm=len(courses) > 1 and not any(moment.title == "they part" for moment in shown),
        shots=[
            (moment, pictures[moment.frame], _numbers(moment, courses, measured, agreed))
            for moment in shown
            if moment.frame in pictures
        ],
        colours=COLOURS,
        lost_frames=LOST_FRAMES,
        parted=f"{PARTED:g}",
    )
    write_whole(folder / "index.html", page.encode())


def _mean(values: NDArray[np.float64]) -> float:
    """Of those that are finite; NaN where none is."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else float("nan")


def _text(value: float, form: str = ".3f") -> str:
    return format(value, form) if np.isfinite(value) else "\N{EN DASH}"


def _cells(course: Course, overlap: NDArray[np.float64] | None, agreed: NDArray[np.float64]) -> list[str]:
    """A row of the table."""
    cells = []
    if overlap is not None:
        success = np.where(np.isfinite(overlap), overlap > 0.5, np.nan)
        cells += [_text(_mean(overlap)), _text(_mean(success)), str(len(losses(overlap)))]
    if not np.isnan(agreed).all():
        cells.append(_text(_mean(agreed)))
    seen = _mean(np.array(course.visible[1:], np.float64))
    return [
        *cells,
        _text(_mean(np.array(course.confidence)), ".2f"),
        f"{100 * seen:.0f} %" if np.isfinite(seen) else "\N{EN DASH}",
        f"{1000 * course.seconds[0]:.0f} ms",
        _text(course.frames_per_second, ".1f"),
    ]


def _charts(
    courses: Sequence[Course], measured: Sequence[NDArray[np.float64] | None], agreed: NDArray[np.float64]
) -> list[Chart]:
    """Overlap where the truth is known, agreement where there are others, confidence."""
    frames = np.arange(len(courses[0].shapes))
    axis = Axis(0, max(len(frames) - 1, 1))

    def chart(title: str, values: Sequence[NDArray[np.float64] | None]) -> list[Chart]:
        lines = [
            Line(k, course.name, axis.path(frames, value))
            for k, (course, value) in enumerate(zip(courses, values, strict=True))
            if value is not None and np.isfinite(value).any()
        ]
        return [Chart(title, "frame", axis.ticks(), lines)] if lines else []

    return [
        *chart("overlap with the truth", measured),
        *chart("agreement with the others", list(agreed)),
        *chart("confidence", [np.array(course.confidence, np.float64) for course in courses]),
    ]


def _numbers(
    moment: Moment,
    courses: Sequence[Course],
    measured: Sequence[NDArray[np.float64] | None],
    agreed: NDArray[np.float64],
) -> str:
    """Overlap where it is known, otherwise agreement, of each tracker in a frame."""
    if moment.frame == 0:
        return ""
    values = [(agreed[k] if m is None else m)[moment.frame] for k, m in enumerate(measured)]
    return ", ".join(f"{course.name} {_text(value, '.2f')}" for course, value in zip(courses, values, strict=True))


def _look(film: Path, wanted: set[int]) -> tuple[dict[int, str], list[float], tuple[int, int]]:
    """Pictures of some frames of the film as data URIs, the times of all, and (width, height)."""
    pictures, times = {}, []
    with open_source(film) as source:
        for frame in source:
            times.append(round(frame.time, 4))
            if frame.index in wanted and frame.image is not None:
                height, width = frame.image.shape[:2]
                small = min(WIDTH / width, 1.0)
                size = max(round(small * width), 1), max(round(small * height), 1)
                picture = cv2.cvtColor(cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2BGR)
                _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
                pictures[frame.index] = "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")
        return pictures, times, source.size


def _table(
    courses: Sequence[Course], measured: Sequence[NDArray[np.float64] | None], agreed: NDArray[np.float64]
) -> str:
    """A row for each frame and tracker; empty where there is no such number."""

    def cell(value: Any) -> Any:
        return "" if isinstance(value, float) and not np.isfinite(value) else value

    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for frame in range(len(courses[0].shapes)):
        for k, course in enumerate(courses):
            overlap = measured[k]
            numbers = [
                *(round(value, 3) for value in course.shapes[frame].box),
                round(course.confidence[frame], 4),
                int(course.visible[frame]),
                float("nan") if overlap is None else round(float(overlap[frame]), 4),
                round(float(agreed[k, frame]), 4),
                round(course.seconds[frame], 5),
            ]
            writer.writerow([frame, course.name, *map(cell, numbers)])
    return file.getvalue()
