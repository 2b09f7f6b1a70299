"""The targets that a user gives: as numbers, as a picture of masks, or drawn in a window."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from d3s_vot.errors import InputError
from d3s_vot.labels import objects_in, read_labels
from d3s_vot.regions import Box, Mask, Polygon, Region

WINDOW = "d3s-vot: draw a box, Enter takes it, c cancels"
SCREEN = (1280, 720)  # pixels that the window takes at most, at first
PROBE = "import cv2; cv2.namedWindow('d3s-vot'); cv2.destroyAllWindows()"  # Qt ends the process without a display
PATIENCE = 30  # seconds for the window of the probe

Pair = tuple[int, int]


def read_box(text: str) -> Box:
    """Understand `--box`.

    >>> read_box("205,151,17,50")
    Box(x=205.0, y=151.0, w=17.0, h=50.0)

    Raises:
        InputError: these are not four numbers, or no box.
    """
    numbers = _numbers(text)
    if numbers is None or len(numbers) != 4:
        raise InputError(f"box '{text}' is not x,y,w,h: four numbers, such as 205,151,17,50")
    return Box(*numbers)


def read_polygon(text: str) -> Polygon:
    """Understand `--polygon`.

    >>> read_polygon("10,10 50,12 48,40").flat()
    [10.0, 10.0, 50.0, 12.0, 48.0, 40.0]

    Raises:
        InputError: these are not three or more corners, or enclose nothing.
    """
    numbers = _numbers(text)
    if numbers is None or len(numbers) < 6 or len(numbers) % 2:
        raise InputError(f"polygon '{text}' is not x1,y1,x2,y2,x3,y3 ...: three corners or more, two numbers each")
    return Polygon(numbers)


def _numbers(text: str) -> list[float] | None:
    try:
        return [float(number) for number in re.split(r"[\s,;]+", text.strip())]
    except ValueError:
        return None


def read_masks(path: str | Path) -> list[Mask]:
    """The targets in a picture, in the order of their numbers; `d3s_vot.labels` has the rule.

    Raises:
        InputError: the file is missing, is no such picture, or empty.
    """
    labels = read_labels(Path(path))
    numbers = objects_in(labels)
    if not numbers:
        raise InputError(f"mask {path} is empty; mark the target with a value other than 0")
    return [Mask(labels == number) for number in numbers]


def check_targets(targets: list[Region], size: Pair, name: str) -> None:
    """Whether the targets can lie in the frames; sooner than the tracker can tell.

    Args:
        targets: as given.
        size: (width, height) of the frames.
        name: of their source.

    Raises:
        InputError: one is outside, or a mask of another size.
    """
    width, height = size
    for region in targets:
        if isinstance(region, Mask):
            mask_height, mask_width = region.array.shape
            if (mask_width, mask_height) != size:
                mask_size = f"{mask_width} x {mask_height}"
                raise InputError(f"the mask is {mask_size} pixels, the frames of {name} are {width} x {height}")
        elif not region.box.overlaps_image(height, width):
            kind = "box" if isinstance(region, Box) else "polygon"
            numbers = tuple(region) if isinstance(region, Box) else region.flat()
            text = ",".join(f"{number:g}" for number in numbers)
            raise InputError(f"{kind} {text} lies outside the frames of {name}, which are {width} x {height} pixels")


def check_display() -> None:
    """Whether a window can be opened.

    Raises:
        InputError: there is no display, or OpenCV was built without windows.
    """
    remedy = "give the target by --box x,y,w,h"
    try:
        done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise InputError(f"--select needs a display, and this one does not answer; {remedy}") from None
    if "not implemented" in done.stderr:
        raise InputError(f"--select needs OpenCV with windows (opencv-python, not -headless); or {remedy}")
    if done.returncode:
        raise InputError(f"--select needs a display, and there is none; {remedy}")


def select_box(image: NDArray[np.uint8]) -> Box:
    """Let the user draw a box.

    Args:
        image: H x W x 3 RGB.

    Raises:
        InputError: nothing was drawn.
    """
    height, width = image.shape[:2]
    share = min(SCREEN[0] / width, SCREEN[1] / height, 1.0)
    previous = signal.signal(signal.SIGINT, signal.SIG_DFL)  # the window would not let Python hear of Ctrl-C
    try:
        cv2.namedWindow(WINDOW, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        cv2.resizeWindow(WINDOW, round(share * width), round(share * height))
        x, y, w, h = cv2.selectROI(WINDOW, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), False, False, False)
        cv2.destroyAllWindows()
    finally:
        signal.signal(signal.SIGINT, previous)
    if not w or not h:
        raise InputError("no box was drawn; draw one and press Enter, or give it by --box x,y,w,h")
    return Box(x, y, w, h)
