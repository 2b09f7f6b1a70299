"""Pictures of masks, and what their values mean: one rule for `track`, DAVIS and training.

0 is the background, 1 to 254 are the numbers of objects, and 255 beside numbers is void: neither object nor background.
Where 255 is alone it is one object, and so is any other value that is alone. Shades of grey between black and white,
as soft edges have them, are one object too: what is brighter than half.

Numbers and shades are told apart by how they lie: an object's pixels have the same number around them, those of a soft
edge have not. Indexed pictures have numbers, always. Colours are taken for numbers where they are those of PASCAL VOC
and DAVIS. What is transparent is background; a picture in other colours, such as one cut out, is a mask by that alone.
16 bits are taken as 8 are, with 65535 in place of 255, but for numbers above 254. All else is refused in a sentence.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from d3s_vot.errors import InputError

VOID = 255  # beside numbers
MOST = 254  # numbers
SHADES = 100  # values that are numbers at most, in a picture that is not indexed
FLAT = 0.05  # share of the pixels between black and white that have their value all around, if values are numbers

Labels = NDArray[np.uint8]  # H x W: 0 is the background, n > 0 object n, 255: see `objects_in`


def read_labels(path: Path, *, joined: bool = False) -> Labels:
    """The numbers in a picture of masks, H x W; a soft mask has 255 on its object.

    Args:
        path: of the picture.
        joined: whether all that is not black is one object, 255, in whatever colour or shade, as DAVIS-2016 has it.

    Raises:
        InputError: the file is missing or damaged, or a picture of which the rule above makes nothing.
    """
    values, indexed = _read(path, joined)
    if joined:
        return _one(values > 0)
    if values.max(initial=0) <= VOID:
        values = values.astype(np.uint8)
    white = int(np.iinfo(values.dtype).max)
    found = _found(values)
    numbers = [value for value in found if value < white]
    from_one = numbers == list(range(1, len(numbers) + 1))
    if not numbers or (len(found) == 1 and numbers[0] > MOST):
        return _one(values > 0)
    remedy = "number its targets 1, 2 ... or use 0 and 255 for one"
    problem = f"mask {path} holds the values {', '.join(map(str, found[:5]))}{' ...' * (len(found) > 5)}; {remedy}"
    if len(found) > 1 and not indexed and (len(numbers) > SHADES or not _lie_flat(values)):
        bright = values > white // 2
        if bright.any():
            return _one(bright)
        if not from_one:  # as tiny objects would be, which are all edge
            raise InputError(problem)
    if numbers[-1] > MOST:
        raise InputError(f"mask {path} has numbers above {MOST}; number its objects from 1 to {MOST}")
    if len(numbers) > 1 and not from_one and values.all():  # which of them is the background?
        raise InputError(problem)
    return np.where(values == white, VOID, values).astype(np.uint8)


def objects_in(labels: Labels) -> list[int]:
    """The numbers of the objects: all but 0 and, beside others, 255."""
    found = _found(labels)
    return found if found == [VOID] else [value for value in found if value != VOID]


def voc_palette() -> list[int]:
    """768 values: the colours of PASCAL VOC and DAVIS, made of the index's bits.

    Bits 0, 3, 6 of the index are the highest ones of red, bits 1, 4, 7 of green, bits 2, 5 of blue.

    >>> voc_palette()[:12]
    [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]
    """
    return [
        sum((index >> (channel + 3 * place) & 1) << (7 - place) for place in range(3))
        for index in range(256)
        for channel in range(3)
    ]


def _one(inside: NDArray[np.bool_]) -> Labels:
    return np.where(inside, np.uint8(VOID), np.uint8(0))


def _found(values: NDArray) -> list[int]:
    """The values other than 0, in order."""
    return [int(value) for value in np.flatnonzero(np.bincount(values.ravel())) if value]


def _read(path: Path, joined: bool) -> tuple[NDArray, bool]:
    """H x W values, and whether they are indices."""
    try:
        with Image.open(path) as picture:
            count = getattr(picture, "n_frames", 1)
            if count > 1 and picture.format != "MPO":  # a photograph with its preview
                raise InputError(f"mask {path} holds {count} pictures; save the one that is meant by itself")
            picture.load()
            return _values(picture, path, joined)
    except FileNotFoundError:
        raise InputError(f"there is no mask {path}; check the path") from None
    except InputError:
        raise
    except Exception as error:  # of PIL's many readers, each has its own for a damaged file
        sentence = f"mask {path} cannot be read as a picture; the file is damaged or not a picture at all"
        raise InputError(sentence) from error


def _values(picture: Image.Image, path: Path, joined: bool) -> tuple[NDArray, bool]:
    mode = picture.mode
    if mode == "1":
        return np.asarray(picture.convert("L")), False
    if mode == "L" or mode == "P":
        return np.asarray(picture), mode == "P" and not _is_grey_ramp(picture)
    if mode.startswith("I"):
        values = np.asarray(picture)
        if values.min(initial=0) < 0 or values.max(initial=0) > 65535:
            raise InputError(f"mask {path} has values beyond 16 bits; number its objects from 1 to {MOST}")
        return values.astype(np.uint16), False
    if mode == "F":
        raise InputError(f"mask {path} has fractions for values; save it as a grey or indexed PNG")
    array = np.asarray(picture.convert("RGBA"))
    colours, alpha = array[..., :3], array[..., 3]
    shown = alpha > 127
    if alpha.min(initial=255) < 255:  # something is transparent
        numbers = _numbers(colours)
        if numbers is not None and 1 < len(np.unique(numbers[shown])) <= SHADES:
            return np.where(shown, numbers, np.uint8(0)), False
        return alpha, False
    if joined:
        return colours.max(axis=2), False
    numbers = _numbers(colours)
    if numbers is None:
        raise InputError(f"mask {path} is in colour; save it as a grey or indexed PNG")
    return numbers, False


def _is_grey_ramp(picture: Image.Image) -> bool:
    """Whether the indices are shades of grey themselves."""
    palette = picture.getpalette("RGB") or []
    return palette == [level for level in range(len(palette) // 3) for _ in range(3)] and len(palette) == 768


def _numbers(colours: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """H x W: levels of grey, or numbers of the colours of PASCAL VOC; None: there are others."""
    if (colours == colours[..., :1]).all():
        return np.ascontiguousarray(colours[..., 0])
    packed = colours.astype(np.int32) @ np.array([65536, 256, 1], np.int32)  # H x W
    palette = np.array(voc_palette(), np.int32).reshape(256, 3) @ np.array([65536, 256, 1], np.int32)
    order = np.argsort(palette)
    place = np.searchsorted(palette[order], packed).clip(0, 255)
    numbers = order[place]
    return numbers.astype(np.uint8) if (palette[numbers] == packed).all() else None


def _lie_flat(values: NDArray) -> bool:
    """Whether pixels between black and white have their like around them."""
    block = np.ones((3, 3), np.uint8)
    between = (values > 0) & (values < np.iinfo(values.dtype).max)
    flat = cv2.dilate(values, block) == cv2.erode(values, block)
    return bool((flat & between).sum() >= FLAT * between.sum())
