"""Every constant of DiMP and its kin, in one frozen dataclass; `published.py` has the published configurations by name.

How the classifier was trained belongs to the weights, as their trunk does. Everything else is a rule of the tracker.
"""

from __future__ import annotations

from dataclasses import dataclass

from d3s_vot.constants import constant
from d3s_vot.errors import InputError
from d3s_vot.heads.config import STRIDE, ClassifierConfig, RefinementConfig
from d3s_vot.online.config import LARGE, MEDIUM, SMALL, Augmentation, DistractorConfig

TRUNKS = ("resnet18", "resnet50")
AUGMENTATIONS = (SMALL, MEDIUM, LARGE)


@dataclass(frozen=True)
class DiMPConfig(ClassifierConfig, RefinementConfig, DistractorConfig):
    """Constants of the classifier, the box refinement and the rules between them; the defaults are DiMP-18's.

    Raises:
        InputError: one is not a number of its type, or outside its range.
    """

    # The classifier: 1 where its score is the logarithm of a density (PrDiMP)
    density: int = constant(0, 0, 1, of_weights=True)

    # Samples
    sample_size: int = constant(288, 64, 1024)  # pixels
    search_area_scale: float = constant(5.0, 1, 16)  # side of a sample over sqrt(w h) of the target
    # By how much a sample shrinks at most so as to lie inside the image's longer side; 0: it shows the border repeated
    inside_limit: float = constant(0.0, 0, 100)
    augmentation: int = constant(0, 0, len(AUGMENTATIONS) - 1)  # of the first frame, see `AUGMENTATIONS`

    # Localisation
    softmax: int = constant(0, 0, 1)  # 1: of the scores over the map
    cosine_window: int = constant(0, 0, 1)  # 1: the first maximum is that of the windowed scores
    displacement_scale: float = constant(0.8, 0, 10)
    distractor_threshold: float = constant(0.8, 0, 1e6)
    hard_negative_threshold: float = constant(0.5, 0, 1e6)
    not_found_score: float = constant(0.25, -1e6, 1e6)
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
