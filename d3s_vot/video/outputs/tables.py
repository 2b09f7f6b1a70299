"""Regions as text: CSV, JSON lines and the VOT toolkit's trajectories."""

from __future__ import annotations

import csv
import io
import json
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from d3s_vot.prediction import Prediction
from d3s_vot.regions import Box, Polygon
from d3s_vot.video.outputs.files import GrowingFile
from d3s_vot.video.outputs.output import Output
from d3s_vot.video.sources import Frame

PLACES = 3  # decimals of pixels and of a confidence
CORNERS = tuple(f"{axis}{k}" for k in range(1, 5) for axis in "xy")
COLUMNS = ("frame", "time", "target", "x", "y", "w", "h", *CORNERS, "confidence", "visible")
UNKNOWN, BEGUN = "0", "1"  # codes of the VOT toolkit: nothing asked or answered; the target was given


class TextOutput(Output):
    """One text file: `HEAD`, the text of each frame, `END`."""

    HEAD = END = ""

    def __init__(self, path: str | Path) -> None:
        """Begin the file.

        Raises:
            InputError: it cannot be written.
        """
        self._file = GrowingFile(Path(path))
        self._head = self.HEAD

    @abstractmethod
    def text(self, frame: Frame, predictions: Sequence[Prediction | None]) -> str:
        """What a frame adds."""

    def write(self, frame: Frame, predictions: Sequence[Prediction | None]) -> None:
        self._file.add(self._head + self.text(frame, predictions))
        self._head = ""

    def close(self) -> None:
        self._file.close(self.END)


class CsvTable(TextOutput):
    """A row for each target of each frame, as RFC 4180 has it; none before a target is followed.

    Columns: frame (0 is the first of the source), time (seconds), target (from 1), x, y, w, h (box, pixels from the
    top left one), x1, y1 ... x4, y4 (rotated rectangle), confidence (0..1), visible (true or false).
    """

    HEAD = ",".join(COLUMNS) + "\r\n"

    def text(self, frame: Frame, predictions: Sequence[Prediction | None]) -> str:
        buffer = io.StringIO()
        rows = csv.writer(buffer)
        for target, answer in enumerate(predictions, start=1):
            if answer is not None:
                visible = str(answer.visible).lower()
                place = (*box(answer), *_corners(answer))
                rows.writerow((frame.index, _time(frame), target, *place, confidence(answer), visible))
        return buffer.getvalue()


class JsonLines(TextOutput):
    """An object for each target of each frame, one a line; none before a target is followed.

    Keys: frame, time, target, box (x, y, w, h), polygon (x1, y1 ... x4, y4), confidence, visible; as in `CsvTable`.
    """

    def text(self, frame: Frame, predictions: Sequence[Prediction | None]) -> str:
        return "".join(
            json.dumps(
                {
                    "frame": frame.index,
                    "time": _time(frame),
                    "target": target,
                    "box": box(answer),
                    "polygon": _corners(answer),
                    "confidence": confidence(answer),
                    "visible": answer.visible,
                }
            )
            + "\n"
            for target, answer in enumerate(predictions, start=1)
            if answer is not None
        )


class VotText(Output):
    """Trajectories as the VOT toolkit's text files have them, one file per target: NAME.txt, NAME_2.txt ...

    Line n is of the source's frame n - 1: "1" where the target was given, "0" before that, then its regions. These
    are rectangles x,y,w,h for a target that was given as a box, otherwise polygons x1,y1,x2,y2 ...
    """

    def __init__(self, path: str | Path, one_based: bool = True) -> None:
        """Begin the first file.

        Args:
            path: of the first target.
            one_based: count the pixels of rectangles from 1, as VOT does; polygons count from 0 there.

        Raises:
            InputError: it cannot be written.
        """
        self._path = Path(path)
        self._one_based = one_based
        self._trajectories = [_Trajectory(self._path, one_based)]

    def write(self, frame: Frame, predictions: Sequence[Prediction | None]) -> None:
        for number in range(len(self._trajectories) + 1, len(predictions) + 1):
            path = self._path.with_stem(f"{self._path.stem}_{number}")
            self._trajectories.append(_Trajectory(path, self._one_based))
        for trajectory, answer in zip(self._trajectories, predictions, strict=True):
            trajectory.add(frame.index, answer)

    def close(self) -> None:
        with ExitStack() as stack:  # closes each, whatever happens to the others
            for trajectory in self._trajectories:
                stack.callback(trajectory.file.close)


class _Trajectory:
    """The file of one target."""

    def __init__(self, path: Path, one_based: bool) -> None:
        self.file = GrowingFile(path)
        self._one_based = one_based
        self._lines = 0
        self._kind: type[Box] | type[Polygon] | None = None  # known once there is a target

    def add(self, index: int, answer: Prediction | None) -> None:
        self.file.add((UNKNOWN + "\n") * (index - self._lines) + self._line(answer) + "\n")
        self._lines = index + 1

    def _line(self, answer: Prediction | None) -> str:
        if answer is None:
            return UNKNOWN
        if self._kind is None:
            self._kind = Polygon if answer.as_mask else type(answer.shape)
            return BEGUN
        if self._kind is Polygon:
            numbers: Iterable[float] = answer.polygon.flat()
        else:
            numbers = answer.box.one_based() if self._one_based else answer.box
        return ",".join(f"{number:.4f}" for number in numbers)


def _time(frame: Frame) -> float:
    return round(frame.time, 6)


def confidence(answer: Prediction) -> float:
    """0..1."""
    return round(float(answer.confidence), PLACES)


def box(answer: Prediction) -> list[float]:
    """x, y, w, h."""
    return [round(value, PLACES) for value in answer.box]


def _corners(answer: Prediction) -> list[float]:
    return [round(value, PLACES) for value in answer.polygon.quadrilateral().flat()]
