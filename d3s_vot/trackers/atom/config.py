"""Every constant of ATOM, in one frozen dataclass; `published.py` has the published configurations by name."""

from __future__ import annotations

from dataclasses import dataclass

from d3s_vot.constants import constant
from d3s_vot.errors import InputError
from d3s_vot.heads.config import STRIDE, RefinementConfig
from d3s_vot.online.config import LARGE, DistractorConfig, FactorizedConfig

FIRST_SAMPLES = LARGE


@dataclass(frozen=True)
class ATOMConfig(FactorizedConfig, RefinementConfig, DistractorConfig):
    """Constants of the filter, the box refinement and the rules between them; the defaults are the published ones.

    Raises:
        InputError: one is not a number of its type, or outside its range.
    """

    # Samples
    sample_size: int = constant(288, 64, 1024)  # pixels
    search_area_scale: float = constant(5.0, 1, 16)  # side of a sample over sqrt(w h) of the target

    # Localisation
    cosine_window: int = constant(0, 0, 1)  # 1: on the response
    displacement_scale: float = constant(0.8, 0, 10)
    distractor_threshold: float = constant(0.8, 0, 1e6)
    hard_negative_threshold: float = constant(0.5, 0, 1e6)
    not_found_score: float = constant(0.25, -1e6, 1e6)
    target_inside_ratio: float = constant(0.2, 0, 1)  # share of the target that stays inside the image
    min_size: float = constant(10.0, 1, 1e4)  # pixels that the target keeps, where it was given so many; ours

    # What is learnt, and when
    learning_rate: float = constant(0.01, 0, 0.99)
    hard_negative_learning_rate: float = constant(0.02, 0, 0.99)
    first_frame_share: float = constant(0.25, 0, 1)  # of the memory's weight that the first frame keeps
    update_interval: int = constant(10, 1, 10**6)  # frames

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, unit in (("sample_size", 2 * STRIDE), ("filter_size", 2)):
            if getattr(self, name) % unit:
                raise InputError(f"the constant {name} is {getattr(self, name)}; give a multiple of {unit}")
        if self.memory_size <= FIRST_SAMPLES.count:
            raise InputError(
                f"the constant memory_size is {self.memory_size}; give more than the first frame's "
                f"{FIRST_SAMPLES.count} samples"
            )

    @property
    def cells(self) -> int:
        """Side of the feature map of a sample."""
        return self.sample_size // STRIDE
