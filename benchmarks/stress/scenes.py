"""Rendered clips: a cut-out on a way of its own before another picture, so that everything about it is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.stress.clips import Clip, Cutout, paste, placed
from train.data.items import read_image

WIDTH, HEIGHT = 400, 300
SHOWN, AWAY, BACK = 20, 60, 30  # frames before it leaves, without it, and after its return

Point = NDArray[np.float64]
Scene = Callable[[np.random.Generator, list[Cutout], list[Path]], Clip]


def _ground(rng: np.random.Generator, pictures: list[Path]) -> NDArray[np.uint8]:
    picture = read_image(pictures[rng.integers(len(pictures))])
    return cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


def _way(rng: np.random.Generator, count: int, speed: float) -> list[Point]:
    """Points of a path that bends at random and stays in the middle of the picture."""
    low, high = np.array([0.2 * WIDTH, 0.25 * HEIGHT]), np.array([0.8 * WIDTH, 0.75 * HEIGHT])
    at, angle, way = rng.uniform(low, high), rng.uniform(0, 2 * np.pi), []
    for _ in range(count):
        way.append(at)
        angle += rng.normal(0, 0.3)
        step = at + speed * np.array([np.cos(angle), np.sin(angle)])
        if ((step < low) | (step > high)).any():
            middle = (low + high) / 2 - at
            angle = np.arctan2(middle[1], middle[0]) + rng.normal(0, 0.3)
        at = (at + speed * np.array([np.cos(angle), np.sin(angle)])).clip(low, high)
    return way


def _pick(rng: np.random.Generator, things: list[Cutout], like: Cutout | None = None) -> Cutout:
    """A cut-out; with `like`, another one of the same collection where there is one."""
    if like is not None:
        others = [x for x in things if x.collection == like.collection and x.name != like.name]
        things = others or [x for x in things if x.name != like.name]
    return things[rng.integers(len(things))]


def _render(
    kind: str,
    rng: np.random.Generator,
    target: Cutout,
    pictures: list[Path],
    way: list[Point | None],
    sizes: list[float],
    others: Callable[[int], list[tuple[Cutout, Point, float, bool]]] = lambda k: [],
) -> Clip:
    """Frames and masks of a target on its way.

    Args:
        kind: of the clip.
        rng: source of all chance.
        target: what moves.
        pictures: what may lie behind.
        way: its middle in each frame; None where it is away.
        sizes: sqrt(w h) in each frame, pixels.
        others: what else is in frame k: the thing, its middle, its size, and whether it lies before the target.
    """
    ground, turn = _ground(rng, pictures), rng.uniform(-2, 2)
    frames, masks, angle = [], [], 0.0
    for k, (middle, size) in enumerate(zip(way, sizes, strict=True)):
        frame, mask = ground.copy(), np.zeros((HEIGHT, WIDTH), bool)
        around = others(k)
        for thing, at, length, before in around:
            if not before:
                paste(frame, mask, thing, placed(thing, at, length / thing.length), target=False)
        if middle is not None:
            paste(frame, mask, target, placed(target, middle, size / target.length, angle), target=True)
        for thing, at, length, before in around:
            if before:
                paste(frame, mask, thing, placed(thing, at, length / thing.length), target=False)
        angle = float(np.clip(angle + turn + rng.normal(0, 1), -25, 25))
        frames.append(np.rint(frame + rng.normal(0, 2, frame.shape)).clip(0, 255).astype(np.uint8))
        masks.append(mask)
    return Clip(target.name, kind, frames, masks)


def moving(rng: np.random.Generator, things: list[Cutout], pictures: list[Path]) -> Clip:
    """Nothing but motion."""
    target, size = _pick(rng, things), rng.uniform(35, 70)
    return _render("moving", rng, target, pictures, [*_way(rng, 40, 5)], [size] * 40)


def fast(rng: np.random.Generator, things: list[Cutout], pictures: list[Path]) -> Clip:
    """By six tenths of its length a frame."""
    target, size = _pick(rng, things), rng.uniform(35, 60)
    return _render("fast", rng, target, pictures, [*_way(rng, 40, 0.6 * size)], [size] * 40)


def scaling(rng: np.random.Generator, things: list[Cutout], pictures: list[Path]) -> Clip:
    """To a quarter, or to four times its size."""
    target, grows = _pick(rng, things), rng.random() < 0.5
    sizes = [25 * 4 ** (k / 59) for k in range(60)]
    return _render("scaling", rng, target, pictures, [*_way(rng, 60, 3)], sizes if grows else sizes[::-1])


def part(rng: np.random.Generator, things: list[Cutout], pictures: list[Path]) -> Clip:
    """The target is the upper half of a thing, a head or a roof, whose rest moves with it."""
    whole, size = _pick(rng, things), rng.uniform(60, 90)
    half = whole.alpha.copy()
    half[half.shape[0] // 2 :] = 0
    upper = Cutout(whole.name, whole.collection, whole.image, half)
    way = _way(rng, 40, 4)
    rest = Cutout(whole.name, whole.collection, whole.image, whole.alpha - half)
    # Upright, so that both halves stay together.
    ground = _ground(rng, pictures)
    frames, masks = [], []
    for middle in way:
        frame, mask = ground.copy(), np.zeros((HEIGHT, WIDTH), bool)
        matrix = placed(whole, middle, size / whole.length)
        paste(frame, mask, rest, matrix, target=False)
        paste(frame, mask, upper, matrix, target=True)
        frames.append(np.rint(frame + rng.normal(0, 2, frame.shape)).clip(0, 255).astype(np.uint8))
        masks.append(mask)
    return Clip(whole.name, "part", frames, masks)


def behind(rng: np.random.Generator, things: list[Cutout], pictures: list[Path]) -> Clip:
    """It passes behind a thing that stands still, and comes out on the other side."""
    target, wall, size = _pick(rng, things), _pick(rng, things), rng.uniform(35, 55)
    y = HEIGHT / 2 + rng.uniform(-30, 30)
    way: list[Point | None] = [np.array([50 + 300 * k / 59, y]) for k in range(60)]
    return _render("behind", rng, target, pictures, way, [size] * 60,
                   lambda k: [(wall, np.array([WIDTH / 2, y]), 2.2 * size, True)])  # fmt: skip


def twins(rng: np.random.Generator, things: list[Cutout], pictures: list[Path]) -> Clip:
    """Another of its kind crosses its way."""
    target, size = _pick(rng, things), rng.uniform(35, 60)
    other, way, before = _pick(rng, things, target), _way(rng, 50, 4), bool(rng.random() < 0.5)
    return _render("twins", rng, target, pictures, [*way], [size] * 50,
                   lambda k: [(other, way[k] + np.array([6.0 * (k - 25), 6.0]), size, before)])  # fmt: skip


def _absent(rng: np.random.Generator, things: list[Cutout], pictures: list[Path], kind: str) -> Clip:
    target, size = _pick(rng, things), rng.uniform(35, 60)
    # Out over the nearest side, and back at another place of the picture.
    before = _way(rng, SHOWN - 6, 4)
    side = -1 if before[-1][0] < WIDTH / 2 else 1
    edge = -size if side < 0 else WIDTH + size
    leaving = [np.array([before[-1][0] + (edge - before[-1][0]) * (k + 1) / 6, before[-1][1]]) for k in range(6)]
    after = _way(rng, BACK, 4)
    while np.hypot(*(after[0] - before[-1])) < 0.3 * WIDTH:
        after = _way(rng, BACK, 4)
    way: list[Point | None] = [*before, *leaving, *[None] * AWAY, *after]
    other, path = _pick(rng, things, target), _way(rng, AWAY, 4)
    inside = range(SHOWN + 10, SHOWN + AWAY - 10)

    def others(k: int) -> list[tuple[Cutout, Point, float, bool]]:
        return [(other, path[k - SHOWN], size, False)] if kind == "impostor" and k in inside else []

    return _render(kind, rng, target, pictures, way, [size] * len(way), others)


def away(rng: np.random.Generator, things: list[Cutout], pictures: list[Path]) -> Clip:
    """It leaves the picture for sixty frames and comes back elsewhere."""
    return _absent(rng, things, pictures, "away")


def impostor(rng: np.random.Generator, things: list[Cutout], pictures: list[Path]) -> Clip:
    """The same, and while it is away another of its kind is there alone."""
    return _absent(rng, things, pictures, "impostor")


SCENES: tuple[Scene, ...] = (moving, fast, scaling, part, behind, twins, away, impostor)
