"""Light, camera and encoder: drawn and partly applied in a worker, the rest for a whole batch on the device.

Resolution and JPEG, which work on one picture at a time, change a layer's patch in the worker; colours, blur and
noise are tensor operations.
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

from train.config import LightConfig

KERNEL = 15  # pixels, side of the largest blur
BANK = 640  # pixels, side of the noise that crops take a part of


@dataclass(frozen=True)
class Light:
    """What happens to the pixels of one crop."""

    gain: NDArray  # 3, factor of each channel about the middle level
    offset: float  # levels
    gamma: float
    saturation: float  # 1: as it is, 0: grey
    kernel: NDArray | None  # 15 x 15, sum 1
    noise: float  # sigma, levels
    noise_at: tuple[int, int]
    resolution: float  # share of the pixels that are left along each side
    quality: int  # of JPEG; 0: none


def draw_light(rng: np.random.Generator, c: LightConfig) -> Light:
    """Draw a crop's light."""
    gain = rng.uniform(1 - c.brightness, 1 + c.brightness) * np.exp(rng.normal(0, c.tint, 3))
    offset, gamma = rng.normal(0, c.offset), math.exp(rng.normal(0, c.gamma))
    saturation = 1.0
    if rng.random() < c.colour:
        saturation = 0.0 if rng.random() < c.grey else rng.uniform(0.4, 1.5)
    kernel: NDArray | None = None
    if rng.random() < c.blur:
        kernel = _motion_kernel(rng) if rng.random() < 0.5 else _focus_kernel(rng.uniform(0.5, 2.5))
    noise = rng.uniform(2, 12) if rng.random() < c.noise else 0.0
    x, y = rng.integers(0, BANK, 2)
    resolution = rng.uniform(0.2, 0.8) if rng.random() < c.low_resolution else 1.0
    quality = int(rng.uniform(25, 80)) if rng.random() < c.jpeg else 0
    return Light(gain, offset, gamma, saturation, kernel, noise, (int(x), int(y)), resolution, quality)


def degrade(patch: NDArray, light: Light) -> NDArray:
    """A patch (P x P x 5 uint8) with its colours at the light's resolution and JPEG quality."""
    if light.resolution == 1 and not light.quality:
        return patch
    image = np.ascontiguousarray(patch[..., :3])
    if light.resolution < 1:
        small = cv2.resize(image, None, fx=light.resolution, fy=light.resolution, interpolation=cv2.INTER_AREA)
        image = cv2.resize(small, patch.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    if light.quality:
        packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, light.quality])[1]
        image = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR))
    return np.concatenate([image, patch[..., 3:]], axis=2)


def pack_lights(lights: list[Light]) -> dict[str, Tensor]:
    """The lights of B crops as tensors for `apply_light`."""
    blurred = [i for i, x in enumerate(lights) if x.kernel is not None]
    kernels = [x.kernel for x in lights if x.kernel is not None]
    tone = [[*x.gain, x.offset, x.gamma, x.saturation, x.noise] for x in lights]
    return {
        "tone": torch.tensor(np.array(tone), dtype=torch.float32),  # B x 7
        "noise_at": torch.tensor([x.noise_at for x in lights]),  # B x 2
        "blurred": torch.tensor(blurred, dtype=torch.int64),
        "kernel": torch.from_numpy(np.array(kernels, np.float32).reshape(-1, KERNEL, KERNEL)),
    }


class NoiseBank:
    """Normal noise, made once: crops take parts of it, so that it depends on nothing but where they take them."""

    def __init__(self) -> None:
        self.values = torch.randn(3, BANK, BANK, generator=torch.Generator().manual_seed(0))

    def part(self, at: Tensor, size: int) -> Tensor:
        """3 x size x size from (x, y) on, going round."""
        rows, columns = ((torch.arange(size) + int(a)) % BANK for a in (at[1], at[0]))
        return self.values[:, rows][:, :, columns]


def apply_light(images: Tensor, lights: dict[str, Tensor], bank: NoiseBank) -> Tensor:
    """B x 3 x S x S uint8 of B x 3 x S x S levels, under the lights of `pack_lights`."""
    size = images.shape[-1]
    tone = lights["tone"].to(images.device)
    gain, offset, gamma, saturation = tone[:, :3, None, None], tone[:, 3], tone[:, 4], tone[:, 5]
    x = images.clamp(0, 255)
    if bool((gamma != 1).any()):
        x = 255 * (x / 255).pow(gamma.view(-1, 1, 1, 1))
    x = (x - 128) * gain + (128 + offset).view(-1, 1, 1, 1)
    if bool((saturation != 1).any()):
        grey = (x * x.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)  # B x 1 x S x S
        x = grey + (x - grey) * saturation.view(-1, 1, 1, 1)
    x = x.clamp(0, 255)
    blurred = lights["blurred"].to(images.device)
    if len(blurred):
        kernel = lights["kernel"].to(images.device).repeat_interleave(3, dim=0)[:, None]  # 3 n x 1 x 15 x 15
        framed = F.pad(x[blurred], (KERNEL // 2,) * 4, mode="replicate").flatten(0, 1)[None]  # 1 x 3 n x S+14 x S+14
        x[blurred] = F.conv2d(framed, kernel, groups=len(kernel)).view(-1, 3, size, size)
    for i, sigma in enumerate(lights["tone"][:, 6].tolist()):
        if sigma:
            x[i] += sigma * bank.part(lights["noise_at"][i], size).to(images.device)
    return x.round().clamp(0, 255).to(torch.uint8)


def _motion_kernel(rng: np.random.Generator) -> NDArray:
    length, angle = rng.uniform(3, KERNEL), rng.uniform(0, math.pi)
    kernel = np.zeros((KERNEL, KERNEL), np.float32)
    dx, dy = (length - 1) / 2 * math.cos(angle), (length - 1) / 2 * math.sin(angle)
    middle = KERNEL // 2
    ends = (round(middle - dx), round(middle - dy)), (round(middle + dx), round(middle + dy))
    cv2.line(kernel, *ends, 1.0)
    return kernel / kernel.sum()


def _focus_kernel(sigma: float) -> NDArray:
    row = cv2.getGaussianKernel(KERNEL, sigma)
    return row @ row.T
