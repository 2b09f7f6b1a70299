"""Published files of every tracker to checkpoints of this package; whose a file is, its names tell."""

from __future__ import annotations

import os
from importlib import import_module
from typing import cast

from d3s_vot.errors import InputError
from d3s_vot.weights.checkpoint import Checkpoint
from d3s_vot.weights.foreign import read_foreign_pickle


def convert_published(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    gem_trunk_source: str | os.PathLike[str] | None = None,
) -> Checkpoint:
    """Convert a published checkpoint of any tracker, and save it; nothing in it is executed.

    Args:
        source: the published file.
        target: the safetensors file to write; of SiamFC++, OSTrack, DiMP, ATOM and KYS its name chooses among the
            configurations of the weights.
        gem_trunk_source: of D3S, see `d3s.convert.convert_published`.

    Raises:
        CheckpointError: a file is missing, damaged or of another network, or the target cannot be written.
        InputError: the target is named after a configuration of another network, or a second trunk is given for a
            tracker that has one.
    """
    tracker = _whose(read_foreign_pickle(source))  # what it holds may be a gigabyte: it is let go here
    if tracker == "d3s":
        from d3s_vot.trackers.d3s import convert as d3s

        return d3s.convert_published(source, target, gem_trunk_source)
    if gem_trunk_source is not None:
        raise InputError("this tracker has one trunk; leave out the file of a second, which D3S alone has")
    family = import_module(f"d3s_vot.trackers.{tracker}.convert")
    return cast("Checkpoint", family.convert_published(source, target))


def _whose(content: object) -> str:
    """The package of the tracker that a published file is of; D3S's where nothing says so, whose reader refuses."""
    if _is_ostrack(content):
        return "ostrack"
    if _is_eco(content):
        return "eco"
    if _is_dropseg(content):
        return "dropseg"
    if _is_siamfcpp(content):
        return "siamfcpp"
    if _has_in_net(content, "dimp_classifier.") or _has_in_net(content, "predictor.predictor."):
        return "kys"  # which has ATOM's names too
    if _has_in_net(content, "target_model.filter_optimizer."):
        return "lwl"
    if _has_in_net(content, "classifier.filter_optimizer."):
        return "dimp"
    if _has_in_net(content, "bb_regressor."):
        return "atom"
    return "d3s"


def _is_eco(content: object) -> bool:
    names = content if isinstance(content, dict) else ()
    return any(isinstance(name, str) and name.startswith("vggmconv1.") for name in names)


def _is_siamfcpp(content: object) -> bool:
    state = content.get("model_state_dict", content) if isinstance(content, dict) else None
    return isinstance(state, dict) and any(isinstance(name, str) and name.startswith("basemodel.") for name in state)


def _is_ostrack(content: object) -> bool:
    """Whether it is of OSTrack or DropTrack, or of the pre-training that these begin with."""
    states = [content.get(name) for name in ("net", "model")] if isinstance(content, dict) else []
    names = (name for state in states if isinstance(state, dict) for name in state if isinstance(name, str))
    return any(name.startswith(("backbone.", "box_head.", "blocks.", "decoder_blocks.")) for name in names)


def _is_dropseg(content: object) -> bool:
    state = content.get("network", content) if isinstance(content, dict) else None
    return isinstance(state, dict) and any(isinstance(n, str) and n.startswith("stcn_decoder.") for n in state)


def _has_in_net(content: object, prefix: str) -> bool:
    """Whether the network in what PyTracking's training writes has names that begin so."""
    net = content.get("net") if isinstance(content, dict) else None
    return isinstance(net, dict) and any(isinstance(name, str) and name.startswith(prefix) for name in net)
