"""Sets of pairs of one target, by number, for tasks that learn a model of it from several frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from train.augment.plan import Pair
from train.augment.render import make_batch
from train.config import PairConfig
from train.data.items import Item
from train.data.pairs import PairDataset


@dataclass(frozen=True)
class PairSet:
    """Pairs of one target.

    Attributes:
        pairs: all mirrored, or none.
        skipped: unreadable objects met while it was drawn.
    """

    pairs: tuple[Pair, ...]
    skipped: int = 0


class PairSets(PairDataset):
    """Sets by number: set n is the same in every run with the same seed, whatever came before.

    Args:
        items: the objects to draw from, in a fixed order.
        weights: of the sources.
        config: how pairs are made; all frames of a set lie within its `max_gap` of one of them.
        seed: of all chance.
        length: number of sets.
        count: pairs of a set.

    Raises:
        DataError: there is nothing to draw from.
    """

    def __init__(
        self, items: list[Item], weights: dict[str, float], config: PairConfig, seed: int, length: int, *, count: int
    ) -> None:
        super().__init__(items, weights, config, seed, length)
        self.count = count

    def _draw(self, rng: np.random.Generator) -> PairSet | None:  # type: ignore[override]
        first, _, items = self.draw_items(rng)
        near, flip = self.near(first), bool(rng.random() < 0.5)
        pairs = []
        for _ in range(self.count):
            item, partner = (near[rng.integers(len(near))] for _ in range(2))
            pair = self.draw_pair_of(rng, item, partner, items, flip)
            if pair is None:
                return None
            pairs.append(pair)
        return PairSet(tuple(pairs))


class SetsInWorker:
    """Collates and renders sets: a batch of all their pairs, set by set."""

    def __init__(self, config: PairConfig) -> None:
        self._make: Callable[[list[Pair]], dict[str, Any]] = make_batch(config)

    def __call__(self, sets: list[PairSet]) -> dict[str, Any]:
        batch = self._make([pair for each in sets for pair in each.pairs])
        return batch | {"skipped": torch.tensor([each.skipped for each in sets])}
