"""What is trained, as the loop sees it; a tracker brings a class of this form, in a file of its own."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from d3s_vot.weights.checkpoint import Checkpoint
from train.config import TrainConfig
from train.data.feed import Batch


class Task(nn.Module):
    """The networks of a run: the loss of a batch, what learns at which rate, and the checkpoint of it.

    Parameters and buffers are those that learn: the loop averages, saves and shares these.
    """

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
