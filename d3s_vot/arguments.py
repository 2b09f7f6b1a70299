"""Arguments that several command lines take."""

from __future__ import annotations

from argparse import Namespace, _ArgumentGroup
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from d3s_vot.errors import InputError
from d3s_vot.presets import PRESETS

if TYPE_CHECKING:
    from d3s_vot.zoo import Choice

# Constants by name: those that the weights were made for, and others that a tracker may have.
RULES = ("weights", "published", "calibrated", "judged", "witnessed", "corrected", "guarded")


def whole_number(text: str) -> int:
    """A whole number of 1 or more.

    >>> whole_number("3")
    3
    """
    value = int(text)
    if value < 1:
        raise ValueError
    return value


whole_number.__name__ = "whole number of 1 or more"  # argparse says "invalid ... value"


def add_network(group: _ArgumentGroup) -> None:
    """Which tracker, and how: `tracker`, `trunk`, `preset`, `rules`, as in `d3s_vot.zoo.Choice`."""
    group.add_argument(
        "--tracker", "--weights", dest="tracker", default="D3S", metavar="NAME",
        help="a tracker's name, see `d3s-vot trackers`, or a file of weights (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--trunk", type=Path, metavar="FILE", help="ImageNet trunk, for weights whose trunk comes in no package"
    )
    group.add_argument(
        "--preset", choices=PRESETS, default="exact", help="fast: in half precision (default: %(default)s)"
    )
    group.add_argument(
        "--rules", choices=RULES, default="weights",
        help="constants of the tracker; weights: those that the weights were made for (default: %(default)s)",
    )  # fmt: skip


def add_place(group: _ArgumentGroup) -> None:
    """Where it runs: `device`, `threads`."""
    group.add_argument("--device", default="auto", help="cpu, cuda, cuda:1 ... (default: a GPU if there is one)")
    group.add_argument("--threads", type=whole_number, metavar="N", help="CPU threads (default: PyTorch's choice)")


def shown_names(trackers: Sequence[str]) -> list[str]:
    """What several trackers are called where they stand side by side: their names, of files the stems.

    >>> shown_names(["D3S", "runs/mine.safetensors"])
    ['D3S', 'mine']

    Raises:
        InputError: two have one name.
    """
    names = [Path(name).stem if name.endswith(".safetensors") else name for name in trackers]
    if len(set(names)) < len(names):
        raise InputError("a tracker is named twice; give each once")
    return names


def chosen(options: Namespace) -> Choice:
    """What `add_network` and `add_place` were told; a command without the latter has no `device`."""
    from d3s_vot.zoo import Choice  # here, because it needs torch

    device = getattr(options, "device", "auto")
    return Choice(options.tracker, device, options.preset, options.rules, options.trunk)
