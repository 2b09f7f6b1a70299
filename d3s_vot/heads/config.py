"""Constants of trained parts, and of how they are used."""

from __future__ import annotations

from dataclasses import dataclass

from d3s_vot.constants import Constants, constant
from d3s_vot.errors import InputError
from d3s_vot.online.config import LARGE, MEDIUM, SMALL, Augmentation

AUGMENTATIONS = (SMALL, MEDIUM, LARGE)
STRIDE = 16  # pixels of a sample per cell of the classifier's score; cell k lies at pixel 16 k


@dataclass(frozen=True)
class ClassifierConfig(Constants):
    """How a classifier was trained; its weights hold for these values alone."""

    label_sigma: float = constant(0.9, 1e-3, 100, of_weights=True)  # cells
    least_regularization: float = constant(1e-3, 0, 1e3, of_weights=True)  # root of it
    step_damping: float = constant(0.0, 0, 1e3, of_weights=True)
    knot_distance: float = constant(0.1, 1e-3, 100, of_weights=True)  # cells


@dataclass(frozen=True)
class RefinementConfig(Constants):
    """Constants of the box refinement (ATOM, section 3.4; PrDiMP, section 4.3)."""

    refinement_steps: int = constant(5, 0, 1000)  # 0: the box is not refined
    refinement_relative: int = constant(0, 0, 1)  # 1: in middles by the first box's size, and logarithms of sides
    refinement_step: float = constant(1.0, 0, 1e3)  # of the middle; in plain space of all sides
    refinement_size_step: float = constant(1.0, 0, 1e3)  # of the logarithms
    refinement_boxes: int = constant(10, 1, 1000)  # that climb, the first estimate among them
    jitter_position: float = constant(0.1, 0, 10)  # of sqrt(w h)
    jitter_size: float = constant(0.5, 0, 10)  # of sqrt(w h)
    averaged_boxes: int = constant(3, 1, 1000)  # those of highest value
    max_aspect: float = constant(6.0, 1, 1e3)  # of a side to the other


@dataclass(frozen=True)
class DiscriminativeConfig(ClassifierConfig, RefinementConfig):
    """Constants of trackers with DiMP's classifier and the box regressor on one trunk; the defaults are DiMP's.

    Raises:
        InputError: one is not a number of its type, or outside its range.
    """

    # Samples
    sample_size: int = constant(288, 64, 1024)  # pixels
    search_area_scale: float = constant(5.0, 1, 16)  # side of a sample over sqrt(w h) of the target
    augmentation: int = constant(0, 0, len(AUGMENTATIONS) - 1)  # of the first frame, see `AUGMENTATIONS`
    target_inside_ratio: float = constant(0.2, 0, 1)  # share of the target that stays inside the image
    min_size: float = constant(10.0, 1, 1e4)  # pixels that the target keeps, where it was given so many; ours

    # What is learnt, and when
    memory_size: int = constant(50, 1, 10**4)
    learning_rate: float = constant(0.01, 0, 0.99)
    hard_negative_learning_rate: float = constant(0.02, 0, 0.99)
    first_frame_share: float = constant(0.25, 0, 1)  # of the memory's weight that the first frame keeps
    first_iterations: int = constant(10, 0, 1000)
    update_iterations: int = constant(2, 0, 1000)
    hard_negative_iterations: int = constant(1, 0, 1000)
    update_interval: int = constant(20, 1, 10**6)  # frames

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sample_size % (2 * STRIDE):
            raise InputError(f"the constant sample_size is {self.sample_size}; give a multiple of {2 * STRIDE}")
        if self.memory_size <= self.first_samples.count:
            raise InputError(
                f"the constant memory_size is {self.memory_size}; give more than the first frame's "
                f"{self.first_samples.count} samples"
            )

    @property
    def first_samples(self) -> Augmentation:
        """The first frame's samples."""
        return AUGMENTATIONS[self.augmentation]
