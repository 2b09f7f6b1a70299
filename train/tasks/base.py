"""What is trained, as the loop sees it; a tracker brings a class of this form, in a file of its own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from d3s_vot.weights.checkpoint import Checkpoint
from train.config import TrainConfig
from train.data.feed import Batch, Feed
from train.data.pairs import PairDataset
from train.parallel import Group
from train.validation import Scores, Sheet, Validation


class Task(nn.Module):
    """The networks of a run: the loss of a batch, what learns at which rate, and the checkpoint of it.

    Parameters and buffers are those that learn: the loop averages, saves and shares these. What it learns from and how
    it is validated are pairs with masks, unless a task says otherwise.

    Attributes:
        measure: what validation finds, in a word.
        shown_before: whether the sheet of validation is written before the first step too, as `before.png`.
    """

    measure: ClassVar[str] = "iou"
    shown_before: ClassVar[bool] = False

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """The loss of each item of a rendered batch on the device: B."""

    @abstractmethod
    def masks(self, batch: Batch) -> Tensor:
        """The predicted targets, B x S x S bool, for validation."""

    @abstractmethod
    def parameter_groups(self, config: TrainConfig) -> list[dict[str, Any]]:
        """For the optimiser; `share` is that of the learning rate."""

    @abstractmethod
    def trunk_state(self) -> dict[str, Tensor]:
        """The tensors that the networks began with and did not draw at random, which a resumed run must have again."""

    @abstractmethod
    def checkpoint(self, provenance: dict[str, Any], rules: str) -> Checkpoint:
        """The weights in the package's format.

        Args:
            provenance: for the metadata.
            rules: name of the tracker's constants.
        """


    def dataset(self, items: Sequence[Any], weights: dict[str, float], config: TrainConfig) -> Dataset[Any]:
        """All pairs of a run by number, a function of the seed and the number alone."""
        return PairDataset(list(items), weights, config.pairs, config.seed, config.iterations * config.batch)

    def feed(self, config: TrainConfig, device: torch.device) -> Feed:
        """What makes batches of the pairs."""
        return Feed(config.pairs, device, config.workers)

    def validation(
        self, items: Sequence[Any], weights: dict[str, float], config: TrainConfig, device: torch.device, group: Group
    ) -> Callable[[Any, torch.dtype], tuple[Scores, Sheet]]:
        """Scores of this task, or of its moving average, on held-out items, and a sheet of pictures.

        Raises:
            DataError: there are no such items.
        """
        return Validation(
            list(items), weights, config.pairs, count=config.validation_pairs, batch=config.batch // group.size,
            workers=config.workers, device=device, group=group,
        )  # fmt: skip


class MakeTask(Protocol):
    """New networks for a run, or those of a checkpoint."""

    def __call__(
        self,
        config: TrainConfig,
        device: torch.device,
        trunk_weights: Path | None,
        processes: int,
        start: Checkpoint | None = None,
    ) -> Task:
        """See `Segmentation.create`.

        Raises:
            CheckpointError: the trunk's weights, or those to begin with, are missing, damaged or of another network.
        """
