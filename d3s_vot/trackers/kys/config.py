"""Every constant of KYS, in one frozen dataclass; `published.py` has the published configurations by name.

How the networks were trained belongs to the weights, as their trunk does. Everything else is a rule of the tracker.
"""

from __future__ import annotations

from dataclasses import dataclass

from d3s_vot.constants import constant
from d3s_vot.errors import InputError
from d3s_vot.heads.config import STRIDE, DiscriminativeConfig

TRUNKS = ("resnet18", "resnet50")


@dataclass(frozen=True)
class KYSConfig(DiscriminativeConfig):
    """Constants of the classifier, the scene, the box refinement and the rules between them; the defaults are KYS's.

    Raises:
        InputError: one is not a number of its type, or outside its range.
    """

    # The scene: cells along an axis that something is looked for from one frame to the next, the least of DiMP's score
    # that the fused one may build on, and 1 where maps are shifted as torch did before 1.3, by corners. What the
    # authors ran is not known.
    reach: int = constant(9, 0, 1024, of_weights=True)
    score_threshold: float = constant(0.05, -1e6, 1e6, of_weights=True)
    align_corners: int = constant(0, 0, 1, of_weights=True)

    # Localisation
    window_area: float = constant(10.0, 1, 32)  # what `search_area_scale` would be, were the window a whole Hann window
    not_found_score: float = constant(0.05, 0, 1)
    hard_negatives: int = constant(0, 0, 1)  # 1: it is asked whether something else looks like the target
    hard_negative_threshold: float = constant(0.5, 0, 1e6)  # of the score at the target
    hard_negative_score: float = constant(0.1, -1e6, 1e6)  # that the second maximum must exceed too
    target_neighborhood_scale: float = constant(2.2, 0, 100)  # of the target: blanked before the second maximum
    lost_forgets: int = constant(0, 0, 1)  # 1: a frame without the target clears what is known of the scene

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window_area < self.search_area_scale:
            raise InputError(
                f"the constant window_area is {self.window_area:g}; give search_area_scale, which is "
                f"{self.search_area_scale:g}, or more"
            )

    @property
    def cells(self) -> int:
        """Side of the maps of a sample."""
        return self.sample_size // STRIDE
