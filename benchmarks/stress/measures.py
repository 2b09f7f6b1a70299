"""What a tracker's run over a clip is worth: overlap, when it was lost and found again, what it knew of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.stress.clips import Clip, Mask
from d3s_vot import Box
from d3s_vot.prediction import Prediction
from d3s_vot.regions import box_iou
from d3s_vot.tracker import Tracker

GOOD, LOST = 0.5, 0.1  # overlap above, below
RUN = 5  # frames below LOST that are a loss
COLUMNS = ("clip", "kind", "frame", "overlap", "J", "away", "confidence", "visible")
VISIBLE = 0.25  # of the target's usual area: less of it cannot be measured


@dataclass(frozen=True, eq=False)
class Run:
    """A tracker's answers about one clip, a number for each frame but the first.

    Attributes:
        name: of the clip.
        kind: of the clip.
        overlap: of the boxes; nan where the target cannot be measured, 0 where it is away.
        mask: J, the overlap of the masks; nan where the target cannot be measured.
        away: whether the target cannot be seen at all.
        confidence: 0..1.
        visible: the tracker's word.
    """

    name: str
    kind: str
    overlap: NDArray[np.float64]
    mask: NDArray[np.float64]
    away: NDArray[np.bool_]
    confidence: NDArray[np.float64]
    visible: NDArray[np.bool_]

    @property
    def good(self) -> NDArray[np.bool_]:
        """Frames in which it is where the target is."""
        return ~self.away & (self.overlap > GOOD)

    @property
    def lost(self) -> NDArray[np.bool_]:
        """Frames in which it is elsewhere, or the target away."""
        return self.away | (self.overlap < LOST)

    def rows(self) -> list[str]:
        """COLUMNS of each frame, as text; empty where the target cannot be measured."""
        found = []
        for k in range(len(self.overlap)):
            overlap, mask = ("" if np.isnan(x[k]) else f"{x[k]:.4f}" for x in (self.overlap, self.mask))
            word = f"{self.confidence[k]:.4f},{self.visible[k]:d}"
            found.append(f"{self.name},{self.kind},{k + 1},{overlap},{mask},{self.away[k]:d},{word}")
        return found

    @property
    def lost_after(self) -> float:
        """Frames until it is elsewhere for five frames of a target that can be seen; nan where that never comes."""
        seen = np.flatnonzero(~np.isnan(self.overlap) & ~self.away)
        missed = self.overlap[seen] < LOST
        for k in range(len(seen) - RUN + 1):
            if missed[k : k + RUN].all():
                return float(seen[k] + 1)
        return np.nan

    @property
    def found_after(self) -> float:
        """Frames from the target's return to a good answer; inf where there is none, nan where it never left."""
        if not self.away.any():
            return np.nan
        back = int(np.flatnonzero(self.away)[-1]) + 1
        found = np.flatnonzero(self.good[back:])
        return float(found[0]) if len(found) else np.inf


def follow(tracker: Tracker, clip: Clip) -> Run:
    """Track a clip from the box of its first mask."""
    boxes = [_box(mask) for mask in clip.masks]
    if boxes[0] is None:
        raise ValueError(f"{clip.name} does not show its target in the first frame")
    areas = np.array([mask.sum() for mask in clip.masks], float)
    tracker.initialize(clip.frames[0], boxes[0])
    rows = []
    for k, (frame, mask) in enumerate(zip(clip.frames[1:], clip.masks[1:], strict=True), start=1):
        answer, box = tracker.track(frame), boxes[k]
        near = np.median([a for a in areas[max(k - 8, 0) : k + 9] if a] or [1])
        measured = box is not None and areas[k] >= VISIBLE * near
        overlap = box_iou(answer.box, box) if measured and box is not None else np.nan
        rows.append((
            overlap, _jaccard(answer, mask) if measured else np.nan, box is None, answer.confidence, answer.visible
        ))  # fmt: skip
    overlap, jaccard, away, confidence, visible = (np.array(column) for column in zip(*rows, strict=True))
    return Run(clip.name, clip.kind, overlap, jaccard, away, confidence, visible)


def _box(mask: Mask) -> Box | None:
    return Box(*cv2.boundingRect(mask.astype(np.uint8))) if mask.any() else None


def _jaccard(answer: Prediction, truth: Mask) -> float:
    either = (answer.mask | truth).sum()
    return float((answer.mask & truth).sum() / either) if either else 1.0


def roc_area(good: NDArray[np.float64], lost: NDArray[np.float64]) -> float:
    """Probability that a good frame has the higher confidence than a lost one, ties by half.

    >>> roc_area(np.array([0.9, 0.5]), np.array([0.5, 0.1]))
    0.875
    """
    if not len(good) or not len(lost):
        return np.nan
    ordered = np.sort(lost)
    below, upto = np.searchsorted(ordered, good, "left"), np.searchsorted(ordered, good, "right")
    return float((below + upto).mean() / 2 / len(lost))


def summary(runs: Sequence[Run]) -> dict[str, float]:
    """The measures of some clips together.

    Returns:
        overlap, J: means over the clips; lost: share of the clips; lost after, found after: medians of those that
        were, in frames; found: share within 15 frames of those that had left; ROC area over all frames; visible when
        lost, unseen when good: shares of the frames.
    """
    good = np.concatenate([r.confidence[r.good] for r in runs])
    lost = np.concatenate([r.confidence[r.lost] for r in runs])
    lost_after = np.array([r.lost_after for r in runs])
    found = np.array([x for r in runs if not np.isnan(x := r.found_after)])
    met = found[np.isfinite(found)]
    false = np.concatenate([r.visible[r.lost] for r in runs])
    missed = np.concatenate([~r.visible[r.good] for r in runs])
    return {
        "clips": len(runs),
        "overlap": float(np.mean([_mean(r.overlap) for r in runs])),
        "J": float(np.mean([_mean(r.mask) for r in runs])),
        "lost": float(np.mean(~np.isnan(lost_after))),
        "lost after": float(np.nanmedian(lost_after)) if (~np.isnan(lost_after)).any() else np.nan,
        "found": float((found <= 15).mean()) if len(found) else np.nan,
        "found after": float(np.median(met)) if len(met) else np.nan,
        "ROC area": roc_area(good, lost),
        "visible when lost": float(false.mean()) if len(false) else np.nan,
        "unseen when good": float(missed.mean()) if len(missed) else np.nan,
    }


def _mean(values: NDArray[np.float64]) -> float:
    """Over the frames that can be measured; 0 where there is none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else 0.0
