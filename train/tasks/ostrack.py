"""OSTrack and DropTrack as the training loop sees a task: boxes around the masks of rendered pairs.

Both crops of a pair have the search crop's size and scale; the template is the middle of its own, made as large as the
network wants it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from d3s_vot.errors import CheckpointError
from d3s_vot.trackers.ostrack.config import OSTrackConfig
from d3s_vot.trackers.ostrack.convert import read_published
from d3s_vot.trackers.ostrack.elimination import keep_ratio
from d3s_vot.trackers.ostrack.network import OSTrackNetwork
from d3s_vot.trackers.ostrack.pretrained import begin_from
from d3s_vot.trackers.ostrack.weights import TRACKER, constants, create
from d3s_vot.trunks.vit import SIZES
from d3s_vot.weights.checkpoint import Checkpoint
from d3s_vot.weights.fitting import load_exactly
from train.config import TrainConfig
from train.data.feed import Batch
from train.parallel import synchronize_batch_norm
from train.tasks.base import Task
from train.tasks.boxes import box_masks, mask_boxes
from train.tasks.dropmae_network import DropMAENetwork
from train.tasks.ostrack_losses import decode_best, losses

DROP_PATH = 0.1  # of the last block; published
EPOCHS, ALL_UNTIL, FALLING = 300, 20, 80  # published: in these epochs fewer and fewer tokens are kept


class CentreBoxes(Task):
    """The network of OSTrack or DropTrack.

    Args:
        config: of the network, and the rules that the weights are for.
        run: seed and length of the run.
    """

    steps: Tensor

    def __init__(self, config: OSTrackConfig, run: TrainConfig) -> None:
        super().__init__()
        self.config, self.seed, self.iterations = config, run.seed, run.iterations
        self.network = OSTrackNetwork(config, DROP_PATH)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))  # done: a resumed run goes on from there

    @classmethod
    def create(
        cls,
        config: TrainConfig,
        device: torch.device,
        trunk_weights: Path | None,
        processes: int,
        start: Checkpoint | None = None,
    ) -> CentreBoxes:
        """Networks for a run, see `base.MakeTask`.

        They begin with a checkpoint, or with a file of MAE's or DropMAE's pre-training as the trunk's weights, or with
        random weights: as DropMAE begins, so that what its pre-training is worth can be told.

        Raises:
            CheckpointError: there is no such trunk, or the weights to begin with are missing, damaged or of another
                network.
        """
        if config.trunk not in SIZES:
            raise CheckpointError(f"OSTrack has no trunk {config.trunk!r}; choose {' or '.join(SIZES)}")
        if trunk_weights is not None and start is None:
            start = read_published(trunk_weights)
        if start is None:
            state, own = cls._random(config)
        elif start.tracker == TRACKER:
            state, own = start.tensors, constants(start)
        else:
            raise CheckpointError(f"the weights to start from are of {start.tracker}, not of OSTrack; choose others")
        if (own.size, own.search_size) != (SIZES[config.trunk], config.pairs.size):
            raise CheckpointError(
                f"the weights to start from have crops of {own.search_size} pixels and width {own.width}, the schedule "
                f"{config.pairs.size} and {SIZES[config.trunk].width}; choose others"
            )
        task = cls(own, config)
        load_exactly(task.network, state, "OSTrack")
        if processes > 1:
            synchronize_batch_norm(task.network.box_head, device)
        return task.to(device)

    @staticmethod
    def _random(config: TrainConfig) -> tuple[dict[str, Tensor], OSTrackConfig]:
        size = SIZES[config.trunk]
        rules = OSTrackConfig(
            width=size.width, depth=size.depth, template_size=config.pairs.size // 2, search_size=config.pairs.size,
            search_factor=config.pairs.area_scale, temporal=1,
        )  # fmt: skip
        state = DropMAENetwork.on(config.trunk).state_dict()
        return begin_from(state, rules, "the encoder", config.seed), rules

    def forward(self, batch: Batch) -> Tensor:
        """Maps of a batch: B x 5 x s x s."""
        c = self.config
        template = batch["template"].float()
        size = template.shape[-1]
        side = round(size * c.template_factor / c.search_factor)
        before = (size - side) // 2
        middle = template[..., before : before + side, before : before + side]
        if side != c.template_size:
            middle = F.interpolate(middle, size=(c.template_size,) * 2, mode="bilinear", align_corners=False)
        return self.network(batch["search"].float(), self.network.backbone.embed_template(middle)).float()

    def loss(self, batch: Batch) -> Tensor:
        """The sum of the three losses: B. A pair whose target does not show teaches nothing.

        What is left out of the network, and how many tokens are eliminated, is a function of the seed and the number
        of steps that were done.
        """
        step = int(self.steps)
        epoch = EPOCHS * step / self.iterations
        ratio = keep_ratio(epoch, self.config.keep_ratio, start=ALL_UNTIL, length=FALLING)
        self.network.backbone.eliminate(ratio)
        with torch.random.fork_rng():
            torch.manual_seed((2**32 * self.seed + step) % 2**63)
            maps = self(batch)
        self.steps += 1
        pixels, shown = mask_boxes(batch["mask"][:, 0] > 0.5)
        shown &= batch["weight"].flatten(1).any(dim=1)
        size = batch["search"].shape[-1]
        boxes = torch.cat([pixels[:, :2], pixels[:, 2:] + 1], dim=1) / size
        return torch.where(shown, losses(maps, boxes), 0.0)

    def masks(self, batch: Batch) -> Tensor:
        """The best boxes as masks, for validation: B x S x S bool."""
        self.network.backbone.eliminate(self.config.keep_ratio)
        size = batch["search"].shape[-1]
        x0, y0, x1, y1 = (decode_best(self(batch)) * size).t()
        return box_masks(torch.stack([x0, y0, x1 - 1, y1 - 1], dim=1), size)

    def trunk_state(self) -> dict[str, Tensor]:
        """See `Task.trunk_state`: none, a checkpoint to begin with has its own checksum."""
        return {}

    def parameter_groups(self, config: TrainConfig) -> list[dict[str, Any]]:
        """For the optimiser: the transformer learns at `trunk_rate` times the rate, as published."""
        backbone, head = self.network.backbone, self.network.box_head
        return [
            {"params": list(head.parameters()), "share": 1.0},
            {"params": list(backbone.parameters()), "share": config.trunk_rate},
        ]

    def checkpoint(self, provenance: dict[str, Any], rules: str) -> Checkpoint:
        """The weights in the package's format, with the rules that they are for, whatever others are named."""
        return create(self.network.state_dict(), self.config, provenance)
