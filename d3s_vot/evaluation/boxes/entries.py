"""The result files of several trackers, whoever wrote them: this package, PyTracking or the got10k toolkit.

A tracker is a folder; its file of a sequence is one of these, four numbers a line, a line a frame from the first on,
in the data set's own convention of the top-left pixel:

    SEQ.txt           commas, with times/SEQ_time.txt (got10k toolkit, this package)
    SEQ/SEQ_001.txt   commas, one for each repetition, with SEQ/SEQ_time.txt (the same, GOT-10k)
    SEQ.txt           tabs and whole numbers, with SEQ_time.txt (PyTracking)

Tabs, spaces and commas are taken in any of them. A sequence without a file is no error: it is left out and named. A
file that is not as long as the sequence, or holds something else than finite numbers, is an error: what it would be
worth cannot be known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from d3s_vot.errors import InputError
from d3s_vot.evaluation.boxes.layouts import LAYOUTS, parse_numbers
from d3s_vot.evaluation.boxes.scores import Floats
from d3s_vot.evaluation.boxes.sequences import Sequence as Video
from d3s_vot.leftovers import is_leftover

# PyTracking sets these before the names of two data sets.
PREFIXES = {"nfs30": "nfs_", "nfs240": "nfs_", "uav123": "uav_"}


@dataclass(frozen=True, eq=False)
class Entry:
    """What one tracker answered.

    Attributes:
        tracker: its name.
        runs: by sequence, the boxes of each run, N x 4; a sequence without a file is not in it.
        seconds: by sequence, the times of each run, N; a sequence without a file of times is not in it.
    """

    tracker: str
    runs: dict[str, list[Floats]] = field(default_factory=dict)
    seconds: dict[str, list[Floats]] = field(default_factory=dict)

    @property
    def frames_per_second(self) -> float | None:
        """Frames over their time, of all runs that have times; None: none has."""
        spent = [part for parts in self.seconds.values() for part in parts]
        total = sum(float(part.sum()) for part in spent)
        return sum(map(len, spent)) / total if total > 0 else None


def find_entries(name: str, given: Iterable[str], sequences: Sequence[Video]) -> dict[str, list[Path]]:
    """The folders of each tracker, its runs.

    Args:
        name: of the data set.
        given: as a user gives them: the folder of a tracker, a folder of such folders, a run of `got10k_run`
            (`OUTPUT/NAME`), or NAME=FOLDER; a name that is given several times has several runs.
        sequences: of the data set, by whose names files are known.

    Raises:
        InputError: there is no such folder, it holds no results of the data set, or two trackers have one name.
    """
    found: dict[str, list[Path]] = {}
    for text in given:
        label, mark, path = text.partition("=")
        named = bool(mark) and not Path(text).is_dir()
        folder = Path(path if named else text)
        if not folder.is_dir():
            raise InputError(f"there is no folder {folder}; give that of a tracker's results")
        trackers = _trackers(name, folder, sequences)
        if not trackers:
            raise InputError(
                f"{folder} holds no results of {name}; a tracker's folder has files such as {sequences[0].name}.txt"
            )
        if named and len(trackers) > 1:
            raise InputError(f"{folder} holds {len(trackers)} trackers, so they cannot all be called {label}")
        for tracker in trackers:
            key = label if named else tracker.resolve().name
            if not named and key in found:
                raise InputError(f"two trackers are called {key}; tell them apart by NAME=FOLDER")
            found.setdefault(key, []).append(tracker)
    return found


def _trackers(name: str, folder: Path, sequences: Sequence[Video]) -> list[Path]:
    """The folders of trackers: the one given, those in it, or those where a run of this package has them."""
    if _has_results(name, folder, sequences):
        return [folder]
    inner = LAYOUTS[name].folder
    for place in (folder / "results" / inner, folder / inner, folder):
        if place.is_dir():
            candidates = sorted(path for path in place.iterdir() if path.is_dir() and not is_leftover(path.name))
            trackers = [path for path in candidates if _has_results(name, path, sequences)]
            if trackers:
                return trackers
    return []


def _has_results(name: str, folder: Path, sequences: Sequence[Video]) -> bool:
    return any(_boxes(name, folder, sequence.name) for sequence in sequences)


def _stems(name: str, sequence: str) -> list[str]:
    """What a sequence's files may be called: as here, and where the targets of a video are counted otherwise."""
    plain = [sequence, sequence.replace(".", "_"), sequence.replace(".", "-")]
    prefix = PREFIXES.get(name)
    return list(dict.fromkeys(plain if prefix is None else [*plain, *(prefix + stem for stem in plain)]))


def _boxes(name: str, folder: Path, sequence: str) -> list[Path]:
    """The files of a sequence's boxes, one for each repetition; none where it was not tracked."""
    for stem in _stems(name, sequence):
        if (file := folder / f"{stem}.txt").is_file():
            return [file]
        if (folder / stem).is_dir():
            files = [path for path in (folder / stem).iterdir() if path.name.startswith(f"{stem}_")]
            runs = sorted(path for path in files if path.stem[len(stem) + 1 :].isdecimal() and path.suffix == ".txt")
            if runs:
                return runs
    return []


def _times(name: str, folder: Path, sequence: str) -> Path | None:
    """The file of a sequence's times."""
    for stem in _stems(name, sequence):
        for inner in (f"times/{stem}_time.txt", f"{stem}/{stem}_time.txt", f"{stem}_time.txt"):
            if (folder / inner).is_file():
                return folder / inner
    return None


def read_entry(name: str, tracker: str, folders: Sequence[Path], sequences: Sequence[Video]) -> Entry:
    """The results of one tracker, as far as there are any.

    Args:
        name: of the data set.
        tracker: its name.
        folders: one for each run.
        sequences: of the data set.

    Raises:
        InputError: a file has another number of lines, or a line that is not four finite numbers with sizes of 0 or
            more; one sentence with the tracker and the file.
    """
    entry = Entry(tracker)
    for sequence in sequences:
        for folder in folders:
            files = _boxes(name, folder, sequence.name)
            for path in files:
                boxes = _numbers(tracker, path, 4, len(sequence))
                _refuse_negative(tracker, path, boxes[:, 2:], "size")
                entry.runs.setdefault(sequence.name, []).append(boxes)
            times = _times(name, folder, sequence.name)
            if files and times is not None:  # of repetitions the got10k toolkit makes columns
                seconds = _numbers(tracker, times, len(files), len(sequence))
                _refuse_negative(tracker, times, seconds, "time")
                entry.seconds.setdefault(sequence.name, []).extend(seconds.T)
    return entry


def _numbers(tracker: str, path: Path, columns: int, count: int) -> Floats:
    try:
        numbers = parse_numbers(path.read_text("ascii"), columns, blanks=True)
    except OSError as error:
        raise InputError(f"{path} of {tracker} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} of {tracker} is not a text file") from None
    except ValueError as error:
        raise InputError(f"{path} of {tracker}: {error}") from None
    if len(numbers) != count:
        raise InputError(f"{path} of {tracker} has {len(numbers)} lines for {count} frames")
    return numbers


def _refuse_negative(tracker: str, path: Path, numbers: Floats, what: str) -> None:
    lines = np.flatnonzero(numbers.min(axis=1) < 0)
    if lines.size:
        raise InputError(f"{path} of {tracker}: line {lines[0] + 1} has a negative {what}")


def shared_sequences(
    entries: Sequence[Entry], sequences: Sequence[Video]
) -> tuple[list[Video], dict[str, list[str]]]:
    """The sequences that every tracker has, so that all are measured on the same, and who lacks each of the others.

    Raises:
        InputError: there is none.
    """
    lacking = {
        sequence.name: [entry.tracker for entry in entries if sequence.name not in entry.runs] for sequence in sequences
    }
    both = [sequence for sequence in sequences if not lacking[sequence.name]]
    if not both:
        counts = ", ".join(f"{entry.tracker} {len(entry.runs)}" for entry in entries)
        raise InputError(f"there is no sequence that all trackers have; of {len(sequences)} there are of {counts}")
    return both, {sequence: names for sequence, names in lacking.items() if names}
