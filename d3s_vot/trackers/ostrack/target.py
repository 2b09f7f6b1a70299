"""OSTrackTarget: where one target is in one video, frame by frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d3s_vot.crops.black import BlackSquare
from d3s_vot.given import Frame, Given
from d3s_vot.model import Target
from d3s_vot.prediction import Prediction
from d3s_vot.regions import Box
from d3s_vot.steps import Pass, Steps
from d3s_vot.trackers.ostrack.locate import Found, clip, decode, hann_window, map_back

if TYPE_CHECKING:
    from d3s_vot.trackers.ostrack.model import OSTrackModel


class OSTrackTarget(Target):
    """One target. Nothing is learnt after the first frame, and nothing is ever called lost.

    Args:
        model: the networks.
        frame: the first.
        given: the target in it; of a polygon or a mask, the box around it is followed.

    Attributes:
        state: its box.
        template: tokens of the first frame's crop, 1 x nz x D, as they go into the first block. Deeper ones depend on
            the search crop.
        found: of the last frame; None at first.
    """

    def __init__(self, model: OSTrackModel, frame: Frame, given: Given) -> None:
        self.model, self.config = model, model.config
        self.state = Box(*(float(value) for value in given.region.box))
        self.found: Found | None = None
        self._image_hw = frame.size_hw
        self._window = hann_window(self.config.search_side)
        square = BlackSquare.around(self.state, self.config.template_factor, self.config.template_size)
        (self.template,) = model.encode([square.cut(frame.image)])

    def step(self, frame: Frame) -> Steps:
        """See `Target.step`.

        The confidence is the score of the centre at the chosen location, as the network gives it, without the window:
        0..1. The target is visible where that is at least `visible_confidence`.
        """
        self._measure_in(*frame.size_hw)
        square = BlackSquare.around(self.state, self.config.search_factor, self.config.search_size)
        maps = yield Pass(self.model.look, (square.cut(frame.image), self.template))  # 5 x s x s
        self.found = decode(maps, self._window)
        box = map_back(self.state, self.found.box, square.side)
        self.state = clip(box, self._image_hw, self.config.margin)
        confidence = self.found.score
        return Prediction(self.state, confidence, confidence >= self.config.visible_confidence, self._image_hw)

    def _measure_in(self, height: int, width: int) -> None:
        """Bring the state into the pixels of a frame that shows the same view at another size."""
        if (height, width) != self._image_hw:
            self.state = self.state.resized(height / self._image_hw[0], width / self._image_hw[1])
            self._image_hw = (height, width)
