"""Benchmarks of one target given as a box: GOT-10k, TrackingNet and the got10k toolkit's others."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from d3s_vot.evaluation.boxes.boxsets import check_frames, open_boxset
from d3s_vot.evaluation.boxes.layouts import LAYOUTS, format_boxes, format_times
from d3s_vot.evaluation.boxes.reports import report
from d3s_vot.evaluation.boxes.sequences import Sequence
from d3s_vot.evaluation.boxes.submission import SERVERS, write_submission
from d3s_vot.evaluation.runs import identity
from d3s_vot.evaluation.runs.benchmark import Benchmark
from d3s_vot.evaluation.runs.pools import Place
from d3s_vot.images import read_image
from d3s_vot.regions import Box
from d3s_vot.tracker import Tracker
from d3s_vot.zoo import Choice

Load = Callable[[Choice], Tracker]


@dataclass(frozen=True, eq=False)
class Track:
    """The answer for one sequence.

    Attributes:
        boxes: N x 4 float64, x, y, w, h in the annotation's convention; the first is the given one.
        seconds: N, from the decoded image to the region; the first is the initialisation.
    """

    boxes: NDArray[np.float64]
    seconds: NDArray[np.float64]


def follow(
    tracker: Tracker,
    frames: Iterable[str | Path],
    first: ArrayLike,
    origin: int,
    seen: Callable[[NDArray[np.uint8], NDArray[np.float64]], None] | None = None,
) -> Track:
    """Track one video from its first box to its end, without resets.

    Args:
        tracker: given the new target.
        frames: picture files; one at a time is in memory, decoded while the clock stands.
        first: x, y, w, h of the target in the first frame.
        origin: what these count the top-left pixel as, 1 or 0.
        seen: called after each frame with the picture and x, y, w, h.

    Raises:
        InputError: a picture or the box cannot be used.
    """
    box = np.array(first, np.float64)
    boxes: list[NDArray[np.float64]] = []
    seconds: list[float] = []
    for path in frames:
        image = read_image(path)
        # The tracker answers with numbers on the CPU: a GPU has finished when the clock stops.
        started = time.perf_counter()
        if boxes:
            found = tracker.track(image).region.box
        else:
            x, y, w, h = box.tolist()
            tracker.initialize(image, Box.counted_from(origin, x, y, w, h))
        seconds.append(time.perf_counter() - started)
        if boxes:
            box = np.array(found.count_from(origin))
        boxes.append(box)
        if seen is not None:
            seen(image, box)
    return Track(np.array(boxes), np.array(seconds))


def _start(choice: Choice, load: Load, place: Place) -> Callable[[Sequence], Track]:
    tracker = load(replace(choice, device=place.device))
    return lambda sequence: follow(tracker, sequence.frames, sequence.truth[0], sequence.origin)


class BoxBenchmark(Benchmark[Sequence, Track]):
    """A benchmark of boxes.

    Args:
        name: one of `boxsets.NAMES`.
        load: makes the tracker; picklable.
    """

    def __init__(self, name: str, load: Load = Choice.load_tracker) -> None:
        self.name = name
        self.server = name in SERVERS
        self._layout = LAYOUTS[name]
        self._load = load

    def open(self, root: Path, names: Collection[str] | None = None) -> list[Sequence]:
        """See `Benchmark.open`."""
        return open_boxset(self.name, root, names)

    def check(self, sequences: list[Sequence], seen: Callable[[Sequence], None] = lambda _: None) -> list[str]:
        """See `Benchmark.check`."""
        return check_frames(sequences, seen)

    def data(self, sequence: Sequence) -> dict[str, str]:
        """See `Benchmark.data`; later boxes are for the report alone."""
        first = ",".join(f"{value:.10g}" for value in sequence.truth[0].tolist())
        return {"first box": first, "frames": identity.of_frames(sequence.frames)}

    def worker(self, choice: Choice) -> Callable[[Place], Callable[[Sequence], Track]]:
        """See `Benchmark.worker`."""
        return partial(_start, choice, self._load)

    def paths(self, tracker: str, sequence: Sequence) -> tuple[str, ...]:
        """The boxes and the times."""
        files = self._layout.boxes(Path(), tracker, sequence.name), self._layout.times(Path(), tracker, sequence.name)
        return tuple(path.as_posix() for path in files)

    def files(self, tracker: str, sequence: Sequence, result: Track) -> dict[str, bytes]:
        """See `Benchmark.files`."""
        texts = format_boxes(result.boxes, self._layout.decimals), format_times(result.seconds)
        return {path: text.encode() for path, text in zip(self.paths(tracker, sequence), texts, strict=True)}

    def report(self, tracker: str, sequences: list[Sequence], results: Path, folder: Path) -> str:
        """See `Benchmark.report`."""
        return report(self.name, tracker, sequences, results, folder)

    def measurable(self, sequences: list[Sequence]) -> bool:
        """Also where TrackingNet's truth is there beyond the first boxes."""
        whole = all(1 < len(sequence) == len(sequence.truth) for sequence in sequences)
        return not self.server or (self.name == "trackingnet" and whole)

    def submission(self, tracker: str, sequences: list[Sequence], results: Path, target: Path) -> None:
        """See `Benchmark.submission`."""
        write_submission(self.name, tracker, sequences, results, target)
