"""Every constant of SiamFC++, in one frozen dataclass; `published.py` has the published configurations by name.

The network is one of a few, told by the trunk, the convolutions of its heads and whether these have batch norm; that
belongs to the weights. Everything else is a rule of the tracker. Lengths are pixels of the crop unless said otherwise.
"""

from __future__ import annotations

import math
import operator
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from d3s_vot.errors import InputError

# Trunk -> convolutions of each head tower, in the published networks.
HEAD_CONVOLUTIONS = {
    "alexnet": 3,
    "googlenet": 2,
    "shufflenetv2x0_5": 3,
    "shufflenetv2x1_0": 3,
    "tinyconv": 3,
}
TEMPLATE_SIZE = 127  # side of the template crop
MAX_HEAD_CONVOLUTIONS = 4
STRIDE = 8  # pixels of the search crop per location of the maps


def _constant(default: float, low: float, high: float) -> Any:
    """A rule, the least and the largest that make sense."""
    return field(default=default, metadata={"range": (low, high), "of_weights": False})


def _of_weights(default: Any, *allowed: Any) -> Any:
    """What trained weights hold for the value of alone, and the values that there are."""
    return field(default=default, metadata={"allowed": allowed, "of_weights": True})


@dataclass(frozen=True)
class SiamFCppConfig:
    """Constants of the network and of the rules that turn its maps into a box.

    The defaults are the commonest published ones. `memory_size` of 1 is the tracker of the paper, with the first
    frame's template alone; of more, the multi-template tracker.

    Raises:
        InputError: a constant is not of its type, or outside its range.
    """

    trunk: str = _of_weights("alexnet", *HEAD_CONVOLUTIONS)
    head_convolutions: int = _of_weights(3, *range(1, MAX_HEAD_CONVOLUTIONS + 1))  # of each tower
    head_batch_norm: bool = _of_weights(True, True, False)  # on the last convolution of each tower

    search_size: int = _constant(303, 255, 1007)  # side of the search crop
    size_rate: float = _constant(0.52, 0, 1)  # of the new size against the old, times score and penalty
    window_influence: float = _constant(0.21, 0, 1)  # of the cosine window on the choice of the location
    penalty: float = _constant(0.04, 0, 10)  # against changes of size and shape
    min_size: float = _constant(10.0, 1, 1e4)  # pixels of the image that width and height keep
    # Below: not visible. Published as the bound below which the long-term variant takes the target for lost.
    visible_confidence: float = _constant(0.3, 0, 1)

    memory_size: int = _constant(1, 1, 100)  # templates, the first frame's among them
    memory_step: int = _constant(5, 1, 10**6)  # frames between two templates that are learnt
    memory_weight: float = _constant(0.5, 0, 1)  # of the later templates' mean score against the first one's

    def __post_init__(self) -> None:
        for constant in fields(self):
            value = getattr(self, constant.name)
            if "allowed" in constant.metadata:
                allowed = constant.metadata["allowed"]
                if type(value) is not type(allowed[0]) or value not in allowed:
                    names = ", ".join(map(str, allowed))
                    raise InputError(f"the constant {constant.name} is {str(value)[:40]!r}; give one of {names}")
                continue
            low, high = constant.metadata["range"]
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
        if (self.search_size - TEMPLATE_SIZE) % STRIDE:
            raise InputError(
                f"the constant search_size is {self.search_size}; give {TEMPLATE_SIZE} and a multiple of {STRIDE}"
            )

    @classmethod
    def of_trunk(cls, trunk: str, **constants: Any) -> SiamFCppConfig:
        """The published network on a trunk, see `HEAD_CONVOLUTIONS`, but for these constants."""
        layers = HEAD_CONVOLUTIONS.get(trunk, 3)
        of_weights: dict[str, Any] = {"trunk": trunk, "head_convolutions": layers, "head_batch_norm": layers == 3}
        return cls(**of_weights | constants)

    def changes(self) -> dict[str, Any]:
        """The constants that differ from the defaults, by name."""
        return {name: value for name, value in asdict(self).items() if value != getattr(SiamFCppConfig, name)}

    def with_rules(self, rules: SiamFCppConfig) -> SiamFCppConfig:
        """Other rules for the same weights: what these were trained for stays."""
        kept = (constant.name for constant in fields(self) if constant.metadata["of_weights"])
        return replace(rules, **{name: getattr(self, name) for name in kept})

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
