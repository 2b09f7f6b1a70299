"""What a checkpoint of ECO holds: the names of its networks, constants, and weights where no package has them.

Nothing of ECO is trained, so a checkpoint may hold no tensor at all: the trunk's weights come from its own package.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from d3s_vot.errors import CheckpointError
from d3s_vot.trackers.eco.config import ECOConfig
from d3s_vot.trackers.eco.network import EARLY, STEM, VGG, channels
from d3s_vot.trunks.resnet import UNUSED, resnet_shapes
from d3s_vot.trunks.trunk import CHANNELS
from d3s_vot.trunks.vgg import VGGMConv1
from d3s_vot.weights.checkpoint import Checkpoint
from d3s_vot.weights.fitting import check_shapes, checked_constants, checked_trunk, part, shapes_of, used

TRACKER = "ECO"
TRUNK, SHALLOW = "trunk.", "shallow."  # prefixes of tensors
CARRIED = ("resnet18", "resnet34", "resnet50")  # trunks that a checkpoint may carry
NAMES = ("trunk", "shallow")  # what a configuration holds beside constants


def create(
    tensors: Mapping[str, Tensor],
    trunk: str,
    shallow: str,
    *,
    config: ECOConfig | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Checkpoint:
    """A checkpoint.

    Args:
        tensors: `trunk.*` where the trunk is carried, `shallow.*` of VGG-M.
        trunk: name of the trunk, one of `trunks.trunk.CHANNELS`.
        shallow: where the shallow block comes from, `network.VGG`, `STEM` or `EARLY`.
        config: constants.
        provenance: where the weights come from.
    """
    changes = {} if config is None else config.changes()
    return Checkpoint.create(used(tensors), TRACKER, {"trunk": trunk, "shallow": shallow, **changes}, provenance)


def constants(checkpoint: Checkpoint) -> ECOConfig:
    """All constants of the tracker.

    Raises:
        InputError: one is unknown or cannot be used.
    """
    return ECOConfig.with_changes({k: v for k, v in checkpoint.config.items() if k not in NAMES})


def trunk_shapes(name: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of what a trunk that is carried has."""
    return used(resnet_shapes(name), UNUSED)


def check(checkpoint: Checkpoint, what: str, remedy: str) -> None:
    """See `Model.check`."""
    trunk = checked_trunk(checkpoint, CHANNELS, what)
    shallow: Any = checkpoint.config.get("shallow")
    if shallow not in (VGG, STEM, EARLY):
        raise CheckpointError(f"{what} needs features of {str(shallow)[:40]!r}, which is unknown; update the package")
    config = checked_constants(constants, checkpoint, what)
    for block, most in channels(trunk, shallow).items():
        wanted = config.of_block(block).channels
        if wanted > most:
            raise CheckpointError(
                f"{what} sets the constant {block}_channels to {wanted}, outside 1 .. {most}; {remedy}"
            )
    shapes: dict[str, tuple[int, ...]] = {}
    if shallow == VGG:
        shapes |= shapes_of(VGGMConv1, SHALLOW)
    if trunk in CARRIED and (shallow == VGG or part(checkpoint.tensors, TRUNK)):  # the published file holds both
        shapes |= {TRUNK + k: shape for k, shape in trunk_shapes(trunk).items()}
    check_shapes(checkpoint.tensors, shapes, what)
