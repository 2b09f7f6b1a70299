"""The trackers by name: all that a new one adds outside its own folder.

The modules are imported when they are asked for: a tracker costs nothing until it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from d3s_vot.errors import CheckpointError
from d3s_vot.trackers.published import Published

if TYPE_CHECKING:
    from d3s_vot.model import Model  # which needs torch, and lists of names do not

NAMES = ("D3S", "SiamFCpp", "OSTrack", "ECO", "DropSeg", "DiMP", "ATOM", "KYS", "LWL")


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
        case "SiamFCpp":
            from d3s_vot.trackers.siamfcpp.model import SiamFCppModel

            return SiamFCppModel
        case "OSTrack":
            from d3s_vot.trackers.ostrack.model import OSTrackModel

            return OSTrackModel
        case "ECO":
            from d3s_vot.trackers.eco.model import ECOModel

            return ECOModel
        case "DropSeg":
            from d3s_vot.trackers.dropseg.model import DropSegModel

            return DropSegModel
        case "DiMP":
            from d3s_vot.trackers.dimp.model import DiMPModel

            return DiMPModel
        case "ATOM":
            from d3s_vot.trackers.atom.model import ATOMModel

            return ATOMModel
        case "KYS":
            from d3s_vot.trackers.kys.model import KYSModel

            return KYSModel
        case "LWL":
            from d3s_vot.trackers.lwl.model import LWLModel

            return LWLModel
    raise CheckpointError(f"there is no tracker {tracker[:40]!r}; update the package")


def published(tracker: str) -> tuple[Published, ...]:
    """The configurations of a tracker that have a name; none where it has no `published.py`.

    Args:
        tracker: one of `NAMES`.
    """
    match tracker:
        case "D3S":
            from d3s_vot.trackers.d3s.published import PUBLISHED

            return PUBLISHED
        case "SiamFCpp":
            from d3s_vot.trackers.siamfcpp import published as siamfcpp

            return siamfcpp.PUBLISHED
        case "OSTrack":
            from d3s_vot.trackers.ostrack import published as ostrack

            return ostrack.PUBLISHED
        case "ECO":
            from d3s_vot.trackers.eco import published as eco

            return eco.PUBLISHED
        case "DropSeg":
            from d3s_vot.trackers.dropseg import published as dropseg

            return dropseg.PUBLISHED
        case "DiMP":
            from d3s_vot.trackers.dimp import published as dimp

            return dimp.PUBLISHED
        case "ATOM":
            from d3s_vot.trackers.atom import published as atom

            return atom.PUBLISHED
        case "KYS":
            from d3s_vot.trackers.kys import published as kys

            return kys.PUBLISHED
        case "LWL":
            from d3s_vot.trackers.lwl import published as lwl

            return lwl.PUBLISHED
    return ()


def by_name(name: str) -> Published | None:
    """What is published under the name of weights."""
    return next((one for tracker in NAMES for one in published(tracker) if one.name == name), None)
