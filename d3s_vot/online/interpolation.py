"""Responses between the cells of their grid, and windows over them."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


@lru_cache(maxsize=8)
def _interpolation_matrix(cells: int, size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Fourier interpolation from `cells` samples to `size`; the middle cell (cells / 2) goes to index 0."""
    # The highest frequency counts in full on both of its sides, as published (half of it would be exact).
    frequencies = torch.arange(-(cells // 2), cells // 2 + 1, dtype=torch.float64, device="cpu")  # cells + 1
    target = torch.arange(size, dtype=torch.float64, device="cpu")[:, None] / size  # size x 1
    source = (torch.arange(cells, dtype=torch.float64, device="cpu") - cells // 2) / cells  # cells
    waves = torch.cos(2 * torch.pi * frequencies * (target - source)[:, :, None])  # size x cells x cells + 1
    return (waves.sum(dim=2) / cells).to(device, dtype)  # size x cells


def upsample_score(score: Tensor, size: int = 256) -> Tensor:
    """A response on a finer grid (size x size), by Fourier interpolation; zero displacement at index [0, 0].

    Args:
        score: cells x cells, an even number; zero displacement is at index [cells / 2, cells / 2], because
            the even filter moves its response by half a cell.
        size: side of the result; displacements wrap around.
    """
    matrix = _interpolation_matrix(score.shape[-1], size, score.dtype, score.device)  # size x cells
    return matrix @ score @ matrix.T  # size x size


@lru_cache(maxsize=8)
def cosine_window(size: int, device: torch.device | str = "cpu") -> Tensor:
    """The window that favours small displacements: size x size, 1 at zero displacement (index [0, 0]).

    All callers share one tensor; do not change it in place.
    """
    distance = torch.arange(size, dtype=torch.float64, device="cpu")
    distance = torch.minimum(distance, size - distance)  # size, displacements wrap around
    profile = 0.5 * (1 + torch.cos(2 * torch.pi * distance / (size + 2)))  # size
    return torch.outer(profile, profile).to(device, torch.float32)  # size x size


@lru_cache(maxsize=8)
def hann_window(size: int, device: torch.device | str = "cpu") -> Tensor:
    """The window over the cells of a response whose middle is zero displacement: size x size, above 0 at the edges.

    All callers share one tensor; do not change it in place.
    """
    index = torch.arange(1, size + 1, dtype=torch.float64, device="cpu")
    profile = 0.5 * (1 - torch.cos(2 * torch.pi * index / (size + 1)))  # size
    return torch.outer(profile, profile).to(device, torch.float32)  # size x size
