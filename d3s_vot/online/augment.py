"""The first frame's samples that online models are learnt from: shifted, flipped, blurred, turned."""

from __future__ import annotations

import math

import cv2
import torch
import torch.nn.functional as F
from torch import Tensor

from d3s_vot.compute.timing import stage

SHIFTS = ((0.25, 0.25), (-0.25, 0.25), (0.25, -0.25), (-0.25, -0.25),
          (0.75, 0.75), (-0.75, 0.75), (0.75, -0.75), (-0.75, -0.75))  # fmt: skip

BLURS = ((2.0, 0.2), (0.2, 2.0), (3.0, 1.0), (1.0, 3.0), (2.0, 2.0))  # sigma_y, sigma_x
ANGLES = (5, -5, 10, -10, 20, -20, 30, -30, 45, -45, -60, 60)  # degrees
FIRST_FRAME_SAMPLES = 1 + len(SHIFTS) + 1 + len(BLURS) + len(ANGLES)


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
        matrix = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), angle, 1.0)
        # Up to the end of the middle, and not from its start: OpenCV would round the shifted matrix otherwise.
        turned = cv2.warpAffine(pixels, matrix, (start + size, start + size), borderMode=cv2.BORDER_REPLICATE)
        samples.append(torch.from_numpy(turned[start:, start:]).permute(2, 0, 1)[None].to(window.device))
    shifts = torch.zeros(len(samples), 2, dtype=torch.float32, device="cpu")
    shifts[1 : 1 + len(moves)] = torch.tensor(moves, dtype=torch.float32, device="cpu")
    return torch.cat(samples), shifts


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
