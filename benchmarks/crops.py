"""Time of the segmentation crop: gathered pixel by pixel, as it was until 0.1, and as it is now, in one run.

    python benchmarks/crops.py --json

A target of 300 pixels at the corner and at the edge of a 1080p frame, and one as large as a 4K frame; of that also a
whole frame of the tracker. The two ways must give the same crop.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import numpy as np

from d3s_vot import Box, load_tracker
from d3s_vot.compute.threads import use_threads
from d3s_vot.crops.squares import Crop, Image

FRAMES = {"1080p": (1080, 1920), "4K": (2160, 3840)}
TARGETS = {
    "300 pixels, at the corner": ("1080p", Box(10, 10, 300, 300)),
    "300 pixels, at the edge": ("1080p", Box(800, 770, 300, 300)),
    "as large as the frame": ("4K", Box(0, 0, 3840, 2160)),
}


def gathered(crop: Crop, image: Image) -> Image:
    """The crop as it was made before: every pixel of the square by its index."""
    height, width = image.shape[:2]
    (x0, y0), x1, y1 = crop.corner, crop.corner[0] + crop.side, crop.corner[1] + crop.side
    rows = np.clip(np.arange(y0, y1), 0, height - 1 - (y1 > height > 1))
    columns = np.clip(np.arange(x0, x1), 0, width - 1 - (x1 > width > 1))
    square = image[rows[:, None], columns]
    return np.asarray(cv2.resize(square, (crop.size, crop.size), interpolation=cv2.INTER_LINEAR), np.uint8)


def milliseconds(work: Callable[[], Any], times: int) -> float:
    """The median of some calls."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(1e3 * (time.perf_counter() - start))
    return float(np.median(taken))


def measure(times: int) -> dict[str, dict[str, float]]:
    """Milliseconds of each target's crop, before and after; `frame` where the tracker does a whole one."""
    rng = np.random.default_rng(0)
    pictures = {name: rng.integers(0, 256, (*size, 3), np.uint8) for name, size in FRAMES.items()}
    found: dict[str, dict[str, float]] = {}
    for name, (frame, box) in TARGETS.items():
        image, crop = pictures[frame], Crop.around(box.center, (box.w, box.h), 4.0, 384)
        if not np.array_equal(gathered(crop, image), crop.cut(image)):
            sys.exit(f"the crops of the target {name} differ")
        before = milliseconds(partial(gathered, crop, image), times)
        after = milliseconds(partial(crop.cut, image), times)
        found[name] = {"before": before, "after": after, "ratio": after / before}
    tracker = load_tracker("D3S", "cpu")
    tracker.initialize(pictures["4K"], TARGETS["as large as the frame"][1])
    found["as large as the frame"]["frame"] = milliseconds(lambda: tracker.track(pictures["4K"]), times)
    return found


def main() -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="CPU threads (default: %(default)s)")
    parser.add_argument("--times", type=int, default=15, metavar="N", help="calls of each (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON, in milliseconds")
    options = parser.parse_args()
    use_threads(options.threads)
    found = measure(options.times)
    if options.json:
        print(json.dumps(found, indent=1))
        return
    for name, row in found.items():
        print(f"{name:28s}" + "".join(f"{key} {value:.2f}   " for key, value in row.items()))


if __name__ == "__main__":
    main()
