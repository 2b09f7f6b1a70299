"""Every constant of DropSeg, in one frozen dataclass; the defaults are the published ones."""

from __future__ import annotations

from dataclasses import dataclass

from d3s_vot.constants import Constants, constant
from d3s_vot.errors import InputError
from d3s_vot.trunks.vit import ViTSize

HEAD_WIDTH = 64  # channels of each head of the attention
POSITIONS_SIDE = 24  # of the grid of positions in the weights, the training's


@dataclass(frozen=True)
class DropSegConfig(Constants):
    """Constants of the network and of what it looks at.

    Raises:
        InputError: a constant is not of its type, or outside its range.
    """

    width: int = constant(768, HEAD_WIDTH, 1280, of_weights=True)  # channels of a token
    depth: int = constant(12, 1, 32, of_weights=True)  # blocks
    decoder_width: int = constant(256, 8, 1024, of_weights=True)  # channels at stride 4; twice as many before

    # Pixels of the shorter side that the network looks at; larger frames are made smaller, published for 480p.
    shorter_side: int = constant(480, 32, 2160)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % HEAD_WIDTH:
            raise InputError(f"the constant width is {self.width}; give a multiple of {HEAD_WIDTH}")

    @property
    def size(self) -> ViTSize:
        """Of the transformer."""
        return ViTSize(self.width, self.depth, self.width // HEAD_WIDTH)
