"""The targets of one video: where they were drawn, what was found, and the thread that tracks them.

A target that is drawn again at a later frame keeps what was found before; tracking goes on from the drawing, up to
the next frame at which it was drawn. So each drawing begins a stretch of frames that depends on nothing else.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from d3s_vot.errors import InputError
from d3s_vot.prediction import Prediction
from d3s_vot.regions import Mask, Polygon, Region, rasterize
from d3s_vot.tracker import Tracker
from d3s_vot.web.frames import Video
from d3s_vot.web.records import Record
from d3s_vot.web.stretches import Group, Stretch

TARGETS = 12  # at most; each one that is tracked keeps the video open
RECENT = 30  # frames that the rate is measured over
CHANGES = 1000  # told at once

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class _Target:
    tracker: str
    stretches: dict[int, Stretch] = field(default_factory=dict)  # by first frame
    records: dict[int, Record] = field(default_factory=dict)  # by frame


class Session:
    """A video and its targets, numbered from 1; safe to use from several threads.

    Args:
        video: closed with the session.
        trackers: by name, each gives forks to the targets that it follows; used by one thread.
    """

    def __init__(self, video: Video, trackers: Mapping[str, Tracker]) -> None:
        self.id = secrets.token_hex(4)
        self.video = video
        self._trackers = trackers
        self._targets: dict[int, _Target] = {}
        self._active: list[Group] = []
        self._log: list[tuple[int, int] | tuple[int, int, int | None]] = []  # target, frame; or target, from, to
        self._problems: list[str] = []
        self._moments: deque[float] = deque(maxlen=RECENT)
        self._paused = self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    @property
    def version(self) -> int:
        """Grows with every change of the results."""
        return len(self._log)

    def close(self) -> None:
        """Stop tracking and let go of the video."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self.video.close()
        self._thread.join()

    def draw(self, number: int | None, frame: int, region: Region, tracker: str | None = None) -> int:
        """Begin with a target, or correct it from a frame on; the tracking itself begins soon after.

        Args:
            number: of the target; None: a new one.
            frame: on which it was drawn.
            region: its place.
            tracker: the name of that which shall follow a new target; None: the first.

        Returns:
            The target's number.

        Raises:
            InputError: there is no such frame, target or tracker, the target has one, or the region is outside the
                picture.
        """
        if tracker is not None and number is not None:
            raise InputError(f"target {number} has its tracker; draw a new target for another")
        tracker = next(iter(self._trackers)) if tracker is None else tracker
        if tracker not in self._trackers:
            raise InputError(f"there is no tracker {tracker} here; there are {', '.join(self._trackers)}")
        width, height = self.video.size
        if not 0 <= frame < self.video.frames:
            raise InputError(f"there is no frame {frame}; the frames read so far are 0 to {self.video.frames - 1}")
        if not region.box.overlaps_image(height, width):
            raise InputError(f"the target lies outside the picture of {width} x {height} pixels; draw it again")
        if isinstance(region, Polygon) and len(region.points) != 4:  # which the tracker takes for a rectangle
            region = Mask(rasterize(region, height, width))
        with self._changed:
            if number is None:
                if len(self._targets) == TARGETS:
                    raise InputError(f"there are {TARGETS} targets already; remove one first")
                number = next(n for n in range(1, TARGETS + 1) if n not in self._targets)
                self._targets[number] = _Target(tracker)
            elif number not in self._targets:
                raise InputError(f"there is no target {number}; add one")
            stretch = Stretch(number, frame, region, next=frame)
            its = self._trackers[self._targets[number].tracker]
            self._active.append(Group(stretch, self.video.read(frame), its))
            self._paused = False
            self._changed.notify_all()
        return number

    def remove(self, number: int) -> None:
        """Forget a target and its results.

        Raises:
            InputError: there is none of that number.
        """
        with self._changed:
            if number not in self._targets:
                raise InputError(f"there is no target {number}")
            del self._targets[number]
            for stretch in self._stretches():
                if stretch.number == number:
                    stretch.end = stretch.start
            self._log.append((number, 0, None))
            self._changed.notify_all()

    def pause(self, paused: bool) -> None:
        """Let the tracking rest, or go on."""
        with self._changed:
            self._paused = paused
            self._changed.notify_all()

    def followers(self) -> list[str]:
        """Of each number, from 1 to the last target's, the name of its tracker; empty where there is no such target."""
        with self._changed:
            targets = dict(self._targets)
        return [targets[k].tracker if k in targets else "" for k in range(1, max(targets, default=0) + 1)]

    def predictions(self, frame: int, targets: int) -> list[Prediction | None]:
        """What was found on a frame, for the numbers 1 to `targets`; None where nothing was."""
        width, height = self.video.size
        with self._changed:
            records = [
                self._targets[number].records.get(frame) if number in self._targets else None
                for number in range(1, targets + 1)
            ]
        return [None if record is None else record.prediction((height, width)) for record in records]

    def state(self) -> dict[str, Any]:
        """What a page shows besides the results."""
        video = self.video
        with self._changed:
            moments = list(self._moments)
            active = [stretch for stretch in self._stretches() if not stretch.is_over]
            targets = [
                {
                    "number": number,
                    "tracker": target.tracker,
                    "drawn": sorted(target.stretches),
                    "tracked": len(target.records),
                    "active": any(stretch.number == number for stretch in active),
                }
                for number, target in sorted(self._targets.items())
            ]
            firsts = [min(target.stretches) for target in self._targets.values() if target.stretches]
            seconds = moments[-1] - moments[0] if len(moments) > 1 else 0.0
            return {
                "id": self.id,
                "name": video.name,
                "size": video.size,
                "fps": video.fps,
                "frames": video.frames,
                "count": video.count,
                "complete": video.complete,
                "lost": video.lost,
                "tracking": bool(active),
                "paused": self._paused,
                "rate": round((len(moments) - 1) / seconds, 2) if active and seconds else None,
                "tracked": sum(len(target.records) for target in self._targets.values()),
                "wanted": sum(video.count - first for first in firsts),
                "targets": targets,
                "problems": len(self._problems),
                "problem": self._problems[-1] if self._problems else None,
            }

    def changes(self, since: int) -> tuple[list[dict[str, Any]], int]:
        """Results since a version, some at a time, and the version that they lead to."""
        with self._changed:
            entries = self._log[since : since + CHANGES]
            found: list[tuple[int, int, Record] | tuple[int, int, int | None]] = []
            for entry in entries:
                if len(entry) == 3:
                    found.append(entry)
                elif entry[0] in self._targets and entry[1] in self._targets[entry[0]].records:
                    found.append((*entry, self._targets[entry[0]].records[entry[1]]))
        told = [
            {"target": number, "frame": frame, **end.told()}
            if isinstance(end, Record)
            else {"target": number, "from": frame, "to": end}
            for number, frame, end in found
        ]
        return told, since + len(entries)

    def _stretches(self) -> list[Stretch]:
        """Those that are being tracked."""
        return [stretch for group in self._active for stretch in group.stretches]

    def _work(self) -> None:
        """Track, a frame of a group at a time."""
        while (group := self._take()) is not None:
            for stretch in [stretch for stretch in group.stretches if stretch.is_over]:
                self._leave(group, stretch)
            steps = group.step() if group.stretches else []
            for stretch, end in steps or ():
                try:
                    if isinstance(end, Exception):
                        raise end
                    self._keep(stretch, group.next - 1, end)
                except Exception as error:  # whatever it is, the page tells it and goes on
                    self._fail(stretch, error)
                    self._leave(group, stretch)
            for stretch in list(group.stretches) if steps is None else ():
                self._leave(group, stretch)
        for group in self._active:
            group.close()

    def _take(self) -> Group | None:
        """The next in turn, as soon as there is one; None: the session is closed.

        New drawings come first, so that who draws sees an answer; then those that are behind, until they have caught up
        with the others: from there on they go together.
        """
        with self._changed:
            while not self._closed and (self._paused or not self._active):
                self._moments.clear()
                self._changed.wait()
            if self._closed:
                return None
            turn = min(self._active, key=lambda group: (group.has_begun, group.next))
            if turn.has_begun:
                for other in [group for group in self._active if group is not turn and group.next == turn.next]:
                    turn.join(other)
                    self._active.remove(other)
            return turn

    def _leave(self, group: Group, stretch: Stretch) -> None:
        """Track a stretch no further."""
        with self._changed:
            group.drop(stretch)
            if not group.stretches:
                self._active.remove(group)
        if not group.stretches:
            group.close()

    def _keep(self, stretch: Stretch, index: int, answer: Prediction) -> None:
        """Note what was found, unless it is no longer wanted."""
        record = Record.of(answer)
        with self._changed:
            if stretch.is_over:  # another drawing, or the target was removed meanwhile
                return
            target = self._targets[stretch.number]
            if index == stretch.start:
                self._begin(target, stretch)
            target.records[index] = record
            self._log.append((stretch.number, index))
            self._moments.append(time.monotonic())
            stretch.next = index + 1

    def _begin(self, target: _Target, stretch: Stretch) -> None:
        """The drawing can be used, so it takes the place of what was there, up to the next one."""
        for other in target.stretches.values():
            if other.start <= stretch.start < (other.end or self.video.count):
                other.end = stretch.start
        stretch.end = min((start for start in target.stretches if start > stretch.start), default=None)
        target.stretches[stretch.start] = stretch
        old = [frame for frame in target.records if frame >= stretch.start and (not stretch.end or frame < stretch.end)]
        for frame in old:
            del target.records[frame]
        if old:
            self._log.append((stretch.number, stretch.start, stretch.end))

    def _fail(self, stretch: Stretch, error: Exception) -> None:
        """Tell why a stretch ends early; a target that never began is forgotten."""
        text = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        place = f"target {stretch.number} cannot be tracked from frame {stretch.next} on"
        if not isinstance(error, InputError):
            logger.error("%s", place, exc_info=error)
        with self._changed:
            self._problems.append(f"{place}: {text}")
            target = self._targets.get(stretch.number)
            others = any(other.number == stretch.number for other in self._stretches() if other is not stretch)
            if target is not None and not target.stretches and not others:
                del self._targets[stretch.number]
