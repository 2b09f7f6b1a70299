"""What a checkpoint of KYS holds: the tensors by their published names, the trunk's name, and constants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from d3s_vot.heads.iou import create_regressor
from d3s_vot.trackers.kys.config import TRUNKS, KYSConfig
from d3s_vot.trackers.kys.network import ScenePredictor, create_classifier
from d3s_vot.trunks.resnet import resnet_shapes
from d3s_vot.weights.checkpoint import Checkpoint
from d3s_vot.weights.fitting import check_shapes, checked_constants, checked_trunk, shapes_of, used

TRACKER = "KYS"
TRUNK, CLASSIFIER = "backbone_feature_extractor.", "dimp_classifier."
REGRESSOR, PREDICTOR = "bb_regressor.", "predictor.predictor."
UNUSED = (TRUNK + "layer4.", TRUNK + "fc.")


def create(
    tensors: Mapping[str, Tensor], trunk: str, config: KYSConfig, provenance: Mapping[str, Any] | None = None
) -> Checkpoint:
    """A checkpoint of new weights.

    Args:
        tensors: by the published names; what is not used is left out.
        trunk: its name.
        config: how the networks were trained, and the rules that the weights are for.
        provenance: where the weights come from.
    """
    return Checkpoint.create(used(tensors, UNUSED), TRACKER, {"trunk": trunk, **config.changes()}, provenance)


def constants(checkpoint: Checkpoint) -> KYSConfig:
    """All constants of the tracker that the weights were made for.

    Raises:
        InputError: one is unknown or cannot be used.
    """
    return KYSConfig.with_changes({k: v for k, v in checkpoint.config.items() if k != "trunk"})


def published_shapes(trunk: str, config: KYSConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all tensors of a published file."""
    return (
        resnet_shapes(trunk, TRUNK)
        | shapes_of(lambda: create_classifier(trunk, config), CLASSIFIER)
        | shapes_of(lambda: create_regressor(trunk), REGRESSOR)
        | shapes_of(lambda: ScenePredictor(config), PREDICTOR)
    )


def check(checkpoint: Checkpoint, what: str, remedy: str) -> None:
    """See `Model.check`."""
    trunk = checked_trunk(checkpoint, TRUNKS, what)
    config = checked_constants(constants, checkpoint, what)
    check_shapes(checkpoint.tensors, used(published_shapes(trunk, config), UNUSED), what)
