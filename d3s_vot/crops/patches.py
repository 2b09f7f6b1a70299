"""The localisation patch: a float tensor made on the network's device, with the image's border replicated."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from d3s_vot.compute.timing import stage
from d3s_vot.errors import InputError


@stage("crop")
def localization_patch(image: Tensor, position: tuple[float, float], scale: float, size: int) -> Tensor:
    """GEM's square patch: the image sub-sampled, cut with a replicated border and resized.

    Args:
        image: 1 x 3 x H x W, uint8.
        position: (y, x) of its middle, pixels of the image.
        scale: pixels of the image per pixel of the patch.
        size: of the patch, pixels.

    Returns:
        1 x 3 x size x size float32 on the scale 0..255.

    Raises:
        InputError: the scale is not a positive number.
    """
    if not (math.isfinite(scale) and scale > 0):
        raise InputError(f"cannot cut a patch at scale {scale}")
    factor = max(math.floor(scale - 0.1), 1)
    side = max(round(size * scale / factor), 1)
    patch = image.float() if image.shape[2] * image.shape[3] < side * side else image
    for dim, p, length in ((2, position[0], image.shape[2]), (3, position[1], image.shape[3])):
        offset = int(p) % factor
        middle = (int(p) - offset) // factor
        index = torch.arange(middle - (side - 1) // 2, middle + side // 2 + 1, device=image.device)
        count = max((length - offset + factor - 1) // factor, 1)  # of sub-sampled rows or columns
        patch = patch.index_select(dim, (index.clamp(0, count - 1) * factor + offset).clamp(max=length - 1))
    patch = patch.float()
    if side == size:
        return patch
    return F.interpolate(patch, (size, size), mode="bilinear", align_corners=False)
