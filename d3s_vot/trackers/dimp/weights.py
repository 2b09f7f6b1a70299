"""What a checkpoint of DiMP holds: the tensors by their published names, the trunk's name, and constants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from d3s_vot.heads.iou import create_regressor
from d3s_vot.trackers.dimp.config import TRUNKS, DiMPConfig
from d3s_vot.trackers.dimp.network import create_classifier
from d3s_vot.trunks.resnet import resnet_shapes
from d3s_vot.weights.checkpoint import Checkpoint
from d3s_vot.weights.fitting import check_shapes, checked_constants, checked_trunk, shapes_of, used

TRACKER = "DiMP"
TRUNK, CLASSIFIER, REGRESSOR = "feature_extractor.", "classifier.", "bb_regressor."
UNUSED = (TRUNK + "layer4.", TRUNK + "fc.")
LEARNT_LABELS = CLASSIFIER + "filter_optimizer.label_map_predictor.weight"  # which PrDiMP has not


def create(
    tensors: Mapping[str, Tensor],
    trunk: str,
    config: DiMPConfig,
    provenance: Mapping[str, Any] | None = None,
) -> Checkpoint:
    """A checkpoint of new weights.

    Args:
        tensors: by the published names; what is not used is left out.
        trunk: its name.
        config: how the classifier was trained, and the rules that the weights are for.
        provenance: where the weights come from.
    """
    return Checkpoint.create(used(tensors, UNUSED), TRACKER, {"trunk": trunk, **config.changes()}, provenance)


def constants(checkpoint: Checkpoint) -> DiMPConfig:
    """All constants of the tracker that the weights were made for.

    Raises:
        InputError: one is unknown or cannot be used.
    """
    return DiMPConfig.with_changes({k: v for k, v in checkpoint.config.items() if k != "trunk"})


def shapes(trunk: str, config: DiMPConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors of a network."""
    every = (
        resnet_shapes(trunk, TRUNK)
        | shapes_of(lambda: create_classifier(trunk, config), CLASSIFIER)
        | shapes_of(lambda: create_regressor(trunk), REGRESSOR)
    )
    return used(every, UNUSED)


def check(checkpoint: Checkpoint, what: str, remedy: str) -> None:
    """See `Model.check`."""
    trunk = checked_trunk(checkpoint, TRUNKS, what)
    config = checked_constants(constants, checkpoint, what)
    check_shapes(checkpoint.tensors, shapes(trunk, config), what)
