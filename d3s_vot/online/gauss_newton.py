"""Gauss-Newton steps towards a filter and its projection, each solved by conjugate gradient.

Products with the Jacobian and its transpose are all that is asked for; both are written in the kernel f^T P (see
`online.factorized`).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from d3s_vot.online.config import FactorizedConfig
from d3s_vot.online.correlation import Samples, correlate, correlate_transpose


def activation(response: Tensor, config: FactorizedConfig) -> tuple[Tensor, Tensor]:
    """phi(t) = elu(leaky_relu(t)) and its derivative: the identity above 0, nearly flat below."""
    decay = torch.exp(config.activation_slope * response.clamp(max=0))  # 1 where t >= 0
    value = response.clamp(min=0) + config.activation_alpha * (decay - 1)
    return value, torch.where(response > 0, 1.0, config.activation_slope * config.activation_alpha * decay)


def conjugate_gradient(
    product: Callable[[Tensor], Tensor],
    right_side: Tensor,
    iterations: int,
    preconditioner: Tensor | float = 1.0,
    polak_ribiere: bool = False,
) -> Tensor:
    """Solves product(x) = right_side from x = 0, without ever waiting for the device.

    Args:
        product: symmetric positive definite.
        right_side: a vector.
        iterations: exactly so many are done.
        preconditioner: diagonal that residuals are divided by.
        polak_ribiere: mixes directions by Polak-Ribiere, clamped at 0, instead of Fletcher-Reeves.
    """
    tiny = torch.finfo(right_side.dtype).tiny  # keeps 0 / 0 out once the residual is zero
    solution = direction = previous = torch.zeros_like(right_side)  # previous: zero for Fletcher-Reeves
    residual, rho_before = right_side, right_side.new_ones(())
    for _ in range(iterations):
        scaled = residual / preconditioner
        rho = residual.dot(scaled)
        beta = ((rho - previous.dot(scaled)) / rho_before).clamp(min=0)
        direction = scaled + beta * direction
        image = product(direction)
        step = residual.dot(direction) / direction.dot(image).clamp(min=tiny)
        solution = solution + step * direction
        if polak_ribiere:
            previous = residual
        residual = residual - step * image
        rho_before = rho.clamp(min=tiny)
    return solution


class Linearization:
    """The residuals sqrt(w) (phi(f * P x) - y) about one model, and their Jacobian J by hand.

    The parameters are one vector: the taps (channels x taps), then the projection (channels x C), flattened.
    Where the samples are projected already, no projection is given and the taps are alone.
    """

    def __init__(
        self,
        config: FactorizedConfig,
        samples: Samples,
        labels: Tensor,
        weights: Tensor,
        taps: Tensor,
        projection: Tensor | None,
    ) -> None:
        self._samples, self._taps, self._projection = samples, taps, projection
        kernel = taps.T if projection is None else taps.T @ projection  # taps x C
        value, slope = activation(correlate(kernel, samples), config)  # n x h x w, twice
        root = weights.sqrt()[:, None, None]  # n x 1 x 1
        self.residuals, self._slope = root * (value - labels), root * slope  # n x h x w, twice

    def forward(self, vector: Tensor) -> Tensor:
        """J v: parameters to n x h x w."""
        taps, projection = self._taps, self._projection
        kernel = vector[: taps.numel()].view_as(taps).T  # taps x channels
        if projection is not None:
            kernel = kernel @ projection + taps.T @ vector[taps.numel() :].view_as(projection)  # taps x C
        return self._slope * correlate(kernel, self._samples)

    def transpose(self, maps: Tensor) -> Tensor:
        """J^T r: n x h x w to parameters."""
        side = round(self._taps.shape[1] ** 0.5)
        kernel = correlate_transpose(self._slope * maps, self._samples, side)  # taps x C
        if self._projection is None:
            return kernel.T.flatten()
        return torch.cat([(self._projection @ kernel.T).flatten(), (self._taps @ kernel).flatten()])

    def normal_equations(
        self, parameters: Tensor, regularization: Tensor | float
    ) -> tuple[Callable[[Tensor], Tensor], Tensor]:
        """Left side (a function) and right side of the Gauss-Newton step away from the parameters."""

        def product(vector: Tensor) -> Tensor:
            return self.transpose(self.forward(vector)) + regularization * vector

        return product, -self.transpose(self.residuals) - regularization * parameters
