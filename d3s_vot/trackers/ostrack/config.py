"""Every constant of OSTrack and DropTrack, in one frozen dataclass; `published.py` has the configurations by name."""

from __future__ import annotations

import math
from dataclasses import dataclass

from d3s_vot.constants import Constants, constant
from d3s_vot.errors import InputError
from d3s_vot.trunks.vit import PATCH, ViTSize

HEAD_WIDTH = 64  # channels of each head of the attention
ELIMINATING = (3, 6, 9)  # blocks, counted from 0, that drop search tokens


@dataclass(frozen=True)
class OSTrackConfig(Constants):
    """Constants of the network and of the rules that turn its maps into a box.

    The defaults are those of `vitb_256_mae_ce_32x4_ep300`. Lengths are pixels of the crop unless said otherwise.

    Raises:
        InputError: a constant is not of its type, or outside its range.
    """

    width: int = constant(768, HEAD_WIDTH, 1280, of_weights=True)  # channels of a token
    depth: int = constant(12, 1, 32, of_weights=True)  # blocks
    template_size: int = constant(128, 2 * PATCH, 512, of_weights=True)  # side of the template crop
    search_size: int = constant(256, 2 * PATCH, 1024, of_weights=True)  # side of the search crop
    temporal: int = constant(0, 0, 1, of_weights=True)  # 1: DropTrack, a vector says of which frame a token is

    template_factor: float = constant(2.0, 1, 8)  # side of the template crop over sqrt(w h) of the target
    search_factor: float = constant(4.0, 1, 16)
    keep_ratio: float = constant(0.7, 0.1, 1)  # of the search tokens at each elimination; 1: none is eliminated
    margin: float = constant(10.0, 1, 1e4)  # pixels of the image that width and height keep, and that stay inside
    # Below: not visible. Ours; nothing is published, and no answer depends on it.
    visible_confidence: float = constant(0.3, 0, 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, unit in (("width", HEAD_WIDTH), ("template_size", PATCH), ("search_size", PATCH)):
            if getattr(self, name) % unit:
                raise InputError(f"the constant {name} is {getattr(self, name)}; give a multiple of {unit}")

    @property
    def size(self) -> ViTSize:
        """Of the transformer."""
        return ViTSize(self.width, self.depth, self.width // HEAD_WIDTH)

    @property
    def template_side(self) -> int:
        """Tokens along a side of the template."""
        return self.template_size // PATCH

    @property
    def search_side(self) -> int:
        """Tokens along a side of the search crop, and locations along a side of the maps."""
        return self.search_size // PATCH

    @property
    def centre_token(self) -> int:
        """The template token whose attention says which search tokens stay: up and left of the centre, as published.

        >>> OSTrackConfig().centre_token, OSTrackConfig(template_size=192).centre_token
        (27, 65)
        """
        return (self.template_side - 1) // 2 * (self.template_side + 1)

    @property
    def kept(self) -> dict[int, int]:
        """Block -> search tokens that are left after its elimination.

        >>> OSTrackConfig().kept, OSTrackConfig(keep_ratio=1.0).kept
        ({3: 180, 6: 126, 9: 89}, {})
        """
        left, kept = self.search_side**2, {}
        for block in ELIMINATING:
            if self.keep_ratio < 1 and block < self.depth:
                left = kept[block] = math.ceil(self.keep_ratio * left)
        return kept
