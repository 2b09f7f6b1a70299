"""What the sample sequences show: outlines of things in scikit-image's photographs, and their ways.

Time runs from 0 to 1 over a sequence; positions are pixels of a 400 x 300 frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

# Outlines in pixels of their photograph, x, y, x, y ...
CAT = """
    40 0 35 40 33 80 34 110 40 135 46 158 70 190 95 210 120 228 145 240 152 258 170 266 195 277 225 280
    258 283 285 278 305 265 315 250 318 232 326 215 340 200 352 180 360 160 362 135 360 110 355 90 352
    75 370 60 378 40 385 20 397 0
"""
ASTRONAUT = """
    155 70 160 55 175 42 190 35 200 24 220 17 240 16 265 22 285 38 297 55 301 80 298 105 290 120 278 130
    268 137 263 150 257 168 255 176 270 185 285 200 297 220 304 240 302 260 290 275 270 286 250 292 225
    290 200 284 175 270 155 258 138 242 125 222 115 205 114 190 122 175 133 160 150 151 170 149 184 149
    181 138 176 131 166 121 158 105 154 85
"""
SHUTTLE = """
    411 0 420 0 430 12 436 28 438 44 443 40 449 49 453 62 455 90 455 212 456 234 453 238 456 256 459 263
    446 272 437 262 437 246 430 236 425 240 413 240 406 262 393 262 385 258 373 272 368 272 367 266 382
    228 355 225 356 212 365 198 377 184 377 112 381 102 381 62 384 50 388 42 393 50 396 60 397 36 402 16
"""
CUP = """
    173 75 187 60 205 45 240 25 285 18 330 24 365 40 392 62 402 68 416 67 424 77 420 102 450 138 468 170
    478 210 477 245 466 285 447 318 415 350 375 373 330 387 280 389 230 383 180 366 135 338 105 305 85
    265 77 225 80 190 92 155 112 122 140 95
"""
MOTORCYCLE = """
    93 200 130 195 140 190 138 152 150 145 165 152 172 163 200 166 245 168 258 183 285 194 357 189 385
    168 357 170 362 158 390 140 405 124 420 122 440 140 465 148 468 130 480 118 497 112 496 90 504 82
    522 98 536 108 548 122 560 130 570 118 581 126 577 142 563 146 562 160 555 180 548 192 556 212 572
    242 582 262 605 268 628 283 645 302 640 314 660 324 675 350 685 380 683 410 672 432 655 447 630 449
    605 440 575 420 545 390 525 360 514 335 506 322 510 305 526 288 515 255 500 228 480 234 480 262 478
    292 474 312 464 336 450 360 430 375 400 380 370 375 345 370 320 368 282 358 275 374 260 388 235 398
    205 400 180 393 155 375 135 350 125 325 122 300 126 275 138 255 128 242 112 247 99 240 108 228 118
    220 95 217
"""


def _disc(x: float, y: float, rx: float, ry: float) -> str:
    """The outline of an ellipse."""
    turns = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    return " ".join(f"{x + rx * math.cos(turn):.3f} {y + ry * math.sin(turn):.3f}" for turn in turns)


@dataclass(frozen=True)
class Pose:
    """Where an object is: its middle in the frame, counter-clockwise degrees, scale."""

    x: float
    y: float
    angle: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True)
class Thing:
    """An object cut out of a photograph, `width` pixels wide at scale 1, and its way: time 0..1 -> pose."""

    photo: str
    outline: str
    width: float
    way: Callable[[float], Pose]


@dataclass(frozen=True)
class Scene:
    """One sequence: `others` lie in front of the target, each before those after it.

    Attributes:
        light: the gain of red, green and blue.
        objects: the names of the target and the others in a sequence of several objects; "" of what is none.
    """

    name: str
    length: int
    background: str
    pan: Callable[[float], tuple[float, float]]  # corner of the frame in the background, 0..1
    target: Thing
    others: tuple[Thing, ...] = ()
    rotated: bool = True  # the truth is a rotated rectangle, else an upright one
    light: Callable[[float], tuple[float, float, float]] = lambda t: (1.0, 1.0, 1.0)
    objects: tuple[str, ...] = ()


def _wave(t: float, cycles: float, phase: float = 0.0) -> float:
    """A sine of time: -1..1."""
    return math.sin(2 * math.pi * (cycles * t + phase))


COIN = _disc(335.5, 43.5, 29.5, 28)
POST = "0 0 70 0 70 511 0 511"  # a strip of a photograph

SCENES = (
    Scene(
        "cat", 50, "motorcycle_left.png", lambda t: (0.5 + 0.4 * _wave(t, 0.6), 0.3 + 0.3 * t),
        Thing("chelsea.png", CAT, 105, lambda t: Pose(
            200 + 105 * _wave(t, 0.8), 150 + 60 * _wave(t, 1.1, 0.1),
            40 * _wave(t, 0.9), 1 + 0.12 * _wave(t, 1))),
    ),
    Scene(
        "astronaut", 60, "coffee.png", lambda t: (0.2 + 0.6 * t, 0.5 + 0.3 * _wave(t, 0.5)),
        Thing("astronaut.png", ASTRONAUT, 62, lambda t: Pose(
            95 + 210 * t, 165 - 30 * _wave(t, 0.9), 12 * _wave(t, 1.3), 0.75 + 0.85 * t)),
        others=(Thing("gravel.png", POST, 20, lambda t: Pose(330 - 230 * t, 150, 0, 1.7)),),
    ),
    Scene(
        "coin", 54, "brick.png", lambda t: (0.5 + 0.3 * _wave(t, 0.5), 0.5),
        Thing("coins.png", COIN, 50, lambda t: Pose(
            80 + 240 * t, 150 + 70 * _wave(t, 0.75), 70 * t, 1 + 0.1 * _wave(t, 0.7))),
        others=(
            Thing("coins.png", _disc(156, 51, 23.5, 22.5), 47, lambda t: Pose(
                330 - 250 * t, 95 + 40 * t, -90 * t)),
            Thing("coins.png", _disc(348.5, 187, 32, 31), 52, lambda t: Pose(
                148 + 30 * t, 262 - 20 * t, 40 * t)),
            Thing("coins.png", _disc(216.5, 51, 23.5, 21.5), 46, lambda t: Pose(
                300, 60 + 190 * t, 120 * t)),
        ),
        rotated=False,
    ),
    Scene(
        "shuttle", 50, "hubble_deep_field.jpg",
        lambda t: (0.5 + 0.5 * _wave(t, 0.7), 0.5 + 0.5 * _wave(t, 1.1)),
        Thing("astronaut.png", SHUTTLE, 44, lambda t: Pose(
            200 + 135 * _wave(t, 1.7), 150 + 65 * _wave(t, 2.3, 0.2), 150 * t, 1 + 0.15 * _wave(t, 1.3))),
    ),
    Scene(
        "cup", 54, "grass.png", lambda t: (0.5, 0.1 + 0.8 * t),
        Thing("coffee.png", CUP, 100, lambda t: Pose(
            205 + 75 * _wave(t, 1.2), 150 + 40 * _wave(t, 0.7), 25 * _wave(t, 1), 1 - 0.25 * t)),
        rotated=False,
        light=lambda t: (
            0.7 + 0.35 * _wave(t, 1, 0.2), 0.66 + 0.35 * _wave(t, 1, 0.17), 0.66 + 0.4 * _wave(t, 1, 0.1)),
    ),
    Scene(
        "motorcycle", 54, "rocket.jpg", lambda t: (t, 0.5 + 0.5 * _wave(t, 1)),
        Thing("motorcycle_left.png", MOTORCYCLE, 150, lambda t: Pose(
            285 - 160 * t, 190 + 22 * _wave(t, 1.8), 9 * _wave(t, 1.5) - 14 * t, 0.65 + 0.5 * _wave(t, 0.5))),
        others=(Thing("grass.png", POST, 24, lambda t: Pose(90 + 90 * t, 200, -8, 1.5)),),
    ),
)  # fmt: skip

# Several objects at a time: four coins; a cat that leaves and comes back, and a cup before it; three that hide each
# other at times, one behind a post.
OBJECT_SCENES = (
    replace(SCENES[2], name="coins", objects=("one", "two", "three", "four")),
    Scene(
        "pets", 54, "motorcycle_left.png", lambda t: (0.5 + 0.4 * _wave(t, 0.6), 0.3 + 0.3 * t),
        Thing("chelsea.png", CAT, 100, lambda t: Pose(
            130 + 335 * min(max(4 * (0.4 - abs(t - 0.5)), 0.0), 1.0), 110 + 20 * _wave(t, 1.1), 15 * _wave(t, 0.9))),
        others=(Thing("coffee.png", CUP, 84, lambda t: Pose(
            90 + 220 * t, 215 + 18 * _wave(t, 1.3), 20 * _wave(t, 1), 1 - 0.2 * t)),),
        objects=("cat", "cup"),
    ),
    Scene(
        "yard", 54, "rocket.jpg", lambda t: (t, 0.5 + 0.5 * _wave(t, 1)),
        Thing("motorcycle_left.png", MOTORCYCLE, 130, lambda t: Pose(
            300 - 190 * t, 195 + 15 * _wave(t, 1.8), 8 * _wave(t, 1.5), 0.8 + 0.2 * _wave(t, 0.5))),
        others=(
            Thing("astronaut.png", SHUTTLE, 40, lambda t: Pose(
                110 + 190 * t, 95 + 35 * _wave(t, 1.1), 60 * t)),
            Thing("grass.png", POST, 22, lambda t: Pose(140 + 40 * t, 200, -8, 1.5)),
            Thing("astronaut.png", ASTRONAUT, 56, lambda t: Pose(
                330 - 60 * _wave(t, 0.5), 90 + 20 * _wave(t, 0.8), 10 * _wave(t, 1.2))),
        ),
        objects=("motorcycle", "shuttle", "", "astronaut"),
    ),
)  # fmt: skip
