"""What is left to chance: drawn from a generator of the target's own, so that the same input gives the same output."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Draws = NDArray[np.float64]


class Chance:
    """Uniform numbers; each target begins with the same ones."""

    def __init__(self, seed: int = 0) -> None:
        self._generator = np.random.default_rng(seed)

    def shifts(self, count: int) -> Draws:
        """Of the first frame's samples, as `varied_samples` takes them: count x 2, 0 .. 1."""
        return self._generator.random((count, 2))

    def dropout(self, copies: int, channels: int) -> Draws:
        """As `dropout_copies` takes them: copies x channels, 0 .. 1."""
        return self._generator.random((copies, channels))

    def jitter(self, count: int) -> Draws:
        """Of the boxes that climb, as `jittered` takes them: count x 4, -.5 .. .5."""
        return self._generator.random((count, 4)) - 0.5

    def normal(self, shape: tuple[int, ...]) -> Draws:
        """Of mean 0 and standard deviation 1."""
        return self._generator.standard_normal(shape)
