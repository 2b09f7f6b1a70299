"""What moved where between two frames, as costs of every pair of cells; and maps that are moved (KYS, section 3.2)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def costs(current: Tensor, previous: Tensor, reach: int) -> Tensor:
    """How alike the neighbourhoods of cells are: products of 3 x 3 cells of all channels, 0 beyond the maps.

    Args:
        current: B x C x n x n.
        previous: B x C x n x n.
        reach: cells along either axis, beyond which cells are not compared and the cost is 0.

    Returns:
        B x n x n x n x n: row and column of the previous cell, then of the current one.
    """
    b, _, n, m = current.shape
    products = previous.flatten(2).transpose(1, 2) @ current.flatten(2)  # B x n m x n m
    sums = _along_diagonals(_along_diagonals(products.view(b, n, m, n, m), 1, 3), 2, 4)
    rows, columns = (_near(length, reach, sums) for length in (n, m))
    return sums * (rows[:, None, :, None] * columns[None, :, None, :])


def _along_diagonals(values: Tensor, previous: int, current: int) -> Tensor:
    """Of either axis pair (p, q) the sum of (p - 1, q - 1), (p, q) and (p + 1, q + 1), 0 beyond the ends."""
    length = values.shape[previous]

    def part(tensor: Tensor, start: int) -> Tensor:
        return tensor.narrow(previous, start, length - 1).narrow(current, start, length - 1)

    sums = values.clone()
    part(sums, 0).add_(part(values, 1))
    part(sums, 1).add_(part(values, 0))
    return sums


def _near(length: int, reach: int, like: Tensor) -> Tensor:
    """1 where two cells of an axis are within reach: length x length."""
    cells = torch.arange(length, device=like.device)
    return ((cells[:, None] - cells).abs() <= reach).to(like)


def shifted(maps: Tensor, shift_xy: tuple[float, float], align_corners: bool = False) -> Tensor:
    """Maps of which every cell shows what was elsewhere, bilinear, 0 beyond them.

    Args:
        maps: B x C x n x n.
        shift_xy: from a cell to what it shows, in halves of the maps' sides.
        align_corners: whether those sides end in the middles of the outer cells.
    """
    (x, y), b = shift_xy, len(maps)
    theta = torch.tensor([[1, 0, x], [0, 1, y]], dtype=maps.dtype, device=maps.device).expand(b, 2, 3)
    grid = F.affine_grid(theta, list(maps.shape), align_corners=align_corners)
    return F.grid_sample(maps, grid, mode="bilinear", padding_mode="zeros", align_corners=align_corners)
