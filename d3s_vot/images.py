"""Reading and checking of frames: everything inside the package is RGB, uint8, H x W x 3."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from d3s_vot.errors import InputError


def read_image(path: str | Path) -> NDArray[np.uint8]:
    """Read a picture file as RGB uint8, H x W x 3; grey, 16-bit and RGBA files are converted.

    Raises:
        InputError: the file is missing or cannot be decoded.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no image {path}; check the path")
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise InputError(f"image {path} cannot be read: {error.strerror}") from error
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB) if data.size else None
    except cv2.error:  # a header that promises more pixels than OpenCV allows
        image = None
    if image is None:
        raise InputError(f"image {path} cannot be decoded; it is damaged or not a picture")
    return np.asarray(image, np.uint8)


def check_image(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image itself if the tracker can use it.

    Raises:
        InputError: not a numpy array of RGB uint8, H x W x 3, with at least one pixel.
    """
    if not isinstance(image, np.ndarray):
        raise InputError(f"the image must be a numpy array H x W x 3 of uint8, not {type(image).__name__}")
    if image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 1):
        raise InputError("the image is grey; repeat its channel three times (cv2.COLOR_GRAY2RGB)")
    if image.ndim == 3 and image.shape[2] == 4:
        raise InputError("the image has four channels; drop the alpha channel (cv2.COLOR_RGBA2RGB)")
    if image.ndim != 3 or image.shape[2] != 3:
        raise InputError(f"the image must be H x W x 3, not of shape {image.shape}")
    if image.dtype != np.uint8:
        raise InputError(f"the image must be uint8 on the scale 0..255, not {image.dtype}")
    if image.size == 0:
        raise InputError(f"the image of shape {image.shape} has no pixels")
    return image
