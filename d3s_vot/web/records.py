"""What is kept of an answer: all that is shown or downloaded, in about a kilobyte."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from d3s_vot.prediction import MaskPatch, Prediction
from d3s_vot.regions import Box, Polygon

DETAIL = 300  # of a mask's longer side: outlines leave out what is finer


@dataclass(frozen=True, eq=False)
class Record:
    """An answer for one frame.

    Attributes:
        shape: as in `Prediction`, like the next two.
        confidence: 0..1.
        visible: whether the target is there.
        place: (x, y, w, h) of the mask's box, whole pixels; w = h = 0: there is no mask.
        bits: the mask inside its box, a bit each, compressed.
        outlines: of the mask, N x 2 pixels of the image each; holes too.
    """

    shape: Box | Polygon
    confidence: float
    visible: bool
    place: tuple[int, int, int, int]
    bits: bytes
    outlines: list[NDArray[np.int16]]

    @classmethod
    def of(cls, answer: Prediction) -> Record:
        """All that is needed of an answer."""
        mask = answer.mask.view(np.uint8)
        x, y, w, h = (int(value) for value in cv2.boundingRect(mask))
        inside = np.ascontiguousarray(mask[y : y + h, x : x + w])
        outlines = []
        if w:
            fineness = max(0.5, max(w, h) / DETAIL)
            found, _ = cv2.findContours(inside, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE, offset=(x, y))
            outlines = [cv2.approxPolyDP(outline, fineness, True)[:, 0].astype(np.int16) for outline in found]
        bits = zlib.compress(np.packbits(inside).tobytes(), 1)
        return cls(answer.shape, answer.confidence, answer.visible, (x, y, w, h), bits, outlines)

    def prediction(self, image_size: tuple[int, int]) -> Prediction:
        """The answer, with the same mask.

        Args:
            image_size: (height, width) of the frame.
        """
        x, y, w, h = self.place
        if not w:
            return Prediction(self.shape, self.confidence, self.visible, image_size)
        packed = np.frombuffer(zlib.decompress(self.bits), np.uint8)
        mask = np.zeros(image_size, bool)
        mask[y : y + h, x : x + w] = np.unpackbits(packed, count=w * h).reshape(h, w)
        return Prediction(self.shape, self.confidence, self.visible, image_size, MaskPatch.full(mask))

    def told(self) -> dict[str, Any]:
        """For a page that draws it."""
        return {
            "shape": [round(value, 1) for value in self.shape.polygon.flat()],
            "confidence": round(self.confidence, 3),
            "visible": self.visible,
            "outlines": [outline.ravel().tolist() for outline in self.outlines],
        }
