"""GEM, the online model: features in, filter out (paper section 3.2).

The response to features x is f * (P x): a 1x1 projection P, then a filter f. Both are learnt on the first
frame by Gauss-Newton; later frames enter a memory and refine f alone. Each step is solved by conjugate
gradient, which asks for products with the Jacobian J and with its transpose only.

The filter has 16 taps, fewer than the projection has channels, so everything here is written in the kernel
K = f^T P, a row of C values for each tap: the response is K times the features, added up over the shifts of
the taps, and its derivative along (df, dP) is that of the kernel df^T P + f^T dP. A product with J, or with
J^T, therefore reads the features once, for 16 rows instead of 64.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

from d3s_vot.config import D3SConfig
from d3s_vot.correlation import Samples, correlate, correlate_transpose, few_by_many
from d3s_vot.errors import InputError
from d3s_vot.timing import stage


def normalize_features(features: Tensor) -> Tensor:
    """Features of unit mean square, each item of the batch by itself (B x C x H x W in and out)."""
    energy = features.square().mean(dim=(1, 2, 3), keepdim=True)  # B x 1 x 1 x 1
    return features / (energy + 1e-10).sqrt()


def gaussian_labels(centers_yx: Tensor, sigma: Tensor | float, size: int = 16) -> Tensor:
    """Desired responses: a Gaussian of height 1 around each centre (n x size x size).

    Args:
        centers_yx: n x 2, (y, x) in grid cells from the middle of the grid.
        sigma: standard deviation in grid cells, one for both axes or a pair (y, x).
        size: side of the grid; its cells lie at -(size - 1) / 2 .. (size - 1) / 2.
    """
    grid = torch.arange(size, dtype=centers_yx.dtype, device=centers_yx.device) - (size - 1) / 2  # size
    sigma_yx = torch.as_tensor(sigma, dtype=centers_yx.dtype, device=centers_yx.device).expand(2)  # 2
    profiles = torch.exp(-0.5 * ((grid - centers_yx[:, :, None]) / sigma_yx[:, None]) ** 2)  # n x 2 x size
    return profiles[:, 0, :, None] * profiles[:, 1, None, :]  # n x size x size


@lru_cache(maxsize=8)
def _interpolation_matrix(cells: int, size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Fourier interpolation from `cells` samples to `size`; the middle cell (cells / 2) goes to index 0."""
    # The highest frequency counts in full on both of its sides, as published (half of it would be exact).
    frequencies = torch.arange(-(cells // 2), cells // 2 + 1, dtype=torch.float64, device="cpu")  # cells + 1
    target = torch.arange(size, dtype=torch.float64, device="cpu")[:, None] / size  # size x 1
    source = (torch.arange(cells, dtype=torch.float64, device="cpu") - cells // 2) / cells  # cells
    waves = torch.cos(2 * torch.pi * frequencies * (target - source)[:, :, None])  # size x cells x cells + 1
    return (waves.sum(dim=2) / cells).to(device, dtype)  # size x cells


def upsample_score(score: Tensor, size: int = 256) -> Tensor:
    """A response on a finer grid (size x size), by Fourier interpolation; zero displacement at index [0, 0].

    Args:
        score: cells x cells, an even number; zero displacement is at index [cells / 2, cells / 2], because
            the even filter moves its response by half a cell.
        size: side of the result; displacements wrap around.
    """
    matrix = _interpolation_matrix(score.shape[-1], size, score.dtype, score.device)  # size x cells
    return matrix @ score @ matrix.T  # size x size


@lru_cache(maxsize=8)
def cosine_window(size: int, device: torch.device | str = "cpu") -> Tensor:
    """The window that favours small displacements: size x size, 1 at zero displacement (index [0, 0]).

    All callers share one tensor; do not change it in place.
    """
    distance = torch.arange(size, dtype=torch.float64, device="cpu")
    distance = torch.minimum(distance, size - distance)  # size, displacements wrap around
    profile = 0.5 * (1 + torch.cos(2 * torch.pi * distance / (size + 2)))  # size
    return torch.outer(profile, profile).to(device, torch.float32)  # size x size


def activation(response: Tensor, config: D3SConfig) -> tuple[Tensor, Tensor]:
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
        config: D3SConfig,
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


class GEM:
    """Correlation filter f and projection P learnt online, with the memory of samples they are learnt from.

    Attributes:
        projection: P, channels x C; fixed after the first frame.
        sample_weights: a weight for each slot of the memory, on the CPU; sum 1, empty slots 0.
    """

    @stage("GEM")
    def __init__(self, config: D3SConfig, features: Tensor, labels: Tensor) -> None:
        """Learns the model on the first frame.

        Args:
            config: constants.
            features: n x C x 16 x 16, normalised; the model lives on their device, in their dtype.
            labels: n x 16 x 16.

        Raises:
            InputError: labels that do not match the features, or fewer channels than the projection has.
        """
        n, channels, h, w = features.shape
        if labels.shape != (n, h, w):
            raise InputError(f"labels are {tuple(labels.shape)}; give one map for each sample: {(n, h, w)}")
        if channels < config.projection_channels:
            raise InputError(f"features have {channels} channels; give {config.projection_channels} or more")
        self._config = config
        self._filled = n
        self._last_slot: int | None = None  # of the newest sample; none before the first
        self.sample_weights = torch.zeros(config.memory_size, dtype=features.dtype, device="cpu")
        self.sample_weights[:n] = 1 / n
        self._labels = features.new_zeros(config.memory_size, h, w)
        self._labels[:n] = labels
        with torch.no_grad():
            samples = Samples.of(features)
            self.projection = _principal_components(samples.channels.flatten(1), config.projection_channels)
            self._taps = features.new_zeros(config.projection_channels, config.filter_size**2)
            self._fit(samples)
            self._memory = Samples.empty(config.projection_channels, config.memory_size, features)
            self._memory.write(slice(n), torch.tensordot(self.projection, samples.channels, dims=1))

    @property
    def filter(self) -> Tensor:
        """f as `torch.nn.functional.conv2d` takes it: 1 x channels x 4 x 4."""
        side = self._config.filter_size
        return self._taps.view(1, -1, side, side).flip(2, 3)

    @stage("GEM")
    @torch.no_grad()
    def score(self, features: Tensor) -> Tensor:
        """Raw response f * (P x) to the features (1 x C x 16 x 16) of a search patch: 16 x 16."""
        projected = torch.tensordot(features, self.projection, dims=([1], [1]))  # 1 x h x w x channels
        return correlate(self._taps.T, Samples(projected.movedim(3, 0), projected))[0]  # h x w

    @stage("GEM")
    @torch.no_grad()
    def add(self, features: Tensor, label: Tensor, learning_rate: float) -> int:
        """Puts a sample (1 x C x 16 x 16) with its label into the slot of smallest weight; returns it."""
        weights = self.sample_weights
        slot = int(weights.numpy().argmin())  # numpy promises the first of equals
        if self._last_slot is None:
            weights /= 1 - learning_rate
            weights[slot] = learning_rate
        else:
            weights[slot] = weights[self._last_slot] / (1 - learning_rate)
        weights /= weights.sum()
        self._last_slot = slot
        self._filled = max(self._filled, slot + 1)
        self._memory.write(slot, torch.tensordot(self.projection, features[0], dims=1))  # channels x h x w
        self._labels[slot] = label
        return slot

    @stage("GEM")
    @torch.no_grad()
    def update(self, iterations: int | None = None) -> None:
        """Refines the filter on the filled slots of the memory; none means the configured iterations."""
        config = self._config
        problem = self._linearize(self._memory.first(self._filled))
        step = conjugate_gradient(
            *problem.normal_equations(self._taps.flatten(), config.filter_regularization),
            config.update_cg_iterations if iterations is None else iterations,
            polak_ribiere=True,
        )
        self._taps = self._taps + step.view_as(self._taps)

    def _fit(self, samples: Samples) -> None:
        """Gauss-Newton over filter and projection on the first frame's samples."""
        config = self._config
        split = self._taps.numel()  # where the projection's parameters begin
        regularization = self.projection.new_empty(split + self.projection.numel())
        regularization[:split] = config.filter_regularization
        regularization[split:] = config.projection_regularization
        for _ in range(config.gauss_newton_steps):
            parameters = torch.cat([self._taps.flatten(), self.projection.flatten()])
            parameters = parameters + conjugate_gradient(
                *self._linearize(samples, self.projection).normal_equations(parameters, regularization),
                config.gauss_newton_cg_iterations,
                preconditioner=regularization,
            )
            self._taps = parameters[:split].view_as(self._taps)
            self.projection = parameters[split:].view_as(self.projection)

    def _linearize(self, samples: Samples, projection: Tensor | None = None) -> Linearization:
        """The loss of the filled slots about the present filter, and projection where it is to move."""
        weights = self.sample_weights[: self._filled].to(self._labels.device)
        labels = self._labels[: self._filled]
        return Linearization(self._config, samples, labels, weights, self._taps, projection)


def _principal_components(samples: Tensor, count: int) -> Tensor:
    """The `count` directions of largest variance (count x C) of samples (C x m), the largest first."""
    centered = samples - samples.mean(dim=1, keepdim=True)  # C x m
    covariance = few_by_many(centered, centered) / centered.shape[1]  # C x C
    vectors = torch.linalg.eigh(covariance).eigenvectors  # C x C, in columns, smallest eigenvalue first
    return vectors[:, -count:].flip(1).T.contiguous()  # count x C
