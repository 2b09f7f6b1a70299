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

import torch
from torch import Tensor

from d3s_vot.compute.timing import stage
from d3s_vot.errors import InputError
from d3s_vot.online.config import FactorizedConfig
from d3s_vot.online.correlation import Samples, correlate, few_by_many
from d3s_vot.online.gauss_newton import Linearization, conjugate_gradient
from d3s_vot.online.memory import SampleWeights


class GEM:
    """Correlation filter f and projection P learnt online, with the memory of samples they are learnt from.

    Attributes:
        projection: P, channels x C; fixed after the first frame.
        taps: f, channels x taps; replaced by every update, never changed in place.
    """

    @stage("GEM")
    def __init__(
        self,
        config: FactorizedConfig,
        features: Tensor,
        labels: Tensor,
        *,
        start: tuple[Tensor, Tensor] | None = None,
        first_share: float = 0.0,
    ) -> None:
        """Learns the model on the first frame.

        Args:
            config: constants.
            features: n x C x 16 x 16, normalised; the model lives on their device, in their dtype.
            labels: n x 16 x 16.
            start: projection (channels x C) and filter (1 x channels x 4 x 4) that the optimisation begins with; none:
                the samples' principal components, and zero.
            first_share: see `SampleWeights`.

        Raises:
            InputError: labels that do not match the features, or fewer channels than the projection has.
        """
        n, channels, h, w = features.shape
        if labels.shape != (n, h, w):
            raise InputError(f"labels are {tuple(labels.shape)}; give one map for each sample: {(n, h, w)}")
        if channels < config.projection_channels:
            raise InputError(f"features have {channels} channels; give {config.projection_channels} or more")
        self._config = config
        self._samples = SampleWeights(config.memory_size, n, first_share, dtype=features.dtype)
        self._labels = features.new_zeros(config.memory_size, h, w)
        self._labels[:n] = labels
        with torch.no_grad():
            samples = Samples.of(features)
            if start is None:
                self.projection = _principal_components(samples.channels.flatten(1), config.projection_channels)
                self.taps = features.new_zeros(config.projection_channels, config.filter_size**2)
            else:
                self.projection = start[0].to(features)
                self.taps = start[1].to(features)[0].flip(1, 2).flatten(1)
            self._fit(samples)
            self._memory = Samples.empty(config.projection_channels, config.memory_size, features)
            self._memory.write(slice(n), torch.tensordot(self.projection, samples.channels, dims=1))

    @property
    def sample_weights(self) -> Tensor:
        """A weight for each slot of the memory, on the CPU; empty slots 0."""
        return self._samples.weights

    @property
    def filter(self) -> Tensor:
        """f as `torch.nn.functional.conv2d` takes it: 1 x channels x 4 x 4."""
        side = self._config.filter_size
        return self.taps.view(1, -1, side, side).flip(2, 3)

    @stage("GEM")
    @torch.no_grad()
    def score(self, features: Tensor, taps: Tensor | None = None) -> Tensor:
        """Raw response f * (P x) to the features (1 x C x 16 x 16) of a search patch: 16 x 16.

        Args:
            features: of the patch.
            taps: an earlier filter of this model, as `taps` was then; None: the present one.
        """
        projected = torch.tensordot(features, self.projection, dims=([1], [1]))  # 1 x h x w x channels
        kernel = (self.taps if taps is None else taps).T  # taps x channels
        return correlate(kernel, Samples(projected.movedim(3, 0), projected))[0]  # h x w

    @stage("GEM")
    @torch.no_grad()
    def add(self, features: Tensor, label: Tensor, learning_rate: float) -> int:
        """Puts a sample (1 x C x 16 x 16) with its label into the slot of smallest weight; returns it."""
        slot = self._samples.add(learning_rate)
        self._memory.write(slot, torch.tensordot(self.projection, features[0], dims=1))  # channels x h x w
        self._labels[slot] = label
        return slot

    @stage("GEM")
    @torch.no_grad()
    def update(self, iterations: int | None = None) -> None:
        """Refines the filter on the filled slots of the memory; none means the configured iterations."""
        config = self._config
        problem = self._linearize(self._memory.first(self._samples.filled))
        step = conjugate_gradient(
            *problem.normal_equations(self.taps.flatten(), config.filter_regularization),
            config.update_cg_iterations if iterations is None else iterations,
            polak_ribiere=True,
        )
        self.taps = self.taps + step.view_as(self.taps)

    def _fit(self, samples: Samples) -> None:
        """Gauss-Newton over filter and projection on the first frame's samples."""
        config = self._config
        split = self.taps.numel()  # where the projection's parameters begin
        regularization = self.projection.new_empty(split + self.projection.numel())
        regularization[:split] = config.filter_regularization
        regularization[split:] = config.projection_regularization
        for _ in range(config.gauss_newton_steps):
            parameters = torch.cat([self.taps.flatten(), self.projection.flatten()])
            parameters = parameters + conjugate_gradient(
                *self._linearize(samples, self.projection).normal_equations(parameters, regularization),
                config.gauss_newton_cg_iterations,
                preconditioner=regularization,
            )
            self.taps = parameters[:split].view_as(self.taps)
            self.projection = parameters[split:].view_as(self.projection)

    def _linearize(self, samples: Samples, projection: Tensor | None = None) -> Linearization:
        """The loss of the filled slots about the present filter, and projection where it is to move."""
        weights = self._samples.of_filled(self._labels.device)
        labels = self._labels[: len(weights)]
        return Linearization(self._config, samples, labels, weights, self.taps, projection)


def _principal_components(samples: Tensor, count: int) -> Tensor:
    """The `count` directions of largest variance (count x C) of samples (C x m), the largest first."""
    centered = samples - samples.mean(dim=1, keepdim=True)  # C x m
    covariance = few_by_many(centered, centered) / centered.shape[1]  # C x C
    vectors = torch.linalg.eigh(covariance).eigenvectors  # C x C, in columns, smallest eigenvalue first
    return vectors[:, -count:].flip(1).T.contiguous()  # count x C
