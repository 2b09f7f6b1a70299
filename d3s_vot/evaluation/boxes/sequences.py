"""A sequence of a benchmark: where its frames lie and what is known of its target."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Sequence:
    """One video with one target given as a box.

    Attributes:
        name: as the benchmark has it, also the name of the result files.
        frames: N files in the order of time.
        truth: N x 4 float64, x, y, w, h as the annotation has them; 1 x 4 where a server keeps the rest. Rows of
            NaN: the target is not annotated.
        origin: what the annotation counts the top-left pixel as, 1 or 0.
        cover: N values 0..8, how much of the target is seen (GOT-10k val alone); frames of 0 do not count.
        size: (width, height) that overlaps are cut to (GOT-10k val alone).
    """

    name: str
    frames: tuple[Path, ...]
    truth: NDArray[np.float64]
    origin: int = 1
    cover: NDArray[np.int64] | None = None
    size: tuple[int, int] | None = None

    def __len__(self) -> int:
        return len(self.frames)
