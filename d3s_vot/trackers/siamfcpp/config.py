"""Every constant of SiamFC++, in one frozen dataclass; `published.py` has the published configurations by name.

How the heads are built belongs to the weights, as their trunk does. Everything else is a rule of the tracker. Lengths
are pixels of the crop unless said otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

from d3s_vot.constants import Constants, constant
from d3s_vot.errors import InputError

# Trunk -> convolutions of each head tower; the last of three has batch norm. All but lite0 are published.
HEAD_CONVOLUTIONS = {
    "alexnet": 3,
    "googlenet": 2,
    "shufflenetv2x0_5": 3,
    "shufflenetv2x1_0": 3,
    "tinyconv": 3,
    "lite0": 3,
}
MAX_HEAD_CONVOLUTIONS = 4
TEMPLATE_SIZE = 127  # side of the template crop
STRIDE = 8  # pixels of the search crop per location of the maps


@dataclass(frozen=True)
class SiamFCppConfig(Constants):
    """Constants of the heads and of the rules that turn their maps into a box.

    The defaults are the commonest published ones. `memory_size` of 1 is the tracker of the paper, with the first
    frame's template alone; of more, the multi-template tracker.

    Raises:
        InputError: a constant is not of its type, or outside its range.
    """

    head_convolutions: int = constant(3, 1, MAX_HEAD_CONVOLUTIONS, of_weights=True)  # of each tower
    head_batch_norm: int = constant(1, 0, 1, of_weights=True)  # 1: on the last convolution of each tower

    search_size: int = constant(303, 255, 1007)  # side of the search crop
    size_rate: float = constant(0.52, 0, 1)  # of the new size against the old, times score and penalty
    window_influence: float = constant(0.21, 0, 1)  # of the cosine window on the choice of the location
    penalty: float = constant(0.04, 0, 10)  # against changes of size and shape
    min_size: float = constant(10.0, 1, 1e4)  # pixels of the image that width and height keep
    # Below: not visible. Published as the bound below which the long-term variant takes the target for lost.
    visible_confidence: float = constant(0.3, 0, 1)

    memory_size: int = constant(1, 1, 100)  # templates, the first frame's among them
    memory_step: int = constant(5, 1, 10**6)  # frames between two templates that are learnt
    memory_weight: float = constant(0.5, 0, 1)  # of the later templates' mean score against the first one's

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.search_size - TEMPLATE_SIZE) % STRIDE:
            raise InputError(
                f"the constant search_size is {self.search_size}; give {TEMPLATE_SIZE} and a multiple of {STRIDE}"
            )

    @classmethod
    def of_trunk(cls, trunk: str, **constants: float) -> SiamFCppConfig:
        """Those of the published network on a trunk, see `HEAD_CONVOLUTIONS`, but for these."""
        layers = HEAD_CONVOLUTIONS[trunk]
        return cls.with_changes({"head_convolutions": layers, "head_batch_norm": int(layers == 3)} | constants)

    @property
    def score_size(self) -> int:
        """Locations along a side of the maps.

        >>> SiamFCppConfig.of_trunk("googlenet", search_size=399).score_size
        31
        """
        return (self.search_size - TEMPLATE_SIZE) // STRIDE + 1 - 2 * self.head_convolutions

    @property
    def offset(self) -> int:
        """Pixel of the search crop, along x as along y, that the first location of the maps stands at.

        >>> SiamFCppConfig().offset
        87
        """
        return (self.search_size - 1 - STRIDE * (self.score_size - 1)) // 2
