"""Several targets in one frame: one upload of the image, and passes through the networks that the targets share.

    trackers = [load_tracker()]
    trackers.append(trackers[0].fork())
    for tracker, box in zip(trackers, boxes):
        tracker.initialize(first_image, box)
    predictions = track_together(trackers, next_image)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from d3s_vot.compute.arithmetic import computes
from d3s_vot.errors import D3SError, InputError
from d3s_vot.given import Frame
from d3s_vot.images import ImageLike
from d3s_vot.prediction import Prediction
from d3s_vot.steps import advance
from d3s_vot.tracker import Tracker


class TargetError(D3SError):
    """Some targets could not be tracked through a frame; the others were.

    Attributes:
        answers: as `track_together` returns them; None for the targets that failed.
        errors: what went wrong, by the place of the target. Its tracker has to be initialised anew.
    """

    def __init__(self, answers: list[Prediction | None], errors: Mapping[int, Exception]) -> None:
        super().__init__(answers, errors)
        self.answers, self.errors = answers, dict(sorted(errors.items()))

    def __str__(self) -> str:
        place, error = next(iter(self.errors.items()))
        others = f" (and {len(self.errors) - 1} more)" if len(self.errors) > 1 else ""
        return (
            f"target {place + 1} of {len(self.answers)}{others} could not be tracked, initialise it anew: "
            f"{type(error).__name__}: {error}"
        )


@computes
def track_together(trackers: Iterable[Tracker] | Tracker, image: ImageLike) -> list[Prediction]:
    """Find several targets in the next frame of their video.

    The answers are those of each tracker's own `track`, but for rounding, unless the model joins masks
    (`Model.joins_masks`): then no pixel is of two targets. All share the upload of the frame; those of
    one model, as `fork` makes them, go through its networks together, as many at once as is fast on the device.

    Args:
        trackers: each with its own target; of any number, or a single one.
        image: as for `Tracker.track`.

    Returns:
        An answer for each tracker, in their order.

    Raises:
        InputError: the image cannot be used, a tracker has no target yet or had frames of another shape, a tracker
            is given twice, or something else than trackers is given; all are as before.
        TargetError: the step of some targets failed; the others have done theirs, and the error has their answers.
    """
    frame = Frame.of(image)
    trackers = list(trackers) if isinstance(trackers, Iterable) else [trackers]
    for tracker in trackers:
        if not isinstance(tracker, Tracker):
            raise InputError(f"a {type(tracker).__name__} is given as a tracker; give a list of trackers")
    if len({id(tracker) for tracker in trackers}) < len(trackers):
        raise InputError("a tracker is given twice; fork it for another target")
    for tracker in trackers:
        tracker.check(frame)
    ends = advance([tracker.step(frame) for tracker in trackers])
    answers = [None if isinstance(end, Exception) else end for end in ends]
    errors = {place: end for place, end in enumerate(ends) if isinstance(end, Exception)}
    if errors:
        raise TargetError(answers, errors) from errors[min(errors)]
    return [answer for answer in answers if answer is not None]
