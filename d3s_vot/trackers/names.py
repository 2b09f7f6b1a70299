"""The trackers by name: all that a new one adds outside its own folder.

The modules are imported when they are asked for: a tracker costs nothing until it is used.
"""

from __future__ import annotations

from d3s_vot.errors import CheckpointError
from d3s_vot.model import Model

NAMES = ("D3S",)


def family(tracker: str) -> type[Model]:
    """The class of a tracker's models.

    Args:
        tracker: one of `NAMES`, as checkpoints have it.

    Raises:
        CheckpointError: there is no such tracker.
    """
    match tracker:
        case "D3S":
            from d3s_vot.trackers.d3s.model import D3SModel

            return D3SModel
    raise CheckpointError(f"there is no tracker {tracker[:40]!r}; update the package")
