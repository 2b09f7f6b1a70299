"""The first frame's samples of a target, and where it is in each."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from d3s_vot.crops.patches import sample_window
from d3s_vot.online.augment import varied_samples
from d3s_vot.online.chance import Chance
from d3s_vot.online.config import Augmentation
from d3s_vot.online.state import Place, State


class FirstSamples(NamedTuple):
    """The first frame's samples, but for the dropout copies of the first one, which are made of its features.

    Attributes:
        images: n x 3 x size x size, the plain one first.
        place: of the plain one, as it is believed.
        box: 4, x, y, w, h of the target in the plain one; on the images' device.
        shifts: m x 2, (dy, dx) of the target in all samples, the dropout copies last, whole pixels; on the CPU.
    """

    images: Tensor
    place: Place
    box: Tensor
    shifts: Tensor


def first_samples(
    image: Tensor, state: State, plan: Augmentation, chance: Chance, *, size: int, cut_yx: tuple[float, float]
) -> FirstSamples:
    """Cut and vary them.

    Args:
        image: 1 x 3 x H x W, uint8.
        state: of the target.
        plan: which samples.
        chance: of the random shifts.
        size: of a sample, pixels.
        cut_yx: where they are cut, of which whole pixels count.
    """
    y, x = state.position_yx
    place = Place((float(round(y)), float(round(x))), state.scale, size)
    side = plan.window_size(size)
    height, width = image.shape[2:]
    window = sample_window((height, width), cut_yx, state.scale, side).cut(image, side)
    images, shifts = varied_samples(window, size, plan, chance.shifts(plan.moved))
    box = torch.tensor(state.box_in(place), dtype=torch.float32, device=image.device)
    return FirstSamples(images, place, box, torch.cat([shifts, torch.zeros(plan.dropouts, 2)]))
