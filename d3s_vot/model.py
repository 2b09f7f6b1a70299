"""What a tracker brings: a `Model`, its networks on a device, and a `Target`, one target of a video."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from d3s_vot.constants import Constants
from d3s_vot.errors import InputError
from d3s_vot.given import Frame, Given
from d3s_vot.regions import Box
from d3s_vot.steps import Steps
from d3s_vot.weights.checkpoint import Checkpoint


class Target(ABC):
    """One target in one video, on a model that it shares with others. It can be copied deeply."""

    @abstractmethod
    def step(self, frame: Frame) -> Steps:
        """Find the target in the next frame.

        Args:
            frame: of the last frame's size, or the same view at another size, which the answer is then in the pixels
                of.
        """


class Witness(Target):
    """A target that another tracker's target asks in every frame, and leads back when it is elsewhere."""

    @property
    @abstractmethod
    def box(self) -> Box:
        """Where the target is taken to be, in the last frame."""

    @property
    @abstractmethod
    def seen(self) -> bool:
        """Whether the last frame showed it there."""

    @abstractmethod
    def lead(self, box: Box) -> None:
        """Go on from the middle and the area of this box; what was learnt stays."""


class Model(ABC):
    """Weights on one device, for any number of targets; nothing changes in it once it is made.

    Its methods compute as their caller is set to, the tracker inside `arithmetic.exact`.

    Attributes:
        name: of the tracker, one of `trackers.names.NAMES`.
        gives_masks: whether it answers with masks; otherwise with boxes, also where it is given a mask.
        joins_masks: whether targets that are followed together share the pixels of a frame among them, so that a target
            gets another answer than alone.
        rules: constants by name, which a user may choose instead of those of the weights.
        architecture: the networks in a word, such as the trunk's name.
        config: its constants.
        device: where the networks run.
        networks: all that a frame passes, each a function of tensors; the preset fast puts compiled ones there.
        wants: name of weights of another tracker, whose targets its own ask in every frame, as `Witness`.
        witness: the model of those, once it is loaded; it has networks of its own.
    """

    name: ClassVar[str]
    gives_masks: ClassVar[bool]
    joins_masks: ClassVar[bool] = False
    rules: ClassVar[Mapping[str, Constants]]
    architecture: str
    config: Any
    device: torch.device
    networks: dict[str, nn.Module]
    wants: str | None = None
    witness: Model | None = None

    def __deepcopy__(self, memo: object) -> Model:
        """Itself: copies of its targets share it, as all do."""
        return self

    @classmethod
    @abstractmethod
    def constants(cls, checkpoint: Checkpoint) -> Any:
        """The constants that a checkpoint's weights were made for.

        Raises:
            InputError: one of them is unknown or cannot be used.
        """

    @classmethod
    @abstractmethod
    def check(cls, checkpoint: Checkpoint, what: str, remedy: str) -> None:
        """Refuse a checkpoint that `from_checkpoint` could not use.

        Args:
            checkpoint: of this tracker; sound in all that trackers have in common.
            what: it is, for the error's sentence.
            remedy: against it.

        Raises:
            CheckpointError: names, shapes or constants are those of another network.
        """

    @classmethod
    @abstractmethod
    def from_checkpoint(
        cls, checkpoint: Checkpoint, device: torch.device, config: Any, trunk: Path | None = None
    ) -> Model:
        """Build the networks.

        Args:
            checkpoint: which `check` has not refused.
            device: where they run.
            config: from `configure`.
            trunk: file of the ImageNet trunk, where it is neither in the checkpoint nor in a package.

        Raises:
            CheckpointError: the tensors do not fit the networks.
        """

    @classmethod
    def configure(cls, checkpoint: Checkpoint, rules: str = "weights") -> Any:
        """The constants by the name of their rules; what the weights were trained for stays.

        Raises:
            InputError: there are no such rules.
        """
        own = cls.constants(checkpoint)
        if rules == "weights":
            return own
        if not isinstance(rules, str) or rules not in cls.rules:
            names = ["weights", *cls.rules]
            raise InputError(f"there are no rules {rules!r}; use {' or '.join((', '.join(names[:-1]), names[-1]))}")
        return own.with_rules(cls.rules[rules])

    @abstractmethod
    def examples(self) -> dict[str, tuple[Tensor, ...]]:
        """Inputs of each of `networks`, of as many items (their first dimension) as are fast at once."""

    @abstractmethod
    def begin(self, frame: Frame, given: Given) -> Target:
        """Learn a target from the first frame; the model stays as it is.

        Raises:
            InputError: the target cannot be followed.
        """
