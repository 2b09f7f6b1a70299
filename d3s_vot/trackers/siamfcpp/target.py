"""SiamFCppTarget: the state and the templates of one target in one video, frame by frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from d3s_vot.given import Form, Frame, Given
from d3s_vot.model import Target
from d3s_vot.prediction import Prediction
from d3s_vot.regions import Box
from d3s_vot.steps import Pass, Steps
from d3s_vot.trackers.siamfcpp.config import TEMPLATE_SIZE
from d3s_vot.trackers.siamfcpp.locate import Judgement, State, cosine_window, crop_boxes, fuse, judge

if TYPE_CHECKING:
    from d3s_vot.trackers.siamfcpp.model import SiamFCppModel


class SiamFCppTarget(Target):
    """One target.

    With `memory_size` above 1 the multi-template tracker: every `memory_step` frames a template is cut where the
    target was found, and the oldest but the first frame's leaves. The box comes from the first frame's alone.

    Args:
        model: the networks.
        frame: the first.
        given: the target in it.

    Attributes:
        state: where it is and how large.
        templates: what the network compares with, the first frame's first.
        judgement: of the last frame; None at first.
    """

    def __init__(self, model: SiamFCppModel, frame: Frame, given: Given) -> None:
        self.model, self.config = model, model.config
        self.state = first_state(given)
        self.judgement: Judgement | None = None
        self._image_hw = frame.size_hw
        self._colour = frame.image.reshape(-1, 3).mean(axis=0)  # of the first frame, for the whole video
        self._window = cosine_window(self.config.score_size)
        (first,) = model.encode([self.state.crop(frame.image, TEMPLATE_SIZE, self._colour)])
        self.templates: tuple[Tensor, ...] = (first,) * self.config.memory_size
        self._tracked = 0  # frames after the first

    def step(self, frame: Frame) -> Steps:
        """See `Target.step`.

        The confidence is the score at the chosen location, times its penalty, with the window in proportion of its
        influence; the target is visible where it is at least `visible_confidence`.
        """
        self._measure_in(*frame.size_hw)
        crop = self.state.crop(frame.image, self.config.search_size, self._colour)
        maps = yield Pass(self.model.look, (crop, self.templates))
        self.judgement = judge(
            fuse(maps.scores, self.config.memory_weight),
            crop_boxes(maps.distances, self.config),
            self.state,
            self._image_hw,
            config=self.config,
            window=self._window,
        )
        self.state = self.judgement.state
        self._tracked += 1
        if self.config.memory_size > 1 and self._tracked % self.config.memory_step == 0:
            learnt = yield Pass(self.model.encode, self.state.crop(frame.image, TEMPLATE_SIZE, self._colour))
            self.templates = (self.templates[0], *self.templates[2:], learnt)
        confidence = min(self.judgement.confidence, 1.0)  # rounding
        box = Box(*map(float, self.state.rectangle))
        return Prediction(box, confidence, confidence >= self.config.visible_confidence, self._image_hw)

    def _measure_in(self, height: int, width: int) -> None:
        """Bring the state into the pixels of a frame that shows the same view at another size."""
        if (height, width) != self._image_hw:
            self.state = self.state.resized(height / self._image_hw[0], width / self._image_hw[1])
            self._image_hw = (height, width)


def first_state(given: Given) -> State:
    """Where a target begins: its box; a polygon's is of its area and aspect, around the mean of its corners.

    Of a polygon, as published, the state's centre is half a pixel up and left of the mean.
    """
    if given.form is Form.POLYGON:
        return State.of_box(Box.from_center(*given.center_xy, *given.size_wh))
    return State.of_box(given.region.box)
