"""What the stress set is made of: real videos and cut-outs, apart for training, for choosing and for reporting."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from train.data.items import IGNORE, Item, read_ids, read_image, read_object
from train.data.layouts import HELD_OUT_ONE_IN, checksum

Image = NDArray[np.uint8]  # H x W x 3, RGB
Mask = NDArray[np.bool_]  # H x W

LISTS = Path(__file__).parents[1]  # the folder of videos-choosing.txt and videos-reporting.txt
PARTS = ("choosing", "reporting")
SIDE = 400  # pixels: the longer side of a cut-out's picture at most, as of the videos


@dataclass(frozen=True, eq=False)
class Clip:
    """A short video with the truth about one target.

    Attributes:
        name: of what it was made of.
        kind: what is difficult in it.
        frames: H x W x 3 each.
        masks: H x W each; empty where the target cannot be seen.
    """

    name: str
    kind: str
    frames: list[Image]
    masks: list[Mask]

    def of_kind(self, kind: str, frames: list[Image], masks: list[Mask]) -> Clip:
        """The same source with other frames."""
        return replace(self, kind=kind, frames=frames, masks=masks)


@dataclass(frozen=True, eq=False)
class Cutout:
    """An object without its surroundings.

    Attributes:
        name: of its picture.
        collection: of the data; objects of one are somewhat alike.
        image: h x w x 3, the object's box.
        alpha: h x w in 0..1, soft at the edge.
    """

    name: str
    collection: str
    image: Image
    alpha: NDArray[np.float32]

    @classmethod
    def of(cls, name: str, collection: str, image: Image, mask: Mask) -> Cutout:
        """Cut an object out of its picture."""
        x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
        box = np.s_[y : y + h, x : x + w]
        soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.8)[box]
        return cls(name, collection, image[box], np.where(mask[box], soft, 0).astype(np.float32))

    @property
    def length(self) -> float:
        """sqrt(w h), pixels."""
        return float(np.sqrt(self.alpha.size))


def video_names(part: str) -> list[str]:
    """SET/VIDEO of each real video of a part."""
    return (LISTS / f"videos-{part}.txt").read_text().split()


def real_clip(root: Path, name: str) -> Clip:
    """A video of the data with its largest object in the first frame as the target.

    Args:
        root: folder with SET/images/VIDEO and SET/masks/VIDEO.
        name: SET/VIDEO.
    """
    collection, video = name.split("/")
    images = sorted((root / collection / "images" / video).glob("*.jpg"))
    ids = [read_ids(root / collection / "masks" / video / f"{path.stem}.png") for path in images]
    values, counts = np.unique(ids[0][(ids[0] > 0) & (ids[0] != IGNORE)], return_counts=True)
    target = values[counts.argmax()]
    return Clip(name, "plain", [read_image(path) for path in images], [x == target for x in ids])


def still_part(item: Item) -> str | None:
    """The part of the stress set that a held-out still belongs to; None for what is trained on, and for videos."""
    if not item.held_out or "/" in item.group or not item.group.endswith((".jpg", ".png")):
        return None
    return PARTS[checksum(item.collection, item.group) // HELD_OUT_ONE_IN % 2]


def cutouts(items: list[Item], part: str, least: int = 2_500) -> list[Cutout]:
    """The objects of a part's held-out stills that are large and lie within their picture.

    Args:
        items: of the training data, as its index has them.
        part: one of PARTS.
        least: pixels of an object.
    """
    found = []
    for item in items:
        if still_part(item) != part or item.area < least:
            continue
        image, mask, _ = read_object(item)
        x, y, w, h = item.box
        inside = x > 0 and y > 0 and x + w < mask.shape[1] and y + h < mask.shape[0]
        if inside and max(w, h) < 3 * min(w, h):
            found.append(Cutout.of(f"{item.collection}/{item.group}", item.collection, image, mask))
    return found


def backgrounds(items: list[Item], part: str) -> list[Path]:
    """Pictures of a part that can lie behind other objects."""
    return sorted({item.image for item in items if still_part(item) == part and item.background})


def paste(frame: Image, mask: Mask, thing: Cutout, matrix: NDArray[np.float64], *, target: bool) -> None:
    """Draw a cut-out into a frame, in place, and what becomes of the target's mask.

    Args:
        frame: H x W x 3.
        mask: H x W, of the target.
        thing: what is drawn.
        matrix: 2 x 3, pixels of the cut-out to pixels of the frame.
        target: whether the thing is the target; otherwise it hides it.
    """
    size = mask.shape[1::-1]
    alpha = cv2.warpAffine(thing.alpha, matrix, size, flags=cv2.INTER_LINEAR)
    if not alpha.any():
        return
    x, y, w, h = cv2.boundingRect((alpha > 0).astype(np.uint8))
    box = np.s_[y : y + h, x : x + w]
    colours = cv2.warpAffine(thing.image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    share = alpha[box][..., None]
    frame[box] = np.rint(frame[box] * (1 - share) + colours[box] * share).astype(np.uint8)
    mask[box] = (mask[box] | (alpha[box] > 0.5)) if target else (mask[box] & (alpha[box] <= 0.5))


def placed(
    thing: Cutout, middle: NDArray[np.float64], factor: float, angle: float = 0.0, mirror: bool = False
) -> NDArray[np.float64]:
    """2 x 3, from a cut-out's pixels to a frame's.

    Args:
        thing: the cut-out.
        middle: (x, y) of its middle in the frame.
        factor: pixels of the frame per pixel of the cut-out.
        angle: degrees.
        mirror: left and right exchanged.
    """
    turn = np.radians(angle)
    linear = factor * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    if mirror:
        linear[:, 0] *= -1
    h, w = thing.alpha.shape
    return np.hstack([linear, (np.asarray(middle) - linear @ [(w - 1) / 2, (h - 1) / 2])[:, None]])
