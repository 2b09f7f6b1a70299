"""Several trackers through one reading of a video, and how long each takes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from d3s_vot.errors import D3SError, InputError
from d3s_vot.prediction import Prediction
from d3s_vot.regions import Box, Polygon, Region
from d3s_vot.tracker import Tracker
from d3s_vot.video.follow import Answers, given
from d3s_vot.video.outputs import Output
from d3s_vot.video.sources import Frame, Source


@dataclass(eq=False)
class Course:
    """What one tracker did: a value for each frame, the first of which is the given target.

    Attributes:
        name: of the tracker.
        tracker: in the state of the last frame.
        shapes: where it saw the target.
        confidence: 0..1; NaN in the first frame, and 0 where the frame could not be decoded.
        visible: its own word on whether the target is there.
        seconds: that it took; NaN where it had nothing to do. The first is the initialisation.
        answer: the latest, which `note` has not added yet or has added last.
        spent: the seconds that it took.
    """

    name: str
    tracker: Tracker
    shapes: list[Box | Polygon] = field(default_factory=list)
    confidence: list[float] = field(default_factory=list)
    visible: list[bool] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    answer: Prediction | None = None
    spent: float = float("nan")

    @property
    def frames_per_second(self) -> float:
        """Of the frames after the first, without reading and writing; NaN where there are none."""
        spent = np.array(self.seconds[1:], np.float64)
        spent = spent[np.isfinite(spent)]
        return len(spent) / float(spent.sum()) if spent.size and spent.sum() else float("nan")

    def begin(self, image: NDArray[np.uint8], region: Region) -> Prediction:
        """Learn the target.

        Raises:
            InputError: the image or the region cannot be used.
            D3SError: the tracker failed; the sentence has its name.
        """
        with self._timed(0):
            self.tracker.initialize(image, region)
        self.answer = given(region, (image.shape[0], image.shape[1]))
        return self.answer

    def go_on(self, image: NDArray[np.uint8] | None) -> Prediction:
        """The next frame; None: it could not be decoded, and the last answer is repeated with confidence 0.

        Raises:
            D3SError: the tracker failed; the sentence has its name.
        """
        assert self.answer is not None  # begun
        if image is None:
            self.answer, self.spent = replace(self.answer, confidence=0.0, visible=False), float("nan")
        else:
            with self._timed(len(self.shapes)):
                self.answer = self.tracker.track(image)
        return self.answer

    def note(self) -> None:
        """Add the latest answer as that of the next frame."""
        assert self.answer is not None  # begun
        self.confidence.append(self.answer.confidence if self.shapes else float("nan"))  # the first is a person's
        self.shapes.append(self.answer.shape)
        self.visible.append(self.answer.visible)
        self.seconds.append(self.spent)

    @contextmanager
    def _timed(self, frame: int) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        except InputError:
            raise
        except Exception as error:
            raise D3SError(f"{self.name} failed in frame {frame}: {type(error).__name__}: {error}") from error
        self.spent = time.perf_counter() - began


class Courses(Output):
    """What all trackers did; a frame counts once all have answered, so whatever ends the run, they end with one."""

    def __init__(self, courses: Sequence[Course]) -> None:
        self._courses = courses

    def write(self, frame: Frame, predictions: Sequence[Prediction | None]) -> None:
        for course in self._courses:
            course.note()

    def close(self) -> None:
        """Nothing is left to do."""


def race(
    source: Source, region: Region, trackers: Mapping[str, Tracker]
) -> tuple[list[Course], Iterator[tuple[Frame, Answers]]]:
    """Send several trackers through a video that is decoded once; each gives the answers that it gives alone.

    Args:
        source: not read yet.
        region: the target in its first frame.
        trackers: by their names; none twice.

    Returns:
        What each does, which grows with the frames that `Courses` is given, and each frame with an answer for each
        tracker.

    Raises:
        InputError: the first frame has no picture, or the region cannot be used in it.
        D3SError: a tracker failed in it.
    """
    courses = [Course(name, tracker) for name, tracker in trackers.items()]
    first = next(iter(source), None)
    if first is None or first.image is None:
        raise InputError(f"the first frame of {source.name} cannot be decoded; begin with another")
    image = first.image
    answers: Answers = [course.begin(image, region) for course in courses]

    def frames() -> Iterator[tuple[Frame, Answers]]:
        yield first, answers
        for frame in source:
            yield frame, [course.go_on(frame.image) for course in courses]

    return courses, frames()
