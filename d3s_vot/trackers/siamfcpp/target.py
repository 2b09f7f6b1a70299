"""One target of SiamFC++ in one video: the state, the templates, and a frame from top to bottom."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NamedTuple

from torch import Tensor

from d3s_vot.base import Prediction
from d3s_vot.crops import Image
from d3s_vot.regions import Box
from d3s_vot.trackers.siamfcpp.config import TEMPLATE_SIZE
from d3s_vot.trackers.siamfcpp.locate import Judgement, State, cosine_window, crop_boxes, fuse, judge
from d3s_vot.trackers.siamfcpp.model import Glance, SiamFCppModel


class Pass(NamedTuple):
    """A function of a batch, and this target's item for it."""

    run: Any
    item: Any


class SiamFCppTarget:
    """The target that a box shows in the first frame.

    With `memory_size` above 1 the multi-template tracker: every `memory_step` frames a template is cut where the
    target was found, and the oldest but the first frame's leaves. The box comes from the first frame's alone.

    Args:
        model: the networks.
        image: first frame, H x W x 3 RGB.
        box: the target there.
    """

    def __init__(self, model: SiamFCppModel, image: Image, box: Box) -> None:
        self.model, self.config = model, model.config
        self.state = State.of_box(box)
        self.image_hw = (image.shape[0], image.shape[1])
        self.colour = image.reshape(-1, 3).mean(axis=0)  # of the first frame, for the whole video
        self.window = cosine_window(self.config.score_size)
        (first,) = model.encode([self.state.crop(image, TEMPLATE_SIZE, self.colour)])
        self.templates: tuple[Tensor, ...] = (first,) * self.config.memory_size
        self.tracked = 0  # frames after the first
        self.judgement: Judgement | None = None  # of the last frame

    def step(self, image: Image) -> Generator[Pass, Any, Prediction]:
        """Follow the target into the next frame."""
        self._measure_in(image.shape[0], image.shape[1])
        crop = self.state.crop(image, self.config.search_size, self.colour)
        maps = yield Pass(self.model.look, Glance(crop, self.templates))
        self.judgement = judge(
            fuse(maps.scores, self.config.memory_weight),
            crop_boxes(maps.distances, self.config),
            self.state,
            self.image_hw,
            config=self.config,
            window=self.window,
        )
        self.state = self.judgement.state
        self.tracked += 1
        if self.config.memory_size > 1 and self.tracked % self.config.memory_step == 0:
            learnt = yield Pass(self.model.encode, self.state.crop(image, TEMPLATE_SIZE, self.colour))
            first, _, *later = self.templates
            self.templates = (first, *later, learnt)
        confidence = self.judgement.confidence
        box = Box(*map(float, self.state.rectangle))
        return Prediction(box, confidence, confidence >= self.config.visible_confidence, self.image_hw)

    def _measure_in(self, height: int, width: int) -> None:
        """Bring the state into the pixels of a frame that shows the same view at another size."""
        if (height, width) != self.image_hw:
            self.state = self.state.resized(height / self.image_hw[0], width / self.image_hw[1])
            self.image_hw = (height, width)
