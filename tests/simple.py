"""Trackers without a network, for tests of what stands around them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from d3s_vot.given import Frame, Given
from d3s_vot.model import Model, Target
from d3s_vot.prediction import Prediction
from d3s_vot.steps import Steps
from d3s_vot.tracker import Tracker
from d3s_vot.weights.checkpoint import Checkpoint


class SimpleTarget(Target):
    """Answers without a network."""

    def __init__(self, frame: Frame, given: Given) -> None:
        raise NotImplementedError

    def track(self, image: np.ndarray) -> Prediction:
        """The answer for the next frame."""
        raise NotImplementedError

    def step(self, frame: Frame) -> Steps:
        yield from ()
        return self.track(frame.image)


class SimpleModel(Model):
    """Nothing but a way to make targets."""

    name, gives_masks, rules = "simple", True, {}

    def __init__(self, make: Callable[[Frame, Given], Target]) -> None:
        self.config, self.device, self.networks, self.architecture = None, torch.device("cpu"), {}, "none"
        self._make = make

    @classmethod
    def constants(cls, checkpoint: Checkpoint) -> Any:
        raise NotImplementedError

    @classmethod
    def check(cls, checkpoint: Checkpoint, what: str, remedy: str) -> None:
        raise NotImplementedError

    @classmethod
    def from_checkpoint(
        cls, checkpoint: Checkpoint, device: torch.device, config: Any, trunk: Path | None = None
    ) -> Model:
        raise NotImplementedError

    def examples(self) -> dict[str, tuple[Tensor, ...]]:
        return {}

    def begin(self, frame: Frame, given: Given) -> Target:
        return self._make(frame, given)


def simple(make: Callable[[Frame, Given], Target]) -> Tracker:
    """A tracker of such targets."""
    return Tracker(SimpleModel(make))
