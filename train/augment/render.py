"""A batch of drawn pairs made into crops: warping, pasting, marking and light as tensor operations on one device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from train.augment.photometry import NoiseBank, apply_light, pack_lights
from train.augment.plan import ACROSS, BEND_GRID, BESIDE, NO_FRAME, SCENE, SEARCH, TEMPLATE, Pair
from train.config import PairConfig

CHUNK = {"cpu": 4, "cuda": 64}  # layers warped at once; on a CPU a few keep to its cache
MIN_TEMPLATE, MIN_SEARCH = 100, 30  # pixels of the target; a pair with fewer does not count
IGNORED = 0.2 * 255  # level of the ignore channel
MOST_HIDDEN = {BESIDE: 0.15, ACROSS: 0.6}  # share of the target that a pasted object may hide


def collate(pairs: list[Pair]) -> dict[str, Any]:
    """Tensors of a batch, on the CPU.

    Returns:
        patches (N x P x P x 5 uint8), matrix (N x 3 x 3), bend (N x 16 x 2), role and pair (N) of all layers; of the
        pairs: center (B x 2), frame (B x 4), edge (B), kind (B), box (B x 4 x 2), rough (B x 8 x 8), skipped (B),
        collection (list), and the lights of templates (t_*) and searches (s_*).
    """
    layers = [(number, layer) for number, pair in enumerate(pairs) for layer in pair.layers]

    def stack(values: list[Any]) -> Tensor:
        return torch.from_numpy(np.stack(values).astype(np.float32))

    batch: dict[str, Any] = {
        "patches": torch.from_numpy(np.stack([layer.patch for _, layer in layers])),
        "matrix": stack([layer.matrix for _, layer in layers]),
        "bend": stack([layer.bend for _, layer in layers]),
        "role": torch.tensor([layer.role for _, layer in layers]),
        "pair": torch.tensor([number for number, _ in layers]),
        "center": stack([p.center for p in pairs]),
        "frame": stack([p.frame for p in pairs]),
        "edge": torch.tensor([p.edge for p in pairs]),
        "kind": torch.tensor([p.mark.kind for p in pairs]),
        "box": stack([p.mark.box for p in pairs]),
        "rough": stack([p.mark.noise for p in pairs]),
        "skipped": torch.tensor([p.skipped for p in pairs]),
        "collection": [p.collection for p in pairs],
    }
    for view, letter in enumerate("ts"):
        batch |= {f"{letter}_{k}": v for k, v in pack_lights([p.lights[view] for p in pairs]).items()}
    return batch


def make_batch(config: PairConfig) -> Callable[[list[Pair]], dict[str, Any]]:
    """Collate and render: for workers of a run whose network is on the CPU."""
    return _InWorker(config)


class _InWorker:
    def __init__(self, config: PairConfig) -> None:
        self.config = config
        self.renderer: Renderer | None = None  # made in the worker

    def __call__(self, pairs: list[Pair]) -> dict[str, Any]:
        self.renderer = self.renderer or Renderer(self.config)
        return self.renderer(collate(pairs))


class Renderer:
    """Renders batches; holds tables that depend on the size of the crops alone."""

    def __init__(self, config: PairConfig) -> None:
        self.size = config.size
        self.bank = NoiseBank()
        self.rough_sigma = 0.1 * config.size / config.area_scale  # a tenth of the target's size
        axis = torch.arange(self.size, dtype=torch.float32)
        self.grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=2)  # S x S x 2, (x, y)
        self.bending = _thin_plate(self.grid.view(-1, 2), self.size)  # S S x 16

    @torch.no_grad()
    def __call__(self, raw: dict[str, Any]) -> dict[str, Any]:
        """Render what `collate` returned, on the device that its tensors are on.

        Returns:
            template and search (B x 3 x S x S uint8), template_mask, mask and weight (B x 1 x S x S float32),
            center (B x 2), skipped (number), collection (list). The weight of a pair whose target does not show is 0.
        """
        device = raw["patches"].device
        if self.grid.device != device:
            self.grid, self.bending = self.grid.to(device), self.bending.to(device)
            self.bank.values = self.bank.values.to(device)
        layers = self._warp(raw)  # N x 5 x S x S
        template, search = (layers[raw["role"] == role] for role in (TEMPLATE, SEARCH))  # B x 5 x S x S each
        marked = template[:, 3:4] > 127.5  # B x 1 x S x S
        image, mask, weight = self._compose(raw, layers, search)
        shown = (marked.sum(dim=(1, 2, 3)) >= MIN_TEMPLATE) & (mask.sum(dim=(1, 2, 3)) >= MIN_SEARCH)  # B
        lights = [{k[2:]: v for k, v in raw.items() if k.startswith(letter)} for letter in ("t_", "s_")]
        return {
            "template": apply_light(template[:, :3], lights[0], self.bank),
            "search": apply_light(image, lights[1], self.bank),
            "template_mask": self._mark(raw, marked).float(),
            "mask": mask.float(),
            "weight": weight.float() * shown.view(-1, 1, 1, 1),
            "center": raw["center"],
            "skipped": raw["skipped"].sum(),
            "collection": raw["collection"],
        }

    def _warp(self, raw: dict[str, Any]) -> Tensor:
        """All layers as crops: N x 5 x S x S levels."""
        patches, matrix, bend, size = raw["patches"], raw["matrix"], raw["bend"], self.size
        # Only a few layers are bent, or cut off by the end of their picture: pixels beyond it repeat the last one.
        bent = bend.abs().sum(dim=(1, 2)) > 0  # N
        frame = raw["frame"][raw["pair"]]  # N x 4
        ended = (raw["role"] != TEMPLATE) & ((frame[:, :2] > 0) | (frame[:, 2:] < size - 1)).any(dim=1)  # N
        crops = torch.empty(len(patches), 5, size, size, device=patches.device)
        order = (2 * bent + ended.int()).argsort()  # layers of a kind together
        for part in order.split(CHUNK[patches.device.type]):
            at = self.grid  # S x S x 2, or n x S x S x 2: pixels of the crop
            if bool(ended[part].any()):
                kept = torch.where(ended[part, None], frame[part], frame.new_tensor(NO_FRAME)).view(-1, 1, 1, 4)
                at = at.maximum(kept[..., :2]).minimum(kept[..., 2:])
            if bool(bent[part].any()):
                at = at + torch.matmul(self.bending, bend[part]).view(-1, size, size, 2)
            # Pixels of the patch, in -1..1 as grid_sample has them.
            to_unit = matrix.new_tensor([[1, 0, -1], [0, 1, -1], [0, 0, 1]])
            to_unit[0, 0] = to_unit[1, 1] = 2 / (patches.shape[1] - 1)
            m = to_unit @ matrix[part]  # n x 3 x 3
            x, y = at[..., 0], at[..., 1]
            below = _plane(m[:, 2], x, y).clamp_(min=1e-3)  # n x S x S
            where = torch.stack([_plane(m[:, 0], x, y).div_(below), _plane(m[:, 1], x, y).div_(below)], dim=3)
            levels = patches[part].permute(0, 3, 1, 2).float()  # n x 5 x P x P
            crops[part] = F.grid_sample(levels, where, padding_mode="border", align_corners=True)
        return crops

    def _compose(self, raw: dict[str, Any], layers: Tensor, search: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Search crops with all that is pasted: image B x 3 x S x S levels, mask and weight B x 1 x S x S bool."""
        role, pair = raw["role"], raw["pair"]
        image, mask, weight = search[:, :3].clone(), search[:, 3:4] > 127.5, search[:, 4:] < IGNORED
        behind = pair[role == SCENE]
        if len(behind):
            scene = layers[role == SCENE]
            alpha = _soften(search[behind, 3:4] / 255, raw["edge"][behind])
            image[behind] = scene[:, :3] * (1 - alpha) + image[behind] * alpha
            weight[behind] = scene[:, 4:] < IGNORED
        for kind, most in MOST_HIDDEN.items():
            onto = pair[role == kind]
            if not len(onto):
                continue
            thing = layers[role == kind]
            alpha = _soften(thing[:, 3:4] / 255, torch.ones_like(raw["edge"][onto]))
            over = thing[:, 3:4] > 127.5
            hidden = (mask[onto] & over).sum(dim=(1, 2, 3)) / mask[onto].sum(dim=(1, 2, 3)).clamp(min=1)
            kept = (hidden <= most).view(-1, 1, 1, 1)  # else the target would hardly show: nothing is pasted
            image[onto] = torch.where(kept, image[onto] * (1 - alpha) + thing[:, :3] * alpha, image[onto])
            mask[onto] = mask[onto] & ~(over & kept)
            weight[onto] = weight[onto] | (over & kept)
        frame = raw["frame"].view(-1, 1, 1, 4)
        inside = ((self.grid >= frame[..., :2]) & (self.grid <= frame[..., 2:])).all(dim=3)[:, None]  # B x 1 x S x S
        return image, mask & inside, weight

    def _mark(self, raw: dict[str, Any], mask: Tensor) -> Tensor:
        """Template masks, B x 1 x S x S bool: the target's own, its filled box, or a rough one."""
        marked = mask.clone()
        boxes, rough = raw["kind"] == 1, raw["kind"] == 2
        if bool(boxes.any()):
            filled = _inside(self.grid, raw["box"][boxes])[:, None]
            marked[boxes] = torch.where(filled.flatten(1).any(dim=1).view(-1, 1, 1, 1), filled, mask[boxes])
        if bool(rough.any()):
            own = mask[rough].float()
            # At a quarter of the size: the blur is wide.
            quarter = F.avg_pool2d(own, 4)
            smooth = _soften(quarter, quarter.new_full((len(quarter),), self.rough_sigma / 4))
            smooth = F.interpolate(smooth, size=own.shape[2:], mode="bilinear")
            noise = F.interpolate(raw["rough"][rough][:, None], size=own.shape[2:], mode="bicubic")
            drawn = smooth > 0.5 - 0.3 * noise.clamp(-1.2, 1.2)
            enough = drawn.sum(dim=(1, 2, 3)) > 0.3 * own.sum(dim=(1, 2, 3))
            marked[rough] = torch.where(enough.view(-1, 1, 1, 1), drawn, mask[rough])
        return marked


def _plane(row: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """n x S x S: a x + b y + c for n rows (a, b, c)."""
    a, b, c = (v.view(-1, 1, 1) for v in row.unbind(1))
    return torch.addcmul(c, a, x).addcmul_(b, y)


def _thin_plate(points: Tensor, size: int) -> Tensor:
    """n x 16: how much each control point's shift moves each of n points (x, y), by thin-plate splines."""
    axis = torch.linspace(0, size - 1, BEND_GRID, dtype=torch.float64)
    control = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=2).view(-1, 2)  # 16 x 2

    def terms(x: Tensor) -> Tensor:
        squared = torch.cdist(x / size, control / size) ** 2
        radial = squared * torch.log(squared.clamp(min=1e-12))
        return torch.cat([radial, torch.ones(len(x), 1, dtype=x.dtype), x / size], dim=1)  # n x 19

    k = len(control)
    system = torch.zeros(k + 3, k + 3, dtype=torch.float64)
    system[:k] = terms(control)
    system[k:, :k] = system[:k, k:].T
    return (terms(points.double()) @ torch.linalg.inv(system)[:, :k]).float()


def _soften(alpha: Tensor, sigma: Tensor) -> Tensor:
    """n x 1 x h x w blurred with n Gaussians, sigma in pixels."""
    reach = max(int(3 * float(sigma.max()) + 0.5), 1)
    at = torch.arange(-reach, reach + 1, device=alpha.device, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (at / sigma.float().view(-1, 1)) ** 2)
    kernel = (kernel / kernel.sum(dim=1, keepdim=True))[:, None, None]  # n x 1 x 1 x k
    x = F.pad(alpha.transpose(0, 1), (reach,) * 4, mode="replicate")  # 1 x n x h+2r x w+2r
    x = F.conv2d(F.conv2d(x, kernel, groups=len(alpha)), kernel.transpose(2, 3), groups=len(alpha))
    return x.transpose(0, 1)


def _inside(grid: Tensor, corners: Tensor) -> Tensor:
    """Which pixels of a grid (S x S x 2) are inside n convex quadrilaterals (n x 4 x 2): n x S x S bool."""
    left = torch.ones(len(corners), *grid.shape[:2], dtype=torch.bool, device=grid.device)
    right = left.clone()
    for a, b in zip(corners.unbind(1), corners.roll(-1, dims=1).unbind(1), strict=True):
        edge = (b - a).view(-1, 1, 1, 2)
        offset = grid - a.view(-1, 1, 1, 2)
        side = edge[..., 0] * offset[..., 1] - edge[..., 1] * offset[..., 0]
        left, right = left & (side >= 0), right & (side <= 0)
    return left | right
