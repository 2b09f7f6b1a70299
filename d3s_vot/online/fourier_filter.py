"""FourierFilter: a filter that is learnt on the first frame and kept up with a memory of samples (ECO)."""

from __future__ import annotations

import torch
from torch import Tensor

from d3s_vot.compute.timing import stage
from d3s_vot.errors import InputError
from d3s_vot.online.config import FourierConfig
from d3s_vot.online.fourier import Regularizer, series, symmetric
from d3s_vot.online.fourier_fit import (
    JointFit,
    Model,
    correlations,
    filter_preconditioner,
    inner,
    responses,
)
from d3s_vot.online.memory import SampleWeights


class FourierFilter:
    """A filter F on projected features, in the Fourier domain.

    Attributes:
        projection: P, C x c; fixed after the first frame.
        filter: F, c x n x n'; replaced by every update, never changed in place.
        energy: c x n x n', of the samples; a running mean.
    """

    def __init__(self, config: FourierConfig, label: Tensor, regularizer: Regularizer, projection: Tensor) -> None:
        """A filter of zeros that has learnt nothing.

        Args:
            config: constants.
            label: n x n' real, the response that is wanted.
            regularizer: the penalty on the filter.
            projection: C x c to begin with; the filter lives on its device.
        """
        self._config, self._label, self._regularizer = config, label, regularizer
        self.projection = projection
        columns = label.shape[-1]
        self.filter = torch.zeros(projection.shape[1], label.shape[0], columns, device=label.device) + 0j
        self.energy = torch.zeros_like(self.filter.real)
        self._samples = SampleWeights(config.memory_size, 0)
        self._memory = self.filter.new_zeros(config.memory_size, *self.filter.shape)
        self._direction: tuple[Tensor, Tensor, Tensor] | None = None  # p, rho and r of the last iteration

    @property
    def sample_weights(self) -> Tensor:
        """A weight for each slot of the memory, on the CPU; sum 1, empty slots 0."""
        return self._samples.weights

    @stage("filter")
    def learn(self, samples: Tensor) -> None:
        """Learn filter and projection from the first frame's samples, the series (N x C x n x n') of their features.

        Raises:
            InputError: there are more samples than the memory has room for.
        """
        count, config = len(samples), self._config
        if count > config.memory_size:
            raise InputError(f"there are {count} samples of the first frame; give a memory_size of {count} or more")
        self.energy = self._project(samples).abs().square().mean(dim=0)
        problem = JointFit(samples, self._label, self._regularizer, self.energy, config)
        start = Model(self.filter, self.projection)
        found = problem.solve(start, config.gauss_newton_steps, config.gauss_newton_cg_iterations)
        self.filter, self.projection = symmetric(found.filter), found.projection
        self._memory[:count] = self._project(samples)
        self._samples = SampleWeights(config.memory_size, count)

    @stage("filter")
    def look(self, features: Tensor) -> Tensor:
        """The series of feature maps as the filter sees them: B x C x m x m to B x c x n x n'."""
        return series(torch.einsum("bcyx,cd->bdyx", features, self.projection))

    @stage("filter")
    def respond(self, sights: Tensor, filters: Tensor | None = None) -> Tensor:
        """The response to what `look` returned, as series: B x c x n x n' to B x n x n'.

        Args:
            sights: of `look`.
            filters: an earlier filter of this object, as `filter` was then; None: the present one.
        """
        return responses(sights, self.filter if filters is None else filters)

    @stage("filter")
    def add(self, sight: Tensor) -> int:
        """Put a sample (c x n x n', of `look`) into the slot of smallest weight; returns the slot."""
        slot = self._samples.add(self._config.learning_rate)
        self._memory[slot] = sight
        return slot

    @stage("filter")
    def update(self, sight: Tensor) -> None:
        """Refine the filter on the memory; `sight` (c x n x n'), the newest sample, enters the running energy."""
        config = self._config
        rate = config.learning_rate
        self.energy = (1 - rate) * self.energy + rate * sight.abs().square()
        scale = filter_preconditioner(self.energy, self._regularizer, config)
        samples = self._memory[: self._samples.filled]
        weights = self._samples.of_filled(self._label.device)[:, None, None]  # N x 1 x 1
        filters = self.filter
        wanted = correlations(samples, (weights * self._label) + 0j)
        residual = wanted - self._product(filters, samples, weights)
        tiny = torch.finfo(torch.float32).tiny
        for iteration in range(config.update_cg_iterations):
            scaled = residual / scale
            rho = inner(residual, scaled)
            if self._direction is None:
                direction = scaled
            else:
                direction, rho_before, residual_before = self._direction
                if iteration == 0:  # the problem has changed: the last direction is worth less
                    rho_before = rho_before / config.direction_forgetting
                beta = ((rho - inner(residual_before, scaled)) / rho_before).clamp(min=0)  # Polak-Ribiere
                direction = scaled + beta * direction
            image = self._product(direction, samples, weights)
            step = rho / inner(direction, image).clamp(min=tiny)
            filters = filters + step * direction
            self._direction = direction, rho.clamp(min=tiny), residual
            residual = residual - step * image
        self.filter = symmetric(filters)

    def _product(self, filters: Tensor, samples: Tensor, weights: Tensor) -> Tensor:
        return correlations(samples, weights * responses(samples, filters)) + self._regularizer.apply(filters)

    def _project(self, samples: Tensor) -> Tensor:
        """Series N x C x n x n' to N x c x n x n'."""
        return torch.einsum("Nckl,cd->Ndkl", samples, self.projection + 0j)


def principal_directions(features: Tensor, count: int) -> Tensor:
    """The `count` directions of largest variance (C x count) of feature maps (N x C x m x m), the largest first."""
    flat = features.transpose(0, 1).flatten(1)  # C x N m m
    centred = flat - flat.mean(dim=1, keepdim=True)
    return torch.linalg.svd(centred @ centred.T).U[:, :count].contiguous()
