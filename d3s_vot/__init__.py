"""D3S, the discriminative single-shot segmentation tracker, for the VOT and got10k toolkits and your own video."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from d3s_vot.compute.threads import wait_briefly
from d3s_vot.errors import CheckpointError, D3SError, InputError
from d3s_vot.regions import Box, Mask, Polygon
from d3s_vot.trackers.d3s.config import D3SConfig

if TYPE_CHECKING:
    from d3s_vot.prediction import Prediction
    from d3s_vot.together import track_together
    from d3s_vot.tracker import Tracker
    from d3s_vot.tracker import Tracker as D3STracker  # its name when D3S was the only one
    from d3s_vot.zoo import load_tracker

__all__ = [
    "Box",
    "CheckpointError",
    "D3SConfig",
    "D3SError",
    "D3STracker",
    "InputError",
    "Mask",
    "Polygon",
    "Prediction",
    "Tracker",
    "load_tracker",
    "track_together",
]

wait_briefly()

# These need torch, which takes seconds to import and which tables of results and sample sequences do not need.
_NEED_TORCH = {
    "D3STracker": "d3s_vot.tracker",
    "Prediction": "d3s_vot.prediction",
    "Tracker": "d3s_vot.tracker",
    "load_tracker": "d3s_vot.zoo",
    "track_together": "d3s_vot.together",
}


_ALIASES = {"D3STracker": "Tracker"}  # its name when D3S was the only one


def __getattr__(name: str) -> Any:
    if name not in _NEED_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_NEED_TORCH[name]), _ALIASES.get(name, name))
