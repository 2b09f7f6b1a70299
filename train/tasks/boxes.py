"""Boxes around the masks of a batch."""

from __future__ import annotations

import torch
from torch import Tensor


def mask_boxes(masks: Tensor) -> tuple[Tensor, Tensor]:
    """B x S x S bool -> x0, y0, x1, y1 around each, first and last pixel (B x 4), and whether there is any (B)."""
    size = masks.shape[-1]
    ends = []
    for lines in (masks.any(dim=1), masks.any(dim=2)):  # columns, rows: B x S
        seen = lines.int()
        ends.append((seen.argmax(dim=1), size - 1 - seen.flip(1).argmax(dim=1)))
    (x0, x1), (y0, y1) = ends
    return torch.stack([x0, y0, x1, y1], dim=1).float(), masks.flatten(1).any(dim=1)


def box_masks(boxes: Tensor, size: int) -> Tensor:
    """x0, y0, x1, y1, first and last pixel (B x 4) -> the boxes filled: B x size x size bool."""
    at = torch.arange(size, device=boxes.device)
    x0, y0, x1, y1 = boxes.t()[..., None]  # B x 1 each
    columns, rows = (at >= x0) & (at <= x1), (at >= y0) & (at <= y1)  # B x S each
    return rows[:, :, None] & columns[:, None]
