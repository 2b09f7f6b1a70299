"""What a picture file says of itself before it is decoded: how many pictures it holds, and of which depth."""

from __future__ import annotations

import re
import struct
import warnings
from contextlib import suppress
from typing import BinaryIO

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_FLOATS = (b"#?RADIANCE", b"#?RGBE", b"PF\n", b"Pf\n", b"v/1\x01")  # Radiance, PFM, OpenEXR
_GAP = rb"(?:\s|#[^\n]*\n)+"
_PNM = re.compile(rb"P[2356]" + _GAP + rb"\d+" + _GAP + rb"\d+" + _GAP + rb"(\d+)\s")
_SUBFILE, _BITS, _FORMAT = 254, 258, 339  # tags of TIFF
_ABSENT = {_SUBFILE: 0, _BITS: 1, _FORMAT: 1}  # what they are where a page has none
_ASIDE = 1 | 4  # in the first: a smaller copy, a mask


def page_numbers(file: BinaryIO) -> list[int]:
    """Places of the pictures in a file that holds several of equal rank; previews do not count. Else [0].

    Of a TIFF they are the bytes at which the pages begin, else numbers.

    Args:
        file: from its beginning on; also one that is damaged.
    """
    head = file.read(24)
    pages = [0]
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        pages = list(range(_png_count(file)))
    elif head[:4] in _TIFF:
        pages = [place for place, page in _pages(file).items() if not page[_SUBFILE] & _ASIDE]
    elif head[:4] == b"GIF8" or head[4:12] == b"ftypavis" or (head[8:16] == b"WEBPVP8X" and head[20] & 2):
        pages = list(range(_frame_count(file)))
    file.seek(0)
    return pages or [0]


def unusable_depth(file: BinaryIO) -> str | None:
    """What is wrong with the values of a picture that 0..255 cannot show; None: nothing.

    Args:
        file: from its beginning on.
    """
    head, problem = file.read(16), None
    if head.startswith(_FLOATS):
        problem = "high dynamic range"
    elif head[:4] in _TIFF:
        for page in _pages(file).values():
            if page[_FORMAT] == 3:
                problem = "fractions for values"
            elif page[_BITS] > 16:
                problem = f"values of {page[_BITS]} bits"
            elif page[_FORMAT] == 2:
                problem = "values below 0"
    file.seek(0)
    return problem


def brightest(file: BinaryIO) -> int:
    """The value that stands for white where the decoder does not know: in a PGM or PPM. Else 255.

    Args:
        file: from its beginning on.
    """
    found = _PNM.match(file.read(1000))
    file.seek(0)
    number = int(found[1]) if found else 255
    return number if 0 < number < 65535 else 255


def _png_count(file: BinaryIO) -> int:
    """Frames of an APNG; it says so before the pixels."""
    place = 8
    while True:
        file.seek(place)
        chunk = file.read(12)
        if len(chunk) < 12 or chunk[4:8] in (b"IDAT", b"IEND"):
            return 1
        length, kind, first = struct.unpack(">I4sI", chunk)
        if kind == b"acTL":
            return int(first)
        place += 12 + length


def _pages(file: BinaryIO) -> dict[int, dict[int, int]]:
    """Tags of the pages of a TIFF by the bytes at which these begin, as far as they can be read."""
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    pages: dict[int, dict[int, int]] = {}
    with warnings.catch_warnings(), suppress(Exception):  # where it is damaged the decoder will say so in its turn
        warnings.simplefilter("ignore")
        file.seek(0)
        head = file.read(8)
        page = ImageFileDirectory_v2(head + (file.read(8) if 43 in head[2:4] else b""))
        while (place := page.next) and place not in pages:
            file.seek(place)
            page.load(file)
            pages[place] = {tag: _largest(page.get(tag), absent) for tag, absent in _ABSENT.items()}
    return pages


def _largest(value: object, absent: int) -> int:
    if isinstance(value, tuple):
        value = max(value, default=absent)
    return value if isinstance(value, int) else absent


def _frame_count(file: BinaryIO) -> int:
    from PIL import Image

    with suppress(Exception):  # as above
        file.seek(0)
        return int(getattr(Image.open(file), "n_frames", 1))
    return 1
