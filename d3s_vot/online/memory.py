"""The weights of the samples that an online model keeps, and which of them makes room for a new one."""

from __future__ import annotations

import torch
from torch import Tensor


class SampleWeights:
    """A weight for each slot of a memory.

    Args:
        size: slots.
        first: samples of the first frame, in the first slots, with equal weights; 0: there is none yet.
        first_share: that their weights sum up to at least, and their slots stay theirs; 0: they are as all others.
        equal_start: whether the first later sample begins with the weight of each of them, instead of its own.
        dtype: of the weights.

    Attributes:
        weights: of all slots, on the CPU; empty ones 0.
        filled: how many slots are in use, the first ones.
    """

    def __init__(
        self,
        size: int,
        first: int,
        first_share: float = 0.0,
        *,
        equal_start: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.weights = torch.zeros(size, dtype=dtype, device="cpu")
        self.weights[:first] = 1 / max(first, 1)
        self.filled = first
        self._first, self._share, self._equal_start = first, first_share, equal_start
        self._last: int | None = None  # slot of the newest sample; none before the first

    def add(self, learning_rate: float) -> int:
        """The slot that a new sample takes: that of smallest weight, the first of equals."""
        weights = self.weights
        kept = self._first if self._share > 0 else 0
        slot = kept + int(weights[kept:].numpy().argmin())  # numpy promises the first of equals
        if self._last is None and self._equal_start:
            weights[slot] = weights[0]
        elif self._last is None:
            weights /= 1 - learning_rate
            weights[slot] = learning_rate
        else:
            weights[slot] = weights[self._last] / (1 - learning_rate)
        weights /= weights.sum()
        if kept and weights[:kept].sum() < self._share:
            # As published: their sum is then not quite 1.
            weights /= self._share + weights[kept:].sum()
            weights[:kept] = self._share / kept
        self._last = slot
        self.filled = max(self.filled, slot + 1)
        return slot

    def of_filled(self, device: torch.device) -> Tensor:
        """The weights of the slots in use, on a device."""
        return self.weights[: self.filled].to(device)
