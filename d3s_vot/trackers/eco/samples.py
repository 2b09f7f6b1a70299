"""The first frame's samples: one patch shifted, flipped, turned and blurred; its features with channels missing."""

from __future__ import annotations

import math
import zlib

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from d3s_vot.compute.timing import stage
from d3s_vot.online.augment import ANGLES, BLURS, blur
from d3s_vot.trackers.eco.config import BLOCKS, ECOConfig

DIRECTIONS = ((1, 1), (-1, 1), (1, -1), (-1, -1))  # of the shifts, (y, x)


@stage("crop")
def first_frame_samples(patch: Tensor, config: ECOConfig) -> tuple[Tensor, list[tuple[int, int]]]:
    """The samples of a patch.

    Args:
        patch: 1 x 3 x z x z float32 on the scale 0..255.
        config: constants.

    Returns:
        23 x 3 x z x z, and how far (dy, dx) the content of each was moved, pixels.
    """
    size = patch.shape[-1]
    shifts = [(0, 0), *((config.augmentation_shift * dy, config.augmentation_shift * dx) for dy, dx in DIRECTIONS)]
    samples = [_moved(patch, dy, dx) for dy, dx in shifts]
    samples.append(patch.flip(3))
    pixels = patch[0].permute(1, 2, 0).contiguous().cpu().numpy()
    middle = (size - 1) / 2
    for angle in ANGLES:
        matrix = cv2.getRotationMatrix2D((middle, middle), angle, 1.0)
        turned = cv2.warpAffine(pixels, matrix, (size, size), borderMode=cv2.BORDER_REPLICATE)
        samples.append(torch.from_numpy(turned).permute(2, 0, 1)[None].to(patch.device))
    samples += [blur(patch, *sigmas) for sigmas in BLURS]
    return torch.cat(samples), shifts + [(0, 0)] * (len(samples) - len(shifts))


def _moved(patch: Tensor, dy: int, dx: int) -> Tensor:
    """The content moved down and right, the border replicated."""
    if dy == dx == 0:
        return patch
    margin = max(abs(dy), abs(dx))
    size = patch.shape[-1]
    wide = F.pad(patch, (margin,) * 4, mode="replicate")
    return wide[..., margin - dy : margin - dy + size, margin - dx : margin - dx + size]


def dropout_draws(block: str, channels: int, config: ECOConfig) -> NDArray[np.bool_]:
    """Which channels of a block the dropout samples keep: samples x channels, the same in every video."""
    seed = zlib.crc32(b"eco.dropout.%d" % BLOCKS.index(block))
    return np.random.RandomState(seed).uniform(size=(config.dropout_samples, channels)) >= config.dropout


def with_dropout(features: Tensor, kept: NDArray[np.bool_], config: ECOConfig) -> Tensor:
    """Samples' features (N x C x m x m), and copies of the first one's without the channels that are not kept."""
    factor = torch.from_numpy(kept.astype(np.float32)).to(features.device) / (1 - config.dropout)
    return torch.cat([features, features[:1] * factor[:, :, None, None]])


def unshift_angle(shift_yx: tuple[int, int], size: int) -> tuple[float, float]:
    """The angle for `fourier.shift` that takes a shift back."""
    return 2 * math.pi * shift_yx[0] / size, 2 * math.pi * shift_yx[1] / size
