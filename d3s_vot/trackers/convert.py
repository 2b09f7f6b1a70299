"""Published files of every tracker to checkpoints of this package; whose a file is, its names tell."""

from __future__ import annotations

import os

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
        target: the safetensors file to write; of SiamFC++, OSTrack, DiMP and ATOM its name chooses among the
            configurations of the weights.
        gem_trunk_source: of D3S, see `d3s.convert.convert_published`.

    Raises:
        CheckpointError: a file is missing, damaged or of another network, or the target cannot be written.
        InputError: the target is named after a configuration of another network, or a second trunk is given for a
            tracker that has one.
    """
    content = read_foreign_pickle(source)
    if _is_ostrack(content):
        del content  # a gigabyte with its optimiser
        from d3s_vot.trackers.ostrack import convert as ostrack

        if gem_trunk_source is not None:
            raise InputError("OSTrack has one trunk, which its file holds; leave out the file of another")
        return ostrack.convert_published(source, target)
    if _is_eco(content):
        from d3s_vot.trackers.eco import convert as eco

        if gem_trunk_source is not None:
            raise InputError("ECO's file holds all of its networks; leave out the file of another trunk")
        return eco.convert_published(source, target)
    if _is_dropseg(content):
        from d3s_vot.trackers.dropseg import convert as dropseg

        if gem_trunk_source is not None:
            raise InputError("DropSeg has one trunk, which its file holds; leave out the file of another")
        return dropseg.convert_published(source, target)
    if _is_siamfcpp(content):
        from d3s_vot.trackers.siamfcpp import convert as siamfcpp

        if gem_trunk_source is not None:
            raise InputError("SiamFC++ has one trunk, which its file holds; leave out the file of another")
        return siamfcpp.convert_published(source, target)
    if _has_in_net(content, "classifier.filter_optimizer."):
        from d3s_vot.trackers.dimp import convert as dimp

        if gem_trunk_source is not None:
            raise InputError("DiMP has one trunk, which its file holds; leave out the file of another")
        return dimp.convert_published(source, target)
    if _has_in_net(content, "bb_regressor."):
        from d3s_vot.trackers.atom import convert as atom

        if gem_trunk_source is not None:
            raise InputError("ATOM has one trunk, which its file holds; leave out the file of another")
        return atom.convert_published(source, target)
    from d3s_vot.trackers.d3s import convert as d3s

    return d3s.convert_published(source, target, gem_trunk_source)


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
