"""The first frame of trackers with DiMP's classifier: the filter, its memory and what the box regressor knows."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from d3s_vot.heads.config import DiscriminativeConfig
from d3s_vot.heads.filter import Classifier, centers_in_cells
from d3s_vot.heads.iou import Modulation, corners
from d3s_vot.heads.sight import Sight
from d3s_vot.online.augment import dropout_copies
from d3s_vot.online.chance import Chance
from d3s_vot.online.discriminative import DiscriminativeFilter
from d3s_vot.online.first_frame import first_samples
from d3s_vot.online.memory import SampleWeights
from d3s_vot.online.state import State


class Learnt(NamedTuple):
    """What the first frame teaches.

    Attributes:
        filter: with its memory of the first frame's samples.
        modulation: of the box regressor.
        boxes: n x 4, x, y, w, h of the target in the samples.
    """

    filter: DiscriminativeFilter
    modulation: Modulation
    boxes: Tensor


def learn_first(
    image: Tensor, state: State, sight: Sight, classifier: Classifier, config: DiscriminativeConfig, *, chance: Chance
) -> Learnt:
    """Learn a target from the augmented samples of the first frame.

    Args:
        image: 1 x 3 x H x W, uint8.
        state: of the target.
        sight: of samples, in float32 under every preset.
        classifier: frozen.
        config: constants.
        chance: of shifts and dropout.
    """
    plan, (y, x) = config.first_samples, state.position_yx
    samples = first_samples(image, state, plan, chance, size=config.sample_size, cut_yx=(round(y), round(x)))
    features, modulation = sight.first(samples.images, samples.box)  # n x K x h x h
    draws = chance.dropout(plan.dropouts, features.shape[1])
    features = torch.cat([features, dropout_copies(features[:1], draws)])
    boxes = samples.box.repeat(plan.count, 1)
    boxes[:, :2] += samples.shifts.flip(1).to(boxes.device)
    learnt = DiscriminativeFilter(
        classifier.filter_optimizer,  # type: ignore[arg-type]
        classifier.filter_initializer(features, corners(boxes)),
        features,
        centers_in_cells(boxes),
        weights=SampleWeights(config.memory_size, plan.count, config.first_frame_share),
        iterations=config.first_iterations,
    )
    return Learnt(learnt, modulation, boxes)
