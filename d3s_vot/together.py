"""Several targets in one frame: one upload of the image, and passes through the networks that the targets share.

    trackers = [load_tracker()]
    trackers.append(trackers[0].fork())
    for tracker, box in zip(trackers, boxes):
        tracker.initialize(first_image, box)
    predictions = track_together(trackers, next_image)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import torch

from d3s_vot.compute.arithmetic import computes
from d3s_vot.crops.squares import Image, image_tensor
from d3s_vot.errors import D3SError, InputError
from d3s_vot.images import ImageLike, as_image
from d3s_vot.prediction import Prediction
from d3s_vot.tracker import Tracker
from d3s_vot.trackers.d3s.model import D3SModel
from d3s_vot.trackers.d3s.tracker import D3STracker

T = TypeVar("T")


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


def track_together(trackers: Iterable[Tracker] | Tracker, image: ImageLike) -> list[Prediction]:
    """Find several targets in the next frame of their video.

    The answers are those of each tracker's own `track`, but for rounding. Trackers of one model, as `fork` makes them,
    share the upload of the frame and go through the networks together, as many at once as is fast on the device;
    trackers of other kinds take turns.

    Args:
        trackers: each with its own target; of any number, or a single one.
        image: as for `Tracker.track`.

    Returns:
        An answer for each tracker, in their order.

    Raises:
        InputError: the image cannot be used, a D3S tracker has no target yet or had frames of another shape, a tracker
            is given twice, or something else than trackers is given; all are as before.
        TargetError: the step of some targets failed; the others have done theirs, and the error has their answers.
    """
    image = as_image(image)
    trackers = list(trackers) if isinstance(trackers, Iterable) else [trackers]
    for tracker in trackers:
        if not isinstance(tracker, Tracker):
            raise InputError(f"a {type(tracker).__name__} is given as a tracker; give a list of trackers")
    if len({id(tracker) for tracker in trackers}) < len(trackers):
        raise InputError("a tracker is given twice; fork it for another target")
    models: dict[int, tuple[D3SModel, dict[int, D3STracker]]] = {}
    others: dict[int, Tracker] = {}
    for place, tracker in enumerate(trackers):
        if isinstance(tracker, D3STracker):
            tracker.check(image)
            models.setdefault(id(tracker.model), (tracker.model, {}))[1][place] = tracker
        else:
            others[place] = tracker
    errors: dict[int, Exception] = {}
    found: dict[int, Prediction] = {}
    for model, group in models.values():
        if len(group) > 1:
            found |= _step(model, group, image, errors)
        else:
            others |= group
    found |= _each(others, lambda place: others[place].track(image), errors)
    answers = [found.get(place) for place in range(len(trackers))]
    if errors:
        raise TargetError(answers, errors) from errors[min(errors)]
    return [answer for answer in answers if answer is not None]


@computes
def _step(
    model: D3SModel, trackers: Mapping[int, D3STracker], image: Image, errors: dict[int, Exception]
) -> dict[int, Prediction]:
    """A frame for all trackers of a model: the parts of `D3STracker.track`, each for all targets before the next.

    Args:
        model: of all the trackers.
        trackers: by place.
        image: H x W x 3, checked.
        errors: takes those of the targets that fail.

    Returns:
        The answers of the targets that did not.
    """
    frame = image_tensor(image, model.device)  # 1 x 3 x H x W
    patches = _each(trackers, lambda place: trackers[place].look(frame), errors)  # 1 x 3 x 256 x 256 each
    if not patches:
        return {}
    batch = model.gem_features(torch.cat(list(patches.values())))  # n x C x 16 x 16
    features = dict(zip(patches, batch.split(1), strict=True))
    sights = _each(features, lambda place: trackers[place].locate(features[place]), errors)
    wanted = {place: sight.crop for place, sight in sights.items() if sight.crop is not None}
    crops = _each(wanted, lambda place: wanted[place].cut(image), errors)  # S x S x 3 each
    masks = model.segment(list(crops.values()), [trackers[place].template for place in crops])  # S x S each
    probabilities = dict(zip(crops, masks, strict=True))
    left = [place for place in sights if place not in errors]
    answers = _each(left, lambda place: trackers[place].conclude(sights[place], probabilities.get(place)), errors)
    done = _each(answers, lambda place: trackers[place].refine(sights[place]), errors)
    return {place: answers[place] for place in done}


def _each(places: Iterable[int], step: Callable[[int], T], errors: dict[int, Exception]) -> dict[int, T]:
    """What a step gives for each target; an error takes its own target out, and no other."""
    results: dict[int, T] = {}
    for place in places:
        try:
            results[place] = step(place)
        except Exception as error:  # whatever it is, the caller is told
            errors[place] = error
    return results
