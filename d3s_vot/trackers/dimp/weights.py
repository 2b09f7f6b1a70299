"""What a checkpoint of DiMP holds: the tensors by their published names, the trunk's name, and constants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from d3s_vot.errors import CheckpointError, InputError
from d3s_vot.trackers.dimp.config import TRUNKS, DiMPConfig
from d3s_vot.trackers.dimp.network import create_classifier, create_regressor
from d3s_vot.weights.checkpoint import Checkpoint
from d3s_vot.weights.fitting import check_shapes

TRACKER = "DiMP"
COUNTS = ".num_batches_tracked"  # of no use for inference
UNUSED = ("feature_extractor.layer4.", "feature_extractor.fc.")
TRUNK, CLASSIFIER, REGRESSOR = "feature_extractor.", "classifier.", "bb_regressor."
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
    return Checkpoint.create(used(tensors), TRACKER, {"trunk": trunk, **config.changes()}, provenance)


def used(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that the tracker passes."""
    return {k: v for k, v in tensors.items() if not k.startswith(UNUSED) and not k.endswith(COUNTS)}


def constants(checkpoint: Checkpoint) -> DiMPConfig:
    """All constants of the tracker that the weights were made for.

    Raises:
        InputError: one is unknown or cannot be used.
    """
    return DiMPConfig.with_changes({k: v for k, v in checkpoint.config.items() if k != "trunk"})


def shapes(trunk: str, config: DiMPConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors of a network."""
    from torchvision import models  # seconds to import

    with torch.device("meta"):  # shapes only: nothing is allocated or initialised
        parts = {
            TRUNK: getattr(models, trunk)(weights=None),
            CLASSIFIER: create_classifier(trunk, config),
            REGRESSOR: create_regressor(trunk),
        }
    state = {prefix + k: v for prefix, module in parts.items() for k, v in module.state_dict().items()}
    return {name: tuple(tensor.shape) for name, tensor in used(state).items()}


def check(checkpoint: Checkpoint, what: str, remedy: str) -> None:
    """See `Model.check`."""
    trunk: Any = checkpoint.config.get("trunk")
    if not isinstance(trunk, str) or trunk not in TRUNKS:
        raise CheckpointError(f"{what} needs the trunk {str(trunk)[:40]!r}, which is unknown; update the package")
    try:
        config = constants(checkpoint)
    except InputError as error:
        raise CheckpointError(f"{what} cannot be used: {error}, or update the package") from error
    check_shapes(checkpoint.tensors, shapes(trunk, config), what)
