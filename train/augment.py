"""From labelled pictures to a template and a search crop: synthetic motion, pasting, photometry.

Every geometric change is one matrix from the picture to the crop, so that each pixel is sampled once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from train.config import PairConfig

Array = NDArray


@dataclass(frozen=True)
class Layer:
    """A picture (H x W x 3 RGB uint8), its object and its ignored pixels (H x W bool)."""

    image: Array
    mask: Array
    ignore: Array


class PairMaker:
    """Makes training pairs; all chance comes from the generator it is called with."""

    def __init__(self, config: PairConfig) -> None:
        self.config = config

    def __call__(
        self,
        rng: np.random.Generator,
        template: Layer,
        search: Layer,
        background: Callable[[], Array],
        extra: Callable[[], Layer],
        *,
        must_paste: bool = False,
    ) -> dict[str, Array] | None:
        """One pair, or None where the drawn target does not show.

        Args:
            rng: source of all chance.
            template: of the first frame.
            search: the same, or another frame of the same video.
            background: draws another picture, H x W x 3.
            extra: draws another object.
            must_paste: the object stands on a blank ground and goes onto another picture in both crops.
        """
        c, size = self.config, self.config.size
        if search is template and rng.random() < c.region:
            template = search = Layer(template.image, _random_region(rng, template.mask.shape), template.ignore)
        elif search is template and rng.random() < c.part:
            part = _random_part(rng, template.mask)
            template = search = Layer(template.image, part, template.ignore)
        if not (template.mask.any() and search.mask.any()):
            return None
        flip = rng.random() < 0.5

        linear = _random_linear(rng, c, 0.4, flip)
        frame = _Frame.around(template.mask, linear, c, rng, c.template_shift, c.template_scale)
        t_image, t_mask, t_weight = self._render(rng, template, frame, background if must_paste else None, None)
        itself = rng.random()
        if itself < c.box_on_itself:
            s_image, s_mask, s_weight, s_frame = t_image, t_mask, t_weight, frame
        else:
            linear = _random_linear(rng, c, 1.0, flip)
            s_frame = _Frame.around(search.mask, linear, c, rng, c.search_shift, c.search_scale)
            paste = must_paste or rng.random() < c.paste
            s_image, s_mask, s_weight = self._render(rng, search, s_frame, background if paste else None, extra)
            if rng.random() < c.elastic:
                s_image, s_mask, s_weight = _elastic(rng, s_image, s_mask, s_weight)
        if t_mask.sum() < 100 or s_mask.sum() < 30:
            return None
        marked = t_mask
        if itself < c.box_on_itself + c.box_mask:
            marked = _filled_box(rng, t_mask)
        elif rng.random() < c.rough_mask:
            marked = _roughen(rng, t_mask)
        w, h = s_frame.wh
        shift = rng.uniform(-c.location_shift, c.location_shift, 2) * (w, h) * s_frame.factor
        return {
            "template": _photometry(rng, t_image).transpose(2, 0, 1).copy(),
            "search": _photometry(rng, s_image).transpose(2, 0, 1).copy(),
            "template_mask": marked[None].astype(np.float32),
            "mask": s_mask[None].astype(np.float32),
            "weight": s_weight[None].astype(np.float32),
            "center": (s_frame.target + shift + 1).astype(np.float32).clip(1, size),
        }

    def _render(
        self,
        rng: np.random.Generator,
        layer: Layer,
        frame: _Frame,
        background: Callable[[], Array] | None,
        extra: Callable[[], Layer] | None,
    ) -> tuple[Array, Array, Array]:
        """Crop of a layer: image S x S x 3, mask and loss weight S x S bool."""
        size = self.config.size
        image = _warp(layer.image, frame.matrix, size)
        alpha = _warp_mask(layer.mask, frame.matrix, size)  # S x S float 0..1
        mask = alpha > 0.5
        weight = ~(_warp_mask(layer.ignore, frame.matrix, size) > 0.2)
        if background is not None:
            other = background()
            scene = _warp(other, _cover(rng, other.shape, size), size)
            image = _blend(scene, image, cv2.GaussianBlur(alpha, (0, 0), rng.uniform(0.6, 1.5)))
            weight[:] = True
        if extra is not None:
            if rng.random() < self.config.lookalike:
                image, mask = _paste_extra(rng, image, mask, extra(), frame, beside=True)
            if rng.random() < self.config.occluder:
                image, mask = _paste_extra(rng, image, mask, extra(), frame, beside=False)
        return image, mask, weight


@dataclass(frozen=True)
class _Frame:
    """A crop of a picture: the matrix to it, and the target's place and size."""

    matrix: Array  # 2 x 3, picture to crop
    target: Array  # (x, y) of the target's middle in the crop
    wh: Array  # of the target after the motion, before the crop's factor
    factor: float

    @classmethod
    def around(
        cls, mask: Array, linear: Array, c: PairConfig, rng: np.random.Generator, shift: float, scale: float
    ) -> _Frame:
        ys, xs = np.nonzero(mask)
        points = np.stack([xs, ys], axis=1) @ linear.T  # N x 2
        low, high = points.min(axis=0), points.max(axis=0)
        wh = high - low + 1
        side = c.area_scale * math.sqrt(wh[0] * wh[1]) * math.exp(scale * rng.standard_normal())
        factor = c.size / side
        moved = rng.uniform(-shift, shift, 2) * math.sqrt(wh[0] * wh[1])
        offset = c.size / 2 - factor * ((low + high) / 2 + moved)
        matrix = np.concatenate([factor * linear, offset[:, None]], axis=1)
        return cls(matrix, factor * (low + high) / 2 + offset, wh, factor)


def _random_linear(rng: np.random.Generator, c: PairConfig, strength: float, flip: bool) -> Array:
    """2 x 2: mirror, rotation and stretch, of determinant 1 or -1."""
    angle = math.radians(strength * c.rotation / 2 * rng.standard_normal())
    stretch = math.exp(strength * c.stretch * rng.standard_normal())
    shear = strength * 0.08 * rng.standard_normal()
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return turn @ np.array([[stretch, shear], [0, 1 / stretch]]) @ np.diag([-1.0 if flip else 1.0, 1.0])


def _cover(rng: np.random.Generator, shape: tuple[int, ...], size: int) -> Array:
    """2 x 3: a random part of a picture that fills the crop."""
    h, w = shape[:2]
    factor = size / (min(h, w) * rng.uniform(0.5, 1.0))
    x, y = rng.uniform(0, max(w * factor - size, 0)), rng.uniform(0, max(h * factor - size, 0))
    return np.array([[factor, 0, -x], [0, factor, -y]])


def _warp(image: Array, matrix: Array, size: int) -> Array:
    return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _warp_mask(mask: Array, matrix: Array, size: int) -> Array:
    return cv2.warpAffine(mask.astype(np.float32), matrix, (size, size), flags=cv2.INTER_LINEAR)


def _blend(under: Array, over: Array, alpha: Array) -> Array:
    a = alpha[..., None]
    return (under * (1 - a) + over * a + 0.5).astype(np.uint8)


def _paste_extra(
    rng: np.random.Generator, image: Array, mask: Array, other: Layer, frame: _Frame, *, beside: bool
) -> tuple[Array, Array]:
    """Another object beside the target (a look-alike) or across its edge (an occluder)."""
    if not other.mask.any():
        return image, mask
    size = mask.shape[0]
    angle = rng.uniform(0, 2 * math.pi)
    w, h = frame.wh * frame.factor
    reach = rng.uniform(0.9, 1.5) if beside else rng.uniform(0.35, 0.7)
    middle = frame.target + reach * np.array([math.cos(angle) * w, math.sin(angle) * h])
    ys, xs = np.nonzero(other.mask)
    low, high = np.array([xs.min(), ys.min()]), np.array([xs.max(), ys.max()])
    area = math.sqrt(np.prod(high - low + 1))
    factor = math.sqrt(w * h) / area * (rng.uniform(0.7, 1.3) if beside else rng.uniform(0.4, 0.9))
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    linear = factor * np.diag([mirror, 1.0])
    matrix = np.concatenate([linear, (middle - linear @ ((low + high) / 2))[:, None]], axis=1)
    alpha = _warp_mask(other.mask, matrix, size)
    covered = mask & (alpha > 0.5)
    if covered.sum() > (0.15 if beside else 0.6) * max(mask.sum(), 1):
        return image, mask
    over = _warp(other.image, matrix, size)
    return _blend(image, over, cv2.GaussianBlur(alpha, (0, 0), 1.0)), mask & ~covered


def _random_part(rng: np.random.Generator, mask: Array) -> Array:
    """The object inside a random box over a part of it."""
    x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
    pw, ph = max(int(w * rng.uniform(0.3, 0.8)), 8), max(int(h * rng.uniform(0.3, 0.8)), 8)
    px, py = x + int(rng.uniform(0, max(w - pw, 0) + 1)), y + int(rng.uniform(0, max(h - ph, 0) + 1))
    part = np.zeros_like(mask)
    part[py : py + ph, px : px + pw] = mask[py : py + ph, px : px + pw]
    return part if part.sum() >= 0.4 * pw * ph else mask


def _random_region(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """A box or an ellipse anywhere in the picture."""
    h, w = shape
    rw, rh = max(int(w * rng.uniform(0.08, 0.35)), 8), max(int(h * rng.uniform(0.08, 0.35)), 8)
    x, y = int(rng.uniform(0, max(w - rw, 0) + 1)), int(rng.uniform(0, max(h - rh, 0) + 1))
    canvas = np.zeros(shape, np.uint8)
    if rng.random() < 0.5:
        canvas[y : y + rh, x : x + rw] = 1
    else:
        cv2.ellipse(canvas, (x + rw // 2, y + rh // 2), (rw // 2, rh // 2), 0, 0, 360, 1, -1)
    return canvas.astype(bool)


def _filled_box(rng: np.random.Generator, mask: Array) -> Array:
    """The box around a mask, upright or of least area, with the slack of a drawn one."""
    canvas = np.zeros(mask.shape, np.uint8)
    if rng.random() < 0.5:
        x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
        corners = np.array([(x, y), (x + w, y), (x + w, y + h), (x, y + h)], np.float64)
    else:
        points = cv2.findNonZero(mask.astype(np.uint8))
        corners = cv2.boxPoints(cv2.minAreaRect(points)).astype(np.float64)
    middle = corners.mean(axis=0)
    corners = middle + (corners - middle) * rng.normal(1.0, 0.06, (1, 2)).clip(0.8, 1.2)
    corners += rng.normal(0, 0.03, (1, 2)) * np.ptp(corners, axis=0)
    cv2.fillPoly(canvas, [np.rint(corners).astype(np.int32)], 1)
    return canvas.astype(bool) if canvas.any() else mask


def _roughen(rng: np.random.Generator, mask: Array) -> Array:
    """A mask with errors at its edge: grown or shrunk, with smooth bites and bulges."""
    reach = max(math.sqrt(mask.sum()) * 0.12, 2.0)
    inside, outside = (cv2.distanceTransform(m.astype(np.uint8), cv2.DIST_L2, 3) for m in (mask, ~mask))
    noise = cv2.resize(rng.standard_normal((8, 8)).astype(np.float32), mask.shape[::-1], interpolation=cv2.INTER_CUBIC)
    rough = inside - outside > reach * (0.7 * noise + 0.5 * rng.standard_normal())
    return rough if rough.sum() > 0.3 * mask.sum() else mask


def _elastic(rng: np.random.Generator, image: Array, mask: Array, weight: Array) -> tuple[Array, Array, Array]:
    """A smooth deformation of the crop, a few percent of it."""
    size = mask.shape[0]
    coarse = rng.normal(0, 0.02 * size, (5, 5, 2)).astype(np.float32)
    flow = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
    grid = np.arange(size, dtype=np.float32)
    x, y = grid[None] + flow[..., 0], grid[:, None] + flow[..., 1]
    image = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mask = cv2.remap(mask.astype(np.uint8), x, y, cv2.INTER_NEAREST) > 0
    weight = cv2.remap(weight.astype(np.uint8), x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE) > 0
    return image, mask, weight


def _photometry(rng: np.random.Generator, image: Array) -> Array:
    """Light, colour, focus, motion, resolution, noise and compression of one crop."""
    levels = np.arange(256, dtype=np.float32)[:, None]
    gain, bias = np.exp(rng.normal(0, 0.15)) * np.exp(rng.normal(0, 0.04, 3)), rng.normal(0, 12)
    gamma = np.exp(rng.normal(0, 0.15))
    table = (255 * (levels / 255) ** gamma - 128) * gain + 128 + bias  # 256 x 3
    image = cv2.LUT(image, table.clip(0, 255).astype(np.uint8)[None])
    if rng.random() < 0.5:
        grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        keep = 0.0 if rng.random() < 0.2 else rng.uniform(0.4, 1.5)
        image = cv2.addWeighted(image, keep, grey, 1 - keep, 0)
    if rng.random() < 0.3:
        factor = rng.uniform(0.2, 0.8)
        small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        image = cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    kind = rng.random()
    if kind < 0.15:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 2.5))
    elif kind < 0.35:
        image = cv2.filter2D(image, -1, _motion_kernel(rng))
    if rng.random() < 0.2:
        noise = rng.normal(0, rng.uniform(2, 12), image.shape).astype(np.float32)
        image = (image + noise).clip(0, 255).astype(np.uint8)
    if rng.random() < 0.2:
        quality = int(rng.uniform(25, 80))
        packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        image = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR))
    return image


def _motion_kernel(rng: np.random.Generator) -> Array:
    length = int(rng.integers(3, 16))
    kernel = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, math.pi)
    half = (length - 1) / 2
    dx, dy = half * math.cos(angle), half * math.sin(angle)
    cv2.line(kernel, (round(half - dx), round(half - dy)), (round(half + dx), round(half + dy)), 1.0)
    return kernel / kernel.sum()
