"""Every constant of DiMP and its kin, in one frozen dataclass; `published.py` has the published configurations by name.

How the classifier was trained belongs to the weights, as their trunk does. Everything else is a rule of the tracker.
"""

from __future__ import annotations

from dataclasses import dataclass

from d3s_vot.constants import constant
from d3s_vot.heads.config import DiscriminativeConfig
from d3s_vot.online.config import DistractorConfig

TRUNKS = ("resnet18", "resnet50")


@dataclass(frozen=True)
class DiMPConfig(DiscriminativeConfig, DistractorConfig):
    """Constants of the classifier, the box refinement and the rules between them; the defaults are DiMP-18's.

    Raises:
        InputError: one is not a number of its type, or outside its range.
    """

    # The classifier: 1 where its score is the logarithm of a density (PrDiMP)
    density: int = constant(0, 0, 1, of_weights=True)

    # By how much a sample shrinks at most so as to lie inside the image's longer side; 0: it shows the border repeated
    inside_limit: float = constant(0.0, 0, 100)

    # Localisation
    softmax: int = constant(0, 0, 1)  # 1: of the scores over the map
    cosine_window: int = constant(0, 0, 1)  # 1: the first maximum is that of the windowed scores
    displacement_scale: float = constant(0.8, 0, 10)
    distractor_threshold: float = constant(0.8, 0, 1e6)
    hard_negative_threshold: float = constant(0.5, 0, 1e6)
    not_found_score: float = constant(0.25, -1e6, 1e6)
