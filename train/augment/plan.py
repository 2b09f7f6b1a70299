"""What happens to a training pair, drawn in a worker: which layers make its two crops, their motion, their light.

Nothing is rendered here. Of each layer the part of its picture that the crop shows is cut into a patch of fixed
size, beside the 3 x 3 matrix that leads from pixels of the crop to pixels of the patch; `train.render` does the rest
for a whole batch, on the device.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from train.augment.photometry import Light, degrade, draw_light
from train.augment.view import Subject, View, convex_hull, cover, cut, draw_motion, patch_size, window
from train.config import PairConfig

Array = NDArray

# Roles of a layer: the two views, what is put behind the target, beside it and across its edge.
TEMPLATE, SEARCH, SCENE, BESIDE, ACROSS = range(5)
BEND_GRID = 4  # control points of a thin-plate deformation, along each side of the crop
NO_FRAME = (-1e4, -1e4, 1e4, 1e4)  # the picture ends nowhere near the crop


@dataclass(frozen=True)
class Layer:
    """A part of a picture, and how it gets into the crop."""

    role: int
    patch: Array  # P x P x 5 uint8: RGB, object (0 or 255), ignored (0 or 255)
    matrix: Array  # 3 x 3, pixels (x, y, 1) of the crop to pixels of the patch
    bend: Array  # 16 x 2, shift of the control points, pixels of the crop


@dataclass(frozen=True)
class Mark:
    """How the template mask marks the target."""

    kind: int  # 0 its mask, 1 the filled box, 2 a rough mask
    box: Array  # 4 x 2, corners of the box in the crop, in order
    noise: Array  # 8 x 8, of the rough mask's edge


@dataclass(frozen=True)
class Pair:
    """All that chance decides of one pair."""

    collection: str
    layers: list[Layer]
    center: Array  # (x, y) of the location channel, counted from 1
    frame: Array  # x0, y0, x1, y1: where the picture ends in the search crop
    edge: float  # sigma of the soft edge of a pasted target, pixels
    mark: Mark
    lights: tuple[Light, Light]  # of template and search
    skipped: int = 0  # unreadable objects met while it was drawn


def draw_pair(
    rng: np.random.Generator,
    c: PairConfig,
    template: Subject,
    search: Subject,
    background: Callable[[], Array],
    other: Callable[[], Subject],
    *,
    must_paste: bool,
    collection: str,
    flip: bool | None = None,
) -> Pair | None:
    """One pair, or None where the drawn target has no pixels.

    Args:
        rng: source of all chance.
        c: how pairs are made.
        template: of the first view.
        search: the same object, or another frame of the same video.
        background: draws another picture, H x W x 3.
        other: draws another object.
        must_paste: the object stands on a blank ground and goes onto another picture in both crops.
        collection: name that validation reports by.
        flip: whether both crops are mirrored; None: by chance.
    """
    if search is template and rng.random() < c.region:
        template = search = Subject(template.image, _random_region(rng, template.mask.shape), template.ignore)
    elif search is template and rng.random() < c.part:
        template = search = Subject(template.image, _random_part(rng, template.mask), template.ignore)
    if not (template.mask.any() and search.mask.any()):
        return None
    drawn, still = rng.random() < 0.5, search is template  # drawn in any case: what follows is the same
    flip = drawn if flip is None else flip
    first = View.around(
        rng, c, template.mask, draw_motion(rng, c, 0.4, flip, still), c.template_shift, c.template_scale
    )
    straight = np.zeros((BEND_GRID**2, 2), np.float32)
    lights = (draw_light(rng, c.light), draw_light(rng, c.light))
    layers = [Layer(TEMPLATE, *cut(template, first.matrix, c), straight)]
    if must_paste:
        # A cut-out shows its outline by its blank ground, so that the template too needs a scene.
        layers[0] = Layer(TEMPLATE, *_on_scene(rng, template, first, c, background()), straight)
    kind = rng.random()
    frame = np.array(NO_FRAME)
    if kind < c.box_on_itself:
        second = first
        layers.append(Layer(SEARCH, layers[0].patch, layers[0].matrix, straight))
    else:
        motion = draw_motion(rng, c, 1.0, flip, still)
        second = View.around(rng, c, search.mask, motion, c.search_shift, c.search_scale)
        bend = straight
        if rng.random() < c.bend:
            sigma = c.bend_size * second.length
            bend = rng.normal(0, sigma, straight.shape).clip(-2 * sigma, 2 * sigma).astype(np.float32)
        layers.append(Layer(SEARCH, *cut(search, second.matrix, c), bend))
        layers += _surroundings(rng, c, search, second, bend, background, other, must_paste)
        if rng.random() < c.exit:
            frame = _end_of_picture(rng, second)
    layers = [Layer(x.role, degrade(x.patch, lights[x.role != TEMPLATE]), x.matrix, x.bend) for x in layers]
    marked = 1 if kind < c.box_on_itself + c.box_mask else 2 if rng.random() < c.rough_mask else 0
    noise = 0.7 * rng.standard_normal((8, 8)) + 0.5 * rng.standard_normal()
    shift = rng.uniform(-c.location_shift, c.location_shift, 2) * second.wh
    center = (second.target + shift + 1).clip(1, c.size)
    mark = Mark(marked, _drawn_box(rng, first.outline), noise)
    return Pair(collection, layers, center, frame, rng.uniform(0.6, 1.5), mark, lights)


def _surroundings(
    rng: np.random.Generator,
    c: PairConfig,
    search: Subject,
    view: View,
    bend: Array,
    background: Callable[[], Array],
    other: Callable[[], Subject],
    must_paste: bool,
) -> list[Layer]:
    """What is put behind, beside and across the target of the search crop."""
    layers = []
    straight = np.zeros_like(bend)
    if must_paste or rng.random() < c.paste:
        image = background()
        scene = Subject(image, *(np.zeros(image.shape[:2], bool),) * 2)
        layers.append(Layer(SCENE, *cut(scene, cover(rng, image.shape, c.size), c), straight))
    elif rng.random() < c.independent:
        # The scene moves a little differently from the target, as behind a thing that moves.
        angle, zoom = rng.normal(0, 0.06), math.exp(rng.normal(0, 0.06))
        x, y = view.target
        dx, dy = rng.normal(0, 0.15, 2) * view.length
        cos, sin = zoom * math.cos(angle), zoom * math.sin(angle)
        drift = np.array([[cos, -sin, x + dx - cos * x + sin * y], [sin, cos, y + dy - sin * x - cos * y], [0, 0, 1]])
        patch, matrix = cut(search, drift @ view.matrix, c)
        layers.append(Layer(SCENE, _without_object(patch), matrix, straight))
    if rng.random() < c.lookalike:
        thing = search if rng.random() < c.twin else other()
        layers += _pasted(rng, c, thing, view, BESIDE)
    if rng.random() < c.occluder:
        layers += _pasted(rng, c, other(), view, ACROSS)
    return layers


def _on_scene(
    rng: np.random.Generator, subject: Subject, view: View, c: PairConfig, image: Array
) -> tuple[Array, Array]:
    """The patch of a cut-out, put on a part of another picture."""
    patch, matrix = cut(subject, view.matrix, c)
    size = patch.shape[0]
    scene = cv2.warpAffine(image, cover(rng, image.shape, size)[:2], (size, size), borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.GaussianBlur(patch[..., 3], (0, 0), 1.0)[..., None] / np.float32(255)
    patch[..., :3] = scene * (1 - alpha) + patch[..., :3] * alpha
    patch[..., 4] = 0
    return patch, matrix


def _without_object(patch: Array) -> Array:
    """A patch whose object is filled in from around it, smoothly: what is behind it is not known."""
    image, mask = (
        cv2.resize(np.ascontiguousarray(x), (64, 64), interpolation=cv2.INTER_AREA)
        for x in (patch[..., :3], patch[..., 3])
    )
    hole = cv2.dilate((mask > 10).astype(np.uint8), np.ones((3, 3), np.uint8))
    filled = cv2.inpaint(image, hole, 3, cv2.INPAINT_TELEA)
    size = patch.shape[:2]
    alpha = cv2.resize(cv2.blur(hole.astype(np.float32), (3, 3)), size, interpolation=cv2.INTER_LINEAR)[..., None]
    alpha = (2 * alpha).clip(0, 1)  # whole inside, soft outside
    clean = patch.copy()
    clean[..., :3] = patch[..., :3] * (1 - alpha) + cv2.resize(filled, size, interpolation=cv2.INTER_LINEAR) * alpha
    clean[..., 3] = 0
    return clean


def _pasted(rng: np.random.Generator, c: PairConfig, thing: Subject, view: View, role: int) -> list[Layer]:
    """Another object beside the target (a look-alike) or across its edge (an occluder)."""
    if not thing.mask.any():
        return []
    beside = role == BESIDE
    angle = rng.uniform(0, 2 * math.pi)
    reach = rng.uniform(0.9, 1.5) if beside else rng.uniform(0.35, 0.7)
    middle = view.target + reach * np.array([math.cos(angle), math.sin(angle)]) * view.wh
    hull = convex_hull(thing.mask)
    low, high = hull.min(axis=0), hull.max(axis=0)
    factor = view.length / math.sqrt(np.prod(high - low + 1))
    factor *= rng.uniform(0.7, 1.3) if beside else rng.uniform(0.4, 0.9)
    turn, mirror = rng.normal(0, 0.15), -1.0 if rng.random() < 0.5 else 1.0
    cos, sin = factor * math.cos(turn), factor * math.sin(turn)
    matrix = np.array([[cos * mirror, -sin, 0], [sin * mirror, cos, 0], [0, 0, 1]])
    matrix[:2, 2] = middle - matrix[:2, :2] @ ((low + high) / 2)
    margin = 0.1 * (high - low).max() + 2
    patch, to_patch = window(thing, low - margin, high + margin, matrix, patch_size(c))
    return [Layer(role, patch, to_patch, np.zeros((BEND_GRID**2, 2), np.float32))]


def _end_of_picture(rng: np.random.Generator, view: View) -> Array:
    """x0, y0, x1, y1: a side of the picture that cuts off a tenth to a half of the target."""
    frame = np.array(NO_FRAME)
    side = rng.integers(4)  # left, top, right, bottom
    axis, share = side % 2, rng.uniform(0.1, 0.5)
    toward = -1 if side < 2 else 1
    frame[side] = view.target[axis] + toward * (0.5 - share) * view.wh[axis]
    return frame


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


def _drawn_box(rng: np.random.Generator, outline: Array) -> Array:
    """4 x 2: the box around an outline, upright or of least area, with the slack of a drawn one."""
    if rng.random() < 0.5:
        (x0, y0), (x1, y1) = outline.min(axis=0), outline.max(axis=0)
        corners = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
    else:
        corners = cv2.boxPoints(cv2.minAreaRect(outline.astype(np.float32))).astype(np.float64)
    middle = corners.mean(axis=0)
    corners = middle + (corners - middle) * rng.normal(1.0, 0.06, (1, 2)).clip(0.8, 1.2)
    return corners + rng.normal(0, 0.03, (1, 2)) * np.ptp(corners, axis=0)
