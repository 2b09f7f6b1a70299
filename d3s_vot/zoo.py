"""From the name of weights to networks and trackers.

    tracker = load_tracker("D3S", device="cpu")
    tracker = Choice("D3S", preset="fast").load_tracker()
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from d3s_vot.compute.arithmetic import computes
from d3s_vot.compute.device import choose_device
from d3s_vot.errors import CheckpointError, InputError
from d3s_vot.model import Model
from d3s_vot.presets import PRESETS, make_fast
from d3s_vot.tracker import Tracker
from d3s_vot.trackers.names import by_name, family
from d3s_vot.weights import checkpoint as files
from d3s_vot.weights.checkpoint import Checkpoint
from d3s_vot.weights.find import find_weights


@dataclass(frozen=True)
class Choice:
    """Which tracker, and how it runs: what commands and processes hand on.

    Attributes:
        tracker: name of packaged weights, or a file.
        device: "auto", "cpu", "cuda", "cuda:1", ...
        preset: "exact" reproduces the reference in float32; "fast" has the networks in half precision where the
            hardware has it, on a CPU through OpenVINO.
        rules: constants of the tracker: "weights", those that the weights were made for, or a name that the tracker
            has for others; D3S has "published", "calibrated", "judged" and "witnessed" (see `D3SConfig`), ECO
            "published", "corrected" and "guarded".
        trunk: file of the ImageNet trunk, for weights whose trunk comes from no package.
    """

    tracker: str | os.PathLike[str] = "D3S"
    device: str | torch.device = "auto"
    preset: str = "exact"
    rules: str = "weights"
    trunk: str | os.PathLike[str] | None = None

    @computes
    def load_model(self) -> Model:
        """Load the networks once, for any number of trackers.

        Raises:
            CheckpointError: the weights are missing, damaged or of another network.
            InputError: there are no such device, preset or rules, or OpenVINO is missing.
        """
        if self.preset not in PRESETS:
            raise InputError(f"there is no preset {self.preset!r}; use {' or '.join(PRESETS)}")
        device = choose_device(self.device)
        checkpoint = load_checkpoint(find(self.tracker))
        kind = family(checkpoint.tracker)
        trunk = None if self.trunk is None else Path(self.trunk)
        model = kind.from_checkpoint(checkpoint, device, kind.configure(checkpoint, self.rules), trunk)
        if self.preset == "fast":
            make_fast(model)
        if model.wants is not None:
            model.witness = replace(self, tracker=model.wants, device=device, rules="weights", trunk=None).load_model()
        return model

    def demand_masks(self, what: str, remedy: str) -> None:
        """Refuse a tracker that gives boxes alone, before its networks are loaded.

        Args:
            what: needs masks, for the error's sentence.
            remedy: beside another tracker.

        Raises:
            InputError: it gives none.
            CheckpointError: the weights are missing, damaged or of another network.
        """
        if not family(load_checkpoint(find(self.tracker)).tracker).gives_masks:
            name = Path(self.tracker).stem
            raise InputError(f"{what} takes masks, and {name} gives boxes alone; {remedy}")

    def load_tracker(self) -> Tracker:
        """A tracker with its networks loaded; errors as for `load_model`."""
        return Tracker(self.load_model())


def load_model(
    weights: str | os.PathLike[str] = "D3S",
    device: str | torch.device = "auto",
    trunk_weights: str | os.PathLike[str] | None = None,
    preset: str = "exact",
    rules: str = "weights",
) -> Model:
    """Load the networks once, for any number of trackers; arguments and errors as in `Choice`."""
    return Choice(weights, device, preset, rules, trunk_weights).load_model()


def load_tracker(
    weights: str | os.PathLike[str] = "D3S",
    device: str | torch.device = "auto",
    trunk_weights: str | os.PathLike[str] | None = None,
    preset: str = "exact",
    rules: str = "weights",
) -> Tracker:
    """A tracker with its networks loaded.

    Args:
        weights: name of packaged weights, or a file.
        device: "auto", "cpu", "cuda", "cuda:1", ...
        trunk_weights: file of the ImageNet trunk, for weights whose trunk comes from no package.
        preset: "exact" or "fast", see `Choice`.
        rules: "weights", "published", "calibrated", "judged", "witnessed", see `Choice`.

    Raises:
        CheckpointError: the weights are missing, damaged or of another network.
        InputError: there are no such device, preset or rules, or OpenVINO is missing.
    """
    return Choice(weights, device, preset, rules, trunk_weights).load_tracker()


def find(tracker: str | os.PathLike[str]) -> Path:
    """The file of weights of a tracker, by path or by name: in the package or, as `convert` made it, in this folder.

    Raises:
        CheckpointError: there is none; of a name that is published, the message says how to get it.
    """
    try:
        return find_weights(tracker)
    except CheckpointError as error:
        published = by_name(os.fsdecode(tracker))
        if published is None or not published.file:
            raise
        own = Path(f"{published.name}.safetensors")
        if own.is_file():
            return own
        raise CheckpointError(
            f"the weights of {published.name} are not at hand; get {published.file} from {published.source} and make "
            f"{own} of it: `{published.convert}`"
        ) from error


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint of any tracker and verify all of it.

    Raises:
        CheckpointError: no such file, not a checkpoint of this package, damaged, of another network, or with
            weights that are not finite.
    """
    return files.load_checkpoint(path, _check)


def save_checkpoint(path: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Write a checkpoint; a kill leaves the old file or the new one, never half of one.

    Args:
        path: the safetensors file; its folder exists.
        checkpoint: provenance that JSON does not know is written as text.

    Raises:
        CheckpointError: `load_checkpoint` would refuse the checkpoint, or the file cannot be written.
    """
    files.save_checkpoint(path, checkpoint, _check)


def configuration(checkpoint: Checkpoint, rules: str = "weights") -> Any:
    """The constants of a checkpoint's tracker by the name of their rules; see `Model.configure`."""
    return family(checkpoint.tracker).configure(checkpoint, rules)


def _check(checkpoint: Checkpoint, what: str, remedy: str) -> None:
    try:
        kind = family(checkpoint.tracker)
    except CheckpointError as error:
        raise CheckpointError(f"{what} cannot be used: {error}") from error
    kind.check(checkpoint, what, remedy)
