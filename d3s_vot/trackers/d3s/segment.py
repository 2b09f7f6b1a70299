"""Segmentation of a frame and what its mask says: region, position, size (paper sections 3.3 and 3.4)."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from d3s_vot.crops.squares import Crop
from d3s_vot.given import Form, Frame, Given, area_preserving_box
from d3s_vot.prediction import MaskPatch
from d3s_vot.regions import Box
from d3s_vot.trackers.d3s.calibration import Calibration
from d3s_vot.trackers.d3s.fit import fit_axis_aligned, fit_rotated, largest_contour, min_area_corners

if TYPE_CHECKING:
    from d3s_vot.trackers.d3s.model import D3SModel


@dataclass(frozen=True)
class Segmentation:
    """What the mask of one frame says.

    Attributes:
        patch: the mask, zero outside what was kept of it.
        corners: 4 x 2 of the fitted region in the image, or None where the mask is not believed.
        center: (x, y) in the image to move the target to, or None.
        size: sqrt(w h) of the area-preserving box in the image, or None where the scale must not follow.
        area: of the mask in the crop, or None where it is not to count for what is usual.
    """

    patch: MaskPatch
    corners: NDArray[np.float64] | None = None
    center: tuple[float, float] | None = None
    size: float | None = None
    area: float | None = None


def mask_box(corners: NDArray) -> Box:
    """The box of 4 x 2 corners, which are pixels of a mask's edge: it is one wider than their distance."""
    (x, y), (w, h) = corners.min(axis=0), np.ptp(corners, axis=0)
    return Box(float(x), float(y), float(w) + 1, float(h) + 1)


class Segmenter:
    """Template and mask history of one target.

    Args:
        model: the networks.
        frame: the first.
        given: the target in it.

    Attributes:
        template: what the network compares the crops of later frames with.
        calibration: how the given box lies about that of the first frame's mask.
    """

    def __init__(self, model: D3SModel, frame: Frame, given: Given) -> None:
        self._config, self._form = model.config, given.form
        c = self._config
        crop = self.crop(given.center_xy, given.size_wh)
        features = model.features(crop.cut(frame.image))
        filled = crop.cut_mask(given.filled)  # S x S
        if given.form is Form.MASK:
            marked = (filled > 0.1).astype(np.float32)
        else:
            first = model.probability(features, model.encode_template(features, filled))  # S x S
            reach = max(c.template_min_dilation, round(c.template_dilation * min(given.size_wh) * crop.factor))
            # The crop's bilinear edge stays: a location on the polygon's border counts in part, as published.
            around = np.asarray(cv2.dilate(filled, np.ones((reach, reach), np.uint8)), np.float32)
            marked = around * (first > c.mask_threshold)
        self.template = model.encode_template(features, marked)
        self._areas = deque([float(marked.sum())], maxlen=c.mask_history_size)
        self.calibration = Calibration()
        if isinstance(given.region, Box) and c.box_calibration:
            probability = model.probability(features, self.template)
            self.calibration = self._calibrate(crop, probability, given.region, frame.size_hw)

    def _calibrate(
        self, crop: Crop, probability: NDArray[np.float32], box: Box, size_hw: tuple[int, int]
    ) -> Calibration:
        """The given box against what the first frame's own mask says, as far as the image shows them."""
        contour = self._contour(probability)
        if contour is None:
            return Calibration()
        mask = _filled(contour, probability.shape)
        found = mask_box(crop.to_image(self._fit(mask, min_area_corners(contour))))
        height, width = size_hw
        if not found.overlaps_image(height, width):
            return Calibration()
        return Calibration.between(
            found.inside_image(height, width), box.inside_image(height, width), self._config
        )

    def crop(self, center: tuple[float, float], wh: tuple[float, float]) -> Crop:
        """Where to segment a frame, from the (x, y) of GEM's answer and the target's size in it."""
        c = self._config
        return Crop.around(center, wh, c.segm_search_area_scale, c.segm_crop_size)

    def judge(self, crop: Crop, probability: NDArray[np.float32], uncertainty: float) -> Segmentation:
        """What the mask of a frame says; nothing is changed by it.

        Args:
            crop: from `crop`.
            probability: S x S, the network's answer to that crop and the template.
            uncertainty: of GEM's answer.
        """
        c = self._config
        contour = self._contour(probability)
        if contour is None:
            return Segmentation(MaskPatch(crop, np.zeros_like(probability), self._threshold))
        area = float(cv2.contourArea(contour))
        mask = probability > self._threshold
        if self._form is not Form.MASK:
            mask = _filled(contour, mask.shape)
            # Holes belong to the target now, so they get the least probability that says so.
            probability = np.where(mask, np.maximum(probability, self._threshold + 1e-3), 0).astype(np.float32)
        rectangle = min_area_corners(contour)  # R0, 4 x 2
        mean_area = fmean(self._areas)
        change = abs(mean_area - area) / max(mean_area, 1.0)  # q
        size = center_found = corners = None
        typical = uncertainty < c.uncertainty_scale and change < c.mask_change_region
        if typical:
            size = math.sqrt(math.prod(area_preserving_box(crop.to_image(rectangle))))
        if change < c.mask_change_position:
            x, y = crop.to_image(rectangle).mean(axis=0)
            center_found = (float(x), float(y))
        if change < c.mask_change_region:
            corners = crop.to_image(self._fit(mask, rectangle))
        patch = MaskPatch(crop, probability, self._threshold)
        return Segmentation(patch, corners, center_found, size, area if typical else None)

    def remember(self, segmentation: Segmentation) -> None:
        """Let the mask of a frame count for what is usual, where it is believed."""
        if segmentation.area is not None:
            self._areas.append(segmentation.area)

    @property
    def _threshold(self) -> float:
        c = self._config
        return c.mask_threshold_mask_mode if self._form is Form.MASK else c.mask_threshold

    def _contour(self, probability: NDArray[np.float32]) -> NDArray | None:
        """Outline of the largest part of the mask, or None where that is too small to be believed."""
        contour = largest_contour((probability > self._threshold).astype(np.uint8))
        believed = contour is not None and cv2.contourArea(contour) > self._config.min_mask_area
        return contour if believed else None

    def _fit(self, mask: NDArray[np.bool_], rectangle: NDArray) -> NDArray:
        """R1 where its area is comparable with R0's, else R0; 4 x 2 in the crop."""
        c = self._config
        fitted = fit_axis_aligned(mask) if self._form is Form.BOX else fit_rotated(mask, c)
        ratio = _area(fitted) / max(_area(rectangle), 1e-6)
        return fitted if c.fit_min_area_ratio <= ratio <= c.fit_max_area_ratio else rectangle


def _filled(contour: NDArray, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The mask (H x W) within a contour."""
    mask = np.zeros(shape, np.uint8)
    cv2.drawContours(mask, [contour], -1, 1, thickness=-1)
    return mask > 0


def _area(corners: NDArray) -> float:
    """Enclosed by 4 x 2 corners; 0 of a line, which is no `Polygon`."""
    x, y = np.asarray(corners, np.float64).T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)
