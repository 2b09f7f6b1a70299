"""Boxes of a regressor that is being trained: around masks, drawn for its loss, and those that climb its values."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from d3s_vot.heads.config import RefinementConfig
from d3s_vot.heads.iou import BoxFeatures, BoxRegressor, Modulation
from d3s_vot.heads.refinement import Value, refine
from train.tasks.boxes import box_masks, mask_boxes
from train.tasks.regressor_losses import density_loss, overlap_loss, overlapping_boxes, scattered_boxes

SCATTERED = 128  # boxes for a picture that a density is learnt from; published


def boxes_around(masks: Tensor) -> tuple[Tensor, Tensor]:
    """x, y, w, h around masks (B x 1 x S x S), pixels: B x 4; and whether there is anything in each: B."""
    ends, shown = mask_boxes(masks[:, 0] > 0.5)
    return torch.cat([ends[:, :2], ends[:, 2:] - ends[:, :2] + 1], dim=1), shown


def regressor_loss(
    regressor: Any,
    features: BoxFeatures,
    modulation: Modulation,
    truth: Tensor,
    generator: torch.Generator,
    *,
    overlapping: int,
    density: bool,
) -> Tensor:
    """Of the values of boxes drawn about the target's: B.

    Args:
        regressor: of boxes.
        features: of B pictures.
        modulation: of their targets.
        truth: B x 4, x, y, w, h.
        generator: of the drawn boxes.
        overlapping: how many boxes of a picture tell their overlap.
        density: whether the values are those of a density instead.
    """
    if density:
        boxes, offsets = scattered_boxes(truth, SCATTERED, generator)
        return density_loss(regressor(features, modulation, boxes), offsets)
    boxes = overlapping_boxes(truth, overlapping, generator)
    return overlap_loss(regressor(features, modulation, boxes), boxes, truth)


def climbed_masks(
    regressor: Any, features: BoxFeatures, modulation: Modulation, starts: Tensor, config: RefinementConfig, size: int
) -> Tensor:
    """Boxes that climbed from these, as masks.

    Args:
        regressor: in evaluation mode.
        features: of B pictures.
        modulation: of their targets.
        starts: B x 4, x, y, w, h.
        config: constants.
        size: of the pictures, pixels.

    Returns:
        B x size x size bool.
    """
    found = []
    for i, start in enumerate(starts):
        draws = torch.rand(config.refinement_boxes - 1, 4, generator=torch.Generator().manual_seed(i)) - 0.5
        maps, vectors = ([each[i : i + 1] for each in part] for part in (features, modulation))
        value = _value(regressor, BoxFeatures(*maps), Modulation(*vectors))
        x, y, w, h = start.tolist()
        best = refine(value, (x, y, w, h), draws.numpy(), config, size=size, device=starts.device)
        found.append(start.cpu() if best is None else torch.tensor(best, dtype=torch.float32))
    boxes = torch.stack(found).to(starts)
    return box_masks(torch.cat([boxes[:, :2], boxes[:, :2] + boxes[:, 2:] - 1], dim=1).round(), size)


def _value(regressor: BoxRegressor, features: BoxFeatures, modulation: Modulation) -> Value:
    """Values of boxes of one picture and their derivatives by the edges."""

    def value(boxes: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad(), torch.autocast(boxes.device.type, enabled=False):
            at = boxes.detach().float().requires_grad_()
            values = regressor(features, modulation, at[None])[0]
            (by_box,) = torch.autograd.grad(values.sum(), at)  # by x, y, w, h
        return values.detach().to(boxes), torch.cat([by_box[:, :2] - by_box[:, 2:], by_box[:, 2:]], dim=1).to(boxes)

    return value
