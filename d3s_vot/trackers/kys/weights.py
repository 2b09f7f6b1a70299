"""What a checkpoint of KYS holds: the tensors by their published names, the trunk's name, and constants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from d3s_vot.errors import CheckpointError, InputError
from d3s_vot.trackers.kys.config import TRUNKS, KYSConfig
from d3s_vot.trackers.kys.network import ScenePredictor, create_classifier, create_regressor
from d3s_vot.weights.checkpoint import Checkpoint
from d3s_vot.weights.fitting import check_shapes

TRACKER = "KYS"
COUNTS = ".num_batches_tracked"  # of no use for inference
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
    return Checkpoint.create(used(tensors), TRACKER, {"trunk": trunk, **config.changes()}, provenance)


def used(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that the tracker passes."""
    return {k: v for k, v in tensors.items() if not k.startswith(UNUSED) and not k.endswith(COUNTS)}


def constants(checkpoint: Checkpoint) -> KYSConfig:
    """All constants of the tracker that the weights were made for.

    Raises:
        InputError: one is unknown or cannot be used.
    """
    return KYSConfig.with_changes({k: v for k, v in checkpoint.config.items() if k != "trunk"})


def published_shapes(trunk: str, config: KYSConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all tensors of a published file."""
    from torchvision import models  # seconds to import

    with torch.device("meta"):  # shapes only: nothing is allocated or initialised
        parts = {
            TRUNK: getattr(models, trunk)(weights=None),
            CLASSIFIER: create_classifier(trunk, config),
            REGRESSOR: create_regressor(trunk),
            PREDICTOR: ScenePredictor(config),
        }
    return {prefix + k: tuple(v.shape) for prefix, module in parts.items() for k, v in module.state_dict().items()}


def check(checkpoint: Checkpoint, what: str, remedy: str) -> None:
    """See `Model.check`."""
    trunk: Any = checkpoint.config.get("trunk")
    if not isinstance(trunk, str) or trunk not in TRUNKS:
        raise CheckpointError(f"{what} needs the trunk {str(trunk)[:40]!r}, which is unknown; update the package")
    try:
        config = constants(checkpoint)
    except InputError as error:
        raise CheckpointError(f"{what} cannot be used: {error}, or update the package") from error
    shapes = published_shapes(trunk, config)
    wanted = {k: v for k, v in shapes.items() if not k.startswith(UNUSED) and not k.endswith(COUNTS)}
    check_shapes(checkpoint.tensors, wanted, what)
