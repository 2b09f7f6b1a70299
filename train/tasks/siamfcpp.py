"""SiamFC++ as the training loop sees a task: the loss of a batch, what learns at which rate, and the checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from d3s_vot.trackers.siamfcpp.config import SiamFCppConfig
from d3s_vot.trackers.siamfcpp.network import SiamFCppNetwork
from d3s_vot.trackers.siamfcpp.weights import create
from d3s_vot.weights.checkpoint import Checkpoint
from train.tasks.siamfcpp_losses import locations, losses, make_targets

PRIOR = -4.6  # first logit of the class: one location in a hundred is the target (Lin et al., 2017)


class DenseBoxes(nn.Module):
    """The network of SiamFC++, which learns with its trunk; the trunk's batch norm stays as it is.

    Args:
        trunk: its name.
        config: of the heads, and the rules that the weights are for.
        tuned: whether the trunk learns too; its last convolution does in any case, where it is not ImageNet's.
    """

    def __init__(self, trunk: str, config: SiamFCppConfig, tuned: bool = True) -> None:
        super().__init__()
        self.trunk, self.config, self.tuned = trunk, config, tuned
        self.network = SiamFCppNetwork(trunk, config)
        nn.init.constant_(self.network.head.cls_score_p5.get_parameter("bn.bias"), PRIOR)

    def train(self, mode: bool = True) -> DenseBoxes:
        """Training mode, but of the ImageNet trunk's batch norm."""
        super().train(mode)
        for name, part in self.network.basemodel.named_children():
            if name != "channel_reduce":
                part.eval()
        return self

    def forward(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of class and centre-ness (B x 1 x n x n each) and distances (B x 4 x n x n)."""
        c_z, r_z = self.network.encode_template(batch["template"].float())
        c_x, r_x = self.network.encode_search(batch["search"].float())
        return *self.network.class_logits(c_x, c_z), self.network.distances(r_x, r_z)

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """The sum of the three losses: B.

        Args:
            batch: of `siamfcpp_pairs.collate`, on the device.
        """
        targets = make_targets(batch["box"], batch["shown"], self.config)
        cls, centre, distances = self(batch)
        return losses(cls, centre, distances, targets).total

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

    def parameter_groups(self, trunk_rate: float = 0.1) -> list[dict[str, Any]]:
        """For the optimiser; `share` is that of the learning rate. Weights decay, offsets and batch norm do not.

        Args:
            trunk_rate: share for the ImageNet trunk, where it learns.
        """
        own: list[nn.Parameter] = []
        imagenet: list[nn.Parameter] = []
        for name, parameter in self.network.named_parameters():
            of_trunk = name.startswith("basemodel.") and not name.startswith("basemodel.channel_reduce.")
            parameter.requires_grad_(self.tuned or not of_trunk)
            (imagenet if of_trunk else own).append(parameter)
        groups: list[dict[str, Any]] = []
        for part, share in ((own, 1.0), (imagenet if self.tuned else [], trunk_rate)):
            groups.append({"params": [p for p in part if p.ndim > 1], "share": share})
            groups.append({"params": [p for p in part if p.ndim <= 1], "share": share, "weight_decay": 0.0})
        return [group for group in groups if group["params"]]

    def checkpoint(self, provenance: Mapping[str, Any]) -> Checkpoint:
        """The weights in the package's format."""
        return create(self.network.state_dict(), self.trunk, self.config, provenance)
