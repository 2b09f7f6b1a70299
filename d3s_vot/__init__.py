"""D3S, the discriminative single-shot segmentation tracker, for the VOT and got10k toolkits and your own video."""

from d3s_vot.base import Prediction, Tracker
from d3s_vot.config import D3SConfig
from d3s_vot.errors import CheckpointError, D3SError, InputError
from d3s_vot.regions import Box, Mask, Polygon
from d3s_vot.tracker import D3STracker, load_tracker

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
]
