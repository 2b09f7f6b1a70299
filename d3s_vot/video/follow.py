"""Several targets in one video, frame by frame: a tracker each, all on one network, which they go through together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from d3s_vot.errors import InputError
from d3s_vot.prediction import MaskPatch, Prediction
from d3s_vot.regions import Mask, Region, rasterize
from d3s_vot.together import TargetError, track_together
from d3s_vot.tracker import Tracker
from d3s_vot.video.sources import Frame, Source, Start

Answers = list[Prediction | None]


class Follower:
    """The targets of one video, which may begin and be corrected at any frame.

        follower = Follower(load_tracker())
        follower.set_target(0, image, Box(205, 151, 17, 50))
        answers = follower.track(next_image)

    Args:
        tracker: gives a fork to each target; it keeps its own state.
    """

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._trackers: dict[int, Tracker] = {}
        self._answers: dict[int, Prediction] = {}

    def set_target(self, k: int, image: NDArray[np.uint8], region: Region) -> Prediction:
        """Begin with a target, or correct it: what was learnt of it before is forgotten.

        Args:
            k: the target's place in the answers, from 0; where places before it are free, they stay free.
            image: the current frame, H x W x 3 RGB.
            region: the target in it.

        Returns:
            The answer for this frame, as `given` makes it.

        Raises:
            InputError: the image or region cannot be used; the target is followed as before.
        """
        tracker = self._tracker.fork()
        tracker.initialize(image, region)
        self._trackers[k], self._answers[k] = tracker, given(region, (image.shape[0], image.shape[1]))
        return self._answers[k]

    def track(self, image: NDArray[np.uint8] | None) -> Answers:
        """Find the targets in the next frame.

        Args:
            image: H x W x 3 RGB, as for `Tracker.track`; None: the frame could not be decoded, so each target's last
                answer is repeated with confidence 0, not visible.

        Returns:
            One answer for each place; None where no target has begun.

        Raises:
            InputError: the image cannot be used.
            Exception: what a target's tracker raised, after the others have done the frame; it keeps its last answer.
        """
        if image is None:
            for k, answer in self._answers.items():
                self._answers[k] = replace(answer, confidence=0.0, visible=False)
            return self.answers
        found: Answers
        errors: list[Exception] = []
        try:
            found = [*track_together(list(self._trackers.values()), image)]
        except TargetError as error:
            found, errors = error.answers, list(error.errors.values())
        self._answers |= {k: answer for k, answer in zip(self._trackers, found, strict=True) if answer is not None}
        if errors:
            raise errors[0]
        return self.answers

    @property
    def answers(self) -> Answers:
        """Those for the current frame, as `track` gives them."""
        return [self._answers.get(k) for k in range(max(self._answers, default=-1) + 1)]


def given(region: Region, image_size: tuple[int, int]) -> Prediction:
    """A region that a person gave, as an answer: confidence 1, its mask the given one or the shape filled.

    Args:
        region: the target.
        image_size: (height, width) of the frame.

    Raises:
        InputError: the region covers no pixel of the frame.
    """
    mask = Mask(rasterize(region, *image_size))
    as_mask = isinstance(region, Mask)
    shape = region.box if isinstance(region, Mask) else region
    return Prediction(shape, 1.0, True, image_size, MaskPatch.full(mask.array), as_mask)


def follow(
    source: Source, targets: Sequence[Region], tracker: Tracker, start: Start | int = 0
) -> Iterator[tuple[Frame, Answers]]:
    """Follow targets through a video, one frame at a time.

    Args:
        source: from `open_source`.
        targets: as they are in the first frame.
        tracker: gives a fork to each target.
        start: the frame to begin with; a number from 0, or from `parse_start`.

    Returns:
        Each frame from the first one on, with an answer for each target: in the first the given regions. A frame
        without a picture repeats the last ones with confidence 0, so frames out = frames in.

    Raises:
        InputError: there is no such frame, it has no picture, or a target cannot be used in it. This comes at the
            call, and not only with the first frame.
    """
    return follow_from(find_start(source, start), source, targets, tracker)


def find_start(source: Source, start: Start | int = 0) -> Frame:
    """Skip the frames before the one to begin with, and return that one.

    Raises:
        InputError: the video ends before it, or it could not be decoded.
    """
    start = Start(str(start), index=start) if isinstance(start, int) else start
    last: Frame | None = None
    for frame in source:
        if start.reached(frame):
            if frame.image is None:
                after = next((later.index for later in source if later.image is not None), None)
                advice = "" if after is None else f"; begin at frame {after}, the next that can"
                raise InputError(f"frame {frame.index} of {source.name} cannot be decoded{advice}")
            return frame
        last = frame
    end = "no frames are left" if last is None else f"its last frame is {last.index}, at {last.time:.2f} s"
    raise InputError(f"{source.name} ends before the start, {start.text}: {end}")


def follow_from(
    first: Frame, source: Source, targets: Sequence[Region], tracker: Tracker
) -> Iterator[tuple[Frame, Answers]]:
    """As `follow`, from a frame that was already taken from the source, by `find_start`."""
    if first.image is None:
        raise InputError(f"frame {first.index} of {source.name} has no picture; begin at another frame")
    follower = Follower(tracker)
    for k, region in enumerate(targets):
        try:
            follower.set_target(k, first.image, region)
        except InputError as error:
            if len(targets) == 1:
                raise
            raise InputError(f"target {k + 1}: {error}") from error
    return _followed(first, source, follower)


def _followed(first: Frame, source: Source, follower: Follower) -> Iterator[tuple[Frame, Answers]]:
    yield first, follower.answers
    for frame in source:
        yield frame, follower.track(frame.image)
