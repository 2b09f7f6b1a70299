"""A session of the TraX protocol: a client's requests answered, for one target or several at a time."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import trax.server
from numpy.typing import NDArray
from trax.region import Region as TraxRegion

import d3s_vot
from d3s_vot.errors import InputError
from d3s_vot.images import read_image
from d3s_vot.trax_regions import mask_to_trax, region_from_trax, region_to_trax

if TYPE_CHECKING:
    from d3s_vot.prediction import Prediction
    from d3s_vot.tracker import Tracker

UNSEEN = ("box", "doubt", "empty")  # see d3s_vot.vot
DOUBT = 0.1  # confidences below are of frames in which the target is not seen, under "doubt"

log = logging.getLogger(__name__)
Answer = tuple[TraxRegion, dict[str, float]]


@dataclass
class Target:
    """What is followed: the kind of region that it was given as, and its tracker; None where no pixel of it was."""

    kind: str
    tracker: Tracker | None


class Session:
    """One client: answers its requests until it quits.

    Args:
        server: the connected TraX server.
        tracker: what answers; it is forked for several targets.
        unseen: one of UNSEEN; None: "empty" where there are several targets, else "box".
    """

    def __init__(self, server: trax.server.Server, tracker: Tracker, unseen: str | None = None) -> None:
        self.server = server
        self.tracker = tracker
        self.unseen = unseen
        self.targets: list[Target] = []

    def run(self) -> None:
        """Serves requests until the client quits.

        Raises:
            D3SError: an image or region cannot be used.
            trax.TraxException: the connection broke.
        """
        while True:
            request = self.server.wait()
            if request.type == trax.TraxStatus.QUIT:
                return
            image = self._read(request.image)
            if request.type == trax.TraxStatus.INITIALIZE:
                self._initialize(image, request.objects)
            else:
                self._track(image)

    def _read(self, images: Mapping[str, Any]) -> NDArray[np.uint8]:
        """The colour channel's file as H x W x 3 RGB."""
        if "color" not in images:
            raise InputError("the client sent no colour image; choose a data set with a channel 'color'")
        return read_image(images["color"].path())

    def _initialize(self, image: NDArray[np.uint8], objects: Sequence[tuple[TraxRegion, Any]]) -> None:
        if not objects:
            raise InputError("the client gave no target")
        targets: list[Target] = []
        for region, _ in objects:
            if region.type == TraxRegion.MASK and not region.array().any():
                # As the toolkit has it of a mask one pixel wide. The other targets, and its other runs, go on.
                number = len(targets) + 1
                log.warning("target %d of %d is a mask of no pixels, and so are its answers", number, len(objects))
                targets.append(Target(region.type, None))
                continue
            tracker = self.tracker.fork() if len(objects) > 1 else self.tracker
            tracker.initialize(image, region_from_trax(region, *image.shape[:2]))
            targets.append(Target(region.type, tracker))
        self.targets = targets
        self.server.status([(region, {"confidence": 1.0}) for region, _ in objects])

    def _track(self, image: NDArray[np.uint8]) -> None:
        if not self.targets:
            raise InputError("the client sent a frame before any target; send 'initialize' first")
        trackers = [target.tracker for target in self.targets if target.tracker is not None]
        predictions = iter(
            d3s_vot.track_together(trackers, image) if len(trackers) > 1 else [t.track(image) for t in trackers]
        )
        size_hw = image.shape[:2]
        self.server.status(
            [self._answer(target, next(predictions) if target.tracker else None, *size_hw) for target in self.targets]
        )

    def _answer(self, target: Target, prediction: Prediction | None, height: int, width: int) -> Answer:
        nothing = np.zeros((height, width), bool)
        if prediction is None:
            return mask_to_trax(nothing), {"confidence": 0.0}
        confidence = float(prediction.confidence)
        if not math.isfinite(confidence):  # the toolkit's files hold no NaN
            confidence = 0.0
        unseen = self.unseen or ("empty" if len(self.targets) > 1 else "box")
        if unseen == "doubt":
            share = min(max(confidence, 0.0), 1.0)
            confidence = DOUBT + (1 - DOUBT) * share if prediction.visible else DOUBT * share
        if unseen == "empty" and target.kind == TraxRegion.MASK and not prediction.visible:
            region = mask_to_trax(nothing)
        else:
            region = region_to_trax(prediction.region, target.kind, height, width)
        return region, {"confidence": round(confidence, 6)}
