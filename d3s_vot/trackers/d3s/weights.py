"""What a checkpoint of D3S holds: the segmentation network, its trunks or their names, and constants."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from d3s_vot.errors import CheckpointError
from d3s_vot.heads.judgement import JudgementHead
from d3s_vot.online.augment import FIRST_FRAME_SAMPLES
from d3s_vot.trackers.d3s.config import D3SConfig
from d3s_vot.trackers.d3s.network import SegmentationNetwork
from d3s_vot.trunks.trunk import CHANNELS
from d3s_vot.weights.checkpoint import Checkpoint
from d3s_vot.weights.fitting import check_shapes, checked_constants, shapes_of

HEAD, TRUNK, GEM_TRUNK = "segm_predictor.", "feature_extractor.", "gem_extractor."
JUDGEMENT = "judgement."


def create(
    tensors: Mapping[str, Tensor],
    trunk: str,
    provenance: Mapping[str, Any] | None = None,
    *,
    gem_trunk: str | None = None,
    config: Mapping[str, float | int] | None = None,
) -> Checkpoint:
    """A checkpoint of new weights.

    Args:
        tensors: `segm_predictor.*` always; `judgement.*` where there is a head that judges every frame;
            `feature_extractor.*` where the segmentation trunk is carried; `gem_extractor.*` where a separate GEM trunk
            is.
        trunk: name of the segmentation trunk, one of `trunks.trunk.CHANNELS`.
        provenance: where the weights come from.
        gem_trunk: name of a second, untouched ImageNet trunk for GEM; None: GEM shares the first.
        config: fields of `D3SConfig` that differ from the published ones.
    """
    return Checkpoint.create(
        tensors, "D3S", {"trunk": trunk, "gem_trunk": gem_trunk, **(config or {})}, provenance
    )


def trunks(checkpoint: Checkpoint) -> tuple[str, str | None]:
    """The names of the segmentation trunk and of GEM's own, where it has one."""
    return checkpoint.config["trunk"], checkpoint.config.get("gem_trunk")


def constants(checkpoint: Checkpoint) -> D3SConfig:
    """All constants of the tracker that the weights were made for.

    Raises:
        InputError: one is unknown or cannot be used.
    """
    return D3SConfig.with_changes({k: v for k, v in checkpoint.config.items() if k not in ("trunk", "gem_trunk")})


def head_shapes(trunk: str, width: int = 1) -> dict[str, tuple[int, ...]]:
    """Names, with their prefix, and shapes of the segmentation network's tensors on a trunk."""
    return shapes_of(lambda: SegmentationNetwork(CHANNELS[trunk], width=width), HEAD)


def judgement_shapes() -> dict[str, tuple[int, ...]]:
    """Names, with their prefix, and shapes of the tensors of the head that judges."""
    return shapes_of(JudgementHead, JUDGEMENT)


def check(checkpoint: Checkpoint, what: str, remedy: str) -> None:
    """See `Model.check`."""
    trunk: Any = checkpoint.config.get("trunk")
    gem_trunk: Any = checkpoint.config.get("gem_trunk")
    for name in (trunk,) if gem_trunk is None else (trunk, gem_trunk):
        if not isinstance(name, str) or name not in CHANNELS:
            raise CheckpointError(f"{what} needs the trunk {name!r}, which is unknown; update the package")
    config = checked_constants(constants, checkpoint, what)
    channels = CHANNELS[gem_trunk or trunk][3]
    for name, low, high in (
        ("projection_channels", 1, channels),
        ("memory_size", FIRST_FRAME_SAMPLES + 1, math.inf),
        ("similarity_top_k", 1, (config.segm_crop_size // 16) ** 2),
    ):
        if not low <= getattr(config, name) <= high:
            raise CheckpointError(
                f"{what} sets the constant {name} to {getattr(config, name)}, outside {low} .. {high}; {remedy}"
            )
    judges = any(name.startswith(JUDGEMENT) for name in checkpoint.tensors)
    if config.judgement and not judges:
        raise CheckpointError(f"{what} asks for the judgement of a head that it does not hold; {remedy}")
    carried = (TRUNK,) if gem_trunk is None else (TRUNK, GEM_TRUNK)
    head = {name: tensor for name, tensor in checkpoint.tensors.items() if not name.startswith(carried)}
    wanted = head_shapes(trunk, config.refinement_width)
    check_shapes(head, wanted | (judgement_shapes() if judges else {}), what)
