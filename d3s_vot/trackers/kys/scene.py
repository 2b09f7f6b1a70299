"""What is known of the scene: the last frame with a target, kept with it in the middle (KYS, section 4)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from d3s_vot.heads.config import STRIDE
from d3s_vot.online.state import Numbers
from d3s_vot.trackers.kys.config import KYSConfig
from d3s_vot.trackers.kys.matching import shifted


@dataclass(frozen=True, eq=False)
class Scene:
    """Of the last frame with a target.

    Attributes:
        motion: the trunk's features of its sample at stride 16, 1 x C x n x n.
        state: of every place, 1 x 8 x n x n; None before the first tracked frame.
        box: of the target in its sample, x, y, w, h.
    """

    motion: Tensor
    state: Tensor | None
    box: Numbers

    def centred(self, config: KYSConfig) -> Scene:
        """The scene as the next sample, which has the target in its middle, would show it; the box is as it was."""
        if self.state is None:
            return self
        x, y = shift_to_middle(self.box, config)
        motion, state = (shifted(each, (x, y), bool(config.align_corners)) for each in (self.motion, self.state))
        return replace(self, motion=motion, state=state)

    def forgotten(self) -> Scene:
        """With nothing known of any place."""
        return self if self.state is None else replace(self, state=self.state * 0)


def shift_to_middle(box: Numbers, config: KYSConfig) -> tuple[float, float]:
    """By how much the maps of a sample with this box are shifted, (x, y), see `shifted`.

    A target that is farther from the middle than its own side comes there. One that is nearer moves by a part of a
    cell; by half of it and the wrong way, it seems, but the published network was used so.
    """
    n, size = config.cells, config.sample_size
    at = [start + length / 2 for start, length in (box[0::2], box[1::2])]  # x, y
    low, high = (size * (0.5 + sign / config.search_area_scale) for sign in (-1, 1))
    if not all(low <= each <= high for each in at):
        x, y = (2 * (each / STRIDE - n / 2) / n for each in at)
    else:
        x, y = ((round(each / STRIDE) + 0.5 - each / STRIDE) / n for each in at)  # halves to even, as published
    return x, y
