"""The data sets of boxes that the got10k toolkit cannot read: TrackingNet, LaSOT, its extension and AVisT."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from d3s_vot.errors import InputError
from d3s_vot.evaluation.boxes.sequences import Sequence
from d3s_vot.leftovers import is_leftover


class Found(NamedTuple):
    """What lies under a root: how to read each sequence, in the benchmark's order, and the names without one."""

    readers: dict[str, Callable[[], Sequence]]
    missing: list[str]


def to_boxes(truth: ArrayLike, path: Path) -> NDArray[np.float64]:
    """N x 4 float64 of what was read from `path`."""
    rows = np.atleast_2d(truth)
    if not rows.size:
        raise InputError(f"the annotation {path} is empty")
    try:
        return rows.astype(np.float64).reshape(len(rows), 4)
    except ValueError:
        raise InputError(f"the annotation {path} must have four numbers for each frame") from None


def listed_files(folder: Path, pattern: str) -> list[Path]:
    """What fits a pattern, sorted, in whose path below the folder nothing is a leftover."""
    paths = folder.glob(pattern)
    return sorted(path for path in paths if not any(map(is_leftover, path.relative_to(folder).parts)))


def read_numbers(path: Path) -> NDArray[np.float64]:
    """Numbers parted by commas."""
    try:
        return np.loadtxt(path, delimiter=",")
    except (OSError, ValueError) as error:
        raise InputError(f"the annotation {path} cannot be read: {error}") from error


def find_trackingnet(parts: str, root: Path) -> Found:
    """The parts of TrackingNet whose folders fit the pattern `parts`: TEST, or TRAIN_0 to TRAIN_11."""
    annotations = {path.stem: path for path in listed_files(root, f"{parts}/anno/*.txt")}
    folders = {path.name: path for path in listed_files(root, f"{parts}/frames/*") if path.is_dir()}

    def read(name: str) -> Sequence:
        # Names are not padded with zeros; one that is no number is found by `check_frames`.
        frames = sorted(listed_files(folders[name], "*.jpg"), key=lambda path: (len(path.stem), path.stem))
        truth = to_boxes(read_numbers(annotations[name]), annotations[name])
        # Counted from 0: the boxes are parts of the frame's width and height, as YouTube-BB has them, times these.
        return Sequence(name, tuple(frames), truth, origin=0)

    both = [name for name in annotations if name in folders]
    missing = sorted(annotations.keys() ^ folders.keys())
    return Found({name: partial(read, name) for name in both}, missing)


def find_lasot(root: Path) -> Found:
    """LaSOT's test set, whose sequences the got10k toolkit lists."""
    listed: list[str] = json.loads((files("got10k.datasets") / "lasot.json").read_text("utf-8"))["test"]
    folders = {name: root / name.rpartition("-")[0] / name for name in listed}
    there = [name for name in listed if (folders[name] / "img").is_dir()]
    readers: dict[str, Callable[[], Sequence]] = {name: partial(_read_lasot, folders[name]) for name in there}
    return Found(readers, sorted(set(listed) - set(there)))


def find_lasot_extension(root: Path) -> Found:
    """The same files as LaSOT; which sequences there are is seen, since each lies in the folder of its class."""
    inner = listed_files(root, "*/*")
    folders = {path.name: path for path in inner if path.name.rpartition("-")[0] == path.parent.name}
    missing = [name for name, folder in folders.items() if not (folder / "img").is_dir()]
    return Found({name: partial(_read_lasot, folders[name]) for name in folders if name not in missing}, missing)


def _read_lasot(folder: Path) -> Sequence:
    """One sequence of LaSOT or its extension."""
    path, labels = folder / "groundtruth.txt", [folder / "full_occlusion.txt", folder / "out_of_view.txt"]
    return Sequence(folder.name, tuple(listed_files(folder / "img", "*.jpg")), _visible(path, labels))


def find_avist(root: Path) -> Found:
    """AVisT."""
    annotations = {path.stem: path for path in listed_files(root / "anno", "*.txt")}
    folders = {path.name: path for path in listed_files(root / "sequences", "*") if path.is_dir()}

    def read(name: str) -> Sequence:
        labels = [root / label / f"{name}_{label}.txt" for label in ("full_occlusion", "out_of_view")]
        frames = sorted(listed_files(folders[name], "*.jpg"), key=lambda path: (len(path.stem), path.stem))
        return Sequence(name, tuple(frames), _visible(annotations[name], labels))

    both = [name for name in annotations if name in folders]
    missing = sorted(annotations.keys() ^ folders.keys())
    return Found({name: partial(read, name) for name in both}, missing)


def _visible(path: Path, labels: list[Path]) -> NDArray[np.float64]:
    """The boxes of an annotation; NaN where one of the files of labels says that there is nothing to see.

    The benchmarks' own evaluations leave these frames out.
    """
    truth = to_boxes(read_numbers(path), path)
    absent = [read_numbers(label).ravel() for label in labels]
    if any(len(flags) != len(truth) for flags in absent):
        places = " or ".join(label.name for label in labels)
        raise InputError(f"{path} has {len(truth)} boxes; {places} of its sequence has not")
    truth[np.any(absent, axis=0)] = np.nan
    return truth
