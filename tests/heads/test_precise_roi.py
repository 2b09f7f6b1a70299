"""Precise pooling against numerical integration, automatic differentiation and the golden file."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from dimp_golden import relative

from d3s_vot.heads.precise_roi import PooledMap, precise_roi_pool

BOXES = torch.tensor(
    [[3.3, 4.1, 61.7, 40.2], [-9.0, -20.0, 30.0, 200.0], [16.0, 8.0, 48.0, 40.0], [70.0, 9.0, 300.0, 22.0],
     [500.0, 20.0, 560.0, 50.0], [20.0, 20.0, 20.0, 40.0], [40.0, 30.0, 10.0, 50.0], [21.0, 22.0, 22.5, 23.0]]
)  # fmt: skip
EMPTY = (5, 6)


def maps(seed: int = 0) -> torch.Tensor:
    return torch.randn(2, 3, 9, 11, generator=torch.Generator().manual_seed(seed)).double()


def integrated(features: torch.Tensor, box: torch.Tensor, bins: int, scale: float) -> torch.Tensor:
    """C x P x P, by trapezia along each axis, between which the signal is straight."""
    weights = []
    lengths = features.shape[2], features.shape[1]
    for start, end, length in zip(box[:2] * scale, box[2:] * scale, lengths, strict=True):
        whole = torch.arange(-1, length + 1).double()
        rows = []
        for k in range(bins):
            first, last = (start + (end - start) * (k + m) / bins for m in (0, 1))
            points = torch.cat([first[None], whole[(whole > first) & (whole < last)], last[None]])
            tents = (1 - (points[:, None] - torch.arange(length)).abs()).clamp(min=0)  # points x length
            rows.append(torch.trapezoid(tents, points, dim=0) / (last - first))
        weights.append(torch.stack(rows))
    columns, rows = weights
    return rows @ features @ columns.T


@pytest.mark.parametrize(("bins", "scale"), [(1, 1 / 16), (3, 1 / 8), (5, 1 / 8)])
def test_pooling_is_the_integral(bins: int, scale: float) -> None:
    boxes = BOXES.double()
    pooled = precise_roi_pool(maps(), boxes.expand(2, -1, -1), bins, scale)
    assert pooled.shape == (2, len(BOXES), 3, bins, bins)
    for i, box in enumerate(boxes):
        if i in EMPTY:
            assert (pooled[:, i] == 0).all()
            continue
        for k in range(2):
            assert (pooled[k, i] - integrated(maps()[k], box, bins, scale)).abs().max() < 1e-5


def test_the_gradient_is_that_of_the_integral() -> None:
    """Differences of integrals, and the closed form beside automatic differentiation."""
    features, boxes = maps()[:1].requires_grad_(), BOXES.double()[None].requires_grad_()
    weight = torch.randn(1, len(BOXES), 3, 3, 3, generator=torch.Generator().manual_seed(1)).double()
    total = (precise_roi_pool(features, boxes, 3, 1 / 8) * weight).sum()
    by_map, by_box = torch.autograd.grad(total, (features, boxes))
    with torch.no_grad():
        closed = PooledMap(features, 3, 1 / 8).look(boxes).box_gradient(weight.movedim(2, -1))
    assert torch.allclose(closed, by_box, atol=1e-12)
    assert (closed[0, EMPTY, :] == 0).all()
    for i, box in enumerate(BOXES.double()):
        if i in EMPTY:
            continue
        for side in range(4):
            step = torch.zeros(4).double()
            step[side] = 1e-5
            moved = [integrated(features.detach()[0], box + s * step, 3, 1 / 8) for s in (1, -1)]
            slope = ((moved[0] - moved[1]) * weight[0, i]).sum() / 2e-5
            assert closed[0, i, side].item() == pytest.approx(slope.item(), abs=1e-5)
    assert (by_map * features).sum().item() == pytest.approx(total.item())  # linear in the map


def test_single_precision_is_near_double() -> None:
    boxes = BOXES[None].expand(2, -1, -1)
    look, exact = (PooledMap(m, 5, 1 / 8).look(b) for m, b in ((maps().float(), boxes), (maps(), boxes.double())))
    assert (look.values - exact.values).abs().max() < 3e-5
    assert (look.box_gradient(look.values) - exact.box_gradient(exact.values)).abs().max() < 2e-4


@pytest.mark.parametrize("name", ["1_16", "3_8", "3_16", "5_8", "4_16"])
def test_golden_pooling(golden, name: str) -> None:
    g = golden("dimp_prroi.npz")
    bins, stride = map(int, name.split("_"))
    features = torch.from_numpy(np.random.RandomState(5).normal(0, 1, (2, 3, 9, 11)).astype(np.float32))
    places, boxes = torch.from_numpy(g["rois"][:, 0]).long(), torch.from_numpy(g["rois"][:, 1:])
    expected = g[f"pooled_{name}"]
    weight = torch.from_numpy(np.random.RandomState(7).normal(0, 1, expected.shape).astype(np.float32))
    features.requires_grad_()
    look = PooledMap(features, bins, 1 / stride).look(boxes.expand(2, -1, -1))
    pick = torch.arange(len(boxes))
    pooled = look.values.movedim(-1, 2)[places, pick]
    assert np.abs(pooled.detach().numpy() - expected).max() < 1e-4
    gradient = look.box_gradient(weight.movedim(1, -1).expand(2, -1, -1, -1, -1))[places, pick].detach().numpy()
    assert np.abs(gradient - g[f"roi_grad_{name}"]).max() < 1e-3
    if f"feature_grad_{name}" in g:
        pooled = PooledMap(features, bins, 1 / stride).pool(boxes.expand(2, -1, -1))[places, pick]
        (by_map,) = torch.autograd.grad((pooled * weight).sum(), features)
        assert np.abs(by_map.numpy() - g[f"feature_grad_{name}"]).max() < 1e-3
        assert relative(by_map, g[f"feature_grad_{name}"]) < 1e-4
