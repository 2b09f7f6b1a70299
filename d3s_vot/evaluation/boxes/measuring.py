"""The scores of a tracker's boxes on a data set: by the got10k toolkit's `report`, or by our own measures.

The toolkit measures its data sets in its own code. LaSOT, its extension and AVisT, which it has not, and TrackingNet,
where the whole truth is at hand, are measured by `scores`.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from d3s_vot.errors import InputError
from d3s_vot.evaluation.boxes.layouts import LAYOUTS
from d3s_vot.evaluation.boxes.scores import (
    AO,
    NORMALISED,
    OVERLAPS,
    PIXELS,
    PRECISION,
    SIZES,
    SR50,
    SR75,
    SUCCESS,
    Curves,
    Floats,
    got10k_overlaps,
    got10k_scores,
    lasot_curves,
    lasot_scores,
    trackingnet_curves,
    trackingnet_scores,
)
from d3s_vot.evaluation.boxes.sequences import Sequence

Scores = dict[str, float]  # percent
TRACKINGNET = ("trackingnet", "trackingnet-train")
OURS = ("lasot", "lasot-extension", "avist")  # sets that the toolkit has not, with LaSOT's measures


@dataclass(frozen=True)
class Curve:
    """Shares of frames, 0..1, over thresholds, and the name of the score that is made of them."""

    thresholds: Floats
    shares: Floats
    score: str


@dataclass(frozen=True)
class Measured:
    """All that was measured.

    Attributes:
        overall: scores of the set; NaN where no frame counts.
        sequences: those of each sequence.
        curves: of the set, by name.
        toolkit: the toolkit's own report, JSON; empty where it measured nothing.
    """

    overall: Scores
    sequences: dict[str, Scores]
    curves: dict[str, Curve]
    toolkit: bytes = b""


def measure(
    name: str, tracker: str, sequences: list[Sequence], results: Path, boxes: dict[str, Floats]
) -> Measured:
    """Measure a tracker on sequences with all their boxes.

    Args:
        name: of the data set.
        tracker: its name in the files.
        sequences: one or more.
        results: folder of the result files, all of them there and sound.
        boxes: what the files hold, by sequence.

    Raises:
        InputError: the toolkit is not installed.
    """
    if name in OURS:
        return _by_curves(sequences, boxes, lasot_curves, lasot_scores)
    if name in TRACKINGNET:
        return _by_curves(sequences, boxes, trackingnet_curves, trackingnet_scores)
    performance, toolkit = _toolkit_report(name, tracker, sequences, results)
    overall, each = performance["overall"], performance["seq_wise"]
    if name == "got10k-val":
        curve = Curve(np.arange(101) / 100, np.array(overall["succ_curve"]), AO)
        sr75 = {sequence.name: _sr75(sequence, boxes[sequence.name]) for sequence in sequences}
        return Measured(
            {AO: 100 * overall["ao"], SR50: 100 * overall["sr"], SR75: 100 * float(curve.shares[75])},
            {key: {AO: 100 * part["ao"], SR50: 100 * part["sr"], SR75: sr75[key]} for key, part in each.items()},
            {SUCCESS: curve},
            toolkit,
        )
    return Measured(
        _otb_scores(overall),
        {key: _otb_scores(part) for key, part in each.items()},
        {
            SUCCESS: Curve(OVERLAPS, np.array(overall["success_curve"]), SUCCESS),
            PRECISION: Curve(PIXELS, np.array(overall["precision_curve"]), PRECISION),
        },
        toolkit,
    )


def _by_curves(
    sequences: list[Sequence],
    boxes: dict[str, Floats],
    curves: Callable[[Floats, Floats], Curves],
    scores: Callable[[Curves], Scores],
) -> Measured:
    """By our own measures; all sequences weigh the same."""
    each = {sequence.name: curves(boxes[sequence.name], sequence.truth) for sequence in sequences}
    mean = Curves.mean(list(each.values()))
    return Measured(
        scores(mean),
        {name: scores(part) for name, part in each.items()},
        {
            SUCCESS: Curve(OVERLAPS, mean.success, SUCCESS),
            PRECISION: Curve(PIXELS, mean.precision, PRECISION),
            NORMALISED: Curve(SIZES, mean.normalised, NORMALISED),
        },
    )


class _Data:
    """Our sequences as a data set of the toolkit; arrays are copies, since its measures change them."""

    def __init__(self, sequences: list[Sequence]) -> None:
        self.sequences = sequences
        self.seq_names = [sequence.name for sequence in sequences]
        self.return_meta = False

    def __len__(self) -> int:
        return len(self.sequences)

    def __getitem__(self, index: int | str) -> tuple[Any, ...]:
        sequence = self.sequences[self.seq_names.index(index) if isinstance(index, str) else index]
        pair = sequence.frames, sequence.truth.copy()
        return (*pair, {"cover": sequence.cover, "resolution": str(sequence.size)}) if self.return_meta else pair


def _toolkit_report(
    name: str, tracker: str, sequences: list[Sequence], results: Path
) -> tuple[dict[str, Any], bytes]:
    """What the toolkit's `report` returns of the tracker, and what it writes."""
    try:
        from got10k.experiments import ExperimentGOT10k, ExperimentUAV123
    except ImportError as error:
        raise InputError(f"measuring {name} needs the got10k toolkit ({error}); install d3s-vot[got10k]") from None
    # Of its classes for OTB and those measured like it, UAV123's alone leaves out frames without annotation.
    kind = ExperimentGOT10k if name == "got10k-val" else ExperimentUAV123
    experiment = kind.__new__(kind)  # without its constructor, which downloads, or wants the whole data set
    experiment.subset, experiment.dataset = "val", _Data(sequences)
    experiment.nbins_iou, experiment.nbins_ce = len(OVERLAPS), len(PIXELS)
    # Its plots may open windows, and leave figures and settings of matplotlib behind.
    experiment.plot_curves = lambda *_: None
    with TemporaryDirectory() as work, redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of no frame that counts is NaN
        # A link, since it takes characters such as [ in a path for a pattern.
        link = Path(work, "results")
        link.symlink_to((results / LAYOUTS[name].folder).absolute())
        experiment.result_dir, experiment.report_dir = str(link), work
        performance = experiment.report([tracker])[tracker]
        return performance, Path(work, tracker, "performance.json").read_bytes()


def _otb_scores(scores: dict[str, float]) -> Scores:
    """Out of the toolkit's measures of OTB and its like."""
    return {SUCCESS: 100 * scores["success_score"], PRECISION: 100 * scores["precision_score"]}


def _sr75(sequence: Sequence, boxes: Floats) -> float:
    """SR.75 of one sequence, which the toolkit leaves out."""
    assert sequence.cover is not None and sequence.size is not None  # GOT-10k has both
    return got10k_scores(got10k_overlaps(boxes, sequence.truth, sequence.cover, sequence.size))[SR75]
