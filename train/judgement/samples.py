"""Samples for the head: crops as a tracker cuts them when it does well, drifts, shrinks, swells and is elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from d3s_vot.crops.squares import Crop
from d3s_vot.given import Frame, Given
from d3s_vot.online.evidence import cells_of, gather
from d3s_vot.regions import Box, Mask, box_iou
from d3s_vot.trackers.d3s.fit import largest_part
from d3s_vot.trackers.d3s.judged import appearance
from d3s_vot.trackers.d3s.model import D3SModel
from d3s_vot.trackers.d3s.segment import Segmenter
from train.data.items import read_object
from train.judgement.pictures import Pair, Pictures, bounding_box
from train.judgement.worsen import Change, draw_change

# How a crop came about; of each template one of each is drawn, two of the first.
KINDS = ("near", "near", "drifted", "other scale", "elsewhere", "another object")
AS_MASK = 0.25  # share of the targets that are given by their mask
WORSE = 0.5  # share of the templates of which all crops are worsened
ALL_WORSE = 0.25  # of these, the share of which the first picture is, too
REMEMBERED = 0.5  # share of the templates of which another frame is remembered
SURE = 0.6  # overlap of a mask whose cells are remembered


@dataclass(frozen=True, eq=False)
class Samples:
    """Evidence and truth of n crops; those of one template follow each other.

    Attributes:
        maps: n x MAPS x G x G, float16.
        measures: n x MEASURES.
        presence: n, 1 where most of what can be seen of the target is in the crop and it is not hidden.
        quality: n, overlap of the mask's box with the target's; 0 without presence.
        log_size: n, of the target's sqrt(w h) over that which the crop was made for; nan where there is no target.
        kind: n, index into KINDS.
    """

    maps: NDArray[np.float16]
    measures: NDArray[np.float32]
    presence: NDArray[np.float32]
    quality: NDArray[np.float32]
    log_size: NDArray[np.float32]
    kind: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.kind)


def draw(model: D3SModel, pictures: Pictures, rng: np.random.Generator, count: int) -> Samples:
    """Draw samples until there are `count`, or some more."""
    rows: list[tuple[object, ...]] = []
    with torch.inference_mode():
        while len(rows) < count:
            pair = pictures.pair(rng)
            if pair.first[1].sum() >= 300 and pair.seen * pair.box.w * pair.box.h >= 50:
                rows.extend(_crops(model, pictures, rng, pair))
    maps, measures, presence, quality, log_size, kind = zip(*rows, strict=True)
    return Samples(
        np.array(maps, np.float16), np.array(measures, np.float32), np.array(presence, np.float32),
        np.array(quality, np.float32), np.array(log_size, np.float32), np.array(kind),
    )  # fmt: skip


def _crops(
    model: D3SModel, pictures: Pictures, rng: np.random.Generator, pair: Pair
) -> Iterator[tuple[object, ...]]:
    """A sample of each kind for one template; none where the network sees nothing in the first picture."""
    image, mask = pair.first
    change: Change = _kept
    if rng.random() < WORSE:
        change = draw_change(rng, float(np.sqrt(pair.box.w * pair.box.h)))
        if rng.random() < ALL_WORSE:
            image = change(image)
        worse = [(change(each), pixels) for each, pixels in (pair.second, pair.scene)]
        pair = replace(pair, second=worse[0], scene=worse[1])
    frame, box = Frame.of(image), bounding_box(mask)
    assert box is not None  # it has 300 pixels
    given = Given.of(frame, Mask(mask) if rng.random() < AS_MASK else box)
    segmenter = Segmenter(model, frame, given)
    crop = segmenter.crop(given.center_xy, given.size_wh)
    picture = crop.cut(image)
    (seen,) = model.inspect([(picture, segmenter.template)])
    own = largest_part(seen.probability > model.config.mask_threshold)
    if own.sum() < 50:
        return
    first = appearance(model, picture, segmenter.template, seen, own)
    recent = _remembered(model, segmenter, *pair.between) if rng.random() < REMEMBERED else []
    for kind, name in enumerate(KINDS):
        scene = _scene(name, pictures, rng, pair, change)
        middle, log_scale = _place(name, rng, scene)
        side = np.exp(log_scale) * np.sqrt(scene.around.w * scene.around.h)
        crop = segmenter.crop((middle[0], middle[1]), (side, side))
        (seen,) = model.inspect([(crop.cut(scene.image), segmenter.template)])
        found = largest_part(seen.probability > model.config.mask_threshold)
        evidence = gather(first, seen.vectors, seen.similarities, seen.probability, found, recent)
        shown = float((crop.cut_mask(scene.mask) > 0.5).sum())
        inside = shown / max(scene.mask.sum() * crop.factor**2, 1)
        present = scene.target is not None and inside > 0.5 and scene.seen > 0.3
        log_size = np.nan if scene.target is None else np.log(np.sqrt(scene.target.w * scene.target.h) / side)
        quality = _overlap(crop, found, scene.target) if present and scene.target is not None else 0.0
        yield evidence.maps, evidence.measures, float(present), quality, log_size, kind


def _remembered(
    model: D3SModel, segmenter: Segmenter, image: NDArray[np.uint8], mask: NDArray[np.bool_]
) -> list[NDArray[np.float32]]:
    """The target's cells in a frame that a tracker would trust; none where the network does not find it."""
    box = bounding_box(mask)
    if box is None:
        return []
    side = float(np.sqrt(box.w * box.h))
    crop = segmenter.crop(box.center, (side, side))
    (seen,) = model.inspect([(crop.cut(image), segmenter.template)])
    found = largest_part(seen.probability > model.config.mask_threshold)
    return [cells_of(seen.vectors, found)] if _overlap(crop, found, box) > SURE else []


def _kept(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return image


@dataclass(frozen=True, eq=False)
class _Scene:
    """A picture to cut from, the target in it (there may be none), and what the crop is made around."""

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    target: Box | None
    seen: float
    around: Box


def _scene(name: str, pictures: Pictures, rng: np.random.Generator, pair: Pair, change: Change) -> _Scene:
    image, mask = pair.second
    if name != "another object":
        return _Scene(image, mask, pair.box if mask.any() else None, pair.seen, pair.box)
    beside = pictures.beside(rng, pair.item)
    if beside is not None and rng.random() < 0.6:
        image, mask = pair.scene
        return _Scene(image, mask, bounding_box(mask), 1.0, Box(*beside.box))
    other, shape, _ = read_object(pictures.other(rng, pair.item))
    around = bounding_box(shape)
    assert around is not None  # objects of the index have pixels
    return _Scene(change(other), np.zeros_like(shape), None, 0.0, around)


def _place(name: str, rng: np.random.Generator, scene: _Scene) -> tuple[NDArray[np.float64], float]:
    """(x, y) and the logarithm of the size beside that of what the crop is made around."""
    middle, length = np.array(scene.around.center), np.sqrt(scene.around.w * scene.around.h)
    if name == "near":
        return middle + rng.normal(0, 0.12, 2) * length, rng.normal(0, 0.12)
    if name == "drifted":
        return middle + rng.normal(0, 0.5, 2) * length, rng.normal(0, 0.4)
    if name == "other scale":
        return middle + rng.uniform(-0.5, 0.5, 2) * (scene.around.w, scene.around.h), rng.uniform(-1.1, 1.1)
    if name == "another object":
        return middle + rng.normal(0, 0.1, 2) * length, rng.normal(0, 0.2)
    log_scale, place = rng.normal(0, 0.3), middle
    reach = np.array([scene.around.w, scene.around.h]) / 2 + 1.6 * length * np.exp(log_scale)
    for _ in range(8):  # small pictures may have no place without the target
        place = rng.uniform(0, scene.mask.shape[1::-1])
        if (np.abs(place - middle) > reach).any():
            break
    return place, log_scale


def _overlap(crop: Crop, mask: NDArray[np.bool_], target: Box) -> float:
    """Of the box of a mask in the crop with the target's box in the image."""
    found = bounding_box(mask)
    if found is None:
        return 0.0
    (x0, y0), (x1, y1) = crop.to_image(np.array([(found.x, found.y), (found.x + found.w, found.y + found.h)]))
    return float(box_iou(Box(x0, y0, x1 - x0, y1 - y0), target))
