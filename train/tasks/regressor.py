"""The box regressor of ATOM as the training loop sees a task: what boxes about a target are worth, from rendered pairs.

The trunk is frozen, as published. The template crop shows the target as the first frame does; its box, and that of the
target in the search crop, are those around the masks.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from d3s_vot.errors import CheckpointError
from d3s_vot.heads.iou import BoxFeatures, Modulation, create_regressor
from d3s_vot.trackers.atom.config import ATOMConfig
from d3s_vot.trackers.atom.published import CONFIGURATIONS
from d3s_vot.trackers.atom.weights import REGRESSOR, TRACKER, TRUNK, TRUNK_NAME, create
from d3s_vot.trunks.create import create_trunk, imagenet_tensors
from d3s_vot.weights.checkpoint import Checkpoint
from d3s_vot.weights.fitting import load_exactly, part
from train.config import TrainConfig
from train.data.feed import Batch
from train.errors import DataError
from train.parallel import synchronize_batch_norm
from train.tasks.base import Task
from train.tasks.climbing import boxes_around, climbed_masks, regressor_loss

OVERLAPPING = 16  # boxes for a picture that tell their overlap; published


class BoxWorth(Task):
    """ATOM's box regressor on a frozen ResNet-18.

    Args:
        rules: those of a configuration whose boxes climb in relative space are of a regressor that is trained as a
            density, the others of one that is trained to tell the overlap.
        state: of the trunk, with torchvision's names.
        seed: of the drawn boxes.
    """

    steps: Tensor

    def __init__(self, rules: ATOMConfig, state: dict[str, Tensor], seed: int) -> None:
        super().__init__()
        self.rules, self.seed = rules, seed
        self.regressor: Any = create_regressor(TRUNK_NAME)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))  # done: a resumed run goes on from there
        # In a tuple, where modules do not look for parts of them.
        self._frozen = (create_trunk(TRUNK_NAME, state=state), state)

    @classmethod
    def create(
        cls,
        config: TrainConfig,
        device: torch.device,
        trunk_weights: Path | None,
        processes: int,
        start: Checkpoint | None = None,
    ) -> BoxWorth:
        """A new regressor for a run, or that of a checkpoint; see `base.MakeTask`.

        Raises:
            CheckpointError: there is no such trunk, the schedule is of another tracker, or the weights are missing,
                damaged or of another network.
            DataError: a process has a single pair, of which batch norm learns nothing.
        """
        if config.batch // processes < 2:
            raise DataError(f"a step of {config.batch} pairs leaves a process a single one; give it two (--batch)")
        if config.trunk != TRUNK_NAME:
            raise CheckpointError(f"ATOM has no trunk {config.trunk!r}; choose {TRUNK_NAME}")
        if config.rules not in CONFIGURATIONS:
            raise CheckpointError("the schedule is of another tracker than ATOM; choose atom or atom-density")
        if start is not None and start.tracker != TRACKER:
            raise CheckpointError(f"the weights to start from are of {start.tracker}, not of ATOM; choose others")
        if start is None:
            state = dict(imagenet_tensors(TRUNK_NAME, trunk_weights))
        elif trunk_weights is None:
            state = part(start.tensors, TRUNK)
        else:
            raise CheckpointError("the weights to start from have a trunk; leave out --trunk-weights")
        pairs, rules = config.pairs, CONFIGURATIONS[config.rules].config
        rules = dataclasses.replace(rules, sample_size=pairs.size, search_area_scale=pairs.area_scale)
        task = cls(rules, state, config.seed)
        if start is not None:
            load_exactly(task.regressor, part(start.tensors, REGRESSOR), "ATOM's box regressor")
        if processes > 1:
            task.regressor = synchronize_batch_norm(task.regressor, device)
        task.trunk.to(device)
        return task.to(device)

    @property
    def trunk(self) -> Any:
        """Where the features come from."""
        return self._frozen[0]

    def look(self, batch: Batch) -> tuple[BoxFeatures, Modulation, Tensor]:
        """What the regressor sees of the search crops, what it knows of the targets, and their boxes there (B x 4)."""
        with torch.no_grad():
            template, search = (self.trunk(batch[name]) for name in ("template", "search"))
        with torch.autocast(batch["search"].device.type, enabled=False):  # a box's edges are finer than bfloat16
            fine, coarse = template[8].float(), template[16].float()
            modulation = self.regressor.modulation(fine, coarse, boxes_around(batch["template_mask"])[0])
            features = self.regressor.features(search[8].float(), search[16].float())
        return features, modulation, boxes_around(batch["mask"])[0]

    def loss(self, batch: Batch) -> Tensor:
        """Of the values of drawn boxes: B. A pair whose target does not show teaches nothing.

        The boxes are a function of the seed and the number of steps that were done.
        """
        features, modulation, truth = self.look(batch)
        generator = torch.Generator().manual_seed((2**32 * self.seed + int(self.steps)) % 2**63)
        self.steps += 1
        with torch.autocast(truth.device.type, enabled=False):
            losses = regressor_loss(
                self.regressor, features, modulation, truth, generator,
                overlapping=OVERLAPPING, density=bool(self.rules.refinement_relative),
            )  # fmt: skip
        shown = batch["weight"].flatten(1).any(dim=1)
        for name in ("template_mask", "mask"):
            shown = shown & boxes_around(batch[name])[1]
        return torch.where(shown, losses, 0.0)

    def masks(self, batch: Batch) -> Tensor:
        """Boxes that climbed from the target's middle with the template's size, as masks: B x S x S bool."""
        features, modulation, truth = self.look(batch)
        before, size = boxes_around(batch["template_mask"])[0], batch["search"].shape[-1]
        starts = torch.cat([truth[:, :2] + (truth[:, 2:] - before[:, 2:]) / 2, before[:, 2:]], dim=1)  # x, y, w, h
        return climbed_masks(self.regressor, features, modulation, starts, self.rules, size)

    def trunk_state(self) -> dict[str, Tensor]:
        """See `Task.trunk_state`."""
        return self._frozen[1]

    def parameter_groups(self, config: TrainConfig) -> list[dict[str, Any]]:
        """For the optimiser."""
        return [{"params": list(self.regressor.parameters()), "share": 1.0}]

    def checkpoint(self, provenance: dict[str, Any], rules: str) -> Checkpoint:
        """The weights in the package's format, the trunk among them."""
        parts = {TRUNK: self._frozen[1], REGRESSOR: self.regressor.state_dict()}
        tensors = {prefix + k: v for prefix, part in parts.items() for k, v in part.items()}
        return create(tensors, self.rules, provenance)
