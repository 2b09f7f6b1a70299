"""Every constant of the tracker, under its name in the paper, in one frozen dataclass.

The defaults are the published system (Lukezic, Matas, Kristan, CVPR 2020). Lengths are pixels of the crop or
patch they belong to unless said otherwise.
"""

from __future__ import annotations

import math
import operator
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from d3s_vot.errors import InputError


def _constant(default: float, low: float, high: float, *, of_weights: bool = False) -> Any:
    """A constant, the least and the largest that make sense, and whether trained weights hold for its value alone."""
    return field(default=default, metadata={"range": (low, high), "of_weights": of_weights})


@dataclass(frozen=True)
class D3SConfig:
    """Constants of localisation (GEM), segmentation and the rules between them.

    Raises:
        InputError: one is not a number of its type, or outside its range.
    """

    # GEM: search patch (paper section 3.2)
    gem_search_area_scale: float = _constant(4.5, 1, 16)  # side of the search area over sqrt(w h) of the target
    gem_patch_size: int = _constant(256, 32, 1024)  # pixels
    gem_stride: int = _constant(16, 16, 16, of_weights=True)  # pixels of the patch per feature location
    gem_window_size: int = _constant(512, 64, 4096)  # first-frame window that all augmented samples are cut from

    # GEM: model
    projection_channels: int = _constant(64, 1, 4096)  # channels after the projection P
    filter_size: int = _constant(4, 2, 16)  # feature locations; even, hence the half-cell shift of the labels
    filter_regularization: float = _constant(0.1, 1e-9, 1e6)
    projection_regularization: float = _constant(1e-4, 1e-9, 1e6)
    label_sigma_factor: float = _constant(0.25, 1e-3, 10)  # of the target's side on the feature grid
    activation_slope: float = _constant(20.0, 0, 1e3)  # leaky ReLU
    activation_alpha: float = _constant(0.05, 0, 1e3)  # ELU

    # GEM: optimisation
    gauss_newton_steps: int = _constant(6, 0, 100)  # first frame, over filter and projection
    gauss_newton_cg_iterations: int = _constant(10, 0, 1000)  # of each step
    update_cg_iterations: int = _constant(5, 0, 1000)  # later, over the filter alone
    update_interval: int = _constant(10, 1, 10**6)  # frames

    # GEM: sample memory
    memory_size: int = _constant(250, 1, 10**4)
    learning_rate: float = _constant(0.0075, 0, 0.99)
    hard_negative_learning_rate: float = _constant(0.02, 0, 0.99)

    # Localisation
    displacement_scale: float = _constant(0.7, 0, 10)  # of half the patch: "near" in the distractor logic
    distractor_threshold: float = _constant(100.0, 0, 1e6)  # of the first maximum
    hard_negative_threshold: float = _constant(0.3, 0, 1e6)  # of the first maximum
    target_neighborhood_scale: float = _constant(2.2, 0, 100)  # of the target: blanked before the second maximum
    not_found_score: float = _constant(-1.0, -1e6, 1e6)
    uncertainty_warmup: int = _constant(5, 0, 10**6)  # frames
    score_history_size: int = _constant(25, 1, 10**6)
    uncertainty_update: float = _constant(3.0, 0, 1e6)  # below: GEM's answer moves the state and enters the memory
    uncertainty_segment: float = _constant(10.0, 0, 1e6)  # below: the frame is segmented
    not_found_uncertainty: float = _constant(100.0, 0, 1e6)
    min_base_size: float = _constant(10.0, 1, 1e4)  # pixels of the image that the target keeps
    target_inside_ratio: float = _constant(0.2, 0, 1)  # share of the target that stays inside the image

    # Segmentation
    segm_search_area_scale: float = _constant(4.0, 1, 16, of_weights=True)  # side of the crop over sqrt(w h)
    segm_crop_size: int = _constant(384, 64, 2048, of_weights=True)
    similarity_top_k: int = _constant(3, 1, 576, of_weights=True)
    refinement_width: int = _constant(1, 1, 16, of_weights=True)  # of the pathway, in multiples of the published one
    mask_threshold: float = _constant(0.5, 0, 1)
    mask_threshold_mask_mode: float = _constant(0.2, 0, 1)
    min_mask_area: float = _constant(50.0, 0, 1e6)  # pixels of the crop
    mask_history_size: int = _constant(25, 1, 10**6)
    template_dilation: float = _constant(0.05, 0, 10)  # of min(w, h), in the crop
    template_min_dilation: int = _constant(5, 1, 1000)

    # From the mask to the state
    uncertainty_scale: float = _constant(3.5, 0, 1e6)  # below: the mask may change the scale
    mask_change_region: float = _constant(2.0, 0, 1e6)  # q below: the mask gives the region
    mask_change_position: float = _constant(1.0, 0, 1e6)  # q below: the mask gives the position
    min_scale: float = _constant(0.2, 0, 1e3)
    max_scale_change: float = _constant(0.75, 0, 1e3)  # a larger change of scale is not believed
    scale_step: float = _constant(0.05, 0, 1)  # the most that the scale moves in a frame
    scale_step_mask_mode: float = _constant(0.10, 0, 1)

    # Rectangle fit (section 3.4)
    fit_alpha: float = _constant(0.25, 0, 1e3)  # weight of background inside the rectangle
    fit_min_inside: float = _constant(0.9, 0, 1)  # share of the mask that must stay inside
    fit_max_axis: float = _constant(0.6, 0, 10)  # of the crop; above, the ellipse fit is not believed
    fit_min_area_ratio: float = _constant(0.1, 1e-9, 1e6)  # R1 over R0
    fit_max_area_ratio: float = _constant(2.5, 0, 1e6)

    # Boxes against the given one (ours; see calibration.py)
    box_calibration: float = _constant(0.0, 0, 1)  # part of the first frame's difference; 0: published
    calibration_max_ratio: float = _constant(1.5, 1, 10)  # of a side
    calibration_max_shift: float = _constant(0.25, 0, 10)  # of a side

    def __post_init__(self) -> None:
        for constant in fields(self):
            value, (low, high) = getattr(self, constant.name), constant.metadata["range"]
            try:
                number = operator.index(value) if constant.type == "int" else float(value)
            except (TypeError, ValueError, OverflowError):
                number = math.nan
            if isinstance(value, bool | str) or not low <= number <= high:
                raise InputError(
                    f"the constant {constant.name} is {str(value)[:40]!r}; give a number ({constant.type}) from "
                    f"{low:g} to {high:g}"
                )
            object.__setattr__(self, constant.name, number)
        for name, unit in (("gem_patch_size", 2 * self.gem_stride), ("segm_crop_size", 16), ("filter_size", 2)):
            if getattr(self, name) % unit:
                raise InputError(f"the constant {name} is {getattr(self, name)}; give a multiple of {unit}")
        if self.gem_window_size < 2 * self.gem_patch_size:  # the samples are moved and turned in it
            raise InputError(f"the constant gem_window_size is {self.gem_window_size}; give two patches or more")

    @classmethod
    def published(cls) -> D3SConfig:
        """The constants of the published system."""
        return cls()

    @classmethod
    def calibrated(cls) -> D3SConfig:
        """Boxes corrected by half of what the first mask's box differs from the given one; for the shipped weights."""
        return cls(box_calibration=0.5)

    def changes(self) -> dict[str, float | int]:
        """The constants that differ from the published ones, by name."""
        return {k: v for k, v in asdict(self).items() if v != getattr(D3SConfig, k)}

    def with_rules(self, rules: D3SConfig) -> D3SConfig:
        """Other rules for the same weights: what these were trained for stays."""
        kept = (constant.name for constant in fields(self) if constant.metadata["of_weights"])
        return replace(rules, **{name: getattr(self, name) for name in kept})

    @property
    def gem_feature_size(self) -> int:
        """Side of the feature map of a search patch."""
        return self.gem_patch_size // self.gem_stride


# How the networks are computed: as the reference does, or in half precision where that is fast.
PRESETS = ("exact", "fast")

# Rules by name; those of a checkpoint are in its metadata.
RULES = {"published": D3SConfig.published(), "calibrated": D3SConfig.calibrated()}
