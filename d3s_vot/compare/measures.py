"""How well trackers agree with the truth, or with each other, frame by frame; and the frames where that changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from d3s_vot.compare.race import Course
from d3s_vot.regions import Box, Mask, Polygon, Region, box_iou, polygon_iou

LOST = 0.1  # overlap below which a tracker has lost the target
LOST_FRAMES = 5  # in a row, to be called lost
PARTED = 0.5  # agreement below which two trackers follow different things
SHOWN = 8  # frames where they part, at most
APART = 20  # frames between two of them, at least


@dataclass(frozen=True)
class Moment:
    """A frame worth seeing: counted from 0, and why."""

    frame: int
    title: str


def overlaps(course: Course, truth: Sequence[Region | None]) -> NDArray[np.float64]:
    """IoU of each frame with the truth: N; NaN where there is none, and in the first frame, which is given."""
    found = np.full(len(course.shapes), np.nan)
    for k, (shape, true) in enumerate(zip(course.shapes, truth, strict=False)):
        if k and true is not None:
            found[k] = _overlap(shape, true)
    return found


def agreement(courses: Sequence[Course]) -> NDArray[np.float64]:
    """Mean IoU of each tracker's box with the others', frame by frame: trackers x N; NaN in the first frame, or alone.

    A tracker that says that it does not see the target agrees with those that say so too, and with no other.
    """
    count, frames = len(courses), len(courses[0].shapes)
    sums = np.zeros((count, frames))
    for a, b in combinations(range(count), 2):
        for k in range(frames):
            seen = courses[a].visible[k], courses[b].visible[k]
            if all(seen):
                sums[[a, b], k] += box_iou(courses[a].shapes[k].box, courses[b].shapes[k].box)
            elif not any(seen):
                sums[[a, b], k] += 1
    means = sums / (count - 1) if count > 1 else np.full((count, frames), np.nan)
    means[:, 0] = np.nan
    return means


def losses(found: NDArray[np.float64]) -> list[int]:
    """The first frame of each stretch of some frames in which the overlap is gone.

    >>> losses(np.array([np.nan, 0.8, 0, 0, 0, 0, 0, 0.7]))
    [2]
    """
    gone, run, starts = found < LOST, 0, []  # NaN is not below
    for k, is_gone in enumerate(gone.tolist()):
        run = run + 1 if is_gone else 0
        if run == LOST_FRAMES:
            starts.append(k - LOST_FRAMES + 1)
    return starts


def partings(agreed: NDArray[np.float64]) -> list[int]:
    """The frames in which the trackers agree least, in order: the lowest first until enough are found.

    Args:
        agreed: trackers x N, of `agreement`.
    """
    lowest = np.where(np.isfinite(agreed).all(axis=0), agreed.min(axis=0), np.inf)
    shown: list[int] = []
    for k in np.argsort(lowest, kind="stable").tolist():
        if lowest[k] >= PARTED or len(shown) == SHOWN:
            break
        if all(abs(k - other) >= APART for other in shown):
            shown.append(k)
    return sorted(shown)


def moments(courses: Sequence[Course], truth: Sequence[Region | None] | None) -> list[Moment]:
    """What to show: the start, where a tracker loses the target, and where they part; each frame once, in order."""
    found = {0: "the target as given"}
    if truth is not None:
        for course in courses:
            for frame in losses(overlaps(course, truth))[:SHOWN]:
                found[frame] = f"{found[frame]}; " if frame in found else ""
                found[frame] += f"{course.name} loses it"
    for frame in partings(agreement(courses)):
        found.setdefault(frame, "they part")
    return [Moment(frame, found[frame]) for frame in sorted(found)]


def _overlap(shape: Box | Polygon, true: Region) -> float:
    if isinstance(true, Mask):  # of boxes, for trackers without masks are beside those with
        return box_iou(shape.box, true.box)
    if isinstance(shape, Box) and isinstance(true, Box):
        return box_iou(shape, true)
    return polygon_iou(shape.polygon, true.polygon)
