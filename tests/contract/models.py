"""A small checkpoint of every tracker, for the tests that run over all names."""

from __future__ import annotations

import dimp_models
import dropseg_golden
import kys_golden
import lwl_golden
import ncc
import ostrack_golden
from eco_golden import quick_checkpoint
from siamfcpp_golden import random_checkpoint
from small import small_checkpoint

from d3s_vot.trackers.names import NAMES
from d3s_vot.weights.checkpoint import Checkpoint

EVERY = (*NAMES, "NCC")  # with the one of the documentation


def checkpoint_of(name: str) -> Checkpoint:
    """Weights of a tracker; where none come with the package, random ones do."""
    match name:
        case "D3S":
            return small_checkpoint()
        case "SiamFCpp":
            return random_checkpoint("tinyconv", memory_size=3, memory_step=2)
        case "OSTrack":
            return ostrack_golden.random_checkpoint(temporal=1)
        case "ECO":
            return quick_checkpoint()
        case "DropSeg":
            return dropseg_golden.random_checkpoint()
        case "DiMP":
            return dimp_models.random_checkpoint()
        case "ATOM":
            return dimp_models.random_atom()
        case "KYS":
            return kys_golden.random_checkpoint()
        case "LWL":
            return lwl_golden.random_checkpoint()
        case "NCC":
            return ncc.checkpoint()
    raise NotImplementedError(f"add a checkpoint of {name}")
