"""Precise RoI pooling (Jiang et al., ECCV 2018) in closed form, on any device, for any number of boxes at once.

A map is taken as a continuous signal, bilinear between its cells and falling to 0 within one cell beyond them. A bin's
value is the signal's mean over the bin. The bilinear kernel is a product of two tents, so the integral over a bin is a
product of two integrals of a tent, which are known: the pooled values are Wy F Wx^T, with a row of weights for each
bin. Their derivatives by the box's edges are known too.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Bins(NamedTuple):
    """The bins of boxes along both axes, x first.

    Attributes:
        weights: B x n x 2 x P x length, of every cell in every bin; those of an inner bin add up to 1, of an empty box
            they are 0.
        by_start: B x n x 2 x P x length, their derivatives by the box's first edge, per pixel of the image.
        by_end: B x n x 2 x P x length, those by its last edge.
    """

    weights: Tensor
    by_start: Tensor
    by_end: Tensor

    @classmethod
    def of(cls, boxes: Tensor, count: int, cells: Tensor, scale: float) -> Bins:
        """Of boxes (B x n x 4: x0, y0, x1, y1, pixels of the image) on these cells (2 x length: of x, of y)."""
        weights, edges, width, valid = _weights(boxes, count, cells, scale)
        share = torch.arange(count + 1, dtype=boxes.dtype, device=boxes.device)[:, None] / count  # P + 1 x 1
        reach = (1 - (edges - cells[:, None]).abs()).clamp(min=0) * (scale * valid / width)  # B x n x 2 x P+1 x length
        by_end = share * reach
        stretched = weights * (scale / (count * width))
        both = torch.stack([reach - by_end, by_end])  # 2 x B x n x 2 x P+1 x length
        by_start, by_end = both[..., 1:, :] - both[..., :-1, :]
        return cls(weights, by_start + stretched, by_end - stretched)


def _weights(boxes: Tensor, count: int, cells: Tensor, scale: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Those of `Bins`; where bins begin and end, their width, and whether they have any, to broadcast."""
    first, last = (boxes * scale).unflatten(-1, (2, 2))[..., None, None].unbind(2)  # B x n x 2 x 1 x 1 each
    extent = last - first
    valid = extent > 0
    width = torch.where(valid, extent, 1.0) / count  # an empty box has no gradient either
    edges = first + torch.arange(count + 1, dtype=boxes.dtype, device=boxes.device)[:, None] * width
    integral = _tent_integral(edges - cells[:, None])  # B x n x 2 x P+1 x length
    return (integral[..., 1:, :] - integral[..., :-1, :]) * (valid / width), edges, width, valid


def _tent_integral(t: Tensor) -> Tensor:
    """Integral of max(0, 1 - |u|) up to t."""
    t = t.clamp(-1, 1)
    return 0.5 + t - 0.5 * t * t.abs()


class PooledMap:
    """Maps from which many boxes are pooled, over and over.

    Args:
        features: B x C x H x W.
        bins: P, along either axis of a box.
        scale: cells of the map per pixel of the image; cell j lies at pixel j / scale.
    """

    def __init__(self, features: Tensor, bins: int, scale: float) -> None:
        self._maps, self.bins, self.scale = features.permute(0, 2, 3, 1), bins, scale  # B x H x W x C

    def pool(self, boxes: Tensor) -> Tensor:
        """Boxes (B x n x 4: x0, y0, x1, y1) to B x n x C x P x P; differentiable by map and boxes."""
        part, cells = self._part(boxes)
        columns, rows = _axes(_weights(boxes, self.bins, cells, self.scale)[0], part)
        return _across(_down(rows, part), columns).movedim(-1, 2)

    def look(self, boxes: Tensor) -> Pooled:
        """The same with what its derivative by the boxes needs, for who has no automatic differentiation.

        Args:
            boxes: as for `pool`; of any precision, which costs nothing.
        """
        part, cells = self._part(boxes)
        bins = Bins(*(each.to(part.dtype) for each in Bins.of(boxes, self.bins, cells, self.scale)))
        columns, rows = _axes(bins.weights, part)
        strips = _down(rows, part)
        return Pooled(part, bins, strips, _across(strips, columns))

    def _part(self, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """What boxes can touch of the maps, B x h x w x C, and its cells: 2 x the longer of w and h."""
        lengths = self._maps.shape[2], self._maps.shape[1]  # along x, y
        ranges = [(0, length) for length in lengths]
        if not boxes.is_cuda and boxes.numel():  # else all of the maps: the host would have to wait for the boxes
            edges = (boxes.detach() * self.scale).view(-1, 4)
            lows, highs = edges[:, :2].amin(dim=0).tolist(), edges[:, 2:].amax(dim=0).tolist()
            ranges = [_touched(*each) for each in zip(lows, highs, lengths, strict=True)]
        (left, right), (top, bottom) = ranges
        count = torch.arange(max(right - left, bottom - top), dtype=boxes.dtype, device=boxes.device)
        cells = torch.stack([count + left, count + top])
        return self._maps[:, top:bottom, left:right].contiguous(), cells


def _touched(low: float, high: float, length: int) -> tuple[int, int]:
    """The cells that signals between two places depend on: the first, and that after the last; one at least."""
    first = int(min(max(low - 1, 0), length - 1))
    return first, max(int(min(max(high + 2, 1), length)), first + 1)


def _axes(bins: Tensor, part: Tensor) -> tuple[Tensor, Tensor]:
    """Columns (B x n x P x w) and rows (B x n x P x h), without what is beyond the part (B x h x w x C)."""
    return bins[:, :, 0, :, : part.shape[2]], bins[:, :, 1, :, : part.shape[1]]


def _down(rows: Tensor, part: Tensor) -> Tensor:
    """Pooled along the columns: B x n x P x h, B x h x w x C -> B x n x P x w x C."""
    b, n, p, h = rows.shape
    return (rows.reshape(b, n * p, h) @ part.flatten(2)).view(b, n, p, *part.shape[2:])


def _across(strips: Tensor, columns: Tensor) -> Tensor:
    """Pooled along the rows too: B x n x P x w x C, B x n x P x w -> B x n x P x P x C."""
    return columns[:, :, None] @ strips


class Pooled(NamedTuple):
    """Boxes that were pooled.

    Attributes:
        part: of the maps, B x h x w x C.
        bins: of the boxes.
        strips: B x n x P x w x C, pooled along the columns alone.
        values: B x n x P x P x C; channels last, for the time that it saves.
    """

    part: Tensor
    bins: Bins
    strips: Tensor
    values: Tensor

    def box_gradient(self, gradient: Tensor) -> Tensor:
        """The derivative of sum(gradient * values) by the boxes.

        Args:
            gradient: B x n x P x P x C.

        Returns:
            B x n x 4: by x0, y0, x1, y1.
        """
        b, n, p = gradient.shape[:3]
        columns, _ = _axes(self.bins.weights, self.part)
        spread = columns.transpose(2, 3)[:, :, None] @ gradient  # B x n x P x w x C
        by_row = (spread.view(b, n * p, -1) @ self.part.flatten(2).transpose(1, 2)).view(b, n, p, -1)  # B x n x P x h
        by_column = (gradient @ self.strips.transpose(3, 4)).sum(dim=2)  # B x n x P x w
        edges = [
            (by_weight * weight_by).sum(dim=(2, 3))
            for each in (self.bins.by_start, self.bins.by_end)
            for by_weight, weight_by in zip((by_column, by_row), _axes(each, self.part), strict=True)
        ]
        return torch.stack(edges, dim=-1)


def precise_roi_pool(features: Tensor, boxes: Tensor, bins: int, scale: float) -> Tensor:
    """The mean of every bin of boxes; differentiable by features and boxes.

    Args:
        features: B x C x H x W.
        boxes: B x n x 4, x0, y0, x1, y1 in pixels of the image; an empty one gives 0.
        bins: P, along either axis of a box.
        scale: cells of the map per pixel of the image; cell j lies at pixel j / scale.

    Returns:
        B x n x C x P x P.
    """
    return PooledMap(features, bins, scale).pool(boxes)
