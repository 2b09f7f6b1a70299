"""Constants of trained parts, and of how they are used."""

from __future__ import annotations

from dataclasses import dataclass

from d3s_vot.constants import Constants, constant

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
