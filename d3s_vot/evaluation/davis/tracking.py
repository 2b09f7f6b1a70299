"""Tracking the objects of a DAVIS sequence, together but none knowing of the others, and joining their masks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from d3s_vot.errors import InputError
from d3s_vot.evaluation.davis.data import DavisSequence, encode_labels, read_masks
from d3s_vot.evaluation.runs.pools import Place
from d3s_vot.images import read_image
from d3s_vot.labels import VOID, Labels, objects_in
from d3s_vot.prediction import Prediction
from d3s_vot.together import track_together
from d3s_vot.tracker import Tracker
from d3s_vot.zoo import Choice

Load = Callable[[Choice], Tracker]


@dataclass(frozen=True, eq=False)
class DavisTrack:
    """What tracking a sequence gives.

    Attributes:
        masks: N indexed PNG; the first is the given one.
        seconds: N, from the decoded picture to the labels of all objects; the first of the initialisations.
    """

    masks: tuple[bytes, ...]
    seconds: NDArray[np.float64]


def merge(predictions: Mapping[int, Prediction], height: int, width: int) -> Labels:
    """The labels of several objects: a pixel is of the object that is most probable there, if its mask has it.

    Args:
        predictions: of one frame, by the objects' numbers, 1 to 255.
        height, width: of the frame.

    Returns:
        H x W; of a single object exactly its mask. Where two are equally probable the earlier one wins.
    """
    labels, best = np.zeros((height, width), np.uint8), np.zeros((height, width), np.float32)
    for number, prediction in predictions.items():
        if prediction.patch is None:
            continue
        probability = prediction.patch.in_image(height, width)  # H x W
        ahead = (probability > prediction.patch.threshold) & (probability > best)
        labels[ahead] = number
        best[ahead] = probability[ahead]
    return labels


class ObjectTrackers:
    """Several targets in one video, one fork of a tracker each; they share their network's work and nothing else.

    Args:
        tracker: whose network they share; stays as it is.
        image: H x W x 3, the first frame.
        labels: H x W, the objects on it.

    Raises:
        InputError: an object cannot be tracked; the text names it.
    """

    def __init__(self, tracker: Tracker, image: NDArray[np.uint8], labels: Labels) -> None:
        self._trackers: dict[int, Tracker] = {}
        for number in np.unique(labels[labels > 0]).tolist():
            fork = self._trackers[number] = tracker.fork()
            try:
                fork.initialize(image, mask=labels == number)
            except InputError as error:
                raise InputError(f"object {number} cannot be tracked: {error}") from None

    def track(self, image: NDArray[np.uint8]) -> Labels:
        """The objects on the next frame, H x W."""
        predictions = track_together(list(self._trackers.values()), image)
        return merge(dict(zip(self._trackers, predictions, strict=True)), *image.shape[:2])


def track_davis(tracker: Tracker, sequence: DavisSequence) -> DavisTrack:
    """Track all objects of a sequence from the masks of its first frame.

    The files keep the annotation's numbers. A single object that it writes as 255, as in DAVIS-2016, is 255 in
    them too, several that are joined to one are 1.

    Raises:
        InputError: a file cannot be read, or an object cannot be tracked.
    """
    image, (labels, _) = read_image(sequence.frames[0]), sequence.truth(0)
    if labels.shape != image.shape[:2]:
        raise InputError(f"{sequence.annotations[0]} is not of the size of {sequence.frames[0]}")
    if not labels.any():
        raise InputError(f"{sequence.annotations[0]} is empty; no object can be tracked")
    factor = _number(sequence.annotations[0]) if sequence.joined else 1
    seconds = []
    start = time.perf_counter()
    objects = ObjectTrackers(tracker, image, labels)
    seconds.append(time.perf_counter() - start)
    masks = [encode_labels(labels * np.uint8(factor))]
    for path in sequence.frames[1:]:
        image = read_image(path)
        start = time.perf_counter()
        labels = objects.track(image)
        seconds.append(time.perf_counter() - start)
        masks.append(encode_labels(labels * np.uint8(factor)))
    return DavisTrack(tuple(masks), np.array(seconds))


def _number(annotation: Path) -> int:
    """What joined objects are written as."""
    try:
        numbers = objects_in(read_masks(annotation))
    except InputError:  # in colours of its own, which stand for white
        return VOID
    return numbers[0] if len(numbers) == 1 else 1


def start_worker(choice: Choice, load: Load, place: Place) -> Callable[[DavisSequence], DavisTrack]:
    """A worker with its network loaded.

    Raises:
        CheckpointError: the weights cannot be used.
        InputError: there is no such device.
    """
    return partial(track_davis, load(replace(choice, device=place.device)))
