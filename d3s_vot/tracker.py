"""Tracker: one target in one video, frame by frame, whatever the model behind it.

    tracker = load_tracker("D3S")
    tracker.initialize(first_image, Box(x, y, w, h))
    prediction = tracker.track(next_image)
"""

from __future__ import annotations

from typing import Any, final

from numpy.typing import NDArray

from d3s_vot.compute.arithmetic import computes
from d3s_vot.errors import InputError
from d3s_vot.given import Frame, Given
from d3s_vot.images import ImageLike, keeps_aspect
from d3s_vot.model import Model, Target
from d3s_vot.prediction import Prediction
from d3s_vot.regions import Mask, Region
from d3s_vot.steps import Steps, advance


@final
class Tracker:
    """One target in one video.

    Args:
        model: the networks; any number of trackers share one.

    Attributes:
        model: as given.
        target: what is known of the target, to look at; None before `initialize`.

    Raises:
        InputError: the model is none.
    """

    def __init__(self, model: Model) -> None:
        if not isinstance(model, Model):
            raise InputError(f"the model is given as {type(model).__name__}; load_tracker makes a tracker from weights")
        self.model = model
        self.target: Target | None = None
        self._size_hw = (0, 0)  # of the last frame

    @property
    def config(self) -> Any:
        """The constants in use."""
        return self.model.config

    def fork(self) -> Tracker:
        """Another tracker on the same networks, for another target."""
        return Tracker(self.model)

    @computes
    def initialize(self, image: ImageLike, region: Region | None = None, *, mask: NDArray | Mask | None = None) -> None:
        """Learn the target from the first frame.

        Args:
            image: H x W x 3 RGB uint8 (numpy or torch; torch also 3 x H x W), or a PIL image; never changed.
            region: the target as `Box`, `Polygon` or `Mask`.
            mask: the target as H x W array or nested lists, non-zero on it; with or without a region.

        Raises:
            InputError: the image or region cannot be used; the tracker follows its target of before.
        """
        frame = Frame.of(image)
        target = self.model.begin(frame, Given.of(frame, region, mask))
        self.target, self._size_hw = target, frame.size_hw

    @computes
    def track(self, image: ImageLike) -> Prediction:
        """Find the target in the next frame; see `track_together` for several targets.

        Args:
            image: as for `initialize`, of the last frame's size, or the same view at another size, which the answer
                is then in the pixels of; never changed.

        Raises:
            InputError: the image cannot be used, or `initialize` was not called; the state is as before.
        """
        frame = Frame.of(image)
        self.check(frame)
        (answer,) = advance([self.step(frame)])
        if isinstance(answer, Exception):
            raise answer
        return answer

    def check(self, frame: Frame) -> None:
        """Refuse a frame that cannot be tracked, before anything is changed by it.

        Raises:
            InputError: `initialize` was not called, or the frame is of another shape than the one before.
        """
        if self.target is None:
            raise InputError("the tracker has no target yet; call initialize first")
        (h, w), (fh, fw) = self._size_hw, frame.size_hw
        if not keeps_aspect((h, w), (fh, fw)):
            raise InputError(
                f"the frame is {fw} x {fh}, the one before {w} x {h}; frames must keep their size, or at least its "
                "ratio of width to height"
            )

    def step(self, frame: Frame) -> Steps:
        """The way through a frame that was checked, for `steps.advance`."""
        assert self.target is not None  # checked
        self._size_hw = frame.size_hw
        return self.target.step(frame)
