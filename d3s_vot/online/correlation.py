"""Correlation of many feature maps with a small kernel, and its adjoint: the products that GEM's time goes into."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Samples(NamedTuple):
    """Feature maps in two orders of memory: either product with the Jacobian reads them in its own."""

    channels: Tensor  # C x n x h x w
    locations: Tensor  # n x h x w x C

    @classmethod
    def of(cls, features: Tensor) -> Samples:
        """The samples of n x C x h x w features."""
        return cls(features.transpose(0, 1).contiguous(), features.permute(0, 2, 3, 1).contiguous())

    @classmethod
    def empty(cls, channels: int, count: int, like: Tensor) -> Samples:
        """Room for `count` samples of so many channels, zero; else as n x C x h x w features are."""
        h, w = like.shape[2:]
        return cls(like.new_zeros(channels, count, h, w), like.new_zeros(count, h, w, channels))

    def write(self, slots: int | slice, new: Tensor) -> None:
        """Put features (C x h x w, or C x n x h x w) into slots."""
        self.channels[:, slots] = new
        self.locations[slots] = new.movedim(0, -1)

    def first(self, count: int) -> Samples:
        """The samples in the first slots, without a copy."""
        return Samples(self.channels[:, :count], self.locations[:count])


def few_by_many(few: Tensor, many: Tensor) -> Tensor:
    """few @ many.T, of r x k and m x k, where r is small."""
    if many.is_cuda or not many.is_contiguous() or many.dtype == torch.float64:
        return (many @ few.T).T
    # On a CPU torch's convolutions are three to four times faster than its matrix products at this shape; in double
    # precision they are not, and add up less exactly.
    # The axis of size 1 goes before the last, or torch does not see that this is channels-last already, and copies.
    rows, length = many.shape
    image = many.view(1, rows, 1, length).permute(0, 3, 1, 2)  # 1 x k x m x 1
    return F.conv2d(image, few.view(*few.shape, 1, 1))[0, :, :, 0]  # r x m


def correlate(kernel: Tensor, samples: Samples, *, whole: bool = False) -> Tensor:
    """Responses (n x h x w) of samples to a kernel (taps x C) of even side.

    "Same" convolution: pad by half of the side, drop the last row and column, unless the whole is asked for
    (n x h + 1 x w + 1). The taps are in row order,
    flipped in both axes, since the products of a location are sent to where they count.
    """
    n, h, w, _ = samples.locations.shape
    side = round(kernel.shape[0] ** 0.5)
    before = side // 2 - 1
    products = few_by_many(kernel, samples.locations.flatten(0, 2)).contiguous()
    products = products.view(side, side, n, h, w)
    # A slice for each tap: folding by torch takes twice as long over a full memory.
    response = products.new_zeros(n, h + side, w + side)
    for y in range(side):
        for x in range(side):
            response[:, y : y + h, x : x + w] += products[y, x]
    return response[:, before : before + h + whole, before : before + w + whole].contiguous()  # n x h x w


def correlate_transpose(maps: Tensor, samples: Samples, side: int) -> Tensor:
    """The adjoint of `correlate` in the kernel: responses (n x h x w, or whole ones) to a kernel (side^2 x C)."""
    n, h, w, _ = samples.locations.shape
    before = side // 2 - 1
    after = side - before - (maps.shape[1] - h)
    padded = F.pad(maps, (before, after, before, after))  # n x h+side x w+side
    plane, row, column = padded.stride()
    windows = padded.as_strided((side, side, n, h, w), (row, column, plane, row, column))
    return few_by_many(windows.reshape(side * side, n * h * w), samples.channels.flatten(1))  # taps x C
