"""The tasks by the name of the tracker that they train."""

from __future__ import annotations

from train.errors import DataError
from train.tasks.base import MakeTask

DEFAULT = "D3S"
# The schedules that each is trained by; the first one, unless another is asked for.
SCHEDULES_OF = {
    DEFAULT: ("quick", "published"),
    "SiamFCpp": ("siamfcpp",),
    "DropMAE": ("dropmae", "dropmae-published"),
    "OSTrack": ("ostrack", "ostrack-published"),
    "ATOM": ("atom", "atom-density"),
    "DiMP": ("dimp",),
    "LWL": ("lwl",),
}
NAMES = tuple(SCHEDULES_OF)
UNLABELLED = ("DropMAE",)  # trained on videos without masks


def task(tracker: str = DEFAULT) -> MakeTask:
    """How a tracker's networks are made to be trained.

    Raises:
        DataError: there is no task for it.
    """
    match tracker:
        case "D3S":
            from train.tasks.d3s import Segmentation

            return Segmentation.create
        case "SiamFCpp":
            from train.tasks.siamfcpp import DenseBoxes

            return DenseBoxes.create
        case "DropMAE":
            from train.tasks.dropmae import MaskedFrames

            return MaskedFrames.create
        case "OSTrack":
            from train.tasks.ostrack import CentreBoxes

            return CentreBoxes.create
        case "ATOM":
            from train.tasks.regressor import BoxWorth

            return BoxWorth.create
        case "LWL":
            from train.tasks.lwl import FewShot

            return FewShot.create
        case "DiMP":
            from train.tasks.dimp import PredictedFilter

            return PredictedFilter.create
    raise DataError(f"there is no training of {tracker[:40]!r}; choose {' or '.join(NAMES)}")
