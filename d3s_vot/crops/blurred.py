"""A crop as it would look from a moving camera, or one out of focus."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # S x S x 3
MOTION, FOCUS = 0.25, 0.06  # of the target's length: the way of a motion, the deviation of a blurred point
LEAST = 3  # pixels


def blurred(crop: Image, length: float) -> list[Image]:
    """Moved along x, along y, and out of focus.

    Args:
        crop: in any order of colours.
        length: sqrt(w h) of the target in it, pixels.
    """
    way = max(round(MOTION * length), LEAST)
    moved = [cv2.blur(crop, size, borderType=cv2.BORDER_REPLICATE) for size in ((way, 1), (1, way))]
    unfocused = cv2.GaussianBlur(crop, (0, 0), max(FOCUS * length, 1.0), borderType=cv2.BORDER_REPLICATE)
    return [np.asarray(view, np.uint8) for view in (*moved, unfocused)]
