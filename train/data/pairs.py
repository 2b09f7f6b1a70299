"""Training pairs by number, drawn from a mixture of sources."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections import defaultdict

import numpy as np
from torch.utils.data import Dataset

from train.augment.plan import Pair, Subject, draw_pair
from train.config import PairConfig
from train.data.items import DataError, Item, read_image, read_object

log = logging.getLogger(__name__)

DRAWS = 100  # attempts at one pair before the data are declared unusable

Track = tuple[str, str, str, int]  # source, collection, video or picture, object


class PairDataset(Dataset[Pair]):
    """Pairs by number: pair n is the same in every run with the same seed, whatever came before.

    Args:
        items: the objects to draw from, in a fixed order.
        weights: of the sources. Within one, a large collection is drawn from more often than a small one, but by the
            square root of its size: its pictures are alike.
        config: how pairs are made.
        seed: of all chance.
        length: number of pairs.

    Raises:
        DataError: there is nothing to draw from.
    """

    def __init__(
        self, items: list[Item], weights: dict[str, float], config: PairConfig, seed: int, length: int
    ) -> None:
        self.config, self.seed, self.length = config, seed, length
        self.collections: dict[tuple[str, str], list[Item]] = defaultdict(list)
        self.tracks: dict[Track, list[Item]] = defaultdict(list)
        self.pictures: dict[tuple[str, str, str, int], list[Item]] = defaultdict(list)
        for item in items:
            self.collections[item.source, item.collection].append(item)
            self.tracks[_track(item)].append(item)
            self.pictures[item.source, item.collection, item.group, item.frame].append(item)
        self.names = sorted(self.collections)
        sizes = {name: np.sqrt(len(self.collections[name])) for name in self.names}
        total = {source: sum(v for (s, _), v in sizes.items() if s == source) for source, _ in self.names}
        shares = np.array([weights[s] * sizes[s, c] / total[s] for s, c in self.names])
        if not len(shares):
            raise DataError("there is no object to draw pairs from; name more data with --data")
        self.shares = shares / shares.sum()
        self.backgrounds = [i for i in items if i.background]
        if not self.backgrounds:
            raise DataError("no picture of the data can serve as a background; add stills that are no cut-outs")

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, number: int) -> Pair:
        rng = np.random.default_rng([self.seed, number])
        skipped, last = 0, ""
        for _ in range(DRAWS):
            try:
                pair = self._draw(rng)
            except DataError as error:
                skipped, last = skipped + 1, str(error)
                warn(last)
                continue
            if pair is not None:
                return dataclasses.replace(pair, skipped=skipped)
        raise DataError(
            last or f"no usable pair in {DRAWS} draws for pair {number}; the objects are too small or cut off"
        )

    def draw_items(self, rng: np.random.Generator) -> tuple[Item, Item, list[Item]]:
        """An object, the same one in this or another frame near it, and all objects of its collection."""
        items = self.collections[self.names[rng.choice(len(self.names), p=self.shares)]]
        item = items[rng.integers(len(items))]
        near = self.near(item)
        return item, near[rng.integers(len(near))], items

    def near(self, item: Item) -> list[Item]:
        """The same object in this frame and those near it."""
        return [i for i in self.tracks[_track(item)] if abs(i.frame - item.frame) <= self.config.max_gap]

    def _draw(self, rng: np.random.Generator) -> Pair | None:
        return self.draw_pair_of(rng, *self.draw_items(rng))

    def draw_pair_of(
        self, rng: np.random.Generator, item: Item, partner: Item, items: list[Item], flip: bool | None = None
    ) -> Pair | None:
        """A pair of two frames; None where the drawn target has no pixels.

        Args:
            rng: source of all chance.
            item: in the template's frame.
            partner: the same object in the search crop's.
            items: all objects of its collection.
            flip: whether both crops are mirrored; None: by chance.
        """
        template = Subject(*read_object(item))
        search = template if partner is item else Subject(*read_object(partner))

        def background() -> np.ndarray:
            return read_image(self.backgrounds[rng.integers(len(self.backgrounds))].image)

        def other() -> Subject:
            """Another object: of the same picture, where it has one, as often as of the collection."""
            beside = [i for i in self.pictures[_picture(partner)] if i.instance != item.instance]
            if beside and rng.random() < 0.5:
                return Subject(*read_object(beside[rng.integers(len(beside))]))
            return Subject(*read_object(items[rng.integers(len(items))]))

        return draw_pair(
            rng, self.config, template, search, background, other,
            must_paste=item.cutout, collection=item.collection, flip=flip,
        )  # fmt: skip


def _track(item: Item) -> Track:
    return item.source, item.collection, item.group, item.instance


def _picture(item: Item) -> tuple[str, str, str, int]:
    return item.source, item.collection, item.group, item.frame


@functools.lru_cache(maxsize=1000)
def warn(message: str) -> None:
    """Log a message, once in a process: the same picture is drawn again and again."""
    log.warning("left out: %s", message)
