"""Real videos made harder: what is hidden, doubled, shrunk, blurred, and what comes twice as fast."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.stress.clips import Clip, Cutout, Image, Mask, paste, placed

Edit = Callable[[Clip, np.random.Generator, list[Cutout]], Clip]


def _box(mask: Mask) -> tuple[float, float, float, float]:
    """Middle, width and height of a mask."""
    x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
    return x + (w - 1) / 2, y + (h - 1) / 2, float(w), float(h)


def half_rate(clip: Clip, rng: np.random.Generator, things: list[Cutout]) -> Clip:
    """Every second frame."""
    return clip.of_kind("half-rate", clip.frames[::2], clip.masks[::2])


def occlusion(clip: Clip, rng: np.random.Generator, things: list[Cutout]) -> Clip:
    """A thing larger than the target passes before it, from one side to the other, in the middle of the clip."""
    thing = things[rng.integers(len(things))]
    side = 1 if rng.random() < 0.5 else -1
    count = len(clip.frames)
    first, last = round(0.35 * count), round(0.65 * count)
    frames, masks = [x.copy() for x in clip.frames], [x.copy() for x in clip.masks]
    for k in range(first, last):
        if clip.masks[k].any():
            x, y, w, h = _box(clip.masks[k])
            factor = 1.5 * max(w / thing.alpha.shape[1], h / thing.alpha.shape[0])
            reach = 0.5 * (w + factor * thing.alpha.shape[1])
            way = side * (2 * (k - first + 0.5) / (last - first) - 1)
            middle = np.array([x + way * reach, y + 0.1 * h])
            paste(frames[k], masks[k], thing, placed(thing, middle, factor), target=False)
    return clip.of_kind("occlusion", frames, masks)


def lookalike(clip: Clip, rng: np.random.Generator, things: list[Cutout]) -> Clip:
    """The target once more beside itself, coming near and crossing behind it."""
    twin = Cutout.of(clip.name, "", clip.frames[0], clip.masks[0])
    side = 1 if rng.random() < 0.5 else -1
    mirror = bool(rng.random() < 0.5)
    frames = []
    for k, (frame, mask) in enumerate(zip(clip.frames, clip.masks, strict=True)):
        drawn = frame.copy()
        if mask.any():
            x, y, w, h = _box(mask)
            way = side * (1.6 - 3.2 * k / max(len(clip.frames) - 1, 1))  # from one side to the other
            factor = np.sqrt(w * h) / twin.length
            paste(drawn, mask.copy(), twin, placed(twin, np.array([x + way * w, y]), factor, 0.0, mirror), target=False)
            drawn[mask] = frame[mask]
        frames.append(drawn)
    return clip.of_kind("look-alike", frames, clip.masks)


def _zoom(clip: Clip, kind: str, start: float, end: float) -> Clip:
    frames, masks = [], []
    height, width = clip.masks[0].shape
    for k, (frame, mask) in enumerate(zip(clip.frames, clip.masks, strict=True)):
        factor = start * (end / start) ** (k / max(len(clip.frames) - 1, 1))
        small, (w, h) = factor < 1, (round(factor * width), round(factor * height))
        left, top = (width - w) // 2, (height - h) // 2
        edges = (top, height - h - top, left, width - w - left)
        mode = cv2.INTER_AREA if small else cv2.INTER_LINEAR
        ground = cv2.GaussianBlur(frame, (0, 0), 12)
        ground[top : top + h, left : left + w] = cv2.resize(frame, (w, h), interpolation=mode)
        soft = cv2.resize(mask.astype(np.float32), (w, h), interpolation=mode)
        frames.append(ground)
        masks.append(cv2.copyMakeBorder(soft, *edges, cv2.BORDER_CONSTANT, value=0.0) > 0.5)
    return clip.of_kind(kind, frames, masks)


def shrinking(clip: Clip, rng: np.random.Generator, things: list[Cutout]) -> Clip:
    """To a quarter of its size, or to sixteen pixels."""
    _, _, w, h = _box(clip.masks[0])
    return _zoom(clip, "shrinking", 1.0, min(max(0.25, 16 / np.sqrt(w * h)), 1.0))


def growing(clip: Clip, rng: np.random.Generator, things: list[Cutout]) -> Clip:
    """From a quarter of its size, or from sixteen pixels."""
    _, _, w, h = _box(clip.masks[0])
    return _zoom(clip, "growing", min(max(0.25, 16 / np.sqrt(w * h)), 1.0), 1.0)


def blur(clip: Clip, rng: np.random.Generator, things: list[Cutout]) -> Clip:
    """Motion blur of a third of the target's length, in some direction, in all frames but the first."""
    _, _, w, h = _box(clip.masks[0])
    length = max(int(np.sqrt(w * h) / 3) | 1, 5)
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1
    turn = cv2.getRotationMatrix2D(((length - 1) / 2, (length - 1) / 2), float(rng.uniform(0, 180)), 1.0)
    kernel = cv2.warpAffine(kernel, turn, (length, length))
    kernel /= kernel.sum()
    return clip.of_kind("blur", [clip.frames[0], *(cv2.filter2D(x, -1, kernel) for x in clip.frames[1:])], clip.masks)


def low_contrast(clip: Clip, rng: np.random.Generator, things: list[Cutout]) -> Clip:
    """A quarter of the contrast, with noise."""

    def dim(frame: Image) -> Image:
        level = frame.mean(axis=(0, 1))
        noisy = level + 0.25 * (frame - level) + rng.normal(0, 3, frame.shape)
        return np.rint(noisy).clip(0, 255).astype(np.uint8)

    return clip.of_kind("low contrast", [dim(x) for x in clip.frames], clip.masks)


def small(clip: Clip, rng: np.random.Generator, things: list[Cutout]) -> Clip:
    """In pictures so coarse that the target is some twenty pixels wide."""
    _, _, w, h = _box(clip.masks[0])
    factor = min(20 / np.sqrt(w * h), 1.0)
    size = tuple(max(round(factor * n), 16) for n in clip.masks[0].shape[1::-1])

    def shrink(array: NDArray) -> NDArray:
        return cv2.resize(array, size, interpolation=cv2.INTER_AREA)

    masks = [shrink(x.astype(np.float32)) > 0.5 for x in clip.masks]
    return clip.of_kind("small", [shrink(x) for x in clip.frames], masks)


def cut(clip: Clip, rng: np.random.Generator, things: list[Cutout]) -> Clip:
    """In the middle the camera jumps by the target's length."""
    _, _, w, h = _box(clip.masks[0])
    angle = rng.uniform(0, 2 * np.pi)
    shift = np.sqrt(w * h) * np.array([np.cos(angle), np.sin(angle)])
    matrix = np.hstack([np.eye(2), shift[:, None]])
    size, half = clip.masks[0].shape[1::-1], len(clip.frames) // 2
    moved = [cv2.warpAffine(x, matrix, size, borderMode=cv2.BORDER_REPLICATE) for x in clip.frames[half:]]
    masks = [cv2.warpAffine(x.astype(np.uint8), matrix, size) > 0 for x in clip.masks[half:]]
    return clip.of_kind("cut", clip.frames[:half] + moved, clip.masks[:half] + masks)


def plain(clip: Clip, rng: np.random.Generator, things: list[Cutout]) -> Clip:
    """As it is."""
    return clip


EDITS: tuple[Edit, ...] = (
    plain, half_rate, occlusion, lookalike, shrinking, growing, blur, low_contrast, small, cut
)  # fmt: skip
