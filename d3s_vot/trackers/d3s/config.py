"""Every constant of the tracker, under its name in the paper, in one frozen dataclass.

The defaults are the published system (Lukezic, Matas, Kristan, CVPR 2020). Lengths are pixels of the crop or
patch they belong to unless said otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

from d3s_vot.constants import constant
from d3s_vot.errors import InputError
from d3s_vot.online.config import FactorizedConfig, LocalizationConfig


@dataclass(frozen=True)
class D3SConfig(FactorizedConfig, LocalizationConfig):
    """Constants of localisation (GEM), segmentation and the rules between them.

    Raises:
        InputError: one is not a number of its type, or outside its range.
    """

    # GEM: search patch (paper section 3.2)
    gem_search_area_scale: float = constant(4.5, 1, 16)  # side of the search area over sqrt(w h) of the target
    gem_patch_size: int = constant(256, 32, 1024)  # pixels
    gem_stride: int = constant(16, 16, 16, of_weights=True)  # pixels of the patch per feature location
    gem_window_size: int = constant(512, 64, 4096)  # first-frame window that all augmented samples are cut from

    # GEM: when it learns
    update_interval: int = constant(10, 1, 10**6)  # frames
    learning_rate: float = constant(0.0075, 0, 0.99)
    hard_negative_learning_rate: float = constant(0.02, 0, 0.99)

    # Localisation
    uncertainty_segment: float = constant(10.0, 0, 1e6)  # below: the frame is segmented
    min_base_size: float = constant(10.0, 1, 1e4)  # pixels of the image that the target keeps
    target_inside_ratio: float = constant(0.2, 0, 1)  # share of the target that stays inside the image

    # Segmentation
    segm_search_area_scale: float = constant(4.0, 1, 16, of_weights=True)  # side of the crop over sqrt(w h)
    segm_crop_size: int = constant(384, 64, 2048, of_weights=True)
    similarity_top_k: int = constant(3, 1, 576, of_weights=True)
    refinement_width: int = constant(1, 1, 16, of_weights=True)  # of the pathway, in multiples of the published one
    mask_threshold: float = constant(0.5, 0, 1)
    mask_threshold_mask_mode: float = constant(0.2, 0, 1)
    min_mask_area: float = constant(50.0, 0, 1e6)  # pixels of the crop
    mask_history_size: int = constant(25, 1, 10**6)
    template_dilation: float = constant(0.05, 0, 10)  # of min(w, h), in the crop
    template_min_dilation: int = constant(5, 1, 1000)

    # From the mask to the state
    uncertainty_scale: float = constant(3.5, 0, 1e6)  # below: the mask may change the scale
    mask_change_region: float = constant(2.0, 0, 1e6)  # q below: the mask gives the region
    mask_change_position: float = constant(1.0, 0, 1e6)  # q below: the mask gives the position
    min_scale: float = constant(0.2, 0, 1e3)
    max_scale_change: float = constant(0.75, 0, 1e3)  # a larger change of scale is not believed
    scale_step: float = constant(0.05, 0, 1)  # the most that the scale moves in a frame
    scale_step_mask_mode: float = constant(0.10, 0, 1)

    # Rectangle fit (section 3.4)
    fit_alpha: float = constant(0.25, 0, 1e3)  # weight of background inside the rectangle
    fit_min_inside: float = constant(0.9, 0, 1)  # share of the mask that must stay inside
    fit_max_axis: float = constant(0.6, 0, 10)  # of the crop; above, the ellipse fit is not believed
    fit_min_area_ratio: float = constant(0.1, 1e-9, 1e6)  # R1 over R0
    fit_max_area_ratio: float = constant(2.5, 0, 1e6)

    # Boxes against the given one (ours; see `calibration`)
    box_calibration: float = constant(0.0, 0, 1)  # part of the first frame's difference; 0: published
    calibration_max_ratio: float = constant(1.5, 1, 10)  # of a side
    calibration_max_shift: float = constant(0.25, 0, 10)  # of a side

    # Judgement and search (ours; see judged.py). A quality is the overlap to be expected, 0..1.
    judgement: int = constant(0, 0, 1)  # 1: the weights' head judges every frame; 0: published
    blurred_views: int = constant(0, 0, 1)  # 1: blurred pictures of the first frame are evidence, too
    quality_learn: float = constant(0.4, 0, 1)  # from here GEM learns, and position and size count as trusted
    quality_visible: float = constant(0.4, 0, 1)  # from here the target is said to be there
    quality_size: float = constant(0.5, 0, 1)  # from here the size may follow
    quality_lost: float = constant(0.25, 0, 1)  # below, the target is missed
    quality_found: float = constant(0.55, 0, 1)  # from here it is found again
    quality_remember: float = constant(0.6, 0, 1)  # from here the target's cells are remembered
    remembered_frames: int = constant(3, 1, 1000)  # whose cells are, the last ones
    remember_interval: int = constant(2, 1, 10**6)  # frames from one of them to the next
    size_agreement: float = constant(0.25, 0, 10)  # log: mask and head see one size; apart, half of each counts
    size_change_lost: float = constant(0.4, 0, 10)  # log: of the size when it is found again, at most
    lost_after: int = constant(3, 1, 10**6)  # frames without the target, then it is searched for
    search_places: int = constant(3, 1, 1000)  # patches that a frame of the search looks at

    # A second tracker (ours; see witnessed.py)
    witness: int = constant(0, 0, 1)  # 1: what it says of place and size is heard; needs judgement
    witness_apart: float = constant(0.4, 0, 1)  # overlap of the two boxes, below which one of them is wrong
    quality_box: float = constant(0.9, 0, 1)  # less is trusted to the mask: the box goes so far to the other's
    quality_lead: float = constant(0.5, 0, 1)  # from here the other is led to where this one is, if it sees less

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, unit in (("gem_patch_size", 2 * self.gem_stride), ("segm_crop_size", 16), ("filter_size", 2)):
            if getattr(self, name) % unit:
                raise InputError(f"the constant {name} is {getattr(self, name)}; give a multiple of {unit}")
        if self.witness and not self.judgement:
            raise InputError("the constant witness is 1 and judgement 0; a second tracker is heard by the head's word")
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

    @classmethod
    def judged(cls) -> D3SConfig:
        """Calibrated, with a head that judges every frame and a search for what was lost; for the shipped weights."""
        return cls(box_calibration=0.5, judgement=1)

    @classmethod
    def witnessed(cls) -> D3SConfig:
        """Judged, with ECO-lite0 as a second witness of place and size; for the shipped weights."""
        return cls(box_calibration=0.5, judgement=1, witness=1)

    @property
    def gem_feature_size(self) -> int:
        """Side of the feature map of a search patch."""
        return self.gem_patch_size // self.gem_stride


# Rules by name; those of a checkpoint are in its metadata.
RULES = {
    "published": D3SConfig.published(),
    "calibrated": D3SConfig.calibrated(),
    "judged": D3SConfig.judged(),
    "witnessed": D3SConfig.witnessed(),
}
