"""Pairs for SiamFC++: a template crop, a search crop, and the box of the target in it (paper section 4.1).

Boxes are all that is needed: an item's own, which is the one around its mask where it has one.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from d3s_vot.crops.context import context_crop, context_side, context_square
from d3s_vot.crops.squares import Image
from d3s_vot.regions import Box
from d3s_vot.trackers.siamfcpp.config import TEMPLATE_SIZE
from d3s_vot.trackers.siamfcpp.locate import State
from train.augment.photometry import NoiseBank, apply_light, degrade, draw_light, pack_lights
from train.config import LightConfig, PairConfig
from train.data.items import Item, read_image
from train.data.pairs import PairDataset

LIGHT = LightConfig()


@dataclass(frozen=True)
class BoxPairConfig:
    """How two pictures become a pair; shifts are pixels of the crop, scales sigma of the log."""

    search_size: int = 303
    max_gap: int = 100  # frames between the two views of a video; published
    search_shift: float = 64.0  # either way, uniform; published
    search_scale: float = 0.15
    template_shift: float = 4.0
    template_scale: float = 0.05
    absent: float = 0.2  # probability that the search crop shows another object
    flip: float = 0.5  # probability that both crops are mirrored
    light: LightConfig = LIGHT


@dataclass(frozen=True)
class BoxPair:
    """One pair."""

    collection: str
    template: Image  # 127 x 127 x 3
    search: Image  # X x X x 3
    box: NDArray[np.float32]  # x0, y0, x1, y1 of the object in the search crop, first and last pixel
    shown: bool  # whether that object is the template's
    skipped: int = 0  # unreadable objects met while it was drawn


class BoxPairs(PairDataset):
    """Pairs by number, drawn as `PairDataset` draws them: pair n is the same in every run with the same seed.

    Args:
        items: the objects to draw from, in a fixed order.
        weights: of the sources.
        config: how pairs are made.
        seed: of all chance.
        length: number of pairs.

    Raises:
        DataError: there is nothing to draw from.
    """

    def __init__(
        self, items: list[Item], weights: dict[str, float], config: BoxPairConfig, seed: int, length: int
    ) -> None:
        super().__init__(items, weights, PairConfig(max_gap=config.max_gap), seed, length)
        self.boxes = config

    def _draw(self, rng: np.random.Generator) -> BoxPair:  # type: ignore[override]
        c = self.boxes
        item, partner, items = self.draw_items(rng)
        shown = bool(rng.random() >= c.absent)
        if not shown:
            others = [other for other in items if other.group != item.group] or items
            partner = others[rng.integers(len(others))]
            shown = (partner.group, partner.instance) == (item.group, item.instance)
        template, _ = draw_crop(rng, item, TEMPLATE_SIZE, c.template_shift, c.template_scale)
        search, box = draw_crop(rng, partner, c.search_size, c.search_shift, c.search_scale)
        if rng.random() < c.flip:
            template, search = template[:, ::-1], search[:, ::-1]
            box = np.array([c.search_size - 1 - box[2], box[1], c.search_size - 1 - box[0], box[3]], np.float32)
        template, search = (lit(rng, crop, c.light) for crop in (template, search))
        return BoxPair(item.collection, template, search, box, shown)


def draw_crop(
    rng: np.random.Generator, item: Item, size: int, shift: float, scale: float
) -> tuple[Image, NDArray[np.float32]]:
    """A crop around an item, moved and scaled by chance, and the item's box in it: x0, y0, x1, y1.

    Raises:
        DataError: the picture cannot be read.
    """
    image = read_image(item.image)
    state = State.of_box(Box(*item.box))
    factor = TEMPLATE_SIZE / context_side(state.size_wh) * math.exp(scale * rng.standard_normal())
    center = state.center_xy + rng.uniform(-shift, shift, 2) / factor
    crop = context_crop(image, center, factor, size, image.reshape(-1, 3).mean(axis=0))
    first, step = context_square(center, factor, size)
    half = (state.size_wh - 1) / 2
    corners = np.concatenate([state.center_xy - half, state.center_xy + half])  # x0, y0, x1, y1
    return crop, ((corners - np.tile(first, 2)) / np.tile(step, 2)).astype(np.float32)


def lit(rng: np.random.Generator, crop: Image, config: LightConfig) -> Image:
    """A crop under drawn light: S x S x 3."""
    light = draw_light(rng, config)
    pixels = torch.from_numpy(np.ascontiguousarray(degrade(np.ascontiguousarray(crop), light)))
    images = pixels.permute(2, 0, 1)[None].float()  # 1 x 3 x S x S
    return apply_light(images, pack_lights([light]), _noise())[0].permute(1, 2, 0).numpy()


@functools.cache
def _noise() -> NoiseBank:
    return NoiseBank()


def collate(pairs: Sequence[BoxPair]) -> dict[str, Any]:
    """Pairs as a batch: `template` and `search` (B x 3 x S x S uint8), `box` (B x 4), `shown` (B), names and counts."""

    def images(crops: list[Image]) -> Tensor:
        return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)

    return {
        "template": images([pair.template for pair in pairs]),
        "search": images([pair.search for pair in pairs]),
        "box": torch.from_numpy(np.stack([pair.box for pair in pairs])),
        "shown": torch.tensor([pair.shown for pair in pairs]),
        "collection": [pair.collection for pair in pairs],
        "skipped": torch.tensor([pair.skipped for pair in pairs]),
    }
