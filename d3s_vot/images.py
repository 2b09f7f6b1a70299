"""Reading and checking of frames: everything inside the package is RGB, uint8, H x W x 3."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from d3s_vot.errors import InputError
from d3s_vot.headers import brightest, page_numbers, unusable_depth
from d3s_vot.paths import as_path

if TYPE_CHECKING:
    import torch
    from PIL import Image as pil

ImageLike: TypeAlias = "NDArray[np.uint8] | pil.Image | torch.Tensor"  # what `as_image` takes
BY_255 = "multiply by 255 and convert to uint8"
MAX_ASPECT_CHANGE = 0.02  # of a frame against the one before: whole pixels round by less, others are further off


def read_image(path: str | Path) -> NDArray[np.uint8]:
    """Read a picture file as RGB uint8, H x W x 3; grey, 16-bit and RGBA files are converted.

    Raises:
        InputError: the file is missing or cannot be decoded, holds several pictures, or other values than 8 or 16
            bits.
    """
    path = as_path(path, "the image")
    if not path.is_file():
        raise InputError(f"there is no image {path}; check the path")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"image {path} cannot be read: {error.strerror}") from error
    file = io.BytesIO(data)
    count, problem = len(page_numbers(file)), unusable_depth(file)
    if count > 1:
        raise InputError(f"image {path} holds {count} pictures; track it by itself, as a video, or split it")
    if problem:
        raise InputError(f"image {path} has {problem}; convert it to 8 bits, as it shall look")
    image = _decode(data, brightest(file)) if data else None
    if image is None:
        raise InputError(f"image {path} cannot be decoded; it is damaged or not a picture")
    return image


def _decode(data: bytes, white: int) -> NDArray[np.uint8] | None:
    """H x W x 3 RGB; None: it cannot be decoded."""
    flags = cv2.IMREAD_COLOR_RGB | (cv2.IMREAD_ANYDEPTH if white != 255 else 0)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:  # a header that promises more pixels than OpenCV allows
        return None
    if image is None or image.ndim != 3 or image.shape[2] != 3:
        return None
    if white != 255:
        return np.rint(np.minimum(image, white) * (255 / white)).astype(np.uint8)
    return np.asarray(image, np.uint8)


def keeps_aspect(before: tuple[int, int], after: tuple[int, int]) -> bool:
    """Whether two sizes, (height, width) both or (width, height) both, have the same ratio but for rounding.

    >>> keeps_aspect((1080, 1920), (720, 1280)), keeps_aspect((1080, 1920), (1080, 1440))
    (True, False)
    """
    (a, b), (c, d) = before, after
    return 1 - MAX_ASPECT_CHANGE <= (d * a) / (c * b) <= 1 / (1 - MAX_ASPECT_CHANGE)


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
