"""Signals on a torus as Fourier series, which filters are learnt and compared in (ECO, section 3.1).

A real signal of period 1 is kept as half of its series: rows are ky = -(n-1)/2 .. (n-1)/2, columns kx = 0 .. (n-1)/2,
and the left half is the complex conjugate of the right one, reflected. n, the side, is odd. Series are complex64 or
complex128 tensors whose last two dimensions are n x n', n' = (n+1)/2.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

CUBIC = -0.75  # parameter of the cubic convolution kernel


def odd(side: int) -> int:
    """Side of the series of a map: its own, made odd by one more."""
    return side + 1 - side % 2


def frequencies(side: int, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """ky (n) and kx (n') of a series of odd side n, float32."""
    rows = torch.arange(-(side // 2), side // 2 + 1, dtype=torch.float32, device=device)
    return rows, rows[side // 2 :]


def spectrum(signal: Tensor) -> Tensor:
    """The unnormalised series of real maps: ... x m x m to ... x n x n'.

    Of even m the Nyquist row stands at both ends, and counts in full there as in the last column.
    """
    half = torch.fft.rfft2(signal)  # ... x m x m//2+1
    middle = half.shape[-2] // 2
    if signal.shape[-2] % 2:
        return torch.cat([half[..., middle + 1 :, :], half[..., : middle + 1, :]], dim=-2)
    return torch.cat([half[..., middle:, :], half[..., : middle + 1, :]], dim=-2)


@lru_cache(maxsize=8)
def interpolation(side: int, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """What turns the spectrum of samples into the series of the interpolated signal: for rows (n) and columns (n').

    The kernel is cubic convolution, and samples stand in the middle of their cells. All callers share the tensors.
    """
    k = torch.arange(-(side // 2), side // 2 + 1, dtype=torch.float64, device="cpu")
    f = k / side
    safe = torch.where(f == 0, 1.0, f)
    kernel = (
        6 * (1 - torch.cos(2 * math.pi * f))
        + 3 * CUBIC * (1 - torch.cos(4 * math.pi * f))
        - (6 + 8 * CUBIC) * math.pi * f * torch.sin(2 * math.pi * f)
        - 2 * CUBIC * math.pi * f * torch.sin(4 * math.pi * f)
    ) / (4 * math.pi**4 * safe**4)  # in float32 it would cancel at low frequencies
    kernel = torch.where(f == 0, 1.0, kernel) / side
    rows = (kernel * torch.polar(torch.ones_like(f), -math.pi * f)).to(device, torch.complex64)
    return rows, rows[side // 2 :]


@lru_cache(maxsize=8)
def window(side: int, device: torch.device | str = "cpu") -> Tensor:
    """Hann's window without its zeros: m x m. All callers share one tensor."""
    place = torch.arange(1, side + 1, dtype=torch.float64, device="cpu")
    profile = 0.5 * (1 - torch.cos(2 * math.pi * place / (side + 1)))
    return torch.outer(profile, profile).to(device, torch.float32)


def series(maps: Tensor) -> Tensor:
    """The series of windowed feature maps: ... x m x m real to ... x n x n'."""
    side = maps.shape[-1]
    rows, columns = interpolation(odd(side), maps.device)
    return spectrum(maps * window(side, maps.device)) * (rows[:, None] * columns)


def shift(coefficients: Tensor, angle_yx: tuple[float, float]) -> Tensor:
    """Move the content of series (... x n x n') by -angle / (2 pi) periods, rows and columns."""
    rows, columns = frequencies(coefficients.shape[-2], coefficients.device)
    turn_y = torch.polar(torch.ones_like(rows), angle_yx[0] * rows)
    turn_x = torch.polar(torch.ones_like(columns), angle_yx[1] * columns)
    return coefficients * (turn_y[:, None] * turn_x)


def add(some: Tensor, others: Tensor) -> Tensor:
    """The sum of series of any two sides, of the larger side."""
    large, small = (some, others) if some.shape[-2] >= others.shape[-2] else (others, some)
    beyond = (large.shape[-2] - small.shape[-2]) // 2
    return large + F.pad(small, (0, large.shape[-1] - small.shape[-1], beyond, beyond))


def sample(coefficients: Tensor, size: int) -> Tensor:
    """The signals (... x size x size) of series, at `size` places an axis; zero displacement at index [0, 0]."""
    side, columns = coefficients.shape[-2:]
    half = coefficients.new_zeros(*coefficients.shape[:-2], size, size // 2 + 1)
    half[..., : side // 2 + 1, :columns] = coefficients[..., side // 2 :, :]
    half[..., size - side // 2 :, :columns] = coefficients[..., : side // 2, :]
    return torch.fft.irfft2(half, s=(size, size), norm="forward")


def value(coefficients: Tensor, angle_yx: tuple[float, float]) -> Tensor:
    """The signals (...) of series at one place, angle / (2 pi) periods from the origin."""
    moved = shift(coefficients, angle_yx).real  # ... x n x n'
    return (moved * multiplicity(moved.shape[-1], moved.device)).sum(dim=(-2, -1))


def multiplicity(columns: int, device: torch.device | str = "cpu") -> Tensor:
    """How often the whole series has a column of the half: n', 1 for kx = 0 and 2 for the others."""
    count = torch.full((columns,), 2.0, dtype=torch.float32, device=device)
    count[0] = 1
    return count


def symmetric(coefficients: Tensor) -> Tensor:
    """Series (... x n x n') of real signals: column kx = 0 made conjugate to its own reflection."""
    first = coefficients[..., :1]
    return torch.cat([0.5 * (first + first.flip(-2).conj()), coefficients[..., 1:]], dim=-1)


def gaussian_label(side: int, size: int, sigma: float) -> Tensor:
    """The series (n x n', real) of a periodic Gaussian of peak 1 at zero displacement.

    Args:
        side: of the series, n.
        size: of the sample, pixels.
        sigma: pixels of the sample.
    """
    width = side / size * sigma  # locations of the series
    k = torch.arange(-(side // 2), side // 2 + 1, dtype=torch.float64, device="cpu")
    profile = math.sqrt(2 * math.pi) * (width / side) * torch.exp(-2 * (math.pi * width * k / side) ** 2)
    return torch.outer(profile, profile[side // 2 :]).float()


class Regularizer:
    """A penalty on a filter that grows away from the target, as a small kernel on its series (SRDCF).

    Attributes:
        kernel: 2p+1 x 2q+1, real, symmetric about its middle.
        energy: sum of its squares.
    """

    def __init__(self, kernel: Tensor) -> None:
        self.kernel = kernel
        self.energy = float(kernel.square().sum())

    @classmethod
    def of_target(
        cls, size: int, target_hw: tuple[float, float], *, least: float, edge: float, threshold: float
    ) -> Regularizer:
        """A paraboloid, `least` in the middle and `edge` where the target ends, cut to its strongest frequencies.

        Args:
            size: of the sample, pixels.
            target_hw: (height, width) of the target in it, pixels.
            least: the penalty's least value.
            edge: its value at the target's edge, along an axis.
            threshold: of the largest coefficient; smaller ones are left out.
        """
        place = torch.arange(-(size // 2 - 1), size // 2 + 1, dtype=torch.float64, device="cpu")
        y, x = ((2 * place / side) ** 2 for side in target_hw)
        penalty = (edge - least) * (y[:, None] + x) + least  # size x size
        half = torch.fft.rfft2(penalty) / size**2
        half = torch.where(half.abs() < threshold * half.abs().max(), 0, half)
        lowest = torch.fft.irfft2(half, s=(size, size)).min()
        half[0, 0] += least - size**2 * lowest
        real = half.real
        rows = torch.cat([real[size // 2 :], real[: size // 2 + 1]])  # size+1 x size//2+1
        kept_y, kept_x = rows.nonzero(as_tuple=True)
        p, q = int((kept_y - size // 2).abs().max()), int(kept_x.max())
        right = rows[size // 2 - p : size // 2 + p + 1, : q + 1]  # 2p+1 x q+1
        return cls(torch.cat([right[:, 1:].flip(0, 1), right], dim=1).float())

    def apply(self, filters: Tensor, *, whole: bool = True) -> Tensor:
        """The penalty's normal equations: c x n x n' in and out.

        Args:
            filters: series.
            whole: whether their left half counts as it is; otherwise as zero.
        """
        kernel = self.kernel.to(filters.device)[None, None]  # 1 x 1 x 2p+1 x 2q+1
        p, q = kernel.shape[2] // 2, kernel.shape[3] // 2
        columns = filters.shape[-1]
        left = min(2 * q, columns - 1)
        reflected = filters[..., 1 : left + 1].flip(-2, -1).conj()
        parts = torch.cat([reflected if whole else torch.zeros_like(reflected), filters], dim=-1)  # c x n x left+n'
        flat = torch.cat([parts.real, parts.imag])[:, None]  # 2c x 1 x n x left+n'
        once = F.conv2d(flat, kernel, padding=(2 * p, 2 * q))  # what lies beyond the series is kept
        twice = F.conv2d(once[..., left:], kernel)[..., :columns]  # 2c x 1 x n x n'
        real, imaginary = twice[:, 0].chunk(2)
        return torch.complex(real.contiguous(), imaginary.contiguous())
