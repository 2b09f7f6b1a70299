"""From the weights of a pre-training, MAE's or DropMAE's, to those that a tracker's training begins with."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from d3s_vot.errors import CheckpointError, InputError
from d3s_vot.trackers.ostrack.config import HEAD_WIDTH, OSTrackConfig
from d3s_vot.trackers.ostrack.network import OSTrackNetwork
from d3s_vot.trunks.vit import resize_positions
from d3s_vot.weights.fitting import check_shapes

TEMPORAL = ("temporal_pos_embed_x", "temporal_pos_embed_z")


def is_pretrained(state: Mapping[str, Tensor]) -> bool:
    """Whether tensors are those of a pre-training: an encoder whose names have no prefix."""
    return "patch_embed.proj.weight" in state and not any(name.startswith("box_head.") for name in state)


def pretrained_config(state: Mapping[str, Tensor], what: str, wanted: OSTrackConfig | None = None) -> OSTrackConfig:
    """What a tracker on an encoder is: DropTrack where it has temporal vectors, else OSTrack.

    Args:
        state: of the pre-training.
        what: it is, for the error's sentence.
        wanted: whose crops it is to look at; None: those of the defaults.

    Raises:
        CheckpointError: there is no tracker on such an encoder.
    """
    positions = state.get("pos_embed")
    if positions is None or positions.ndim != 3 or positions.shape[2] % HEAD_WIDTH:
        problem = "missing" if positions is None else f"{tuple(positions.shape)}"
        raise CheckpointError(f"{what} holds the weights of another network (pos_embed is {problem}); check the path")
    base = wanted or OSTrackConfig()
    try:
        return OSTrackConfig(
            width=positions.shape[2],
            depth=len({name.split(".")[1] for name in state if name.startswith("blocks.")}),
            template_size=base.template_size,
            search_size=base.search_size,
            search_factor=base.search_factor,
            temporal=int(any(name in state for name in TEMPORAL)),
        )
    except InputError as error:
        raise CheckpointError(f"{what} holds the weights of another network ({error}); check the path") from error


def begin_from(state: Mapping[str, Tensor], config: OSTrackConfig, what: str, seed: int = 0) -> dict[str, Tensor]:
    """The tensors of a tracker: the encoder's, positions for both crops, and a head of random weights.

    Args:
        state: of the pre-training; its decoder plays no part.
        config: of the tracker.
        what: it is, for the error's sentence.
        seed: of the head's weights.

    Raises:
        CheckpointError: a tensor is missing, unknown or of another shape.
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.manual_seed(seed)
        own = OSTrackNetwork(config).state_dict()
    encoder = {name: tensor for name, tensor in state.items() if "decoder" not in name and name != "mask_token"}
    positions = encoder.pop("pos_embed")
    encoder.pop("cls_token", None)
    side = round((positions.shape[1] - 1) ** 0.5)
    if side * side + 1 != positions.shape[1]:
        shape = tuple(positions.shape)
        raise CheckpointError(f"{what} holds the weights of another network (pos_embed is {shape}); check the path")
    grids = ("pos_embed_z", config.template_side), ("pos_embed_x", config.search_side)
    prefix = "backbone."
    names = {name.removeprefix(prefix) for name in own if name.startswith(prefix)} - {name for name, _ in grids}
    check_shapes(encoder, {name: tuple(own[prefix + name].shape) for name in names}, what)
    for name, tensor in encoder.items():
        own[prefix + name] = tensor.float()
    for name, grid in grids:
        own[prefix + name] = resize_positions(positions[:, 1:].float(), (grid, grid))
    return own
