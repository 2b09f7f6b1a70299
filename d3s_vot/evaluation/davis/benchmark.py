"""DAVIS-2016 and DAVIS-2017, validation sets: objects given as masks, answered with masks, measured by J and F.

Semi-supervised: the objects start in the first frame's annotation. In DAVIS-2016 all of them are one.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

from d3s_vot.errors import InputError
from d3s_vot.evaluation.boxes.layouts import format_times
from d3s_vot.evaluation.davis.data import LISTS, DavisSequence, check_sequence, open_davis
from d3s_vot.evaluation.davis.report import write_report
from d3s_vot.evaluation.davis.tracking import DavisTrack, Load, start_worker
from d3s_vot.evaluation.runs import identity
from d3s_vot.evaluation.runs.benchmark import Benchmark
from d3s_vot.evaluation.runs.pools import Place
from d3s_vot.zoo import Choice

NAMES = tuple(LISTS)


class DavisBenchmark(Benchmark[DavisSequence, DavisTrack]):
    """One of the two.

    Args:
        name: davis16-val or davis17-val.
        load: makes the tracker; picklable.
    """

    server, masks = False, True

    def __init__(self, name: str, load: Load = Choice.load_tracker) -> None:
        self.name = name
        self._load = load

    def open(self, root: Path, names: Collection[str] | None = None) -> list[DavisSequence]:
        """See `Benchmark.open`; the packages that the report needs must be there, too."""
        for package in ("vos_benchmark", "matplotlib"):
            if importlib.util.find_spec(package) is None:
                raise InputError(f"{self.name} is measured with the package {package}: pip install d3s-vot[got10k]")
        return open_davis(self.name, root, names)

    def check(
        self, sequences: list[DavisSequence], seen: Callable[[DavisSequence], None] = lambda _: None
    ) -> list[str]:
        """See `Benchmark.check`."""
        problems: list[str] = []
        for sequence in sequences:
            problems += check_sequence(sequence)
            seen(sequence)
        return problems

    def data(self, sequence: DavisSequence) -> dict[str, str]:
        """See `Benchmark.data`; later masks are for the report alone."""
        first = identity.of_file(sequence.annotations[0]) if sequence.annotations else ""
        return {"first mask": first, "frames": identity.of_frames(sequence.frames)}

    def worker(self, choice: Choice) -> Callable[[Place], Callable[[DavisSequence], DavisTrack]]:
        """See `Benchmark.worker`."""
        return partial(start_worker, choice, self._load)

    def paths(self, tracker: str, sequence: DavisSequence) -> tuple[str, ...]:
        """A mask for each frame, and the times."""
        masks = (f"{tracker}/{sequence.name}/{path.stem}.png" for path in sequence.frames)
        return *masks, f"{tracker}/times/{sequence.name}_time.txt"

    def files(self, tracker: str, sequence: DavisSequence, result: DavisTrack) -> dict[str, bytes]:
        """See `Benchmark.files`."""
        contents = (*result.masks, format_times(result.seconds).encode())
        return dict(zip(self.paths(tracker, sequence), contents, strict=True))

    def report(self, tracker: str, sequences: list[DavisSequence], results: Path, folder: Path) -> str:
        """Write performance.json, per_sequence.csv and overview.png; returns the table. See `Benchmark.report`."""
        return write_report(self.name, tracker, sequences, results / tracker, folder)
