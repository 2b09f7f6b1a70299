"""The strips of frames on the page of results: small JPEGs, and outlines of the truth and the trackers' answers.

Outlines are drawn by the browser over the frame, so they stay sharp however small the picture is.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from d3s_vot.errors import InputError
from d3s_vot.evaluation.vot.overlaps import Region
from d3s_vot.mask_codes import PlacedMask
from d3s_vot.regions import from_vot

WIDTH, HEIGHT = 360, 300  # pixels that a picture has at most
QUALITIES = (80, 65, 50, 35)  # of JPEG, tried in turn until a sequence's pictures keep within their limit
CUT = 6  # the part of a frame that is shown is at least this many times as wide or high as the target
SMALLEST = 160  # pixels that this part is wide, at least

Picture = NDArray[np.uint8]  # H x W x 3, RGB
TRUTH = -1  # in the place of a tracker's number


@dataclass(frozen=True)
class Outline:
    """A region to draw; `late`: it is the answer of the frame before, since a failure leaves none of its own."""

    tracker: int
    region: Region
    late: bool = False


@dataclass(frozen=True)
class Moment:
    """A frame worth seeing.

    Attributes:
        frame: counted from 0.
        title: why it is shown.
        numbers: overlap and confidence, in words.
        outlines: the truth first, then the tracker that the strip is about, then others.
        whole: whether the frame is shown in full, however small the target is.
    """

    frame: int
    title: str
    numbers: str
    outlines: list[Outline]
    whole: bool = False


@dataclass(frozen=True)
class Shot:
    """A moment with its picture: data URI, size in pixels, and the outlines' corners on it."""

    moment: Moment
    data: str
    width: int
    height: int
    shapes: list[tuple[Outline, str]]


def corners(region: Region) -> NDArray[np.float64]:
    """N x 2 corners of a stored region, 0-based: rectangles are stored counted from 1, polygons and masks from 0.

    A mask is drawn as the outline of its largest piece.
    """
    if isinstance(region, PlacedMask):
        pieces, _ = cv2.findContours(region.array.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        points = max(pieces, key=cv2.contourArea)[:, 0] if pieces else np.zeros((1, 2))
        return np.add(points, (region.x, region.y)).astype(np.float64)
    if region.ndim == 2:
        return region
    if min(region[2:]) <= 0:  # a tracker may answer with nothing
        return np.tile(region[:2] - 1, (4, 1))
    return from_vot(region).polygon.points


def part(outlines: Sequence[Outline], width: int, height: int) -> tuple[int, int, int, int]:
    """The part of a frame to show, of the frame's own proportions: all, or the surroundings of a small target.

    Args:
        outlines: the first two are to be inside.
        width, height: of the frame, in pixels.

    Returns:
        First column, first row, columns, rows.
    """
    points = np.concatenate([corners(outline.region) for outline in outlines[:2]])
    points = points.clip(0, (width, height))
    low, high = points.min(axis=0), points.max(axis=0)
    share = max(CUT * float(((high - low) / (width, height)).max()), SMALLEST / width)
    if share > 0.8:  # hardly less than the whole
        return 0, 0, width, height
    size = np.array([round(share * width), max(round(share * height), 1)])
    x, y = np.clip(np.rint((low + high - size) / 2), 0, np.array([width, height]) - size).astype(int)
    return int(x), int(y), int(size[0]), int(size[1])


def _jpeg(picture: Picture, quality: int) -> bytes:
    done, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise RuntimeError("OpenCV cannot write JPEG")
    return data.tobytes()


def strip(moments: Sequence[Moment], read: Callable[[int], Picture], limit: int) -> list[Shot]:
    """The pictures of one sequence; moments whose frame cannot be read are left out.

    Args:
        moments: in the order of the strip.
        read: gives a frame, counted from 0; InputError where it is missing or damaged.
        limit: bytes that the JPEGs have together; their quality falls until they fit, or is the lowest.
    """
    found: list[tuple[Moment, Picture, list[tuple[Outline, str]]]] = []
    for moment in moments:
        try:
            image = read(moment.frame)
        except InputError:
            continue
        height, width = image.shape[:2]
        x, y, w, h = (0, 0, width, height) if moment.whole else part(moment.outlines, width, height)
        scale = min(WIDTH / w, HEIGHT / h, 1.0)
        size = max(round(scale * w), 1), max(round(scale * h), 1)
        picture = cv2.resize(image[y : y + h, x : x + w], size, interpolation=cv2.INTER_AREA)
        shapes = [
            (outline, " ".join(f"{px:.1f},{py:.1f}" for px, py in (corners(outline.region) - (x, y)) * scale))
            for outline in reversed(moment.outlines)  # the truth on top
        ]
        found.append((moment, np.asarray(picture, np.uint8), shapes))
    files: list[bytes] = []
    for quality in QUALITIES:
        files = [_jpeg(picture, quality) for _, picture, _ in found]
        if sum(map(len, files)) <= limit:
            break
    shots = []
    for (moment, picture, shapes), data in zip(found, files, strict=True):
        height, width = picture.shape[:2]
        uri = "data:image/jpeg;base64," + base64.b64encode(data).decode("ascii")
        shots.append(Shot(moment, uri, width, height, shapes))
    return shots
