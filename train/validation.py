"""How well a network segments held-out pairs: mean IoU, overall and of each collection, and a sheet of predictions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from d3s_vot.files import write_whole
from train.config import PairConfig
from train.data.feed import Batch, Feed
from train.data.items import Item
from train.data.pairs import PairDataset
from train.errors import DataError
from train.parallel import Group

SEED = 1_000_003  # of the validation pairs, the same in every run
TILES, COLUMNS, TILE = 16, 2, 160  # pairs on the sheet, how many side by side, pixels of a picture

Sheet = NDArray[np.uint8]
NAMES = {"iou": "IoU"}  # of measures, where people read them


class Segmenter(Protocol):
    """What is validated."""

    def eval(self) -> Any:
        """To evaluation mode."""

    def masks(self, batch: Batch) -> Tensor:
        """The predicted targets, B x S x S bool."""


@dataclass(frozen=True)
class Score:
    """The mean of a measure over a number of pairs."""

    value: float
    pairs: int

    @classmethod
    def of(cls, values: list[float]) -> Score:
        """Of the value of each pair."""
        return cls(float(np.mean(values)), len(values))


@dataclass(frozen=True)
class Scores:
    """The result of a validation."""

    overall: Score
    collections: dict[str, Score]
    measure: str = "iou"

    def table(self) -> str:
        """As lines of text, a collection each.

        >>> print(Scores(Score(0.5, 3), {"cats": Score(0.25, 2), "dogs": Score(1.0, 1)}).table())
        collection  pairs    IoU
        cats            2  0.250
        dogs            1  1.000
        all             3  0.500
        """
        rows = [*sorted(self.collections.items()), ("all", self.overall)]
        width = max(len("collection"), *(len(name) for name, _ in rows))
        lines = [f"{name:<{width}}  {score.pairs:>5}  {score.value:.3f}" for name, score in rows]
        return "\n".join([f"{'collection':<{width}}  pairs  {NAMES.get(self.measure, self.measure):>5}", *lines])

    def plain(self) -> dict[str, Any]:
        """As JSON knows it: {collection or "all": {measure: mean, "pairs": number}}."""
        every = self.collections | {"all": self.overall}
        return {name: {self.measure: round(score.value, 4), "pairs": score.pairs} for name, score in every.items()}


class Validation:
    """The held-out pairs of a run: always the same, one view as template and another as search crop.

    Args:
        items: held-out objects.
        weights: of each source.
        pairs: of the run; held-out pairs are its plain form.
        count: how many pairs.
        batch: pairs at once.
        workers: processes that make them.
        device: of the network.
        group: processes that share the work.

    Raises:
        DataError: there are no held-out objects.
    """

    def __init__(
        self,
        items: list[Item],
        weights: dict[str, float],
        pairs: PairConfig,
        *,
        count: int,
        batch: int,
        workers: int,
        device: torch.device,
        group: Group,
    ) -> None:
        if not items:
            raise DataError("the data hold no objects to validate on; add pictures, of which one in 18 is held out")
        present = {item.source for item in items}
        plain = pairs.plain()
        self.dataset = PairDataset(items, {k: w for k, w in weights.items() if k in present}, plain, SEED, count)
        self.count, self.batch, self.group = count, batch, group
        self.feed = Feed(plain, device, workers)

    @torch.no_grad()
    def __call__(self, network: Segmenter, precision: torch.dtype) -> tuple[Scores, Sheet]:
        """Scores over all processes, and the sheet of this process's first pairs.

        Args:
            network: goes to evaluation mode.
            precision: of its forward pass.

        Raises:
            DataError: pairs could not be made, or none shows its object.
            PeerError: another process could not make its pairs.
        """
        network.eval()
        scores, tiles = self.group.together(lambda: self._own_share(network, precision))
        scores = self.group.gather(scores)
        if not scores:
            raise DataError("no held-out object shows in its crop; add pictures with larger objects")
        names = sorted({name for name, _ in scores})
        by_name = {name: Score.of([iou for n, iou in scores if n == name]) for name in names}
        return Scores(Score.of([iou for _, iou in scores]), by_name), _sheet(tiles)

    def _own_share(self, network: Segmenter, precision: torch.dtype) -> tuple[list[tuple[str, float]], list[Sheet]]:
        """Collection and IoU of each pair of this process, and the first pairs' pictures."""
        share = self.group.share(self.count)
        numbers = [range(n, min(n + self.batch, share.stop)) for n in range(share.start, share.stop, self.batch)]
        scores: list[tuple[str, float]] = []
        tiles: list[Sheet] = []
        for raw in self.feed.batches(self.dataset, numbers):
            batch = self.feed.place(raw)
            with torch.autocast(self.feed.device.type, precision, enabled=precision != torch.float32):
                predicted = network.masks(batch)  # B x S x S
            found = zip(raw["collection"], overlap(predicted, batch).tolist(), strict=True)
            scores += [(name, iou) for name, iou in found if not math.isnan(iou)]
            tiles += [_tile(batch, predicted, i) for i in range(min(len(predicted), TILES - len(tiles)))]
        return scores, tiles


def overlap(predicted: Tensor, batch: Batch) -> Tensor:
    """IoU of each prediction (B x S x S bool) with the truth, over the pixels that count: B; nan where none do."""
    truth, valid = batch["mask"][:, 0] > 0.5, batch["weight"][:, 0] > 0.5  # B x S x S
    both = (predicted & truth & valid).sum(dim=(1, 2))
    either = ((predicted | truth) & valid).sum(dim=(1, 2))
    return torch.where(valid.any(dim=2).any(dim=1), both / either.clamp(min=1), math.nan)


def write_sheet(path: Path, sheet: Sheet) -> None:
    """Write a picture (H x W x 3 RGB) whole.

    Raises:
        OSError: it cannot be written.
    """
    write_whole(path, cv2.imencode(".png", sheet[..., ::-1])[1].tobytes())


def _tile(batch: Batch, predicted: Tensor, i: int) -> Sheet:
    """Template, its mask, search crop, prediction (green) over truth (red), side by side."""
    template, search = (batch[k][i].permute(1, 2, 0).cpu().numpy() for k in ("template", "search"))
    marked, shown = template.copy(), search.copy()
    marked[batch["template_mask"][i, 0].cpu().numpy() < 0.5] //= 3
    shown[..., 0] = np.where(batch["mask"][i, 0].cpu().numpy() > 0.5, 255, shown[..., 0])
    shown[..., 1] = np.where(predicted[i].cpu().numpy(), 255, shown[..., 1])
    pictures = (template, marked, search, shown)
    return np.hstack([cv2.resize(x, (TILE, TILE), interpolation=cv2.INTER_AREA) for x in pictures])


def _sheet(tiles: list[Sheet]) -> Sheet:
    """Columns of tiles, as many rows as are needed; the last may be dark in part."""
    rows = max(-(-len(tiles) // COLUMNS), 1)
    sheet = np.zeros((rows * TILE, COLUMNS * 4 * TILE, 3), np.uint8)
    for n, tile in enumerate(tiles):
        row, column = n % rows, n // rows
        sheet[row * TILE : (row + 1) * TILE, column * 4 * TILE : (column + 1) * 4 * TILE] = tile
    return sheet
