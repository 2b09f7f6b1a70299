"""The box regressor: how well a box fits the target of a reference picture, and the box that fits best.

Danelljan et al., ATOM, CVPR 2019, section 3.1: trained to tell the overlap with the target, 2 IoU - 1. Danelljan et
al., PrDiMP, CVPR 2020: the same layers trained as the logarithm of a density, up to a constant. Names of the state dict
are the published ones.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_linear_bn_eval

from d3s_vot.heads.precise_roi import PooledMap, precise_roi_pool
from d3s_vot.trunks.trunk import CHANNELS, fold_batch_norm

WIDTH = 256  # channels behind the first convolution
BINS = (5, 3)  # of a box, in the maps at stride 8 and 16
STRIDES = (8, 16)
BLOCK = 64  # rows of a layer's weight at once, so that they are still in the processor's cache for their second use

# Of one stride: the layer behind the pooling, the maps, the modulation, bins of a box, the stride.
Level: TypeAlias = "tuple[LinearNorm, Tensor, Tensor, int, int]"


class Modulation(NamedTuple):
    """What the regressor knows of the target, from its reference picture: B x 256 for either stride."""

    fine: Tensor
    coarse: Tensor


class BoxFeatures(NamedTuple):
    """What the regressor sees of a picture: B x 256 x H/8 x W/8 and B x 256 x H/16 x W/16."""

    fine: Tensor
    coarse: Tensor


def _conv(cin: int, cout: int, kernel: int = 3, padding: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(cin, cout, kernel, padding=padding), nn.BatchNorm2d(cout), nn.ReLU(inplace=True))


class LinearNorm(nn.Module):
    """Linear, batch norm, ReLU."""

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        self.linear = nn.Linear(cin, cout)
        self.bn: nn.Module = nn.BatchNorm1d(cout)

        self.by_cell = torch.empty(0)  # see `freeze`

    def freeze(self) -> None:
        """Fold the batch norm; `by_cell` is the weight for inputs that have channels last, not first: cout x cin."""
        if isinstance(self.bn, nn.BatchNorm1d):
            self.linear, self.bn = fuse_linear_bn_eval(self.linear, self.bn), nn.Identity()
        weight = self.linear.weight
        self.by_cell = weight.unflatten(1, (WIDTH, -1)).transpose(1, 2).flatten(1).contiguous()

    def forward(self, x: Tensor) -> Tensor:
        """n x cin -> n x cout."""
        return F.relu(self.bn(self.linear(x)))


class BoxRegressor(nn.Module):
    """The regressor's layers.

    Args:
        fine: channels of the trunk's features at stride 8.
        coarse: channels at stride 16.
    """

    def __init__(self, fine: int, coarse: int) -> None:
        super().__init__()
        self.conv3_1r, self.conv3_1t, self.conv3_2t = _conv(fine, 128), _conv(fine, WIDTH), _conv(WIDTH, WIDTH)
        self.fc3_1r = _conv(128, WIDTH, padding=0)
        self.conv4_1r, self.conv4_1t, self.conv4_2t = _conv(coarse, WIDTH), _conv(coarse, WIDTH), _conv(WIDTH, WIDTH)
        self.fc34_3r, self.fc34_4r = (_conv(2 * WIDTH, WIDTH, kernel=1, padding=0) for _ in range(2))
        self.fc3_rt, self.fc4_rt = (LinearNorm(WIDTH * bins**2, WIDTH) for bins in BINS)
        self.iou_predictor = nn.Linear(2 * WIDTH, 1)

    def freeze(self) -> BoxRegressor:
        """Evaluation mode, no gradients, batch norm folded into the layers before it; returns itself."""
        self.eval().requires_grad_(False)
        fold_batch_norm(self)
        for part in (self.fc3_rt, self.fc4_rt):
            part.freeze()
        return self

    def modulation(self, fine: Tensor, coarse: Tensor, boxes: Tensor) -> Modulation:
        """Of reference pictures.

        Args:
            fine: the trunk's features at stride 8, B x C2 x H/8 x W/8.
            coarse: at stride 16, B x C3 x H/16 x W/16.
            boxes: of the target in each, B x 4: x, y, w, h, pixels of the picture.
        """
        edges = corners(boxes)[:, None]  # B x 1 x 4
        c3 = precise_roi_pool(self.conv3_1r(fine), edges, 3, 1 / STRIDES[0])[:, 0]  # B x 128 x 3 x 3
        c4 = precise_roi_pool(self.conv4_1r(coarse), edges, 1, 1 / STRIDES[1])[:, 0]  # B x 256 x 1 x 1
        joined = torch.cat([self.fc3_1r(c3), c4], dim=1)  # B x 512 x 1 x 1
        return Modulation(self.fc34_3r(joined).flatten(1), self.fc34_4r(joined).flatten(1))

    def features(self, fine: Tensor, coarse: Tensor) -> BoxFeatures:
        """Of pictures whose trunk's features are given, as for `modulation`."""
        return BoxFeatures(self.conv3_2t(self.conv3_1t(fine)), self.conv4_2t(self.conv4_1t(coarse)))

    def forward(self, features: BoxFeatures, modulation: Modulation, boxes: Tensor) -> Tensor:
        """Values of boxes (B x n x 4: x, y, w, h): B x n; differentiable by all that is given."""
        edges = corners(boxes)
        hidden = []
        for part, maps, vector, bins, stride in self._levels(features, modulation):
            pooled = precise_roi_pool(maps, edges, bins, 1 / stride)  # B x n x 256 x P x P
            hidden.append(part((pooled * vector[:, None, :, None, None]).flatten(2).flatten(0, 1)))
        return self.iou_predictor(torch.cat(hidden, dim=1)).view(boxes.shape[:2])

    def _levels(self, features: BoxFeatures, modulation: Modulation) -> tuple[Level, ...]:
        return (
            (self.fc3_rt, features.fine, modulation.fine, BINS[0], STRIDES[0]),
            (self.fc4_rt, features.coarse, modulation.coarse, BINS[1], STRIDES[1]),
        )

    def slope(self, features: BoxFeatures, modulation: Modulation) -> Slope:
        """The values of one picture's boxes with their gradients; of a frozen regressor."""
        return Slope(self, self._levels(features, modulation))


class Slope:
    """Values of boxes in one picture and their gradients by hand: automatic differentiation is off while tracking.

    Args:
        regressor: frozen.
        levels: of one picture, as the regressor has them.
    """

    def __init__(self, regressor: BoxRegressor, levels: tuple[Level, ...]) -> None:
        self._maps = [PooledMap(maps, bins, 1 / stride) for _, maps, _, bins, stride in levels]
        self._vectors = [vector for _, _, vector, _, _ in levels]  # 1 x 256 each
        self._layers = [(part.by_cell, part.linear.bias) for part, *_ in levels]
        self._last = regressor.iou_predictor

    def __call__(self, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Values (n) of boxes (n x 4: x, y, w, h), and their derivatives by the four edges x0, y0, x1, y1 (n x 4)."""
        edges = corners(boxes)[None]
        value, gradient = self._last.bias.expand(len(boxes)), torch.zeros_like(boxes)
        for maps, vector, (weight, bias), last in zip(
            self._maps, self._vectors, self._layers, self._last.weight[0].split(WIDTH), strict=True
        ):
            pooled = maps.look(edges)
            x = (pooled.values * vector).flatten(2)[0]  # n x P P 256
            by_x = torch.zeros_like(x)
            for rows, shift, factor in zip(*(each.split(BLOCK) for each in (weight, bias, last)), strict=True):
                hidden = torch.addmm(shift, x, rows.T)  # n x block
                active = (hidden > 0) * factor  # n x block
                value = value + (hidden * active).sum(dim=1)
                by_x.addmm_(active, rows)
            gradient = gradient + pooled.box_gradient(by_x.view(pooled.values.shape) * vector)[0]
        return value, gradient


def corners(boxes: Tensor) -> Tensor:
    """x, y, w, h to x0, y0, x1, y1, along the last axis."""
    return torch.cat([boxes[..., :2], boxes[..., :2] + boxes[..., 2:]], dim=-1)


def create_regressor(trunk: str) -> BoxRegressor:
    """The box regressor on a trunk, with random weights."""
    return BoxRegressor(*CHANNELS[trunk][2:])
