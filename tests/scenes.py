"""Small pictures with a target whose place is known, and a tracker with the reference weights."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import load_file

from d3s_vot.regions import Box, Polygon
from d3s_vot.trackers.d3s.config import D3SConfig
from d3s_vot.trackers.d3s.model import D3SModel
from d3s_vot.trackers.d3s.network import SegmentationNetwork
from d3s_vot.trunks.create import create_trunk
from d3s_vot.trunks.trunk import CHANNELS


def scene(t: int, height: int = 120, width: int = 160) -> tuple[np.ndarray, Box]:
    """Frame t of a textured disc that crosses a textured ground, and its box."""
    rng = np.random.default_rng(0)
    ground = cv2.GaussianBlur(rng.integers(0, 120, (height, width, 3), np.uint8), (0, 0), 2)
    disc = cv2.GaussianBlur(rng.integers(120, 256, (40, 40, 3), np.uint8), (0, 0), 1)
    x, y = 40 + 2 * t, 50 + t
    mask = cv2.circle(np.zeros((40, 40), np.uint8), (20, 20), 15, 1, -1).astype(bool)
    patch = ground[y - 20 : y + 20, x - 20 : x + 20]
    patch[mask] = disc[mask]
    return ground, Box(x - 15, y - 15, 31, 31)


def picture(at: tuple[int, int] | None, size: int = 40, height: int = 240, width: int = 320) -> np.ndarray:
    """A textured ground, the same each time, and the textured disc of `scene` at (x, y); none where there is none."""
    rng = np.random.default_rng(1)
    ground = cv2.GaussianBlur(rng.integers(0, 120, (height, width, 3), np.uint8), (0, 0), 2)
    if at is not None:
        disc, _ = scene(0)
        x, y = at
        half = size // 2
        mask = cv2.circle(np.zeros((size, size), np.uint8), (half, half), half * 3 // 4, 1, -1).astype(bool)
        pasted = cv2.resize(disc[30:70, 20:60], (size, size))
        ground[y - half : y + half, x - half : x + half][mask] = pasted[mask]
    return ground


def resized(image: np.ndarray, box: Box, factor: float) -> tuple[np.ndarray, Box]:
    """A frame and its box as another camera would give them, of the same view in more or fewer pixels."""
    small = np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
    return small, Box(*(factor * value for value in box))


def reference_model(shared: Path) -> D3SModel:
    """ResNet-18 trunk and the small trained head that the golden traces were made with."""
    trunk = create_trunk("resnet18", shared / "weights" / "resnet18_trunk.safetensors")
    network = SegmentationNetwork(CHANNELS["resnet18"])
    head = load_file(shared / "golden" / "head_resnet18.safetensors")
    network.load_state_dict({name.removeprefix("segm_predictor."): value for name, value in head.items()})
    return D3SModel(network, trunk, trunk, D3SConfig.published(), torch.device("cpu"))


def annotations(folder: Path) -> list[Box | Polygon]:
    """Ground truth of a sequence in VOT layout; rectangles count from 1."""
    rows = [[float(v) for v in line.split(",")] for line in (folder / "groundtruth.txt").read_text().split()]
    return [Box.from_one_based(*row) if len(row) == 4 else Polygon(row) for row in rows]
