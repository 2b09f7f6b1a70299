"""Reading and checking of frames: everything inside the package is RGB, uint8, H x W x 3."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from d3s_vot.errors import InputError
from d3s_vot.paths import as_path

if TYPE_CHECKING:
    import torch
    from PIL import Image as pil

ImageLike: TypeAlias = "NDArray[np.uint8] | pil.Image | torch.Tensor"  # what `as_image` takes
BY_255 = "multiply by 255 and convert to uint8"


def read_image(path: str | Path) -> NDArray[np.uint8]:
    """Read a picture file as RGB uint8, H x W x 3; grey, 16-bit and RGBA files are converted.

    Raises:
        InputError: the file is missing or cannot be decoded.
    """
    path = as_path(path, "the image")
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


def as_image(image: ImageLike) -> NDArray[np.uint8]:
    """A frame as callers have it, as RGB uint8, H x W x 3.

    Args:
        image: RGB uint8 as numpy array, H x W x 3, which is returned itself; as torch tensor on any device, 3 x H x W
            or H x W x 3 (one of 3 x H x 3 is read as the former, which is torch's own order); or a PIL image, which is
            converted to RGB. Orientation tags of a PIL image are not looked at.

    Raises:
        InputError: it is none of these, has another number of channels, or no pixels.
    """
    # Neither package is imported here: whoever has such an image has imported it.
    pillow, torch = sys.modules.get("PIL.Image"), sys.modules.get("torch")
    if pillow is not None and isinstance(image, pillow.Image):
        return check_image(_from_pil(image))
    if torch is not None and isinstance(image, torch.Tensor):
        return check_image(_from_tensor(image))
    return check_image(image)


def _from_pil(image: pil.Image) -> NDArray[np.uint8]:
    """H x W x 3; 16-bit grey is brought to 8 bits, as `read_image` does."""
    if image.mode in ("I", "F"):
        raise InputError(f"the scale of a PIL image of mode {image.mode} is unknown; convert it to 0..255 and mode L")
    try:
        if image.mode.startswith("I;16"):
            return np.repeat((np.asarray(image)[..., None] >> 8).astype(np.uint8), 3, axis=2)
        return np.asarray(image.convert("RGB"), np.uint8)
    except OSError as error:  # pictures are decoded when they are first used
        raise InputError(f"the PIL image cannot be decoded: {error}") from error
    except ValueError as error:
        raise InputError(f"the PIL image has mode {image.mode}, which PIL cannot convert to RGB") from error


def _from_tensor(image: torch.Tensor) -> NDArray[np.uint8]:
    """H x W x 3 on the CPU."""
    shape = tuple(image.shape)
    if len(shape) == 4:
        raise InputError(f"the tensor is a batch, of shape {shape}; give one image at a time, such as batch[0]")
    if len(shape) != 3 or 3 not in (shape[0], shape[2]):
        raise InputError(f"the tensor must be RGB, 3 x H x W or H x W x 3, not of shape {shape}")
    if image.is_floating_point():
        raise InputError(f"the tensor is {image.dtype}; if it is on the scale 0..1, {BY_255}")
    try:
        array: NDArray[np.uint8] = image.cpu().numpy()
    except (RuntimeError, TypeError) as error:
        raise InputError(f"the tensor cannot be read: {error}") from error
    return array.transpose(1, 2, 0) if shape[0] == 3 else array


def check_image(image: object) -> NDArray[np.uint8]:
    """The image itself if the tracker can use it.

    Raises:
        InputError: not a numpy array of RGB uint8, H x W x 3, with at least one pixel.
    """
    if not isinstance(image, np.ndarray):
        kind = type(image).__name__
        raise InputError(f"the image must be a numpy array H x W x 3, a PIL image or a torch tensor, not {kind}")
    if image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 1):
        raise InputError("the image is grey; repeat its channel three times (cv2.COLOR_GRAY2RGB)")
    if image.ndim == 3 and image.shape[2] == 4:
        raise InputError("the image has four channels; drop the alpha channel (cv2.COLOR_RGBA2RGB)")
    if image.ndim != 3 or image.shape[2] != 3:
        hint = "; its channels come first, so use image.transpose(1, 2, 0)" if image.shape[:1] == (3,) else ""
        raise InputError(f"the image must be H x W x 3, not of shape {image.shape}{hint}")
    if image.dtype.kind == "f":
        raise InputError(f"the image is {image.dtype}; if it is on the scale 0..1, {BY_255}")
    if image.dtype != np.uint8:
        raise InputError(f"the image must be uint8 on the scale 0..255, not {image.dtype}")
    if image.size == 0:
        raise InputError(f"the image of shape {image.shape} has no pixels")
    return image
