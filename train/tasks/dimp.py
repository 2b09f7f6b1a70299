"""DiMP as the training loop sees a task: a filter that is predicted from some frames of a target and tried on others.

An item of a batch is a set of pairs: the template crops are the frames that the filter is learnt from, the search crops
those that it is tried on (Bhat et al., ICCV 2019, section 3.4). The box regressor learns from the same pairs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from d3s_vot.errors import CheckpointError
from d3s_vot.heads.config import STRIDE
from d3s_vot.heads.filter import centers_in_cells, distances
from d3s_vot.heads.iou import BoxFeatures, Modulation, corners, create_regressor
from d3s_vot.online.correlation import Samples, correlate
from d3s_vot.online.discriminative import as_kernel
from d3s_vot.online.steepest import steepest_descent
from d3s_vot.trackers.dimp.config import TRUNKS, DiMPConfig
from d3s_vot.trackers.dimp.network import create_classifier
from d3s_vot.trackers.dimp.published import CONFIGURATIONS
from d3s_vot.trackers.dimp.weights import CLASSIFIER, REGRESSOR, TRACKER, TRUNK, create
from d3s_vot.weights.checkpoint import Checkpoint
from d3s_vot.weights.fitting import load_exactly, part
from train.config import TrainConfig
from train.data.feed import Batch, Feed
from train.data.sets import PairSets, SetsInWorker
from train.parallel import synchronize_batch_norm
from train.tasks.base import Task
from train.tasks.climbing import boxes_around, climbed_masks, regressor_loss
from train.tasks.trunk import create_trainable_trunk, trunk_tensors

FRAMES = 3  # that a filter is learnt from, and is tried on
ITERATIONS = 5  # of its descent
BOXES = 8  # for a picture that tell their overlap
TARGET = 0.05  # of a label: below it a score is only wrong where it is positive
CLASSIFIER_WEIGHT, BETWEEN = 100.0, 4.0  # of the filter's error; in it, of the filters between the first and the last
RATES = {"feature_extractor": 0.05, "filter_initializer": 0.05, "filter_optimizer": 0.5}  # of the regressor's


class PredictedFilter(Task):
    """The networks of DiMP with learnt labels, the trunk among them; its batch norm stays as it is.

    Args:
        trunk: its name.
        tensors: of it, with torchvision's names, or the file that has them; None: torchvision's own.
        rules: of a configuration, for the crops of the run; they say how the box regressor is trained.
        stages: of the trunk's four, how many learn.
        seed: of the drawn boxes.
    """

    steps: Tensor

    def __init__(
        self, trunk: str, tensors: dict[str, Tensor] | Path | None, *, rules: DiMPConfig, stages: int, seed: int
    ) -> None:
        super().__init__()
        self.rules, self.seed = rules, seed
        file, state = (None, tensors) if isinstance(tensors, dict) else (tensors, None)
        self.trunk = create_trainable_trunk(trunk, stages, file, state)
        classifier: Any = create_classifier(trunk, rules)
        classifier.filter_optimizer.start()
        self.classifier: Any = classifier
        self.regressor: Any = create_regressor(trunk)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))  # done: a resumed run goes on from there

    @classmethod
    def create(
        cls,
        config: TrainConfig,
        device: torch.device,
        trunk_weights: Path | None,
        processes: int,
        start: Checkpoint | None = None,
    ) -> PredictedFilter:
        """New networks for a run, or those of a checkpoint; see `base.MakeTask`.

        Raises:
            CheckpointError: there is no such trunk, the schedule is of another tracker, or the weights are missing,
                damaged or of another network.
        """
        if config.trunk not in TRUNKS:
            raise CheckpointError(f"DiMP has no trunk {config.trunk!r}; choose {' or '.join(TRUNKS)}")
        entry = CONFIGURATIONS.get(config.rules)
        if entry is None or entry.config.density:
            raise CheckpointError("the schedule is of another tracker than DiMP; choose dimp")
        pairs = config.pairs
        rules = dataclasses.replace(entry.config, sample_size=pairs.size, search_area_scale=pairs.area_scale)
        tensors: dict[str, Tensor] | Path | None = trunk_weights
        if start is not None:
            if (start.tracker, start.config.get("trunk"), start.config.get("density", 0)) != (TRACKER, config.trunk, 0):
                raise CheckpointError(f"the weights to start from are not of DiMP on {config.trunk}; choose others")
            tensors = part(start.tensors, TRUNK)
        task = cls(config.trunk, tensors, rules=rules, stages=config.tuned_stages, seed=config.seed)
        if start is not None:
            load_exactly(task.classifier, part(start.tensors, CLASSIFIER), "DiMP's classifier")
            load_exactly(task.regressor, part(start.tensors, REGRESSOR), "DiMP's box regressor")
        if processes > 1:
            task.classifier = synchronize_batch_norm(task.classifier, device)
            task.regressor = synchronize_batch_norm(task.regressor, device)
        return task.to(device)

    def dataset(self, items: Sequence[Any], weights: dict[str, float], config: TrainConfig) -> Dataset[Any]:
        """Sets of pairs, see `Task.dataset`."""
        length = config.iterations * config.batch
        return PairSets(list(items), weights, config.pairs, config.seed, length, count=FRAMES)

    def feed(self, config: TrainConfig, device: torch.device) -> Feed:
        """What makes batches of the sets; workers render them for a GPU, too."""
        return Feed(config.pairs, device, config.workers, SetsInWorker(config.pairs))

    def train(self, mode: bool = True) -> PredictedFilter:
        """Training mode, but of the trunk's batch norm."""
        super().train(mode)
        self.trunk.eval()
        return self

    def look(self, batch: Batch) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
        """The trunk's features of template and search crops, float32."""
        return tuple({k: v.float() for k, v in self.trunk(batch[n]).items()} for n in ("template", "search"))  # type: ignore[return-value]

    def filters(self, features: Tensor, boxes: Tensor) -> list[Tensor]:
        """The first filter of a set and that after each step of its descent, as kernels.

        Args:
            features: of the frames that it is learnt from, n x K x h x h.
            boxes: of the target in them, n x 4, x, y, w, h.
        """
        teacher = self.classifier.filter_optimizer
        lessons = teacher.lessons(centers_in_cells(boxes), features.shape[-1] + 1)
        objective = teacher.objective(lessons, features.new_full((len(features),), 1 / len(features)))
        samples = Samples.of(features)
        found = [as_kernel(self.classifier.filter_initializer(features, corners(boxes)))]
        for _ in range(ITERATIONS):
            found.append(steepest_descent(found[-1], samples, objective, 1))
        return found

    def loss(self, batch: Batch) -> Tensor:
        """The error of the box regressor and of the filters of each set: B. One with a target that does not show is 0.

        Args:
            batch: of B sets, 3 pairs each, one after the other; on the device.
        """
        template, search = self.look(batch)
        (before, seen), (truth, shown) = (boxes_around(batch[name]) for name in ("template_mask", "mask"))
        shown = shown & seen & batch["weight"].flatten(1).any(dim=1)
        with torch.autocast(truth.device.type, enabled=False):
            errors = self._box_errors(template, search, before, truth).view(-1, FRAMES).mean(dim=1)
            learnt, tried = (self.classifier.feature_extractor(each[16]) for each in (template, search))
            labels = score_labels(truth, learnt.shape[-1] + 1, self.rules.label_sigma)
            found = []
            for k in range(0, len(truth), FRAMES):
                part = slice(k, k + FRAMES)
                samples = Samples.of(tried[part])
                scores = [correlate(kernel, samples, whole=True) for kernel in self.filters(learnt[part], before[part])]
                first, *between, last = (hinge_error(each, labels[part]) for each in scores)
                found.append(last + first + BETWEEN * torch.stack(between).mean())
        return torch.where(shown.view(-1, FRAMES).all(dim=1), errors + CLASSIFIER_WEIGHT * torch.stack(found), 0.0)

    def _box_errors(
        self, template: dict[int, Tensor], search: dict[int, Tensor], before: Tensor, truth: Tensor
    ) -> Tensor:
        """Of the box regressor, of each pair. The drawn boxes are a function of seed and number of steps done."""
        generator = torch.Generator().manual_seed((2**32 * self.seed + int(self.steps)) % 2**63)
        self.steps += 1
        features, modulation = self._boxes_seen(template, search, before)
        return regressor_loss(
            self.regressor, features, modulation, truth, generator,
            overlapping=BOXES, density=bool(self.rules.refinement_relative),
        )  # fmt: skip

    def _boxes_seen(
        self, template: dict[int, Tensor], search: dict[int, Tensor], before: Tensor
    ) -> tuple[BoxFeatures, Modulation]:
        modulation = self.regressor.modulation(template[8], template[16], before)
        return self.regressor.features(search[8], search[16]), modulation

    def masks(self, batch: Batch) -> Tensor:
        """Boxes that climbed from the score's maximum, as masks; of single pairs, for validation: B x S x S bool."""
        template, search = self.look(batch)
        before, size = boxes_around(batch["template_mask"])[0], batch["search"].shape[-1]
        with torch.autocast(before.device.type, enabled=False):
            learnt, tried = (self.classifier.feature_extractor(each[16]) for each in (template, search))
            middles = []
            for k in range(len(before)):
                kernel = self.filters(learnt[k : k + 1], before[k : k + 1])[-1]
                score = correlate(kernel, Samples.of(tried[k : k + 1]), whole=True)[0]
                best = score.flatten().argmax()
                middles.append(torch.stack([best % score.shape[1], best // score.shape[1]]) * STRIDE)  # x, y
            starts = torch.cat([torch.stack(middles) - before[:, 2:] / 2, before[:, 2:]], dim=1)
            seen = self._boxes_seen(template, search, before)
            return climbed_masks(self.regressor, *seen, starts, self.rules, size)

    def trunk_state(self) -> dict[str, Tensor]:
        """See `Task.trunk_state`."""
        return self.trunk.state_dict()

    def parameter_groups(self, config: TrainConfig) -> list[dict[str, Any]]:
        """For the optimiser; `share` is that of the learning rate."""
        parts: list[tuple[nn.Module, float]] = [(self.regressor, 1.0), (self.trunk, config.trunk_rate)]
        parts += [(getattr(self.classifier, name), share) for name, share in RATES.items()]
        groups = [
            {"params": [p for p in module.parameters() if p.requires_grad], "share": share} for module, share in parts
        ]
        return [group for group in groups if group["params"]]

    def checkpoint(self, provenance: dict[str, Any], rules: str) -> Checkpoint:
        """The weights in the package's format, the trunk among them."""
        parts = {
            TRUNK: trunk_tensors(self.trunk),
            CLASSIFIER: self.classifier.state_dict(),
            REGRESSOR: self.regressor.state_dict(),
        }
        tensors = {prefix + k: v for prefix, part in parts.items() for k, v in part.items()}
        return create(tensors, self.trunk.name, self.rules, provenance)


def score_labels(boxes: Tensor, size: int, sigma: float) -> Tensor:
    """The scores that frames are asked for: a Gaussian about the target's middle, n x size x size.

    Args:
        boxes: n x 4, x, y, w, h, pixels of the crop.
        size: cells of the score.
        sigma: cells.
    """
    return torch.exp(distances(centers_in_cells(boxes), size).square() / (-2 * sigma**2))


def hinge_error(scores: Tensor, labels: Tensor) -> Tensor:
    """Mean square of how far scores are from labels, and from 0 where there is no target and they are above it."""
    wrong = torch.where(labels > TARGET, scores - labels, scores.clamp(min=0))
    return wrong.square().mean()
