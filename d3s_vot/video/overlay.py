"""What a tracker answered, drawn on the frame: mask, outline, box, confidence and time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isnan

import cv2
import numpy as np
from numpy.typing import NDArray

from d3s_vot.prediction import Prediction
from d3s_vot.regions import Box, rasterize

# RGB. Told apart with any kind of colour vision: P. Tol, "Colour Schemes", 2021, the scheme "vibrant".
COLOURS = (
    (238, 51, 119),  # magenta
    (51, 187, 238),  # cyan
    (238, 119, 51),  # orange
    (0, 153, 136),  # teal
    (0, 119, 187),  # blue
    (204, 51, 17),  # red
)
GREY = (150, 150, 150)  # mixed into the colour of a target that is lost
TINT, FAINT = 0.45, 0.2  # share of the colour inside the mask; of a lost target
PLATE = 0.35  # brightness that is left of the image under text
WHITE = (255, 255, 255)
FONT = cv2.FONT_HERSHEY_SIMPLEX
SUBPIXELS = 4  # bits behind the point in the corners that OpenCV is given
FAR = 4  # times the image's size: corners farther away are brought nearer

Image = NDArray[np.uint8]
Colour = tuple[int, ...]
Rectangle = tuple[int, int, int, int]  # first column and row, the column and row after the last


@dataclass(frozen=True)
class _Style:
    """Sizes in pixels that suit an image."""

    line: int  # of a mask's outline
    thin: int  # of a box
    dash: float
    pad: int  # around text
    tall: int  # text with what is around it
    scale: float  # of the font
    stroke: int  # of the font

    @classmethod
    def of(cls, height: int, width: int) -> _Style:
        mean = (height * width) ** 0.5
        letters = max(0.017 * mean, min(11.0, width / 13, height / 6))  # height of a digit
        (_, tall), _ = cv2.getTextSize("0", FONT, 10.0, 1)
        pad = max(round(letters / 2.5), 2)
        return cls(
            line=max(round(mean / 450), 1),
            thin=max(round(mean / 700), 1),
            dash=max(mean / 80, 5.0),
            pad=pad,
            tall=round(letters) + 2 * pad,
            scale=10.0 * letters / tall,
            stroke=max(round(letters / 9), 1),
        )


def draw(
    image: Image,
    predictions: Sequence[Prediction | None],
    labels: Sequence[str] | None = None,
    time: float | None = None,
    frame: int | None = None,
) -> Image:
    """Draw the answers for one frame.

    Each target has its colour, in the order of the list. One that is not visible has a dashed, greyish shape and the
    word "lost?". A box or polygon as it was given has no mask, only its outline.

    Args:
        image: H x W x 3 RGB; not changed.
        predictions: one per target, of the image's size; None where there is none yet. A confidence of NaN is not
            written.
        labels: a word for each target, in front of its confidence; default: numbers from 1 where there are several.
        time: in seconds, written at the lower left.
        frame: its number, written there too.

    Returns:
        A new image of the same size.
    """
    canvas = image.copy()
    height, width = image.shape[:2]
    style = _Style.of(height, width)
    if labels is None:
        labels = [str(k) if len(predictions) > 1 else "" for k in range(1, len(predictions) + 1)]
    answers = [
        (answer, label, COLOURS[index % len(COLOURS)])
        for index, (answer, label) in enumerate(zip(predictions, labels, strict=True))
        if answer is not None
    ]
    for answer, _, colour in answers:
        _draw_mask(canvas, answer, colour, style)
    for answer, _, colour in answers:
        _draw_shape(canvas, answer, colour, style)
    taken: list[Rectangle] = []
    words = [] if frame is None else [f"frame {frame}"]
    if time is not None:
        words.append(f"{time:.2f} s")
    if words:
        _write(canvas, "  ".join(words), None, style, [(0, height)], taken)
    for answer, label, colour in answers:
        sure = "" if isnan(answer.confidence) else f"{answer.confidence:.2f}"
        words = [label, sure, "" if answer.visible else "lost?"]
        _write(canvas, "  ".join(filter(None, words)), colour, style, _places(answer, style), taken)
    return canvas


def _is_given_shape(answer: Prediction) -> bool:
    """Whether it is a box or polygon as a person gave it, filled for want of a mask; or repeated where a frame is lost.

    No tracker is sure: its confidence stays below 1.
    """
    if answer.as_mask or answer.confidence not in (0.0, 1.0) or not answer.mask.any():
        return False
    return np.array_equal(answer.mask, rasterize(answer.shape, *answer.image_size))


def _draw_mask(canvas: Image, answer: Prediction, colour: Colour, style: _Style) -> None:
    """Tint and outline; only the part around the mask is touched."""
    if _is_given_shape(answer):  # its outline is drawn, and tells all
        return
    mask = answer.mask.view(np.uint8)
    x, y, w, h = cv2.boundingRect(mask)
    if not w:
        return
    share = TINT if answer.visible else FAINT
    inside = np.ascontiguousarray(mask[y : y + h, x : x + w])
    part = canvas[y : y + h, x : x + w]
    tinted = cv2.addWeighted(part, 1 - share, np.full_like(part, colour), share, 0)
    cv2.copyTo(tinted, inside, part)
    if answer.visible:
        outlines, _ = cv2.findContours(inside, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE, offset=(x, y))
        cv2.polylines(canvas, outlines, True, colour, style.line, cv2.LINE_AA)


def _draw_shape(canvas: Image, answer: Prediction, colour: Colour, style: _Style) -> None:
    """The box, or the corners of the rotated rectangle; dashed where the target is lost."""
    points, smooth = answer.shape.polygon.points, cv2.LINE_AA
    if isinstance(answer.shape, Box):  # sharp lines on whole pixels, the outermost ones inside
        points, smooth = np.rint(points - [(0, 0), (1, 0), (1, 1), (0, 1)]), cv2.LINE_8
    size = max(canvas.shape[:2])
    points = points.clip(-FAR * size, (1 + FAR) * size)
    lines, tone = [points], colour
    if not answer.visible:
        lines = list(_dashes(points, style.dash))
        tone = tuple((a + b) // 2 for a, b in zip(colour, GREY, strict=True))
    fixed = [np.rint(line * 2**SUBPIXELS).astype(np.int32) for line in lines]
    cv2.polylines(canvas, fixed, answer.visible, tone, style.thin, smooth, SUBPIXELS)


def _dashes(points: NDArray[np.float64], length: float) -> Iterator[NDArray[np.float64]]:
    """Pieces of a polygon's edges, 2 x 2 each; every edge begins and ends with one."""
    for start, end in zip(points, np.roll(points, -1, axis=0), strict=True):
        pieces = max(round(float(np.linalg.norm(end - start)) / length), 1) // 2 * 2 + 1
        at = np.linspace(start, end, pieces + 1)
        yield from (at[k : k + 2] for k in range(0, pieces, 2))


def _places(answer: Prediction, style: _Style) -> list[tuple[int, int]]:
    """Where the label may stand, its lower left corner each: on the highest corner, under the lowest, inside."""
    height, width = answer.image_size
    corners = answer.shape.polygon.points.clip(0, (width, height)).round().astype(int).tolist()
    left, top = min(corners, key=lambda corner: (corner[1], corner[0]))
    low, bottom = max(corners, key=lambda corner: (corner[1], -corner[0]))
    return [(left, top), (low, bottom + style.tall), (left, top + style.tall)]


def _write(
    canvas: Image,
    text: str,
    colour: Colour | None,
    style: _Style,
    places: Sequence[tuple[int, int]],
    taken: list[Rectangle],
) -> None:
    """Text on a dark plate, at the first of the places where it is inside the image and on no other plate.

    Args:
        canvas: changed.
        text: one line.
        colour: of a stripe at its left, which tells whose it is.
        style: sizes.
        places: lower left corners; where none is free, the first is used, moved into the image.
        taken: plates so far; this one is added.
    """
    height, width = canvas.shape[:2]
    (wide, _), _ = cv2.getTextSize(text, FONT, style.scale, style.stroke)
    w, h = wide + 2 * style.pad, style.tall
    lefts = [min(x, max(width - w, 0)) for x, _ in places]
    plates = [(x, y - h, x + w, y) for x, (_, y) in zip(lefts, places, strict=True)]
    free = [p for p in plates if p[1] >= 0 and p[3] <= height and not any(_meet(p, other) for other in taken)]
    x0, y0, x1, _ = (free or plates)[0]
    y0 = min(max(y0, 0), max(height - h, 0))
    taken.append((x0, y0, x1, y0 + h))
    part = canvas[y0 : y0 + h, x0:x1]
    part[:] = cv2.convertScaleAbs(part, alpha=PLATE)
    origin = x0 + style.pad, y0 + h - style.pad
    cv2.putText(canvas, text, origin, FONT, style.scale, WHITE, style.stroke, cv2.LINE_AA)
    if colour is not None:
        part[:, : max(style.pad // 2, 1)] = colour


def _meet(a: Rectangle, b: Rectangle) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
