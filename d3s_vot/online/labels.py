"""The responses that online models are taught."""

from __future__ import annotations

import torch
from torch import Tensor


def gaussian_labels(centers_yx: Tensor, sigma: Tensor | float, size: int = 16) -> Tensor:
    """Desired responses: a Gaussian of height 1 around each centre (n x size x size).

    Args:
        centers_yx: n x 2, (y, x) in grid cells from the middle of the grid.
        sigma: standard deviation in grid cells, one for both axes or a pair (y, x).
        size: side of the grid; its cells lie at -(size - 1) / 2 .. (size - 1) / 2.
    """
    grid = torch.arange(size, dtype=centers_yx.dtype, device=centers_yx.device) - (size - 1) / 2  # size
    sigma_yx = torch.as_tensor(sigma, dtype=centers_yx.dtype, device=centers_yx.device).expand(2)  # 2
    profiles = torch.exp(-0.5 * ((grid - centers_yx[:, :, None]) / sigma_yx[:, None]) ** 2)  # n x 2 x size
    return profiles[:, 0, :, None] * profiles[:, 1, None, :]  # n x size x size
