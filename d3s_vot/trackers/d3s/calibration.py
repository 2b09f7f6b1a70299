"""How the box that a target was given lies about the box of its mask.

People draw boxes around faces, shirts or whole cars; the mask shows what moves together. Where both are known, in the
first frame, they are compared, and later boxes are corrected by part of the difference. Not published.
"""

from __future__ import annotations

from dataclasses import dataclass

from d3s_vot.regions import Box
from d3s_vot.trackers.d3s.config import D3SConfig


@dataclass(frozen=True)
class Calibration:
    """A correction of boxes.

    Attributes:
        scale: (x, y) factors of the sides.
        shift: (x, y) of the middle, in sides of the box before it is scaled.
    """

    scale: tuple[float, float] = (1.0, 1.0)
    shift: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def between(cls, found: Box, given: Box, config: D3SConfig) -> Calibration:
        """The part `config.box_calibration` of what leads from one box to the other, within bounds."""
        part, most, far = config.box_calibration, config.calibration_max_ratio, config.calibration_max_shift
        (x, y), (x0, y0) = given.center, found.center
        ratios = given.w / found.w, given.h / found.h
        shifts = (x - x0) / found.w, (y - y0) / found.h
        wider, taller = (min(max(r**part, 1 / most), most) for r in ratios)
        right, down = (min(max(part * s, -far), far) for s in shifts)
        return cls((wider, taller), (right, down))

    def correct(self, box: Box) -> Box:
        """The corrected box; the same one, to the last digit, where there is nothing to correct."""
        if self == Calibration():
            return box
        x, y = box.center
        x, y = x + self.shift[0] * box.w, y + self.shift[1] * box.h
        return Box.from_center(x, y, box.w * self.scale[0], box.h * self.scale[1])
