"""The trunk as something to train, and the way back to the tensors that `create_trunk` reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from d3s_vot.trunks.create import create_trunk, imagenet_tensors
from d3s_vot.trunks.trunk import PACKAGED, Trunk


def create_trainable_trunk(
    name: str, stages: int = 4, weights: Path | None = None, state: Mapping[str, Tensor] | None = None
) -> Trunk:
    """A trunk whose convolutions learn and whose batch norm is a constant: in evaluation mode, parameters frozen.

    Args:
        name: one of `CHANNELS`.
        stages: how many of the four learn; the first ones, edges and colours, stay as they are.
        weights: file of the ImageNet weights, for trunks that come from no package.
        state: tensors to begin with instead, with the ImageNet network's names.

    Raises:
        CheckpointError: unknown name, or weights that are missing, unreadable or of another network.
    """
    trunk = create_trunk(name, weights, state, frozen=False).eval()
    trunk.stages[: len(trunk.stages) - stages].requires_grad_(False)
    for module in trunk.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.requires_grad_(False)
    return trunk


def trunk_tensors(trunk: Trunk, weights: Path | None = None) -> dict[str, Tensor]:
    """The tensors of a trainable trunk as a checkpoint holds them: float16, under the names of the ImageNet network.

    Args:
        trunk: from `create_trainable_trunk`.
        weights: the file it was created from, if any.
    """
    tensors: dict[str, Tensor] = {}
    if trunk.name in PACKAGED:  # its reader asks for the layers behind stride 16 too
        tensors.update(imagenet_tensors(trunk.name, weights))
    places = _places(trunk)
    for name, tensor in trunk.state_dict().items():
        place = next(p for p in places if name.startswith(p))
        tensors[places[place] + name.removeprefix(place)] = tensor
    return {k: _half(v) for k, v in tensors.items() if not k.endswith("num_batches_tracked")}


def _places(trunk: Trunk) -> dict[str, str]:
    """Where the modules of the ImageNet network are in the trunk: {prefix here: prefix there}."""
    if trunk.name not in PACKAGED:
        return {
            "stages.0.0.": "conv1.", "stages.0.1.": "bn1.", "stages.1.1.": "layer1.",
            "stages.2.": "layer2.", "stages.3.": "layer3.",
        }  # fmt: skip
    stem = {"stages.0.0.0.": "_conv_stem.", "stages.0.0.1.": "_bn0."}
    lengths = [len(list(stage.children())) for stage in trunk.stages]
    blocks = [f"stages.{k}.{i}." for k, n in enumerate(lengths) for i in range(n) if (k, i) != (0, 0)]
    return stem | {place: f"_blocks.{n}." for n, place in enumerate(blocks)}


def _half(tensor: Tensor) -> Tensor:
    """float16, unless a number is too large for it."""
    half = tensor.half()
    return half if half.isfinite().all() else tensor.float()
