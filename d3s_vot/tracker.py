"""What every tracker of the package looks like from outside."""

from __future__ import annotations

from abc import ABC, abstractmethod

from numpy.typing import NDArray

from d3s_vot.images import ImageLike
from d3s_vot.prediction import Prediction
from d3s_vot.regions import Mask, Region


class Tracker(ABC):
    """One target in one video, frame by frame."""

    @abstractmethod
    def initialize(
        self, image: ImageLike, region: Region | None = None, *, mask: NDArray | Mask | None = None
    ) -> None:
        """Learn the target from the first frame.

        Args:
            image: H x W x 3 RGB uint8 (numpy or torch; torch also 3 x H x W), or a PIL image; never changed.
            region: the target as `Box`, `Polygon` or `Mask`.
            mask: the target as H x W array or nested lists, non-zero on it; with or without a region.

        Raises:
            InputError: the image or region cannot be used.
        """

    @abstractmethod
    def track(self, image: ImageLike) -> Prediction:
        """Find the target in the next frame.

        Args:
            image: as for `initialize`, of the last frame's size, or the same view at another size, which the answer
                is then in the pixels of; never changed.

        Raises:
            InputError: the image cannot be used, or `initialize` was not called; the state is as before.
        """

    @abstractmethod
    def fork(self) -> Tracker:
        """Another tracker on the same network, for another target."""
