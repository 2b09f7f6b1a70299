"""The boxes of several trackers on one sequence, drawn on its frames: a film with a colour for each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from d3s_vot.evaluation.boxes.entries import Entry
from d3s_vot.evaluation.boxes.scores import Floats
from d3s_vot.evaluation.boxes.sequences import Sequence as Video
from d3s_vot.interrupts import uninterrupted
from d3s_vot.prediction import Prediction
from d3s_vot.progress import Progress
from d3s_vot.regions import Box
from d3s_vot.video.outputs.encoding import OverlayVideo
from d3s_vot.video.sources.pictures import Pictures

TRUTH = "truth"
UNKNOWN = float("nan")  # the confidence: files of boxes have none


def write_film(path: Path, entries: Sequence[Entry], video: Video) -> None:
    """Write the film; of a tracker with several runs the first is shown, and the truth comes last.

    Args:
        path: of the film, .mp4.
        entries: with boxes of the sequence.
        video: the sequence.

    Raises:
        InputError: a frame cannot be read, or the film cannot be written.
        D3SError: it was interrupted, or the disk is full.
    """
    labels = [*(entry.tracker for entry in entries), TRUTH]
    boxes = [*(entry.runs[video.name][0] for entry in entries), video.truth]
    with Pictures(video.name, list(video.frames)) as source:
        width, height = source.size
        with OverlayVideo(path, source, labels) as output, Progress(source.count) as progress:
            for frame in source:
                answers = [_answer(rows[frame.index], video.origin, (height, width)) for rows in boxes]
                with uninterrupted():  # a frame is written whole, and what is written is a film
                    output.write(frame, answers)
                progress.advance(1)


def _answer(row: Floats, origin: int, size: tuple[int, int]) -> Prediction | None:
    """A line of a file; None where it has no box."""
    x, y, w, h = row.tolist()
    if not (w > 0 and h > 0):  # nor where the truth is not annotated
        return None
    return Prediction(Box.counted_from(origin, x, y, w, h), UNKNOWN, True, size)
