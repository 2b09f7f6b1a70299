"""A target's filter and the samples that it is learnt from."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from d3s_vot.compute.timing import stage
from d3s_vot.online.memory import SampleWeights
from d3s_vot.trackers.lwl.config import Learning
from d3s_vot.trackers.lwl.learner import descend, objective, respond, zero_filter
from d3s_vot.trackers.lwl.network import ENCODING, FILTER_SIDE


class Example(NamedTuple):
    """What a filter is to answer to a sample."""

    features: Tensor  # C x h x w, that it sees
    label: Tensor  # 16 x h x w, that it should predict
    certainty: Tensor  # 16 x h x w, how much that counts at each place


class EncodingFilter:
    """A filter, learnt from the first frame's example, with a memory of later ones.

    Args:
        learning: constants.
        regularization: of the filter, as it was trained; a number.
        first: of the first frame.

    Attributes:
        filter: 16 x C x 3 x 3; replaced by every update, never changed in place.
    """

    @stage("filter")
    def __init__(self, learning: Learning, regularization: Tensor, first: Example) -> None:
        self._learning, self._regularization = learning, regularization
        self._samples = SampleWeights(
            learning.memory_size, 1, learning.first_share, equal_start=learning.equal_start
        )
        # Room for all: of what was never written to, a CPU's memory has no page. Channels last is fast to learn from.
        self._memory = Example(*(
            torch.empty(
                learning.memory_size, *part.shape, dtype=part.dtype, device=part.device,
                memory_format=torch.channels_last,
            )
            for part in first
        ))  # fmt: skip
        self._write(0, first)
        self.filter = zero_filter(len(first.features), ENCODING, FILTER_SIDE, first.features.device)
        self.update(learning.first_steps)

    @property
    def sample_weights(self) -> Tensor:
        """A weight for each slot of the memory, on the CPU; empty slots 0."""
        return self._samples.weights

    @property
    def filled(self) -> int:
        """How many examples there are."""
        return self._samples.filled

    @stage("filter")
    def predict(self, features: Tensor) -> Tensor:
        """The encoding of a sample's features: 1 x C x h x w to 1 x 16 x h x w."""
        return respond(self.filter, features)

    @stage("filter")
    def add(self, example: Example) -> int:
        """Puts an example into the next free slot, else into that of smallest weight; returns it."""
        slot = self._samples.add(self._learning.learning_rate)
        self._write(slot, example)
        return slot

    @stage("filter")
    def update(self, steps: int) -> None:
        """Refines the filter on all examples."""
        features, labels, certainties = (part[: self.filled] for part in self._memory)
        share = self._samples.of_filled(features.device)[:, None, None, None]
        taught = objective(labels, share * certainties, self._regularization)
        self.filter = descend(self.filter, features, taught, steps)

    def _write(self, slot: int, example: Example) -> None:
        for kept, new in zip(self._memory, example, strict=True):
            kept[slot] = new
