"""Evidence of a target in a crop: its cells beside those of the first frame, and the mask beside the first one.

The trunk's features at stride 16 divide a crop into cells. What the target looked like in the first frame is a set of
cells, what was around it another. A cell of a later crop that looks like one of the former, and like none of the
latter, speaks for the target; so does a mask whose cells all do, and in which all parts of the target are found again.
Blurred pictures of the first frame can stand beside it, so that a moving camera is not taken for another target. Frames
that were trusted can add what the target looks like when it has turned; how large it is, and which parts it has,
the first frame alone says, so that a drift cannot make itself believed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

STRIDE = 16
MAPS = 5
MEASURES = ("match", "certainty", "area", "mean", "covered", "coverable", "peak", "margin", "fill", "crowd")

Floats = NDArray[np.float32]
FEW_CELLS = 4  # at least so many stand for the target, however small it is
LEAST_AREA = 50  # pixels of the crop: a smaller mask counts as one of this size


@dataclass(frozen=True, eq=False)
class Appearance:
    """The first frame's cells.

    Attributes:
        target: C x m, unit vectors.
        background: C x k, unit vectors; k may be 0.
        views: the target in worse pictures of the first frame, C x m unit vectors each.
        mean: C, the unit vector of the target's middle.
        area: of the target's mask, pixels of the crop.
    """

    target: Floats
    background: Floats
    mean: Floats
    area: float
    views: tuple[Floats, ...] = ()

    @classmethod
    def of(cls, vectors: Floats, mask: NDArray[np.bool_], worse: Sequence[Floats] = ()) -> Appearance:
        """The first frame's.

        Args:
            vectors: of a crop, C x cells, unit vectors.
            mask: the target's in it, S x S, not empty.
            worse: vectors of the same crop in worse pictures.
        """
        share = cell_means(mask).ravel()
        inside = share > 0.5
        if inside.sum() < FEW_CELLS:
            inside = share >= np.sort(share)[-FEW_CELLS]
        target = vectors[:, inside]
        outside = share < 0.05
        background = np.concatenate([seen[:, outside] for seen in (vectors, *worse)], axis=1)
        views = tuple(seen[:, inside] for seen in worse)
        return cls(target, background, _unit(target.mean(axis=1)), float(mask.sum()), views)


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a crop shows, for a head that judges it.

    Attributes:
        maps: MAPS x G x G: likeness of each cell to the target's and to the background's of the first frame (cosine),
            similarity to target and background as the segmentation network has it, and its probability.
        measures: one for each of MEASURES. match: mean likeness of the mask's cells. certainty: mean probability in the
            mask. area: of the mask beside the first one's, half its logarithm. mean: cosine of the mask's mean vector
            with the first. covered, coverable: mean likeness of the target's cells to their best in the mask, and in
            the crop. peak: the best likeness in the crop. margin: mean of likeness to target less that to background,
            in the mask. fill: share of its box that the mask fills, the logarithm. crowd: mean likeness in the crop.
    """

    maps: Floats
    measures: Floats


def gather(
    first: Appearance,
    vectors: Floats,
    similarities: Floats,
    probability: Floats,
    mask: NDArray[np.bool_],
    recent: Iterable[Floats] = (),
) -> Evidence:
    """The evidence in a crop.

    Args:
        first: the first frame's cells.
        vectors: C x cells, unit vectors of the crop.
        similarities: 2 x G x G, to target and background, of the segmentation network.
        probability: S x S of the target.
        mask: S x S, the part of the crop that is taken for the target; may be empty.
        recent: cells of the target in frames that were trusted, C x some each.
    """
    grid = similarities.shape[1:]
    views = [_cosines(cells, vectors) for cells in (first.target, *first.views)]  # m x cells each
    best = np.max([likeness.max(axis=0) for likeness in views], axis=0)  # cells
    for cells in recent:
        best = np.maximum(best, _cosines(cells, vectors).max(axis=0))
    others = np.zeros_like(best)
    if first.background.shape[1]:
        others = _cosines(first.background, vectors).max(axis=0)
    maps = np.stack([best.reshape(grid), others.reshape(grid), *similarities, cell_means(probability)])
    measures = dict.fromkeys(MEASURES, 0.0) | {
        "area": 0.5 * math.log(LEAST_AREA / max(first.area, LEAST_AREA)),
        "coverable": max(likeness.max(axis=1).mean() for likeness in views),
        "peak": best.max(),
        "crowd": best.mean(),
    }
    if mask.any():
        share = cell_means(mask).ravel()
        inside = share > 0.5
        if not inside.any():
            inside = share >= share.max()
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box = (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
        area = float(mask.sum())
        measures |= {
            "match": best[inside].mean(),
            "certainty": probability[mask].mean(),
            "area": 0.5 * math.log(max(area, LEAST_AREA) / max(first.area, LEAST_AREA)),
            "mean": float(_unit(vectors[:, inside].mean(axis=1)) @ first.mean),
            "covered": max(likeness[:, inside].max(axis=1).mean() for likeness in views),
            "margin": (best - others)[inside].mean(),
            "fill": math.log(area / box),
        }
    return Evidence(maps.astype(np.float32), np.array([measures[name] for name in MEASURES], np.float32))


def cells_of(vectors: Floats, mask: NDArray[np.bool_]) -> Floats:
    """The cells (C x some, maybe none) of which a mask (S x S) has more than half."""
    return vectors[:, cell_means(mask).ravel() > 0.5]


def cell_means(values: NDArray) -> Floats:
    """Mean over each cell of a crop: S x S to S/16 x S/16."""
    size = values.shape[0] // STRIDE
    return values.reshape(size, STRIDE, size, STRIDE).mean(axis=(1, 3), dtype=np.float32)


def _cosines(some: Floats, others: Floats) -> Floats:
    """Of unit vectors (C x m, C x n): m x n.

    By torch: numpy's threads would wait awake for their next product, and hold up all that torch and OpenVINO do.
    """
    return (torch.from_numpy(some).T @ torch.from_numpy(others)).numpy()


def _unit(vector: Floats) -> Floats:
    return vector / (np.linalg.norm(vector) + 1e-9)
