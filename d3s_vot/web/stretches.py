"""Stretches of frames on which targets are tracked, and the reading of a video that those at the same frame share."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace

from d3s_vot.errors import InputError
from d3s_vot.prediction import Prediction
from d3s_vot.regions import Region
from d3s_vot.together import TargetError, track_together
from d3s_vot.tracker import Tracker
from d3s_vot.video.follow import given
from d3s_vot.video.sources import Frame


@dataclass(eq=False)
class Stretch:
    """Frames of a target from a drawing on."""

    number: int
    start: int
    region: Region
    end: int | None = None  # the next drawing; None: the end of the video
    next: int = 0
    tracker: Tracker | None = None  # from its first frame on
    answer: Prediction | None = None  # the last one

    @property
    def is_over(self) -> bool:
        """Whether what is left belongs to another drawing."""
        return self.end is not None and self.next >= self.end


Steps = list[tuple[Stretch, Prediction | Exception]]


class Group:
    """Stretches at the same frame: it is decoded once, and those of one model pass its networks together.

    Args:
        stretch: the first one, not begun.
        reading: the frames of the video from the stretch's start on, without gaps.
        tracker: of which the stretch gets a fork.
    """

    def __init__(self, stretch: Stretch, reading: Generator[Frame, None, None], tracker: Tracker) -> None:
        self.stretches = [stretch]
        self.next = stretch.start
        self._reading, self._tracker = reading, tracker

    @property
    def has_begun(self) -> bool:
        """Whether its first frame, the drawing's, is behind it."""
        return all(stretch.tracker is not None for stretch in self.stretches)

    def join(self, other: Group) -> None:
        """Take the stretches of a group that has come to the same frame."""
        self.stretches += other.stretches
        other.stretches = []
        other.close()

    def drop(self, stretch: Stretch) -> None:
        """Go on without a stretch."""
        self.stretches.remove(stretch)

    def close(self) -> None:
        """Let go of the video."""
        self._reading.close()

    def step(self) -> Steps | None:
        """Take the next frame, and say what became of each stretch; None: the video has ended."""
        frame = next(self._reading, None)
        if frame is None:
            return None
        self.next = frame.index + 1
        if not self.has_begun:
            (stretch,) = self.stretches
            return [(stretch, self._begin(stretch, frame))]
        steps = self._track(frame)
        for stretch, end in steps:
            if isinstance(end, Prediction):
                stretch.answer = end
        return steps

    def _begin(self, stretch: Stretch, frame: Frame) -> Prediction | Exception:
        """The first frame of a stretch: the answer is the drawing itself."""
        try:
            if frame.image is None:
                raise InputError("this frame cannot be decoded; draw on another one")
            tracker = self._tracker.fork()
            tracker.initialize(frame.image, stretch.region)
            stretch.answer = given(stretch.region, (frame.image.shape[0], frame.image.shape[1]))
        except Exception as error:  # whatever it is, the page tells it
            return error
        stretch.tracker = tracker
        return stretch.answer

    def _track(self, frame: Frame) -> Steps:
        ends: list[Prediction | Exception | None]
        if frame.image is None:  # as `Follower` does
            last = [stretch.answer for stretch in self.stretches]
            ends = [answer and replace(answer, confidence=0.0, visible=False) for answer in last]
        else:
            try:
                trackers = [stretch.tracker for stretch in self.stretches if stretch.tracker is not None]
                ends = [*track_together(trackers, frame.image)]
            except TargetError as error:
                ends = [error.errors.get(k, answer) for k, answer in enumerate(error.answers)]
            except Exception as error:
                ends = [error] * len(self.stretches)
        return [(stretch, end) for stretch, end in zip(self.stretches, ends, strict=True) if end is not None]
