"""The two square samplers of D3S: GEM's localisation patch and the segmentation crop with its way back.

Both replicate the image's border. The localisation patch is a float tensor made on the network's device; the
segmentation crop is OpenCV's uint8 bilinear resize, as published.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from d3s_vot.errors import InputError
from d3s_vot.timing import stage

Image = NDArray[np.uint8]

# Pixels, a little more than around a target as large as a 4K frame (0.5 GB); of a larger square every second pixel is
# looked at, or fewer.
MAX_SQUARE = 12288


@dataclass(frozen=True)
class Crop:
    """Where a square segmentation crop lies in the image.

    Attributes:
        center: (x, y) that the crop was asked for, in pixels of the image.
        corner: (x, y) of its first pixel, whole.
        side: of the square in the image, whole pixels.
        size: of the crop, pixels.
    """

    center: tuple[float, float]
    corner: tuple[int, int]
    side: int
    size: int

    @classmethod
    def around(cls, center: tuple[float, float], wh: tuple[float, float], area_scale: float, size: int) -> Crop:
        """The square of side ceil(area_scale * sqrt(w h)) around a target (paper section 3.3)."""
        side = math.ceil(area_scale * math.sqrt(wh[0] * wh[1]))
        # Python rounds halves to even, as the published code does.
        corner = (round(center[0] - side / 2), round(center[1] - side / 2))
        return cls(center, corner, max(side, 1), size)

    @property
    def factor(self) -> float:
        """Pixels of the crop per pixel of the image."""
        return self.size / self.side

    @stage("crop")
    def cut(self, image: Image) -> Image:
        """The crop (size x size x 3) of an H x W x 3 uint8 image, border replicated."""
        height, width = image.shape[:2]
        x, y, side, step = self._square()
        # As published, the last column or row is left out where the square passes that edge.
        used_w = width - (self.corner[0] + self.side > width > 1)
        used_h = height - (self.corner[1] + self.side > height > 1)
        part = image[:used_h:step, :used_w:step]
        rows, top, bottom = _shown(y, side, part.shape[0])
        columns, left, right = _shown(x, side, part.shape[1])
        square: NDArray = part[rows, columns]
        if top or bottom or left or right:
            square = cv2.copyMakeBorder(square, top, bottom, left, right, cv2.BORDER_REPLICATE)
        return np.asarray(cv2.resize(square, (self.size, self.size), interpolation=cv2.INTER_LINEAR), np.uint8)

    def cut_mask(self, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        """The crop of an H x W mask, zero outside the image; values in 0..1."""
        x, y, side, step = self._square()
        square = np.zeros((side, side), np.float32)
        left, top = max(-x, 0), max(-y, 0)
        part = mask[::step, ::step][max(y, 0) : max(y + side, 0), max(x, 0) : max(x + side, 0)]
        square[top : top + part.shape[0], left : left + part.shape[1]] = part
        return np.asarray(cv2.resize(square, (self.size, self.size), interpolation=cv2.INTER_LINEAR), np.float32)

    def _square(self) -> tuple[int, int, int, int]:
        """x and y of the corner and the side, counted in every `step`-th pixel of the image; step: 1 but for giants."""
        step = math.ceil(self.side / MAX_SQUARE)
        return self.corner[0] // step, self.corner[1] // step, self.side // step, step

    def to_image(self, points: NDArray) -> NDArray[np.float64]:
        """N x 2 points (x, y) of the crop in the image, by the published mapping."""
        return (np.asarray(points, np.float64) - self.size / 2) / self.factor + np.asarray(self.center)

    def paste(self, probability: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
        """A size x size map of the crop brought back to the image, bilinear: H x W, zero outside the crop."""
        full = np.zeros((height, width), np.float32)
        x0, y0 = self.corner
        left, top, right, bottom = max(x0, 0), max(y0, 0), min(x0 + self.side, width), min(y0 + self.side, height)
        if left >= right or top >= bottom:
            return full
        shown = full[top:bottom, left:right]
        if self.side**2 <= 4 * shown.size:
            square = cv2.resize(probability, (self.side, self.side), interpolation=cv2.INTER_LINEAR)
            shown[:] = square[top - y0 : bottom - y0, left - x0 : right - x0]
            return full
        # Little of the square is seen: only that is worked out, columns first, then rows.
        before, after, share = self._between(left - x0, right - x0)
        columns = probability[:, before] * (1 - share) + probability[:, after] * share  # size x shown
        before, after, share = self._between(top - y0, bottom - y0)
        np.multiply(columns[before], 1 - share[:, None], out=shown)
        shown += columns[after] * share[:, None]
        return full

    def _between(self, start: int, stop: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
        """For pixels of the square along an axis: the crop's pixels before and after each, and the share of the latter.

        Pixel centres: crop pixel u shows the square at (u + 0.5) / factor - 0.5.
        """
        at = ((np.arange(start, stop) + 0.5) * self.factor - 0.5).clip(0, self.size - 1)
        before = at.astype(np.intp)
        return before, np.minimum(before + 1, self.size - 1), (at - before).astype(np.float32)


def _shown(start: int, side: int, length: int) -> tuple[slice, int, int]:
    """Which pixels along an axis of an image a square shows, and how often it repeats the first and the last."""
    first = min(max(start, 0), length - 1)
    last = max(min(start + side, length), first + 1)
    before = min(max(-start, 0), side - 1)
    return slice(first, last), before, side - before - (last - first)


@stage("crop")
def image_tensor(image: Image, device: torch.device) -> Tensor:
    """n x 3 x H x W uint8 on the device, in one upload, of one image (H x W x 3) or several (n x H x W x 3)."""
    pixels = np.require(image, requirements=["C", "W"])  # torch warns of arrays that it cannot write to
    images = torch.from_numpy(pixels).to(device)
    return (images[None] if images.ndim == 3 else images).permute(0, 3, 1, 2)


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
        samples.append(_blur(middle(margin=margin), *sigmas)[..., margin:-margin, margin:-margin])
    pixels = window[0].permute(1, 2, 0).cpu().numpy()
    for angle in ANGLES:
        matrix = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), angle, 1.0)
        # Up to the end of the middle, and not from its start: OpenCV would round the shifted matrix otherwise.
        turned = cv2.warpAffine(pixels, matrix, (start + size, start + size), borderMode=cv2.BORDER_REPLICATE)
        samples.append(torch.from_numpy(turned[start:, start:]).permute(2, 0, 1)[None].to(window.device))
    shifts = torch.zeros(len(samples), 2, dtype=torch.float32, device="cpu")
    shifts[1 : 1 + len(moves)] = torch.tensor(moves, dtype=torch.float32, device="cpu")
    return torch.cat(samples), shifts


def _blur(patch: Tensor, sigma_y: float, sigma_x: float) -> Tensor:
    def kernel(sigma: float) -> Tensor:
        t = torch.arange(-math.ceil(2 * sigma), math.ceil(2 * sigma) + 1, dtype=torch.float32, device=patch.device)
        k = torch.exp(-(t**2) / (2 * sigma**2))
        return k / k.sum()

    ky, kx = kernel(sigma_y), kernel(sigma_x)
    x = patch.transpose(0, 1)  # 3 x 1 x W x W
    x = F.conv2d(x, ky.view(1, 1, -1, 1), padding=(len(ky) // 2, 0))
    x = F.conv2d(x, kx.view(1, 1, 1, -1), padding=(0, len(kx) // 2))
    return x.transpose(0, 1)
