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


class Axis(NamedTuple):
    """The bins of boxes along one axis.

    Attributes:
        weights: B x n x P x length, of every cell in every bin; those of an inner bin add up to 1.
        by_start: B x n x P x length, their derivatives by the box's first edge, per pixel of the image.
        by_end: B x n x P x length, those by its last edge.
    """

    weights: Tensor
    by_start: Tensor
    by_end: Tensor

    @classmethod
    def of(cls, start: Tensor, end: Tensor, bins: int, length: int, scale: float) -> Axis:
        """Of boxes whose edges (B x n each) are pixels of the image; empty ones have weights of 0."""
        weights, edges, cells, width, valid = _bins(start, end, bins, length, scale)
        share = torch.arange(bins + 1, dtype=start.dtype, device=start.device) / bins  # P + 1
        reach = (1 - (edges - cells).abs()).clamp(min=0) * (scale * valid / width)  # B x n x P+1 x length
        by_end = share[:, None] * reach
        by_start = reach - by_end
        stretched = weights * (scale / (bins * width))
        by_start = by_start[..., 1:, :] - by_start[..., :-1, :] + stretched
        by_end = by_end[..., 1:, :] - by_end[..., :-1, :] - stretched
        return cls(weights, by_start, by_end)


def _bins(
    start: Tensor, end: Tensor, bins: int, length: int, scale: float
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Weights (B x n x P x length); edges of the bins, cells, width of a bin and whether it has any, to broadcast."""
    first = (start * scale)[..., None, None]  # B x n x 1 x 1
    extent = (end * scale)[..., None, None] - first
    valid = extent > 0
    width = torch.where(valid, extent, 1.0) / bins  # an empty box has no gradient either
    count = torch.arange(bins + 1, dtype=start.dtype, device=start.device)[:, None]  # P + 1 x 1
    cells = torch.arange(length, dtype=start.dtype, device=start.device)  # length
    edges = first + count * width  # B x n x P+1 x 1
    integral = _tent_integral(edges - cells)  # B x n x P+1 x length
    weights = (integral[..., 1:, :] - integral[..., :-1, :]) * (valid / width)
    return weights, edges, cells, width, valid


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
        b, c, h, w = features.shape
        self.shape, self.bins, self.scale = (b, c, h, w), bins, scale
        self.rows = features.transpose(1, 2).reshape(b, h, c * w)  # B x H x C W

    def pool(self, boxes: Tensor) -> Tensor:
        """Boxes (B x n x 4: x0, y0, x1, y1) to B x n x C x P x P; differentiable by map and boxes."""
        _, _, h, w = self.shape
        x0, y0, x1, y1 = boxes.unbind(-1)
        rows = _bins(y0, y1, self.bins, h, self.scale)[0]
        return self._across(self._strips(rows), _bins(x0, x1, self.bins, w, self.scale)[0])

    def look(self, boxes: Tensor) -> Pooled:
        """The same with what its derivative by the boxes needs, for who has no automatic differentiation."""
        _, _, h, w = self.shape
        x0, y0, x1, y1 = boxes.unbind(-1)
        rows, columns = Axis.of(y0, y1, self.bins, h, self.scale), Axis.of(x0, x1, self.bins, w, self.scale)
        strips = self._strips(rows.weights)
        return Pooled(self, rows, columns, strips, self._across(strips, columns.weights))

    def _strips(self, rows: Tensor) -> Tensor:
        """Pooled along the columns alone: B x n x P C x W."""
        b, c, _, w = self.shape
        n, p = rows.shape[1], self.bins
        return (rows.reshape(b, n * p, -1) @ self.rows).view(b, n, p * c, w)

    def _across(self, strips: Tensor, columns: Tensor) -> Tensor:
        b, c, _, _ = self.shape
        p = self.bins
        return (strips @ columns.transpose(2, 3)).view(b, -1, p, c, p).transpose(2, 3)


class Pooled(NamedTuple):
    """Boxes that were pooled.

    Attributes:
        source: the maps.
        rows: the bins' along y.
        columns: the bins' along x.
        strips: B x n x P C x W, pooled along the columns alone.
        values: B x n x C x P x P.
    """

    source: PooledMap
    rows: Axis
    columns: Axis
    strips: Tensor
    values: Tensor

    def box_gradient(self, gradient: Tensor) -> Tensor:
        """The derivative of sum(gradient * values) by the boxes.

        Args:
            gradient: B x n x C x P x P.

        Returns:
            B x n x 4: by x0, y0, x1, y1.
        """
        b, c, h, w = self.source.shape
        n, p = gradient.shape[1], self.source.bins
        spread = gradient.transpose(2, 3).reshape(b, n, p * c, p) @ self.columns.weights  # B x n x P C x W
        by_row = (spread.view(b, n * p, c * w) @ self.source.rows.transpose(1, 2)).view(b, n, p, h)
        by_column = gradient.permute(0, 1, 4, 3, 2).reshape(b, n, p, p * c) @ self.strips  # B x n x P x W
        pairs = ((by_column, self.columns.by_start), (by_row, self.rows.by_start),
                 (by_column, self.columns.by_end), (by_row, self.rows.by_end))  # fmt: skip
        return torch.stack([(by_weight * weight_by).sum(dim=(2, 3)) for by_weight, weight_by in pairs], dim=-1)


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
