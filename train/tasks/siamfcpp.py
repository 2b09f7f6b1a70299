"""SiamFC++ as the training loop sees a task: the loss of a batch, what learns at which rate, and the checkpoint.

A batch is either one of `siamfcpp_pairs.collate`, of boxes, or one that the loop renders of masks: both crops of the
search crop's size and scale, the template being the middle of its own, and boxes those around the masks.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from d3s_vot.errors import CheckpointError
from d3s_vot.trackers.siamfcpp.config import HEAD_CONVOLUTIONS, TEMPLATE_SIZE, SiamFCppConfig
from d3s_vot.trackers.siamfcpp.network import SiamFCppNetwork
from d3s_vot.trackers.siamfcpp.weights import TRACKER, create
from d3s_vot.weights.checkpoint import Checkpoint
from d3s_vot.weights.fitting import load_exactly
from train.config import TrainConfig
from train.data.feed import Batch
from train.parallel import synchronize_batch_norm
from train.tasks.base import Task
from train.tasks.boxes import box_masks, mask_boxes
from train.tasks.siamfcpp_losses import locations, losses, make_targets

PRIOR = -4.6  # first logit of the class: one location in a hundred is the target (Lin et al., 2017)


class DenseBoxes(Task):
    """The network of SiamFC++; the batch norm of its trunk stays as it is, where ImageNet's weights are in it.

    Args:
        trunk: its name.
        config: of the heads, and the rules that the weights are for.
        tuned: whether an ImageNet trunk learns too.
    """

    def __init__(self, trunk: str, config: SiamFCppConfig, tuned: bool = True) -> None:
        super().__init__()
        self.trunk, self.config, self.tuned = trunk, config, tuned
        self.network: Any = SiamFCppNetwork(trunk, config)
        nn.init.constant_(self.network.head.cls_score_p5.get_parameter("bn.bias"), PRIOR)
        for name, parameter in self.network.named_parameters():
            parameter.requires_grad_(tuned or not self._of_imagenet(name))

    @classmethod
    def create(
        cls,
        config: TrainConfig,
        device: torch.device,
        trunk_weights: Path | None,
        processes: int,
        start: Checkpoint | None = None,
    ) -> DenseBoxes:
        """New networks for a run, or those of a checkpoint; see `base.MakeTask`.

        Raises:
            CheckpointError: there is no such trunk, or the weights to begin with are of another network.
        """
        if config.trunk not in HEAD_CONVOLUTIONS:
            names = ", ".join(HEAD_CONVOLUTIONS)
            raise CheckpointError(f"SiamFC++ has no trunk {config.trunk!r}; choose one of {names}")
        if trunk_weights is not None:
            raise CheckpointError("the trunks of SiamFC++ take no file of weights; leave it out")
        rules = SiamFCppConfig.of_trunk(config.trunk, search_size=config.pairs.size)
        task = cls(config.trunk, rules, config.tuned_stages > 0)
        if start is not None:
            if (start.tracker, start.config.get("trunk")) != (TRACKER, config.trunk):
                raise CheckpointError(f"the weights to start from are not of SiamFC++ on {config.trunk}; choose theirs")
            load_exactly(task.network, start.tensors, f"SiamFC++ on {config.trunk}")
        if processes > 1:
            task.network = synchronize_batch_norm(task.network, device)
        return task.to(device)

    def _of_imagenet(self, name: str) -> bool:
        """Whether a parameter is of a trunk that begins with ImageNet's weights."""
        return self.trunk == "lite0" and name.startswith("basemodel.trunk.")

    def train(self, mode: bool = True) -> DenseBoxes:
        """Training mode, but of the ImageNet trunk's batch norm."""
        super().train(mode)
        if self.trunk == "lite0":
            self.network.basemodel.trunk.eval()
        return self

    def forward(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of class and centre-ness (B x 1 x n x n each) and distances (B x 4 x n x n)."""
        template = batch["template"]
        before = (template.shape[-1] - TEMPLATE_SIZE) // 2
        middle = slice(before, before + TEMPLATE_SIZE)
        c_z, r_z = self.network.encode_template(template[..., middle, middle].float())
        c_x, r_x = self.network.encode_search(batch["search"].float())
        return *self.network.class_logits(c_x, c_z), self.network.distances(r_x, r_z)

    def loss(self, batch: Batch) -> Tensor:
        """The sum of the three losses: B. A rendered pair whose target does not show teaches nothing.

        Args:
            batch: of boxes or of masks, on the device.
        """
        cls, centre, distances = self(batch)
        if "box" in batch:
            return losses(cls, centre, distances, make_targets(batch["box"], batch["shown"], self.config)).total
        box, shown = mask_boxes(batch["mask"][:, 0] > 0.5)
        shown &= batch["weight"].flatten(1).any(dim=1)
        return losses(cls, centre, distances, make_targets(box, shown, self.config)).total * shown

    def boxes(self, batch: Mapping[str, Tensor]) -> Tensor:
        """x0, y0, x1, y1 at the best score, pixels of the search crop: B x 4."""
        cls, centre, distances = self(batch)
        score = (torch.sigmoid(cls) * torch.sigmoid(centre)).flatten(1)  # B x n²
        best = score.argmax(dim=1)
        n = cls.shape[-1]
        at = locations(self.config, score.device)
        x, y = at[best % n], at[best // n]  # B each
        left, top, right, bottom = distances.flatten(2).gather(2, best.view(-1, 1, 1).expand(-1, 4, 1))[..., 0].t()
        return torch.stack([x - left, y - top, x + right, y + bottom], dim=1)

    def overlaps(self, batch: Mapping[str, Tensor]) -> Tensor:
        """IoU of the best box with the target's: B; of pairs that do not show it, with the other object's."""
        found, wanted = self.boxes(batch), batch["box"].float()
        low, high = torch.maximum(found[:, :2], wanted[:, :2]), torch.minimum(found[:, 2:], wanted[:, 2:])
        shared = (high - low + 1).clamp(min=0).prod(dim=1)
        areas = [(b[:, 2:] - b[:, :2] + 1).prod(dim=1) for b in (found, wanted)]
        return shared / (areas[0] + areas[1] - shared)

    def masks(self, batch: Batch) -> Tensor:
        """The best boxes as masks, for validation: B x S x S bool."""
        return box_masks(self.boxes(batch), batch["search"].shape[-1])

    def trunk_state(self) -> dict[str, Tensor]:
        """See `Task.trunk_state`."""
        return {name: tensor for name, tensor in self.network.state_dict().items() if self._of_imagenet(name)}

    def parameter_groups(self, config: TrainConfig) -> list[dict[str, Any]]:
        """For the optimiser; `share` is that of the learning rate. Weights decay, offsets and batch norm do not."""
        groups: list[dict[str, Any]] = []
        for imagenet, share in ((False, 1.0), (True, config.trunk_rate)):
            named = self.network.named_parameters()
            part = [p for name, p in named if p.requires_grad and self._of_imagenet(name) == imagenet]
            groups.append({"params": [p for p in part if p.ndim > 1], "share": share})
            groups.append({"params": [p for p in part if p.ndim <= 1], "share": share, "weight_decay": 0.0})
        return [group for group in groups if group["params"]]

    def checkpoint(self, provenance: dict[str, Any], rules: str) -> Checkpoint:
        """The weights in the package's format, with the rules that they are for, whatever others are named."""
        return create(self.network.state_dict(), self.trunk, self.config, provenance)
