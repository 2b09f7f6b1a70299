"""Every constant of the tracker, under its name in the paper, in one frozen dataclass.

The defaults are the published system (Lukezic, Matas, Kristan, CVPR 2020). Lengths are pixels of the crop or
patch they belong to unless said otherwise.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class D3SConfig:
    """Constants of localisation (GEM), segmentation and the rules between them."""

    # GEM: search patch (paper section 3.2)
    gem_search_area_scale: float = 4.5  # side of the search area over sqrt(w h) of the target
    gem_patch_size: int = 256  # pixels
    gem_stride: int = 16  # pixels of the patch per feature location
    gem_window_size: int = 512  # first-frame window that all augmented samples are cut from

    # GEM: model
    projection_channels: int = 64  # channels after the projection P
    filter_size: int = 4  # feature locations; even, hence the half-cell shift of the labels
    filter_regularization: float = 0.1
    projection_regularization: float = 1e-4
    label_sigma_factor: float = 0.25  # of the target's side on the feature grid
    activation_slope: float = 20.0  # leaky ReLU
    activation_alpha: float = 0.05  # ELU

    # GEM: optimisation
    gauss_newton_steps: int = 6  # first frame, over filter and projection
    gauss_newton_cg_iterations: int = 10  # of each step
    update_cg_iterations: int = 5  # later, over the filter alone
    update_interval: int = 10  # frames

    # GEM: sample memory
    memory_size: int = 250
    learning_rate: float = 0.0075
    hard_negative_learning_rate: float = 0.02

    # Localisation
    displacement_scale: float = 0.7  # of half the patch: "near" in the distractor logic
    distractor_threshold: float = 100.0  # of the first maximum
    hard_negative_threshold: float = 0.3  # of the first maximum
    target_neighborhood_scale: float = 2.2  # of the target: blanked before the second maximum
    not_found_score: float = -1.0
    uncertainty_warmup: int = 5  # frames
    score_history_size: int = 25
    uncertainty_update: float = 3.0  # below: GEM's answer moves the state and enters the memory
    uncertainty_segment: float = 10.0  # below: the frame is segmented
    not_found_uncertainty: float = 100.0
    min_base_size: float = 10.0  # pixels of the image that the target keeps
    target_inside_ratio: float = 0.2  # share of the target that stays inside the image

    # Segmentation
    segm_search_area_scale: float = 4.0  # side of the crop over sqrt(w h)
    segm_crop_size: int = 384
    similarity_top_k: int = 3
    refinement_width: int = 1  # channels of the refinement pathway, in multiples of the published ones
    mask_threshold: float = 0.5
    mask_threshold_mask_mode: float = 0.2
    min_mask_area: float = 50.0  # pixels of the crop
    mask_history_size: int = 25
    template_dilation: float = 0.05  # of min(w, h), in the crop
    template_min_dilation: int = 5

    # From the mask to the state
    uncertainty_scale: float = 3.5  # below: the mask may change the scale
    mask_change_region: float = 2.0  # q below: the mask gives the region
    mask_change_position: float = 1.0  # q below: the mask gives the position
    min_scale: float = 0.2
    max_scale_change: float = 0.75  # a larger change of scale is not believed
    scale_step: float = 0.05  # the most that the scale moves in a frame
    scale_step_mask_mode: float = 0.10

    # Rectangle fit (section 3.4)
    fit_alpha: float = 0.25  # weight of background inside the rectangle
    fit_min_inside: float = 0.9  # share of the mask that must stay inside
    fit_max_axis: float = 0.6  # of the crop; above, the ellipse fit is not believed
    fit_min_area_ratio: float = 0.1  # R1 over R0
    fit_max_area_ratio: float = 2.5

    # Boxes against the given one (ours; see calibration.py)
    box_calibration: float = 0.0  # part of the first frame's difference by which boxes are corrected; 0: published
    calibration_max_ratio: float = 1.5  # of a side
    calibration_max_shift: float = 0.25  # of a side

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

    @property
    def gem_feature_size(self) -> int:
        """Side of the feature map of a search patch."""
        return self.gem_patch_size // self.gem_stride


# How the networks are computed: as the reference does, or in half precision where that is fast.
PRESETS = ("exact", "fast")

# Rules by name; those of a checkpoint are in its metadata.
RULES = {"published": D3SConfig.published(), "calibrated": D3SConfig.calibrated()}
