"""Constants of what is learnt online, as the published trackers have them."""

from __future__ import annotations

from dataclasses import dataclass

from d3s_vot.constants import Constants, constant

BLURS = ((2.0, 0.2), (0.2, 2.0), (3.0, 1.0), (1.0, 3.0), (2.0, 2.0))  # sigma_y, sigma_x
ANGLES = (5, -5, 10, -10, 20, -20, 30, -30, 45, -45, -60, 60)  # degrees


@dataclass(frozen=True)
class FactorizedConfig(Constants):
    """Constants of the filter and its projection that are learnt together."""

    # The model
    projection_channels: int = constant(64, 1, 4096)  # channels after the projection P
    filter_size: int = constant(4, 2, 16)  # feature locations; even, hence the half-cell shift of the labels
    filter_regularization: float = constant(0.1, 1e-9, 1e6)
    projection_regularization: float = constant(1e-4, 1e-9, 1e6)
    label_sigma_factor: float = constant(0.25, 1e-3, 10)  # of the target's side on the feature grid
    activation_slope: float = constant(20.0, 0, 1e3)  # leaky ReLU
    activation_alpha: float = constant(0.05, 0, 1e3)  # ELU

    # Optimisation
    gauss_newton_steps: int = constant(6, 0, 100)  # first frame, over filter and projection
    gauss_newton_cg_iterations: int = constant(10, 0, 1000)  # of each step
    update_cg_iterations: int = constant(5, 0, 1000)  # later, over the filter alone

    # Memory of samples
    memory_size: int = constant(250, 1, 10**4)


@dataclass(frozen=True)
class DistractorConfig(Constants):
    """Constants of what the two highest maxima of a response say."""

    displacement_scale: float = constant(0.7, 0, 10)  # of half the patch: "near" in the distractor logic
    distractor_threshold: float = constant(100.0, 0, 1e6)  # of the first maximum
    hard_negative_threshold: float = constant(0.3, 0, 1e6)  # of the first maximum
    target_neighborhood_scale: float = constant(2.2, 0, 100)  # of the target: blanked before the second maximum
    not_found_score: float = constant(-1.0, -1e6, 1e6)


@dataclass(frozen=True)
class LocalizationConfig(DistractorConfig):
    """Constants of what GEM's response says, and of how far it is trusted."""

    uncertainty_warmup: int = constant(5, 0, 10**6)  # frames
    score_history_size: int = constant(25, 1, 10**6)
    uncertainty_update: float = constant(3.0, 0, 1e6)  # below: GEM's answer moves the state and enters the memory
    not_found_uncertainty: float = constant(100.0, 0, 1e6)


@dataclass(frozen=True)
class FourierConfig(Constants):
    """Constants of a filter that is learnt as a Fourier series, and of the projection that is learnt with it."""

    # The model
    channels: int = constant(16, 1, 4096)  # after the projection
    label_sigma_factor: float = constant(1 / 16, 1e-3, 10)  # of the target's side
    projection_regularization: float = constant(5e-8, 0, 1e6)
    penalty_least: float = constant(1e-4, 1e-9, 1e6)  # of the filter in the target's middle
    penalty_edge: float = constant(0.01, 1e-9, 1e6)  # at the target's edge
    penalty_threshold: float = constant(0.05, 0, 1)  # of the largest of the penalty's frequencies

    # Optimisation
    gauss_newton_steps: int = constant(10, 0, 100)  # first frame, over filter and projection
    gauss_newton_cg_iterations: int = constant(10, 0, 1000)  # of each step
    update_cg_iterations: int = constant(5, 0, 1000)  # later, over the filter alone
    self_adjoint: int = constant(1, 0, 1)  # 0: the first frame's products as published, which are not quite
    preconditioner_energy: float = constant(0.85, 0, 1)  # share of the samples' energy against the penalty's
    preconditioner_channel: float = constant(0.3, 0, 1)  # share of a channel's own energy in that
    preconditioner_projection: float = constant(35.0, 1e-9, 1e6)
    direction_forgetting: float = constant(0.1497, 1e-9, 1)  # of the last direction's worth in the next update

    # Memory of samples
    memory_size: int = constant(200, 1, 10**4)
    learning_rate: float = constant(0.025, 0, 0.99)


@dataclass(frozen=True)
class Augmentation:
    """The first frame's samples of ATOM and DiMP, beside the plain one.

    Attributes:
        shifts: (dy, dx), of half a sample.
        blurs: (sigma_y, sigma_x), pixels.
        angles: degrees, counter-clockwise.
        dropouts: copies of the plain sample whose features lose some channels.
        expansion: side of the window that the samples are cut from, in samples.
    """

    shifts: tuple[tuple[float, float], ...]
    blurs: tuple[tuple[float, float], ...]
    angles: tuple[float, ...]
    dropouts: int
    expansion: float = 2.0

    @property
    def moved(self) -> int:
        """Samples that are moved by chance: the flipped, blurred and turned ones."""
        return 1 + len(self.blurs) + len(self.angles)

    @property
    def count(self) -> int:
        """All samples, the dropout copies among them."""
        return 1 + len(self.shifts) + self.moved + self.dropouts

    def window_size(self, size: int) -> int:
        """Side of the window for samples of this size, pixels; even where theirs is."""
        side = int(size * self.expansion)
        return side + (side - size) % 2


_CORNERS = ((0.6, 0.6), (-0.6, 0.6), (0.6, -0.6), (-0.6, -0.6))
SMALL = Augmentation(_CORNERS, ((3, 1), (1, 3), (2, 2)), (10, -10, 45, -45), 2)
MEDIUM = Augmentation(((0.6, 0.6), (-0.6, -0.6)), ((2, 0.2), (1, 3)), (-5, 10, -30, 60), 3, 1.4)
LARGE = Augmentation(_CORNERS, ((2, 0.2), (0.2, 2), (3, 1), (1, 3), (2, 2)), ANGLES, 7)
