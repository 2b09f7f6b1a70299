"""Steepest descent with an exact step: the filters of DiMP (Bhat et al., ICCV 2019, section 3.3), PrDiMP and LWL.

An objective is a function of the scores of n samples, plus a regularisation of the filter. Of it the descent asks for
the gradient by the scores, and for the second derivative along a change of the scores, which makes the step exact where
the objective is quadratic.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from d3s_vot.online.correlation import Samples, correlate, correlate_transpose

SMALLEST = 1e-8  # of the curvature that the gradient's square is divided by


@dataclass(frozen=True, eq=False)
class Objective(ABC):
    """What a filter is taught.

    Attributes:
        regularization: of the filter's squares, a scalar.
        step: factor of the exact step, a scalar.
        damping: added to the regularisation in the curvature.
    """

    regularization: Tensor
    step: Tensor
    damping: float

    @abstractmethod
    def linearize(self, scores: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """The gradient by the scores (n x h x w), and the curvature along a change of them: a function to a scalar."""

    @abstractmethod
    def data_loss(self, scores: Tensor) -> Tensor:
        """Without the regularisation: a scalar."""

    def loss(self, kernel: Tensor, scores: Tensor) -> Tensor:
        """Of a filter and the scores that it gives: a scalar."""
        return self.data_loss(scores) + self.regularization * kernel.square().sum()


@dataclass(frozen=True, eq=False)
class LeastSquares(Objective):
    """sum r^2 with r = w (phi(q) - y), where phi is the identity above 0 and flatter below, by a mask (DiMP).

    The derivative's factor 2 is left out, here as in the regularisation.

    Attributes:
        labels: y, n x h x w.
        masks: n x h x w, 1 where negative scores count as they are, 0 where they do not count.
        weights: w, n x h x w, with the root of the sample's own.
    """

    labels: Tensor
    masks: Tensor
    weights: Tensor

    def _activate(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        """phi and its slope."""
        even, odd = (1 - self.masks) / 2, (1 + self.masks) / 2
        return even * scores.abs() + odd * scores, even * scores.sign() + odd

    def linearize(self, scores: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """See `Objective.linearize`; the curvature is that of Gauss-Newton."""
        value, slope = self._activate(scores)
        slope = slope * self.weights
        return slope * (self.weights * (value - self.labels)), lambda change: (slope * change).square().sum()

    def data_loss(self, scores: Tensor) -> Tensor:
        """See `Objective.data_loss`."""
        return (self.weights * (self._activate(scores)[0] - self.labels)).square().sum()


@dataclass(frozen=True, eq=False)
class WeightedSquares(Objective):
    """sum r^2 with r = w (q - y) (LWL). The derivative's factor 2 is left out, here as in the regularisation.

    Attributes:
        labels: y, of the scores' shape.
        weights: w, likewise, with the sample's own; they may be negative.
    """

    labels: Tensor
    weights: Tensor

    def linearize(self, scores: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """See `Objective.linearize`."""
        return self.weights * (self.weights * (scores - self.labels)), lambda c: (self.weights * c).square().sum()

    def data_loss(self, scores: Tensor) -> Tensor:
        """See `Objective.data_loss`."""
        return (self.weights * (scores - self.labels)).square().sum()


@dataclass(frozen=True, eq=False)
class CrossEntropy(Objective):
    """Between label densities and the softmax of the scores (PrDiMP, section 4.2).

    Attributes:
        densities: p, n x h x w.
        weights: of the samples, n.
    """

    densities: Tensor
    weights: Tensor

    def linearize(self, scores: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """See `Objective.linearize`; the curvature is Newton's."""
        u = torch.softmax(scores.flatten(1), dim=1)  # n x h w

        def curvature(change: Tensor) -> Tensor:
            h = change.flatten(1)
            spread = (u * h.square()).sum(dim=1) - (u * h).sum(dim=1).square()  # n
            return (self.weights * spread.clamp(min=0)).sum()

        return self.weights[:, None, None] * (u.view_as(scores) - self.densities), curvature

    def data_loss(self, scores: Tensor) -> Tensor:
        """See `Objective.data_loss`."""
        total = torch.logsumexp(scores.flatten(1), dim=1) - (self.densities * scores).sum(dim=(1, 2))  # n
        return (self.weights * total).sum()


def steepest_descent(kernel: Tensor, samples: Samples, objective: Objective, iterations: int) -> Tensor:
    """A filter of one map after so many steps, from this one; differentiable.

    Args:
        kernel: taps x C, as `online.correlation` has it.
        samples: n of C channels.
        objective: of their scores, n x h+1 x w+1.
        iterations: exactly so many are done.
    """
    side = round(kernel.shape[0] ** 0.5)

    def respond(kernel: Tensor) -> Tensor:
        return correlate(kernel, samples, whole=True)

    def transpose(by_scores: Tensor) -> Tensor:
        return correlate_transpose(by_scores, samples, side)

    return descend(kernel, objective, iterations, respond=respond, transpose=transpose)


def descend(
    kernel: Tensor,
    objective: Objective,
    iterations: int,
    *,
    respond: Callable[[Tensor], Tensor],
    transpose: Callable[[Tensor], Tensor],
) -> Tensor:
    """A filter after so many steps, from this one; differentiable.

    Args:
        kernel: of any shape.
        objective: of its scores.
        iterations: exactly so many are done.
        respond: linear, from a filter to scores.
        transpose: its adjoint.
    """
    if iterations == 0:
        return kernel
    scores = respond(kernel)
    for _ in range(iterations):
        by_scores, curvature = objective.linearize(scores)
        gradient = transpose(by_scores) + objective.regularization * kernel
        change = respond(gradient)
        square = gradient.square().sum()
        damped = (objective.regularization + objective.damping) * square
        step = objective.step * square / (curvature(change) + damped).clamp(min=SMALLEST)
        kernel, scores = kernel - step * gradient, scores - step * change
    return kernel
