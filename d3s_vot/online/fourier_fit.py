"""A filter and a projection learnt together on the first frame, in the Fourier domain (ECO, section 3.2).

The response to a sample X, C series, is the sum over channels of F (P^T X): a projection P, then a filter F. It is a
product of X with the kernel K = P F, C series, and its derivative along (dF, dP) is the product with dP F + P dF. All
is written in the kernel, so that a product with the Jacobian reads each sample once, instead of projecting it anew.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from d3s_vot.online.config import FourierConfig
from d3s_vot.online.fourier import Regularizer, multiplicity


class Model(NamedTuple):
    """A filter with its projection, or a direction of both."""

    filter: Tensor  # c x n x n' complex
    projection: Tensor  # C x c real

    def along(self, step: Tensor, direction: Model) -> Model:
        """This, moved along a direction."""
        return Model(self.filter + step * direction.filter, self.projection + step * direction.projection)


def inner(some: Tensor, others: Tensor) -> Tensor:
    """Inner product of the signals whose series (... x n x n') these are; a real number."""
    products = some.real * others.real + some.imag * others.imag
    return (products * multiplicity(some.shape[-1], some.device)).sum()


def responses(samples: Tensor, kernel: Tensor) -> Tensor:
    """Of samples (N x C x n x n') to a kernel (C x n x n'): N x n x n'."""
    # On a CPU one after the other, so that a product is summed while the processor still has it at hand.
    size = 1 if samples.device.type == "cpu" else len(samples)
    return torch.cat([(part * kernel).sum(dim=1) for part in samples.split(size)])


def correlations(samples: Tensor, maps: Tensor) -> Tensor:
    """The adjoint of `responses` in the kernel: sum over samples of conj(X) r, C x n x n'."""
    turned = maps.conj().resolve_conj()  # N x n x n'
    if samples.device.type != "cpu":
        return (samples * turned[:, None]).sum(dim=0).conj().resolve_conj()
    total = torch.zeros_like(samples[0])
    for sample, weight in zip(samples, turned, strict=True):
        total.addcmul_(sample, weight)
    return total.conj().resolve_conj()


def filter_preconditioner(energy: Tensor, regularizer: Regularizer, config: FourierConfig) -> Tensor:
    """What residuals of the filter are divided by (c x n x n'), from the energy of the samples, c x n x n'."""
    share, own = config.preconditioner_energy, config.preconditioner_channel
    mixed = own * energy + (1 - own) * energy.mean(dim=0)
    return share * mixed + (1 - share) * regularizer.energy


class JointFit:
    """The least-squares problem over filter and projection.

    Args:
        samples: N x C x n x n', the series of unprojected features.
        label: n x n' real.
        regularizer: of the filter.
        energy: of the samples as first projected, c x n x n'.
        config: constants.
    """

    def __init__(
        self, samples: Tensor, label: Tensor, regularizer: Regularizer, energy: Tensor, config: FourierConfig
    ) -> None:
        self._samples, self._label, self._regularizer, self._config = samples, label, regularizer, config
        self._filter_scale = filter_preconditioner(energy, regularizer, config)
        evidence = 2 * inner(label + 0j, label + 0j) / samples.shape[1]
        self._projection_scale = config.preconditioner_projection * (evidence + config.projection_regularization)
        # Published, the sum over frequencies has each of the stored half once, as if the other half were not.
        columns = label.shape[-1]
        self._count = multiplicity(columns, label.device) if config.self_adjoint else label.new_ones(columns)

    def solve(self, model: Model, steps: int, iterations: int) -> Model:
        """Gauss-Newton: so many steps, of so many iterations of conjugate gradient each."""
        for _ in range(steps):
            model = self._step(model, iterations)
        return model

    def _step(self, model: Model, iterations: int) -> Model:
        kernel = _kernel(model.filter, model.projection)
        residuals = responses(self._samples, kernel) - self._label  # N x n x n'
        slope = self._transpose(residuals, model, model, whole=True)
        residual = Model(-slope.filter, -slope.projection)
        solution = direction = Model(torch.zeros_like(model.filter), torch.zeros_like(model.projection))
        tiny = torch.finfo(self._label.dtype).tiny  # keeps 0 / 0 out once the residual is zero
        rho_before = self._label.new_ones(())
        for _ in range(iterations):
            scaled = Model(residual.filter / self._filter_scale, residual.projection / self._projection_scale)
            rho = _inner(residual, scaled)
            direction = scaled.along((rho / rho_before).clamp(min=0), direction)
            image = self._product(direction, model)
            step = rho / _positive(_inner(direction, image), tiny)
            solution = solution.along(step, direction)
            residual = residual.along(-step, image)
            rho_before = _positive(rho, tiny)
        return Model(model.filter + solution.filter, model.projection + solution.projection)

    def _product(self, direction: Model, model: Model) -> Model:
        """The normal equations' left side about a model."""
        kernel = _kernel(direction.filter, model.projection) + _kernel(model.filter, direction.projection)
        whole = bool(self._config.self_adjoint)
        return self._transpose(responses(self._samples, kernel), model, direction, whole=whole)

    def _transpose(self, maps: Tensor, model: Model, regularized: Model, *, whole: bool) -> Model:
        """J^T of responses (N x n x n') about a model, with the penalties of filter and projection added."""
        common = correlations(self._samples, maps) / len(self._samples)  # C x n x n'
        filters = torch.tensordot(model.projection.T + 0j, common, dims=1)  # c x n x n'
        filters = filters + self._regularizer.apply(regularized.filter, whole=whole)
        counted = self._count * common  # C x n x n'
        projection = _real_products(counted, model.filter)  # C x c
        return Model(filters, projection + self._config.projection_regularization * regularized.projection)


def _kernel(filters: Tensor, projection: Tensor) -> Tensor:
    """P F: C x n x n'."""
    return torch.tensordot(projection + 0j, filters, dims=1)


def _real_products(some: Tensor, others: Tensor) -> Tensor:
    """Sum over frequencies of Re(G_a conj(F_c)), for every pair of channels: C x c."""
    flat = [torch.view_as_real(x.contiguous()).flatten(1) for x in (some, others)]
    return flat[0] @ flat[1].T


def _inner(some: Model, others: Model) -> Tensor:
    return inner(some.filter, others.filter) + (some.projection * others.projection).sum()


def _positive(number: Tensor, least: float) -> Tensor:
    """The number, kept away from zero; products that are not quite self-adjoint may make it negative."""
    return torch.where(number.abs() < least, least, number)
