"""Pairs of frames of one video, by number, each with its own crop; the tokens that are masked are drawn with them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from d3s_vot.trunks.vit import PATCH
from train.config import PairConfig
from train.data.clips import Clip
from train.data.items import Picture
from train.data.pairs import DRAWS, warn
from train.errors import DataError

LEAST_AREA = 0.2  # of a frame, in a crop; published
LONGEST = 4 / 3  # of a crop's sides, one over the other
TRIES = 10  # at a crop that lies in the frame


@dataclass(frozen=True, eq=False)
class ClipPair:
    """Two frames.

    Attributes:
        number: of the pair.
        x: S x S x 3 RGB, of the earlier one.
        z: of the later one.
        noise: 2 S²/256 numbers, which decide what is masked; x's tokens first.
        collection: name of the set.
        skipped: how many broken videos were met.
    """

    number: int
    x: Picture
    z: Picture
    noise: NDArray[np.float32]
    collection: str
    skipped: int


class ClipPairs(Dataset[ClipPair]):
    """Pair n is the same in every run with the same seed, whatever came before.

    Args:
        clips: videos to draw from, each as often as any other of its source.
        weights: of the sources.
        config: size of a crop, and how far apart the two frames are at most.
        seed: of all chance.
        length: number of pairs.

    Raises:
        DataError: there is nothing to draw from.
    """

    def __init__(
        self, clips: Sequence[Clip], weights: dict[str, float], config: PairConfig, seed: int, length: int
    ) -> None:
        self.config, self.seed, self.length = config, seed, length
        self.clips: dict[str, list[Clip]] = {}
        for clip in clips:
            self.clips.setdefault(clip.source, []).append(clip)
        self.names = sorted(self.clips)
        if not self.names:
            raise DataError("there is no video to draw pairs from; name more data with --data")
        shares = np.array([weights[name] for name in self.names])
        self.shares = shares / shares.sum()

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, number: int) -> ClipPair:
        rng = np.random.default_rng([self.seed, number])
        last: DataError | None = None
        for skipped in range(DRAWS):
            clips = self.clips[self.names[rng.choice(len(self.names), p=self.shares)]]
            clip = clips[rng.integers(len(clips))]
            gap = int(rng.integers(1, min(self.config.max_gap, clip.count - 1) + 1))
            first = int(rng.integers(clip.count - gap))
            try:
                frames = clip.read([first, first + gap])
            except DataError as error:
                warn(str(error))
                last = error
                continue
            x, z = (random_view(rng, frame, self.config.size) for frame in frames)
            noise = rng.random(2 * (self.config.size // PATCH) ** 2, np.float32)
            return ClipPair(number, x, z, noise, clip.collection, skipped)
        raise last or DataError(f"no usable pair in {DRAWS} draws")


def random_view(rng: np.random.Generator, image: Picture, size: int) -> Picture:
    """A part of a picture, by chance its mirror image: size x size x 3.

    Args:
        rng: of all chance.
        image: H x W x 3.
        size: of the view, pixels.
    """
    top, left, height, width = _random_part(rng, *image.shape[:2])
    part = image[top : top + height, left : left + width]
    how = cv2.INTER_AREA if max(height, width) > size else cv2.INTER_CUBIC
    view = np.asarray(cv2.resize(part, (size, size), interpolation=how), np.uint8)
    return np.ascontiguousarray(view[:, ::-1]) if rng.random() < 0.5 else view


def _random_part(rng: np.random.Generator, height: int, width: int) -> tuple[int, int, int, int]:
    """Top, left, height, width of a part of a picture: all of it where none that was drawn lies inside."""
    for _ in range(TRIES):
        area = rng.uniform(LEAST_AREA, 1) * height * width
        ratio = math.exp(rng.uniform(-math.log(LONGEST), math.log(LONGEST)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w
    return 0, 0, height, width


def collate_clips(pairs: list[ClipPair]) -> dict[str, Any]:
    """A batch: x and z (B x 3 x S x S uint8), noise (B x L), number (B), collection, skipped (B)."""

    def pictures(name: str) -> torch.Tensor:
        return torch.from_numpy(np.stack([getattr(pair, name) for pair in pairs])).permute(0, 3, 1, 2)

    return {
        "x": pictures("x"),
        "z": pictures("z"),
        "noise": torch.from_numpy(np.stack([pair.noise for pair in pairs])),
        "number": torch.tensor([pair.number for pair in pairs]),
        "collection": [pair.collection for pair in pairs],
        "skipped": torch.tensor([pair.skipped for pair in pairs]),
    }
