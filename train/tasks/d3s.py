"""The task of D3S: its segmentation network on a trunk, from pairs of a template and a search crop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from d3s_vot.errors import CheckpointError
from d3s_vot.trackers.d3s.config import RULES
from d3s_vot.trackers.d3s.model import D3SModel
from d3s_vot.trackers.d3s.network import SegmentationNetwork, location_channel
from d3s_vot.trackers.d3s.weights import HEAD, TRUNK, create, trunks
from d3s_vot.trunks.create import create_trunk
from d3s_vot.trunks.trunk import Trunk
from d3s_vot.weights.checkpoint import Checkpoint
from train.config import TrainConfig
from train.data.feed import Batch
from train.parallel import synchronize_batch_norm
from train.tasks.base import Task
from train.tasks.trunk import create_trainable_trunk, trunk_tensors

SMOOTH = 20.0  # pixels, so that a target of a few pixels does not outweigh the batch


class Segmentation(Task):
    """The segmentation network of D3S on a trunk, which is frozen or learns too.

    Parameters and buffers are those that learn: of a frozen trunk there are none.

    Args:
        network: the segmentation network.
        trunk: frozen, or from `create_trainable_trunk`.
        tuned: whether the trunk learns.
        dice: weight of the soft Dice loss.
        trunk_weights: file of the trunk's ImageNet weights, if it came from one.
    """

    def __init__(
        self,
        network: SegmentationNetwork,
        trunk: Trunk,
        tuned: bool = False,
        dice: float = 0.0,
        trunk_weights: Path | None = None,
    ) -> None:
        super().__init__()
        self.network, self.tuned, self.dice, self.trunk_weights = network, tuned, dice, trunk_weights
        self.tuned_trunk = trunk if tuned else None
        self._frozen = None if tuned else (trunk,)  # in a tuple, where modules do not look for parts of them

    @classmethod
    def create(
        cls,
        config: TrainConfig,
        device: torch.device,
        trunk_weights: Path | None,
        processes: int,
        start: Checkpoint | None = None,
    ) -> Segmentation:
        """New networks for a run, or those of a checkpoint.

        Raises:
            CheckpointError: the schedule is of another tracker, or the trunk's weights, or those to begin with, are
                missing, damaged or of another network.
        """
        if config.rules not in RULES:  # or it would be found when the run ends
            raise CheckpointError("the schedule is of another tracker than D3S; choose quick or published")
        if start is not None and start.tracker != D3SModel.name:
            raise CheckpointError(f"the weights to start from are of {start.tracker}, not of D3S; choose others")
        if config.tuned_stages:
            trunk = create_trainable_trunk(config.trunk, config.tuned_stages, trunk_weights)
        else:
            trunk = create_trunk(config.trunk, trunk_weights)
        network: Any = SegmentationNetwork(trunk.channels, width=config.width)
        nn.init.constant_(network.get_parameter("post0.1.weight"), config.gain)
        with torch.no_grad():
            network.get_parameter("post0.1.bias").copy_(torch.tensor([-config.prior, config.prior]))
        if processes > 1:
            network = synchronize_batch_norm(network, device)
        trunk = trunk.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        task = cls(network.to(device), trunk, config.tuned_stages > 0, config.dice, trunk_weights)
        if start is not None:
            task._take(start)
        return task

    def _take(self, checkpoint: Checkpoint) -> None:
        """Take over trained weights in place of those drawn at random.

        Those of a narrower network take its first channels. They do not hear the new ones at first, so that the wide
        network begins with the narrow one's answers.

        Raises:
            CheckpointError: they are of another trunk, of a trunk that learnt where this one does not, or of a wider
                network.
        """
        trained_on, _ = trunks(checkpoint)
        if trained_on != self.trunk.name:
            raise CheckpointError(
                f"the weights to start from are of {trained_on}, not {self.trunk.name}; choose theirs (--trunk)"
            )
        head, trunk = (
            {k.removeprefix(part): v.float() for k, v in checkpoint.tensors.items() if k.startswith(part)}
            for part in (HEAD, TRUNK)
        )
        if trunk and not self.tuned:
            raise CheckpointError("the weights to start from have a trunk that learnt; let it learn on (--tune-trunk)")
        wide = self.network.state_dict()
        for name, tensor in head.items():
            own = wide[name]
            if any(a > b for a, b in zip(tensor.shape, own.shape, strict=True)):
                raise CheckpointError("the weights to start from are of a wider network; give it their width (--width)")
            places = tuple(slice(n) for n in tensor.shape)
            own[places[:1]] = 0
            own[places] = tensor.to(own)
        self.network.load_state_dict(wide)
        if trunk:
            self.trunk.load_state_dict(create_trunk(self.trunk.name, state=trunk, frozen=False).state_dict())

    @property
    def trunk(self) -> Trunk:
        """Where the features come from."""
        return self.tuned_trunk if self._frozen is None else self._frozen[0]  # type: ignore[return-value]

    def train(self, mode: bool = True) -> Segmentation:
        """Training mode, but of the segmentation network alone: the trunk's batch norm stays as it is."""
        super().train(mode)
        self.trunk.eval()
        return self

    def forward(self, batch: Batch) -> Tensor:
        """Logits of target and background, B x 2 x S x S, float32."""
        location = location_channel(batch["center"], batch["search"].shape[-1])  # B x 1 x S x S
        with torch.set_grad_enabled(self.tuned and torch.is_grad_enabled()):
            template, search = self.trunk(batch["template"]), self.trunk(batch["search"])
        return self.network(search, self.network.encode_template(template, batch["template_mask"]), location).float()

    def loss(self, batch: Batch) -> Tensor:
        """Binary cross-entropy of both channels, a mean over the pixels that count, and soft Dice: B.

        Cross-entropy adds up pixels, so small targets hardly matter to it; Dice is a share of each pair's own.

        Args:
            batch: rendered, on the device.
        """
        logits, mask, weight = self(batch), batch["mask"], batch["weight"]  # B x 2 x S x S, B x 1 x S x S
        target = torch.cat([mask, 1 - mask], dim=1)  # B x 2 x S x S
        each = F.binary_cross_entropy_with_logits(logits, target, reduction="none")  # B x 2 x S x S
        loss = _total(each * weight) / (2 * _total(weight)).clamp(min=1)  # B
        if self.dice:
            found = logits.softmax(dim=1)[:, :1] * weight  # B x 1 x S x S
            both, either = _total(found * mask), _total(found) + _total(mask * weight)  # B
            loss = loss + self.dice * (1 - (2 * both + SMOOTH) / (either + SMOOTH))
        return loss

    def masks(self, batch: Batch) -> Tensor:
        """The predicted targets, B x S x S bool."""
        logits = self(batch)
        return logits[:, 0] > logits[:, 1]

    def trunk_state(self) -> dict[str, Tensor]:
        """See `Task.trunk_state`."""
        return self.trunk.state_dict()

    def parameter_groups(self, config: TrainConfig) -> list[dict[str, Any]]:
        """For the optimiser; `share` is that of the learning rate. Weights decay, offsets and batch norm do not."""
        groups = [
            {"params": [p for p in self.network.parameters() if p.ndim > 1], "share": 1.0},
            {"params": [p for p in self.network.parameters() if p.ndim <= 1], "share": 1.0, "weight_decay": 0.0},
        ]
        if self.tuned:
            learning = [p for p in self.trunk.parameters() if p.requires_grad]
            groups.append({"params": learning, "share": config.trunk_rate})
        return groups

    def checkpoint(self, provenance: dict[str, Any], rules: str) -> Checkpoint:
        """The weights in the package's format; a tuned trunk is among them, and GEM then keeps the ImageNet trunk.

        Args:
            provenance: for the metadata.
            rules: name of the tracker's constants.
        """
        config = replace(RULES[rules], refinement_width=self.network.width).changes()
        tensors = {HEAD + k: v for k, v in self.network.state_dict().items()}
        if not self.tuned:
            return create(tensors, self.trunk.name, provenance, config=config)
        tensors |= {TRUNK + k: v for k, v in trunk_tensors(self.trunk, self.trunk_weights).items()}
        return create(tensors, self.trunk.name, provenance, gem_trunk=self.trunk.name, config=config)


def _total(x: Tensor) -> Tensor:
    """Sum of each pair's numbers: B x ... to B."""
    return x.flatten(1).sum(dim=1)
