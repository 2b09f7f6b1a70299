"""The samples that LWL's filter is learnt from, with their weights."""

from __future__ import annotations

import torch
from torch import Tensor

from d3s_vot.trackers.lwl.config import LWLConfig


class Memory:
    """Samples of one target; the first one is of the first frame.

    Args:
        config: constants.
        features: of the first sample, C x h x w.
        label: what the filter should predict there, c x h x w.
        certainty: how much that counts at each place, c x h x w.

    Attributes:
        weights: of all slots, on the CPU; empty ones 0.
        filled: how many slots are in use, the first ones.
    """

    def __init__(self, config: LWLConfig, features: Tensor, label: Tensor, certainty: Tensor) -> None:
        self._config = config
        self.weights = torch.zeros(config.memory_size, dtype=torch.float32, device="cpu")
        self.weights[0] = 1
        self.filled = 1
        self._last: int | None = None  # slot of the newest sample; none before the first later one
        self._kept = [[features], [label], [certainty]]  # grows with the samples

    def add(self, features: Tensor, label: Tensor, certainty: Tensor) -> int:
        """Put a sample into the next free slot, else into that of smallest weight; returns the slot."""
        slot = self._insert_weight()
        for kept, new in zip(self._kept, (features, label, certainty), strict=True):
            if slot == len(kept):
                kept.append(new)
            else:
                kept[slot] = new
        self.filled = len(self._kept[0])
        return slot

    def _insert_weight(self) -> int:
        c, weights = self._config, self.weights
        first = 1 if c.first_share > 0 else 0  # the first frame's slot stays its own
        slot = first + int(weights[first:].numpy().argmin())  # numpy promises the first of equals
        if self._last is not None:
            weights[slot] = weights[self._last] / (1 - c.learning_rate)
        elif c.equal_start:
            weights[slot] = weights[0]
        else:
            weights /= 1 - c.learning_rate
            weights[slot] = c.learning_rate
        weights /= weights.sum()
        if weights[0] < c.first_share:
            weights /= c.first_share + weights[1:].sum()  # as published: the sum is then not quite 1
            weights[0] = c.first_share
        self._last = slot
        return slot

    def problem(self) -> tuple[Tensor, Tensor, Tensor]:
        """Features, labels, and weights with how much each place counts, of all samples; see `learner.descend`."""
        features, labels, certainties = (torch.stack(kept) for kept in self._kept)
        share = self.weights[: self.filled].to(features.device)[:, None, None, None]
        return features, labels, share * certainties
