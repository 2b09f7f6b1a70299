"""J, F and J&F of DAVIS results, as the official evaluation defines them: table, files and a sheet of pictures.

For each object J is the mean overlap (IoU) of its masks and F the mean F-measure of their outlines, within
0.008 of the picture's diagonal, over all frames but the first and the last; the benchmark's J and F are the means
over all objects of all sequences, J&F the mean of both. In percent. The package vos-benchmark computes both.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import cv2
import numpy as np
from numpy.typing import NDArray

from d3s_vot.errors import InputError
from d3s_vot.evaluation.boxes.layouts import read_times, write_file
from d3s_vot.evaluation.davis.data import DavisSequence, read_masks
from d3s_vot.images import read_image
from d3s_vot.labels import Labels, voc_palette

PUBLISHED = {"davis16-val": (75.4, 72.6), "davis17-val": (57.8, 63.8)}  # J and F in the paper on D3S
SEQUENCES = {"davis16-val": 20, "davis17-val": 30}  # of the whole set
PAPER = "D3S (paper)"
SHEET_ROWS = 4


@dataclass(frozen=True)
class Score:
    """J and F of one object, or the mean of several; percent."""

    j: float
    f: float

    @property
    def both(self) -> float:
        """J&F."""
        return (self.j + self.f) / 2

    @classmethod
    def mean(cls, scores: Iterable[Score]) -> Score:
        """The mean of J and that of F."""
        scores = list(scores)
        return cls(fmean(score.j for score in scores), fmean(score.f for score in scores))

    def named(self) -> dict[str, float]:
        """Under their names."""
        return {"J": self.j, "F": self.f, "J&F": self.both}


def score_objects(pairs: Iterable[tuple[Labels, Labels]], numbers: Iterable[int]) -> dict[int, Score]:
    """J and F of each object.

    The official evaluation counts the objects of the first annotation in every frame: one that neither
    annotation nor answer shows is right (1), one that only one of them shows is wrong (0).

    Args:
        pairs: labels answered and true of the frames that count.
        numbers: the objects in the first annotation.
    """
    from vos_benchmark.evaluator import Evaluator

    numbers = list(numbers)
    evaluator = Evaluator()
    # By itself the evaluator would count an object from the frame on that shows it first, and newcomers too.
    evaluator.objects_in_gt.update(numbers)
    for answer, truth in pairs:
        evaluator.feed_frame(answer, truth)
    j, f = evaluator.conclude()
    return {number: Score(float(j[number]), float(f[number])) for number in numbers}


def read_answer(sequence: DavisSequence, index: int, results: Path) -> Labels:
    """The labels written for a frame; any value above 0 is the object where there is one alone."""
    labels = read_masks(results / sequence.name / f"{sequence.frames[index].stem}.png", joined=sequence.joined)
    return (labels > 0).astype(np.uint8) if sequence.joined else labels


def score_sequence(sequence: DavisSequence, results: Path) -> dict[int, Score]:
    """J and F of a sequence's objects, by number.

    Args:
        sequence: with all its annotations.
        results: the tracker's folder.

    Raises:
        InputError: a mask is missing, damaged, of another size or with an object that there is not.
    """
    numbers = set(np.unique(sequence.truth(0)[0]).tolist()) - {0}

    def pairs() -> Iterable[tuple[Labels, Labels]]:
        for index in range(1, len(sequence) - 1):
            (truth, void), answer = sequence.truth(index), read_answer(sequence, index, results)
            path = results / sequence.name / f"{sequence.frames[index].stem}.png"
            if answer.shape != truth.shape:
                raise InputError(f"{path} is not of the size of {sequence.annotations[index]}; track it again")
            answer[void] = 0
            strange = set(np.unique(answer).tolist()) - numbers - {0}
            if strange:
                raise InputError(f"{path} has an object {min(strange)} that the first frame has not; track it again")
            yield answer, truth

    return score_objects(pairs(), sorted(numbers))


def write_report(name: str, tracker: str, sequences: Sequence[DavisSequence], results: Path, folder: Path) -> str:
    """Measure all sequences; writes performance.json, per_sequence.csv, table.txt and overview.png, returns the table.

    Args:
        name: of the benchmark.
        tracker: its name.
        sequences: one or more.
        results: the tracker's folder.
        folder: for the files.

    Raises:
        InputError: a result is missing or damaged, or the folder cannot be written.
    """
    objects = {sequence.name: score_sequence(sequence, results) for sequence in sequences}
    times = {s.name: read_times(results / "times" / f"{s.name}_time.txt", len(s)) for s in sequences}
    overall = Score.mean(score for scores in objects.values() for score in scores.values())
    published = Score(*PUBLISHED[name])
    speed = _speed(times.values())
    counts = {
        "sequences": len(sequences),
        "objects": sum(map(len, objects.values())),
        "frames": sum(map(len, sequences)),
    }
    performance = {
        "benchmark": name,
        "tracker": tracker,
        **counts,
        "overall": {**overall.named(), "frames/s": speed},
        "published": {PAPER: published.named()},
        "per_sequence": {
            sequence: {
                **Score.mean(scores.values()).named(),
                "frames/s": _speed([times[sequence]]),
                "objects": {str(number): score.named() for number, score in scores.items()},
            }
            for sequence, scores in objects.items()
        },
    }
    counted = ", ".join(f"{count} {what if count > 1 else what[:-1]}" for what, count in counts.items())
    width = max(len(tracker), len(PAPER)) + 2
    lines = [
        f"{name}: {counted}; J, F and J&F in percent",
        f"{'':<{width}}{'J':>7}{'F':>7}{'J&F':>7}{'frames/s':>10}",
        f"{tracker:<{width}}" + "".join(f"{value:7.1f}" for value in overall.named().values()) + f"{speed:10.1f}",
        f"{PAPER:<{width}}" + "".join(f"{value:7.1f}" for value in published.named().values()) + f"{'-':>10}",
    ]
    if len(sequences) != SEQUENCES[name]:
        lines.append(f"The paper's row is of all {SEQUENCES[name]} sequences.")
    ranked = sorted(sequences, key=lambda sequence: Score.mean(objects[sequence.name].values()).both)
    chosen = [ranked[i] for i in np.unique(np.linspace(0, len(ranked) - 1, SHEET_ROWS).round().astype(int))]
    titles = [_title(sequence.name, Score.mean(objects[sequence.name].values())) for sequence in chosen]
    write_file(folder / "performance.json", (json.dumps(performance, indent=2) + "\n").encode())
    write_file(folder / "per_sequence.csv", _spreadsheet(objects).encode())
    write_file(folder / "table.txt", ("\n".join(lines) + "\n").encode())
    write_file(folder / "overview.png", draw_sheet(chosen, titles, results))
    return "\n".join(lines)


def _speed(times: Iterable[NDArray[np.float64]]) -> float:
    """Tracked frames a second; the initialisations do not count."""
    tracked = np.concatenate([seconds[1:] for seconds in times])
    return float(len(tracked) / tracked.sum())


def _title(name: str, score: Score) -> str:
    return f"{name}   " + "   ".join(f"{measure} {value:.1f}" for measure, value in score.named().items())


def _spreadsheet(objects: Mapping[str, Mapping[int, Score]]) -> str:
    """A line for each object of each sequence."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["sequence", "object", "J", "F", "J&F"])
    for sequence, scores in objects.items():
        for number, score in scores.items():
            writer.writerow([sequence, number, *(f"{value:.3f}" for value in score.named().values())])
    return text.getvalue()


def draw_sheet(sequences: Sequence[DavisSequence], titles: Sequence[str], results: Path) -> bytes:
    """PNG with a row for each sequence: the first frame that counts, the middle one and the last that counts.

    The answer is laid over the picture in the objects' colours, the true outlines are white.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 3.2 * len(sequences)), layout="constrained")
    rows = figure.subplots(len(sequences), 3, squeeze=False)
    for row, sequence, title in zip(rows, sequences, titles, strict=True):
        for axes, index in zip(row, (1, len(sequence) // 2, len(sequence) - 2), strict=True):
            axes.imshow(_overlay(sequence, index, results))
            axes.set_title(f"frame {sequence.frames[index].stem}", fontsize=10, loc="left")
            axes.axis("off")
        row[0].set_title(f"{title}\n{row[0].get_title('left')}", fontsize=10, loc="left")
    figure.supxlabel("colour: the answer; white line: the truth; from the worst sequence to the best", fontsize=10)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()


def _overlay(sequence: DavisSequence, index: int, results: Path) -> NDArray[np.uint8]:
    """H x W x 3: a frame under its answer and its truth."""
    image, answer = read_image(sequence.frames[index]), read_answer(sequence, index, results)
    colours = np.array(voc_palette(), np.uint8).reshape(256, 3)
    half = cv2.addWeighted(image, 0.45, colours[answer], 0.55, 0)
    image = np.where((answer > 0)[..., None], half, image)
    truth, _ = sequence.truth(index)
    for number in np.unique(truth[truth > 0]):
        lines, _ = cv2.findContours((truth == number).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        for colour, thickness in ((0, 3), (255, 1)):  # black beside the white, to be seen on anything
            cv2.drawContours(image, lines, -1, (colour,) * 3, thickness)
    return image
