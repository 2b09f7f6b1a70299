"""The box that fits best: several boxes climb the box regressor's value, and the best of them are averaged."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from d3s_vot.compute.timing import stage
from d3s_vot.heads.config import RefinementConfig
from d3s_vot.online.state import Numbers, Pair, Place, State

# Boxes (n x 4: x, y, w, h) to values (n) and derivatives by the edges x0, y0, x1, y1 (n x 4).
Value = Callable[[Tensor], tuple[Tensor, Tensor]]


def refined(
    state: State,
    value: Value,
    draws: NDArray[np.floating],
    config: RefinementConfig,
    *,
    place: Place,
    base_hw: Pair,
    device: torch.device,
) -> State:
    """The target at the box that fits best about where it is; itself where none does.

    Args:
        state: the first estimate.
        value: of boxes in the sample, and its derivatives.
        draws: n x 4, uniform in -.5 .. .5, of the other boxes that climb.
        config: constants.
        place: of the sample.
        base_hw: sides that the target began with, pixels of a sample.
        device: of the sample's features.
    """
    box = refine(value, state.box_in(place), draws, config, size=place.size, device=device)
    return state if box is None else state.at_box(box, place, base_hw)


def refine(
    value: Value,
    box: Numbers,
    draws: NDArray[np.floating],
    config: RefinementConfig,
    *,
    size: int,
    device: torch.device,
) -> Numbers | None:
    """The box that fits best about this one, x, y, w, h; None where none does.

    Args:
        value: of boxes, and its derivatives.
        box: the first estimate.
        draws: n x 4, uniform in -.5 .. .5, of the other boxes that climb.
        config: constants.
        size: of the sample that boxes are in, pixels.
        device: of the sample's features.
    """
    # In double precision: a rounded edge may take a box over a kink of the value, and on another way.
    first = torch.tensor(box, dtype=torch.float64, device=device)
    boxes = jittered(first, torch.as_tensor(draws, dtype=torch.float64, device=device), config)
    best = best_box(*climb(value, boxes, config), size, config)
    if best is None:
        return None
    x, y, w, h = best.tolist()
    return x, y, w, h


def jittered(box: Tensor, draws: Tensor, config: RefinementConfig) -> Tensor:
    """The boxes that climb: the given one, and one for each draw.

    Args:
        box: 4, x, y, w, h.
        draws: n x 4, uniform in -.5 .. .5.

    Returns:
        n + 1 x 4.
    """
    side = box[2:].prod().sqrt()
    sizes = box[2:] + draws[:, 2:] * side * config.jitter_size
    sizes = torch.maximum(sizes, box[2:].min() / 3)  # n x 2
    middles = box[:2] + box[2:] / 2 + draws[:, :2] * side * config.jitter_position
    return torch.cat([box[None], torch.cat([middles - sizes / 2, sizes], dim=1)])


@stage("refinement")
def climb(value: Value, boxes: Tensor, config: RefinementConfig) -> tuple[Tensor, Tensor]:
    """Gradient ascent of all boxes at once.

    Args:
        value: of boxes, and its derivatives.
        boxes: n x 4, the first estimate first.

    Returns:
        n x 4, sides at least 1; and their values (n) before the last step, as published.
    """
    values = boxes.new_zeros(len(boxes))
    size = boxes[:1, 2:]  # 1 x 2
    for _ in range(config.refinement_steps):
        values, by_edges = value(boxes)
        first, last = by_edges[:, :2], by_edges[:, 2:]
        if config.refinement_relative:
            middles = (boxes[:, :2] + boxes[:, 2:] / 2) / size
            middles = (middles + config.refinement_step * (first + last) * size) * size
            sizes = boxes[:, 2:] * torch.exp(config.refinement_size_step * (last - first) / 2 * boxes[:, 2:])
            boxes = torch.cat([middles - sizes / 2, sizes], dim=1)
        else:
            gradient = torch.cat([first + last, last], dim=1)  # by x, y, w, h
            boxes = boxes + config.refinement_step * gradient * boxes[:, 2:].repeat(1, 2)
    return torch.cat([boxes[:, :2], boxes[:, 2:].clamp(min=1)], dim=1), values


def best_box(boxes: Tensor, values: Tensor, size: int, config: RefinementConfig) -> Tensor | None:
    """The mean of the boxes of highest value; boxes that are too thin, or have left the sample, do not count.

    Args:
        boxes: n x 4, x, y, w, h.
        values: n.
        size: of the sample, pixels; a middle may lie as far beyond its edges.

    Returns:
        4, on the CPU; None where no box is left.
    """
    boxes, values = boxes.cpu(), values.cpu()
    aspect = boxes[:, 2] / boxes[:, 3]
    middles = boxes[:, :2] + boxes[:, 2:] / 2
    sound = (aspect < config.max_aspect) & (aspect > 1 / config.max_aspect) & torch.isfinite(values)
    sound &= ((middles > -size) & (middles < 2 * size)).all(dim=1)
    boxes, values = boxes[sound], values[sound]
    if not len(boxes):
        return None
    return boxes[values.topk(min(config.averaged_boxes, len(boxes))).indices].mean(dim=0)
