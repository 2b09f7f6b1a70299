"""Where to look for a target that was lost: around where it was trusted last, farther away with every frame."""

from __future__ import annotations

import math

Pair = tuple[float, float]

FIRST_REACH, REACH_STEP = 0.5, 0.25  # of a patch's side, in the first frame of the search and more in each next


def places(image_hw: Pair, last_yx: Pair, side: float, frame: int, count: int) -> list[Pair]:
    """Middles of the patches to look at in a frame of the search.

    Patches overlap by half, and lie on a grid about the last place. The square within reach grows with every frame;
    what a frame cannot look at is the turn of the next ones. The last place itself is always looked at.

    Args:
        image_hw: (height, width) of the image.
        last_yx: where the target was trusted last.
        side: of a patch, pixels of the image.
        frame: of the search, counted from 0.
        count: patches in a frame at most, beside the last place.
    """
    step = side / 2
    reach = side * (FIRST_REACH + REACH_STEP * (frame + 1))
    axes = []
    for last, length in zip(last_yx, image_hw, strict=True):
        low, high = max(last - reach, -step / 2), min(last + reach, length + step / 2)
        begin, end = math.ceil((low - last) / step), math.floor((high - last) / step)
        axes.append([last + k * step for k in range(begin, end + 1)])
    grid = [(y, x) for y in axes[0] for x in axes[1] if (y, x) != last_yx]
    grid.sort(key=lambda place: max(abs(place[0] - last_yx[0]), abs(place[1] - last_yx[1])))
    begin = frame * count
    return [last_yx, *(grid[(begin + k) % len(grid)] for k in range(min(count, len(grid))))]
