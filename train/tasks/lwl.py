"""LWL as the training loop sees a task: what a filter learns from one frame has to find the target in another.

The filter is learnt from the template with its mask, as in the first frame of a video, and the loss of the search
crop's mask goes back through its learning to what the label encoder made of the template's. A pair stands in the place
of the paper's short sequences. The encoder of boxes is no part of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from d3s_vot.errors import CheckpointError
from d3s_vot.trackers.lwl.config import LWLConfig
from d3s_vot.trackers.lwl.learner import descend, objective, respond, zero_filter
from d3s_vot.trackers.lwl.network import ENCODING, FILTER_SIDE, LWLNetwork
from d3s_vot.trackers.lwl.weights import TRACKER, constants, create
from d3s_vot.weights.checkpoint import Checkpoint
from d3s_vot.weights.fitting import load_exactly
from d3s_vot.weights.state_dicts import read_state_dict
from train.config import TrainConfig
from train.data.feed import Batch
from train.parallel import synchronize_batch_norm
from train.tasks.base import Task
from train.tasks.lwl_loss import mask_loss

NETWORKS = {"resnet50_caffe": LWLConfig()}  # by the name of the trunk
TRUNK = "feature_extractor."
STAGES = ("layer1", "layer2", "layer3", "layer4")
STEPS = 5  # of the filter's learning; in a video there are more


class FewShot(Task):
    """The network of LWL, whose trunk is frozen or learns too; the trunk's batch norm stays as it is.

    Args:
        config: of the network, and the rules that the weights are for.
        trunk: weights of the trunk, with torchvision's names; empty: random ones.
        tuned_stages: of the trunk's four, the last so many learn; with all of them the stem does, too.
    """

    def __init__(self, config: LWLConfig, trunk: dict[str, Tensor], tuned_stages: int) -> None:
        super().__init__()
        self.config, self._given = config, bool(trunk)
        self.network: Any = LWLNetwork(config)
        extractor = self.network.feature_extractor
        if trunk:
            load_exactly(extractor, trunk, "the trunk of LWL", ignore=("fc.",))
        else:
            _tame(extractor)
        learning = STAGES[len(STAGES) - tuned_stages :]
        for name, module in extractor.named_modules():
            if isinstance(module, nn.Conv2d):
                module.requires_grad_(name.startswith(learning) or tuned_stages == len(STAGES))
            elif isinstance(module, nn.BatchNorm2d):
                module.requires_grad_(False)

    @classmethod
    def create(
        cls,
        config: TrainConfig,
        device: torch.device,
        trunk_weights: Path | None,
        processes: int,
        start: Checkpoint | None = None,
    ) -> FewShot:
        """New networks for a run, or those of a checkpoint; see `base.MakeTask`.

        The trunk's weights are a file of Mask R-CNN's, with torchvision's names. Without one, or a checkpoint, all of
        the trunk has to learn.

        Raises:
            CheckpointError: there is no such trunk, or the weights to begin with are missing, damaged or of another
                network.
        """
        if config.trunk not in NETWORKS:
            raise CheckpointError(f"LWL has no trunk {config.trunk!r}; choose {' or '.join(NETWORKS)}")
        rules = NETWORKS[config.trunk]
        state: dict[str, Tensor] = {}
        if start is not None:
            if start.tracker != TRACKER:
                raise CheckpointError(f"the weights to start from are of {start.tracker}, not of LWL; choose others")
            rules = constants(start)
            state = {name.removeprefix(TRUNK): v for name, v in start.tensors.items() if name.startswith(TRUNK)}
        elif trunk_weights is not None:
            state = dict(read_state_dict(trunk_weights))
        elif config.tuned_stages < len(STAGES):
            raise CheckpointError(
                "the trunk of LWL comes from no package; give its file (--trunk-weights), weights to begin with "
                "(--start-from), or let all of it learn (--tune-trunk)"
            )
        task = cls(rules, state, config.tuned_stages)
        if start is not None:
            load_exactly(task.network, start.tensors, "LWL")
        for name, parameter in task.network.named_parameters():
            if name.startswith("box_label_encoder."):
                parameter.requires_grad_(False)
        if processes > 1:
            synchronize_batch_norm(task.network.decoder, device)
        return task.to(device)

    def train(self, mode: bool = True) -> FewShot:
        """Training mode, but of the trunk's batch norm."""
        super().train(mode)
        self.network.feature_extractor.eval()
        return self

    def forward(self, batch: Batch) -> Tensor:
        """Logits of the search crop: B x S x S, float32."""
        network, search = self.network, batch["search"].float()
        known = network.target_model(network.trunk(batch["template"].float())["layer3"])  # B x C x h x w
        labels, weights = network.label_encoder(batch["template_mask"].float())  # B x 16 x h x w each
        levels = network.trunk(search)
        features = network.target_model(levels["layer3"])
        with torch.autocast(search.device.type, enabled=False):
            found = [self._learn(*one) for one in zip(known.float(), labels.float(), weights.float(), strict=True)]
            encoding = torch.cat([respond(f, x[None]) for f, x in zip(found, features.float(), strict=True)])
        return network.decoder(encoding, levels, tuple(search.shape[-2:])).float()

    def _learn(self, features: Tensor, label: Tensor, weight: Tensor) -> Tensor:
        """The filter of one template."""
        taught = objective(label[None], weight[None], self.network.target_model.regularization)
        start = zero_filter(len(features), ENCODING, FILTER_SIDE, features.device)
        return descend(start, features[None], taught, STEPS)

    def loss(self, batch: Batch) -> Tensor:
        """The Lovasz hinge and the cross-entropy over the pixels that count: B.

        Args:
            batch: rendered, on the device.
        """
        return mask_loss(self(batch), batch["mask"][:, 0], batch["weight"][:, 0] > 0)

    def masks(self, batch: Batch) -> Tensor:
        """The predicted targets, B x S x S bool."""
        return self(batch) > 0

    def trunk_state(self) -> dict[str, Tensor]:
        """See `Task.trunk_state`."""
        return dict(self.network.feature_extractor.state_dict()) if self._given else {}

    def parameter_groups(self, config: TrainConfig) -> list[dict[str, Any]]:
        """For the optimiser; the trunk learns at `trunk_rate` times the rate. Weights decay, offsets do not."""
        groups: list[dict[str, Any]] = []
        for of_trunk, share in ((False, 1.0), (True, config.trunk_rate)):
            named = self.network.named_parameters()
            part = [p for name, p in named if p.requires_grad and name.startswith(TRUNK) == of_trunk]
            groups.append({"params": [p for p in part if p.ndim > 1], "share": share})
            groups.append({"params": [p for p in part if p.ndim <= 1], "share": share, "weight_decay": 0.0})
        return [group for group in groups if group["params"]]

    def checkpoint(self, provenance: dict[str, Any], rules: str) -> Checkpoint:
        """The weights in the package's format, with the rules that they are for, whatever others are named."""
        return create(self.network.state_dict(), self.config, provenance)


def _tame(extractor: nn.Module) -> None:
    """Let a random trunk, whose batch norm knows nothing of its input yet, answer to pictures in numbers of about 1."""
    with torch.no_grad():
        for name, parameter in extractor.named_parameters():
            if name == "conv1.weight":
                parameter.mul_(1 / 64)
            elif name.endswith("bn3.weight"):
                parameter.fill_(0.2)
