"""A filter that tells the target from what is around it, learnt by steepest descent, with the memory it is learnt from.

DiMP, PrDiMP and what is built on them: a trained network makes the first filter and says what each sample teaches.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from d3s_vot.compute.timing import stage
from d3s_vot.online.correlation import Samples, correlate
from d3s_vot.online.memory import SampleWeights
from d3s_vot.online.steepest import Objective, steepest_descent


class Teacher(Protocol):
    """What makes an objective of samples."""

    def lessons(self, centers_yx: Tensor, size: int) -> Tensor:
        """What samples teach: n x maps x size x size, from the target's centres (n x 2, cells of the score)."""

    def objective(self, lessons: Tensor, weights: Tensor) -> Objective:
        """Of samples with these lessons and weights (n)."""


class DiscriminativeFilter:
    """A filter and its memory.

    Args:
        teacher: trained; it stays as it is.
        kernel: the filter to begin with, 1 x C x side x side.
        features: of the first frame's samples, n x C x h x h.
        centers_yx: of the target in each, n x 2, cells of the score.
        weights: the memory's; n of its slots are the first frame's.
        iterations: of the first frame.

    Attributes:
        kernel: taps x C; replaced by every update, never changed in place.
    """

    @stage("classifier")
    def __init__(
        self,
        teacher: Teacher,
        kernel: Tensor,
        features: Tensor,
        centers_yx: Tensor,
        *,
        weights: SampleWeights,
        iterations: int,
    ) -> None:
        self._teacher, self._samples = teacher, weights
        n, size = len(features), features.shape[-1] + 1
        self.kernel = as_kernel(kernel)
        slots = len(weights.weights)
        self._memory = Samples.empty(features.shape[1], slots, features)
        self._memory.write(slice(n), features.transpose(0, 1))
        lessons = teacher.lessons(centers_yx, size)
        self._lessons = lessons.new_zeros(slots, *lessons.shape[1:])
        self._lessons[:n] = lessons
        self.update(iterations)

    @property
    def sample_weights(self) -> Tensor:
        """A weight for each slot of the memory, on the CPU; empty slots 0."""
        return self._samples.weights

    @property
    def filter(self) -> Tensor:
        """As `torch.nn.functional.conv2d` takes it: 1 x C x side x side."""
        return as_filter(self.kernel)

    @stage("classifier")
    def score(self, features: Tensor) -> Tensor:
        """The response to a sample's features (1 x C x h x h): h + 1 x h + 1; its middle is zero displacement."""
        return correlate(self.kernel, Samples(features.transpose(0, 1), features.permute(0, 2, 3, 1)), whole=True)[0]

    @stage("classifier")
    def add(self, features: Tensor, center_yx: tuple[float, float], learning_rate: float) -> int:
        """Puts a sample (1 x C x h x h) into the slot of smallest weight; returns it."""
        slot = self._samples.add(learning_rate)
        self._memory.write(slot, features[0])
        centers = torch.tensor([center_yx], dtype=features.dtype, device=features.device)
        self._lessons[slot] = self._teacher.lessons(centers, features.shape[-1] + 1)[0]
        return slot

    @stage("classifier")
    def update(self, iterations: int) -> None:
        """Refines the filter on the filled slots of the memory."""
        weights = self._samples.of_filled(self.kernel.device).to(self.kernel.dtype)
        objective = self._teacher.objective(self._lessons[: len(weights)], weights)
        self.kernel = steepest_descent(self.kernel, self._memory.first(len(weights)), objective, iterations)


def as_kernel(weights: Tensor) -> Tensor:
    """A filter of `conv2d` (1 x C x side x side) as a kernel: taps x C."""
    return weights[0].flip(1, 2).flatten(1).T.contiguous()


def as_filter(kernel: Tensor) -> Tensor:
    """A kernel (taps x C) as a filter of `conv2d`: 1 x C x side x side."""
    side = round(kernel.shape[0] ** 0.5)
    return kernel.T.reshape(1, -1, side, side).flip(2, 3)
