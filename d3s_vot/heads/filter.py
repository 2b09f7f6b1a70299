"""The classifier that DiMP and its kin train: features, the first filter, and what samples teach the filter.

Bhat et al., ICCV 2019, section 3; Danelljan et al., CVPR 2020, section 4. Names of the state dict are the published
ones.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from d3s_vot.heads.config import STRIDE, ClassifierConfig
from d3s_vot.heads.precise_roi import precise_roi_pool
from d3s_vot.online.steepest import CrossEntropy, LeastSquares, Objective
from d3s_vot.trunks.trunk import fold_batch_norm

FILTER_SIZE = 4  # cells
KNOTS = 100  # of the learnt functions of the distance


class FeatureBlock(nn.Sequential):
    """The trunk's features at stride 16 to those of the classifier, each sample of one norm.

    Args:
        channels: that come in: 256 with a residual block before the convolution, or 1024, halved without one.
    """

    def __init__(self, channels: int) -> None:
        from torchvision.models.resnet import BasicBlock  # seconds to import

        halved = channels >= 1024
        out = channels // 2 if halved else channels
        last = nn.Conv2d(channels, out, 3, padding=1, bias=False)
        super().__init__(*([last] if halved else [BasicBlock(channels, channels), last]))
        self.channels = out

    def forward(self, features: Tensor) -> Tensor:
        """n x C x h x w -> n x K x h x w."""
        x = super().forward(features).float()
        cells = x.shape[1] * x.shape[2] * x.shape[3]
        norm = math.sqrt(cells / (STRIDE * self.channels))
        return x * (norm / (x.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-5).sqrt())


class FilterInitializer(nn.Module):
    """The filter to begin with: what the targets' boxes show, on the average."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.filter_conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, features: Tensor, boxes: Tensor) -> Tensor:
        """Samples (n x K x h x w) and boxes in them (n x 4: x0, y0, x1, y1, pixels) -> 1 x K x 4 x 4."""
        pooled = precise_roi_pool(self.filter_conv(features), boxes[:, None], FILTER_SIZE, 1 / STRIDE)
        return pooled.mean(dim=0)  # of n x 1 x K x 4 x 4


class SteepestDescent(nn.Module):
    """The learnt numbers of the descent that all classifiers have."""

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        self.log_step_length = nn.Parameter(torch.zeros(1))
        self.filter_reg = nn.Parameter(torch.zeros(1))

    def common(self) -> dict:
        """What every `Objective` has."""
        regularization = self.filter_reg.square().clamp(min=self.config.least_regularization**2)
        return {
            "regularization": regularization, "step": self.log_step_length.exp(), "damping": self.config.step_damping
        }  # fmt: skip

    def lessons(self, centers_yx: Tensor, size: int) -> Tensor:
        """What samples teach, from their targets' centres (n x 2, cells): n x some maps x size x size."""
        raise NotImplementedError

    def objective(self, lessons: Tensor, weights: Tensor) -> Objective:
        """What a filter is to meet, from the lessons of n samples and their weights (n)."""
        raise NotImplementedError


class LearntLeastSquares(SteepestDescent):
    """DiMP's: label, mask and weight of a cell are learnt functions of its distance from the target's centre."""

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__(config)
        self.label_map_predictor, self.spatial_weight_predictor = (nn.Conv2d(KNOTS, 1, 1, bias=False) for _ in range(2))
        self.target_mask_predictor = nn.Sequential(nn.Conv2d(KNOTS, 1, 1, bias=False), nn.Sigmoid())

    def start(self) -> None:
        """The values that training begins with."""
        d = torch.arange(KNOTS) * self.config.knot_distance
        label = torch.exp(-(d**2) / (2 * self.config.label_sigma**2))
        mask = self.target_mask_predictor[0]
        with torch.no_grad():
            self.label_map_predictor.weight[:] = (label - label.min()).view(1, -1, 1, 1)
            mask.weight[:] = (3 * torch.tanh(2 - d)).view(1, -1, 1, 1)  # type: ignore[union-attr, operator]
            self.spatial_weight_predictor.weight.fill_(1)
            self.log_step_length.fill_(math.log(0.9))
            self.filter_reg.fill_(0.1)

    def lessons(self, centers_yx: Tensor, size: int) -> Tensor:
        """Label, mask and weight: n x 3 x size x size."""
        mask = self.target_mask_predictor[0]
        learnt = (self.label_map_predictor, mask, self.spatial_weight_predictor)
        values = torch.cat([one.weight.view(1, KNOTS) for one in learnt])  # type: ignore[union-attr, operator]
        at = (distances(centers_yx, size) / self.config.knot_distance).clamp(max=KNOTS - 1)  # n x size x size
        knot = at.floor().clamp(max=KNOTS - 2)
        share = at - knot
        knot = knot.long()
        maps = values[:, knot] * (1 - share) + values[:, knot + 1] * share  # 3 x n x size x size
        label, masked, weight = maps
        return torch.stack([label, torch.sigmoid(masked), weight], dim=1)

    def objective(self, lessons: Tensor, weights: Tensor) -> Objective:
        """See `SteepestDescent.objective`."""
        label, mask, weight = lessons.unbind(dim=1)
        roots = weights.sqrt()[:, None, None]
        return LeastSquares(**self.common(), labels=label, masks=mask, weights=roots * weight)


class NewtonCrossEntropy(SteepestDescent):
    """PrDiMP's: the score is the logarithm of the target centre's density."""

    def start(self) -> None:
        """The values that training begins with."""
        with torch.no_grad():
            self.log_step_length.zero_()
            self.filter_reg.fill_(0.05)

    def lessons(self, centers_yx: Tensor, size: int) -> Tensor:
        """The label's density: n x 1 x size x size."""
        sigma = self.config.label_sigma
        density = torch.exp(distances(centers_yx, size).square() / (-2 * sigma**2)) / (2 * math.pi * sigma**2)
        return (density / (density.sum(dim=(1, 2), keepdim=True) + 1e-8))[:, None]

    def objective(self, lessons: Tensor, weights: Tensor) -> Objective:
        """See `SteepestDescent.objective`."""
        return CrossEntropy(**self.common(), densities=lessons[:, 0], weights=weights)


class GaussianLeastSquares(SteepestDescent):
    """The plain one, with a Gaussian label that counts where it is above a threshold; no published weights use it."""

    def __init__(self, config: ClassifierConfig, threshold: float = 0.05) -> None:
        super().__init__(config)
        self._threshold = threshold

    def lessons(self, centers_yx: Tensor, size: int) -> Tensor:
        """Label and mask: n x 2 x size x size."""
        label = torch.exp(distances(centers_yx, size).square() / (-2 * self.config.label_sigma**2))
        mask = (label > self._threshold).to(label)
        return torch.stack([label * mask, mask], dim=1)

    def objective(self, lessons: Tensor, weights: Tensor) -> Objective:
        """See `SteepestDescent.objective`."""
        label, mask = lessons.unbind(dim=1)
        roots = weights.sqrt()[:, None, None].expand_as(label)
        return LeastSquares(**self.common(), labels=label, masks=mask, weights=roots)


class Classifier(nn.Module):
    """Features, first filter, and what teaches it.

    Args:
        channels: of the trunk's features at stride 16.
        optimizer: what teaches the filter.
    """

    def __init__(self, channels: int, optimizer: SteepestDescent) -> None:
        super().__init__()
        self.feature_extractor = FeatureBlock(channels)
        self.filter_initializer = FilterInitializer(self.feature_extractor.channels)
        self.filter_optimizer = optimizer

    def freeze(self) -> Classifier:
        """Evaluation mode, no gradients, batch norm folded into the convolutions; returns itself."""
        self.eval().requires_grad_(False)
        fold_batch_norm(self)
        return self


def distances(centers_yx: Tensor, size: int) -> Tensor:
    """From every cell to the target's centre (n x 2, cells): n x size x size."""
    cells = torch.arange(size, dtype=centers_yx.dtype, device=centers_yx.device)
    dy, dx = (cells - centers_yx[:, axis, None] for axis in (0, 1))  # n x size each
    return (dy.square()[:, :, None] + dx.square()[:, None, :]).sqrt()


def centers_in_cells(boxes: Tensor) -> Tensor:
    """(y, x) of the middles of boxes (n x 4: x, y, w, h, pixels of the sample), in cells of the score: n x 2."""
    return (boxes[:, :2] + boxes[:, 2:] / 2).flip(1) / STRIDE
