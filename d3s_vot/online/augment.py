"""The first frame's samples that online models are learnt from: shifted, flipped, blurred, turned."""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from d3s_vot.compute.timing import stage
from d3s_vot.online.config import ANGLES, BLURS, Augmentation

SHIFTS = ((0.25, 0.25), (-0.25, 0.25), (0.25, -0.25), (-0.25, -0.25),
          (0.75, 0.75), (-0.75, 0.75), (0.75, -0.75), (-0.75, -0.75))  # fmt: skip

DROPPED = 0.2  # share of the channels that are zero in a dropout sample
MOST_MOVED = 1 / 3  # of a sample's side: the width of the range of random shifts
FIRST_FRAME_SAMPLES = 1 + len(SHIFTS) + 1 + len(BLURS) + len(ANGLES)


@stage("crop")
def varied_samples(
    window: Tensor, size: int, plan: Augmentation, draws: NDArray[np.floating]
) -> tuple[Tensor, Tensor]:
    """The first frame's samples of ATOM and DiMP, but for the dropout copies: plain, shifted, flipped, blurred, turned.

    Args:
        window: 1 x 3 x W x W float, W as `plan.window_size` has it.
        size: of a sample, pixels.
        plan: which samples.
        draws: `plan.moved` x 2, uniform in 0 .. 1: the random shifts (y, x).

    Returns:
        n x 3 x size x size samples and n x 2 shifts (dy, dx) of the target in them, in whole pixels.
    """
    side = window.shape[-1]
    pixels = window[0].permute(1, 2, 0).cpu().numpy()
    moves = [(0, 0), *((int(dy * size / 2), int(dx * size / 2)) for dy, dx in plan.shifts)]
    wholes = [window] * len(moves) + [window.flip(3)]
    wholes += [blur(window, *sigmas) for sigmas in plan.blurs]
    wholes += [_turn(pixels, angle, side).to(window.device) for angle in plan.angles]
    moves += [(int((y - 0.5) * MOST_MOVED * size), int((x - 0.5) * MOST_MOVED * size)) for y, x in draws.tolist()]
    start = (side - size) // 2
    samples = []
    for whole, move in zip(wholes, moves, strict=True):
        rows, columns = (torch.arange(start - d, start - d + size, device=window.device) for d in move)
        cut = whole.index_select(2, rows.clamp(0, side - 1)).index_select(3, columns.clamp(0, side - 1))
        samples.append(cut)
    return torch.cat(samples), torch.tensor(moves, dtype=torch.float32, device="cpu")


def dropout_copies(features: Tensor, draws: NDArray[np.floating]) -> Tensor:
    """Copies of a sample's features (1 x C x h x w) without some channels, the others made stronger.

    Args:
        features: of the plain sample.
        draws: copies x C, uniform in 0 .. 1.
    """
    kept = torch.from_numpy(draws >= DROPPED).to(features)  # copies x C
    return features * (kept / (1 - DROPPED))[:, :, None, None]


@stage("crop")
def first_frame_samples(window: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """GEM's 27 samples of the first frame: identity, shifts, flip, blurs, rotations.

    Args:
        window: 1 x 3 x W x W float, a patch around the target larger than the samples.
        size: of a sample, pixels.

    Returns:
        27 x 3 x size x size samples and 27 x 2 shifts (dy, dx) of the target in them, in pixels.
    """
    side = window.shape[-1]
    start = (side - size) // 2

    def middle(dy: int = 0, dx: int = 0, margin: int = 0) -> Tensor:
        rows, columns = (slice(start - d - margin, start - d + size + margin) for d in (dy, dx))
        return window[..., rows, columns]

    moves = [(round(dy * size / 2), round(dx * size / 2)) for dy, dx in SHIFTS]
    samples = [middle()]
    samples += [middle(dy, dx) for dy, dx in moves]
    samples += [window.flip(3)[..., start : start + size, start : start + size]]
    for sigmas in BLURS:
        margin = math.ceil(2 * max(sigmas))
        samples.append(blur(middle(margin=margin), *sigmas)[..., margin:-margin, margin:-margin])
    pixels = window[0].permute(1, 2, 0).cpu().numpy()
    for angle in ANGLES:
        # Up to the end of the middle, and not from its start: OpenCV would round the shifted matrix otherwise.
        samples.append(_turn(pixels, angle, start + size)[..., start:, start:].to(window.device))
    shifts = torch.zeros(len(samples), 2, dtype=torch.float32, device="cpu")
    shifts[1 : 1 + len(moves)] = torch.tensor(moves, dtype=torch.float32, device="cpu")
    return torch.cat(samples), shifts


def _turn(pixels: NDArray[np.float32], angle: float, end: int) -> Tensor:
    """A square picture turned about its middle, its first `end` rows and columns: 1 x 3 x end x end."""
    middle = (len(pixels) - 1) / 2
    matrix = cv2.getRotationMatrix2D((middle, middle), angle, 1.0)
    turned = cv2.warpAffine(pixels, matrix, (end, end), borderMode=cv2.BORDER_REPLICATE)
    return torch.from_numpy(turned).permute(2, 0, 1)[None]


def blur(patch: Tensor, sigma_y: float, sigma_x: float) -> Tensor:
    """A patch (1 x 3 x W x W) blurred by a Gaussian whose ends are cut; zero beyond the border."""

    def kernel(sigma: float) -> Tensor:
        t = torch.arange(-math.ceil(2 * sigma), math.ceil(2 * sigma) + 1, dtype=torch.float32, device=patch.device)
        k = torch.exp(-(t**2) / (2 * sigma**2))
        return k / k.sum()

    ky, kx = kernel(sigma_y), kernel(sigma_x)
    x = patch.transpose(0, 1)  # 3 x 1 x W x W
    x = F.conv2d(x, ky.view(1, 1, -1, 1), padding=(len(ky) // 2, 0))
    x = F.conv2d(x, kx.view(1, 1, 1, -1), padding=(0, len(kx) // 2))
    return x.transpose(0, 1)
