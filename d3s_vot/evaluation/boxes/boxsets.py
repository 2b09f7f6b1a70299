"""The data sets of boxes on disk, opened by the got10k toolkit's classes where these work.

`_SETS` says where the files of each lie. Of the toolkit's classes LaSOT fails in its first line and TrackingNet looks
for frames where there are none: both are read by `own_sets`, as is what the toolkit has not. UAV123 wants more than
three entries in its root, whatever they are; OTB and TColor128 would download; all of them pass over what is missing,
and stop at the first annotation whose length is not that of its frames. Here what is missing is an error, and lengths
are left to `check_frames`.
"""

from __future__ import annotations

import ast
import difflib
import glob
import io
import re
import traceback
import warnings
from collections.abc import Callable, Collection, Iterable
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from d3s_vot.errors import InputError
from d3s_vot.evaluation.boxes.checks import check_frames, some
from d3s_vot.evaluation.boxes.own_sets import (
    Found,
    find_avist,
    find_lasot,
    find_lasot_extension,
    find_trackingnet,
    listed_files,
    to_boxes,
)
from d3s_vot.evaluation.boxes.sequences import Sequence

__all__ = ["NAMES", "check_frames", "open_boxset"]


@dataclass(frozen=True)
class _Set:
    """One data set: its files under the root, what finds them, and whether a server keeps all but the first box."""

    files: str
    find: Callable[[Path], Found]
    server: bool = False


def open_boxset(name: str, root: Path, names: Collection[str] | None = None) -> list[Sequence]:
    """The sequences of a data set, in its order; frames and boxes as found, see `check_frames`.

    Args:
        name: one of `NAMES`.
        root: the folder of the data set.
        names: the sequences wanted; None: all, of which none may be missing.

    Raises:
        InputError: this is not the data set's folder, a sequence is missing, there is none of that name, or an
            annotation cannot be read.
    """
    root, names = Path(root), {names} if isinstance(names, str) else names
    if name not in _SETS:
        raise InputError(f"there is no data set {name!r}; known: {', '.join(NAMES)}")
    if not root.is_dir():
        raise InputError(f"there is no folder {root}; give that of {name}, with {_SETS[name].files}")
    with redirect_stdout(io.StringIO()), warnings.catch_warnings():  # the toolkit prints, numpy warns of empty files
        warnings.simplefilter("ignore")
        readers, missing = _find(name, root)
        if names is None and missing:
            raise InputError(
                f"{root} lacks frames or annotation of {len(missing)} of {len(missing) + len(readers)} sequences of "
                f"{name}: {some(missing)}; add them, or pick others with --sequences"
            )
        for wanted in names or ():
            if wanted not in readers:
                close = difflib.get_close_matches(wanted, readers, 3) or list(readers)[:3]
                raise InputError(f"there is no sequence {wanted!r} of {name} in {root}; there is {', '.join(close)}")
        sequences = [read() for found, read in readers.items() if names is None or found in names]
    for sequence in sequences:
        if len(sequence.truth) == 1 < len(sequence) and not _SETS[name].server:
            raise InputError(f"the annotation of {sequence.name} in {root} has one box for {len(sequence)} frames")
    return sequences


def _find(name: str, root: Path) -> Found:
    """What `root` holds of a data set; never nothing."""
    wrong = f"{root} is not the folder of {name}, which holds {_SETS[name].files}"
    try:
        found = _SETS[name].find(root)
    except InputError:
        raise
    except Exception as error:  # a bare one is the toolkit's own, which says no more, or that it could download
        raise InputError(wrong if type(error) is Exception else f"{wrong} ({error})") from error
    if not found.readers:
        raise InputError(wrong)
    return found


def _toolkit(root: Path) -> Any:
    """The module of the toolkit's data sets."""
    if glob.has_magic(str(root)):
        raise InputError(f"the got10k toolkit cannot read {root}; give a path without the characters * ? [ ]")
    try:
        from got10k import datasets
    except ImportError as error:
        raise InputError(f"the got10k toolkit cannot be used ({error}); install d3s-vot[got10k]") from error
    return datasets


def _through(dataset: Any, expected: Iterable[str], meta: bool = False) -> Found:
    """The sequences that a class of the toolkit found, of those `expected` by name or folder."""
    readers: dict[str, Callable[[], Sequence]] = {}
    there: set[str] = set()
    for index, (name, folder) in enumerate(zip(dataset.seq_names, map(Path, dataset.seq_dirs), strict=True)):
        if name.strip() and folder.is_dir():  # a list may have blank lines
            readers[name] = partial(_read, dataset, index, meta)
            there |= {name, folder.name}
    return Found(readers, [name for name in expected if name.strip() and name not in there])


def _read(dataset: Any, index: int, meta: bool) -> Sequence:
    """One sequence of the toolkit's."""
    path = Path(dataset.anno_files[index])
    try:
        frames, truth = dataset[index]
    except Exception as error:  # asserts that the numbers of frames and boxes agree, each class in its own way
        *_, (frame, _) = traceback.walk_tb(error.__traceback__)
        if not {"img_files", "anno"} <= frame.f_locals.keys():
            raise InputError(f"the annotation {path} cannot be read: {error}") from error
        frames, truth = frame.f_locals["img_files"], frame.f_locals["anno"]  # what it was about to return
    sequence = Sequence(dataset.seq_names[index], tuple(map(Path, frames)), to_boxes(truth, path))
    if not meta:
        sequence.truth[(sequence.truth[:, 2:] <= 0).any(axis=1) & (np.arange(len(sequence.truth)) > 0)] = np.nan
        return sequence  # without those in which the target has no size, since it is absent
    try:
        facts = dataset._fetch_meta(dataset.seq_dirs[index])
        width, height = map(int, ast.literal_eval(facts["resolution"]))
        return replace(sequence, cover=np.atleast_1d(facts["cover"]).astype(np.int64), size=(width, height))
    except (OSError, ValueError, LookupError, SyntaxError, TypeError) as error:
        raise InputError(
            f"{path.parent} needs meta_info.ini, with a line 'resolution: (width, height)', cover.label, absence.label "
            f"and cut_by_image.label ({error})"
        ) from error


def _got10k(subset: str, root: Path) -> Found:
    dataset = _toolkit(root).GOT10k(str(root), subset)
    return _through(dataset, dataset.seq_names, meta=subset == "val")


def _otb(version: str, root: Path) -> Found:
    OTB = _toolkit(root).OTB
    return _through(OTB(str(root), version, download=False), sorted(OTB._OTB__version_dict[version]))


def _uav123(root: Path) -> Found:
    class Unguarded(_toolkit(root).UAV123):  # type: ignore[misc]
        """Without the count of entries in the root."""

        def _check_integrity(self, root_dir: str, version: str) -> None:
            """Nothing that `_through` does not see."""

    try:
        dataset = Unguarded(str(root))
    except KeyError as error:
        stray = root / "anno" / "UAV123" / f"{error.args[0]}.txt"
        raise InputError(f"{stray} is the annotation of no sequence of UAV123; remove it") from error
    return _through(dataset, dataset.seq_metas["UAV123"])


def _nfs(rate: int, root: Path) -> Found:
    return _through(_toolkit(root).NfS(str(root), rate), [path.parent.name for path in listed_files(root, f"*/{rate}")])


def _tcolor128(root: Path) -> Found:
    for folder in sorted({path.parent for path in listed_files(root, "*/*_gt.txt")}):
        ranges = [path.read_text("utf-8", "replace") for path in listed_files(folder, "*_frames.txt")]
        if len(ranges) != 1 or not re.match(r"\s*\d+\s*,\s*\d+\s*$", ranges[0]):
            raise InputError(f"{folder} needs a file *_frames.txt with its first and its last frame, such as 1,100")
    dataset = _toolkit(root).TColor128(str(root), download=False)
    return _through(dataset, [path.parent.name for path in listed_files(root, "*/img")])


def _dtb70(root: Path) -> Found:
    return _through(_toolkit(root).DTB70(str(root)), [path.parent.name for path in listed_files(root, "*/img")])


def _lasot(root: Path) -> Found:
    _toolkit(root)  # has the list
    return find_lasot(root)


_SETS = {
    "got10k-val": _Set(
        "val/list.txt and val/SEQ/{00000001.jpg, groundtruth.txt, *.label, meta_info.ini}", partial(_got10k, "val")
    ),
    "got10k-test": _Set(
        "test/list.txt and test/SEQ/{00000001.jpg, groundtruth.txt}", partial(_got10k, "test"), server=True
    ),
    "trackingnet": _Set("TEST/anno/SEQ.txt and TEST/frames/SEQ/0.jpg", partial(find_trackingnet, "TEST"), server=True),
    "trackingnet-train": _Set(
        "TRAIN_0/anno/SEQ.txt and TRAIN_0/frames/SEQ/0.jpg, to TRAIN_11", partial(find_trackingnet, "TRAIN_*")
    ),
    "otb50": _Set("SEQ/groundtruth_rect.txt and SEQ/img/0001.jpg", partial(_otb, "tb50")),
    "otb100": _Set("SEQ/groundtruth_rect.txt and SEQ/img/0001.jpg", partial(_otb, "tb100")),
    "uav123": _Set("anno/UAV123/SEQ.txt and data_seq/UAV123/SEQ/000001.jpg", _uav123),
    "lasot": _Set("CLASS/SEQ/{groundtruth.txt, full_occlusion.txt, out_of_view.txt, img/00000001.jpg}", _lasot),
    "lasot-extension": _Set(
        "CLASS/SEQ/{groundtruth.txt, full_occlusion.txt, out_of_view.txt, img/00000001.jpg}", find_lasot_extension
    ),
    "nfs30": _Set("SEQ/30/SEQ.txt and SEQ/30/SEQ/00001.jpg", partial(_nfs, 30)),
    "nfs240": _Set("SEQ/240/SEQ.txt and SEQ/240/SEQ/00001.jpg", partial(_nfs, 240)),
    "avist": _Set(
        "anno/SEQ.txt, {full_occlusion, out_of_view}/SEQ_{full_occlusion, out_of_view}.txt and "
        "sequences/SEQ/img_00001.jpg",
        find_avist,
    ),
    "tcolor128": _Set("SEQ/{SEQ_gt.txt, SEQ_frames.txt, img/0001.jpg}", _tcolor128),
    "dtb70": _Set("SEQ/groundtruth_rect.txt and SEQ/img/00001.jpg", _dtb70),
}
NAMES = tuple(_SETS)
