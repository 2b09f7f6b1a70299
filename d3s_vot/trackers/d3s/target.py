"""D3STarget: the state of one target in one video, frame by frame (paper sections 3.5 and 4.1)."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from d3s_vot.crops.patches import localization_patch
from d3s_vot.given import Form, Frame, Given
from d3s_vot.model import Target
from d3s_vot.online.augment import first_frame_samples
from d3s_vot.online.factorized import GEM
from d3s_vot.online.labels import gaussian_labels
from d3s_vot.online.localize import Localization, ScoreHistory, localize
from d3s_vot.prediction import Flag, Prediction
from d3s_vot.regions import Box, Polygon
from d3s_vot.steps import Pass, Steps
from d3s_vot.trackers.d3s.segment import Segmentation, Segmenter, mask_box

if TYPE_CHECKING:
    from d3s_vot.trackers.d3s.model import D3SModel

Pair = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Sight:
    """What GEM sees of a frame.

    Attributes:
        features: 1 x C x 16 x 16, of the localisation patch.
        position_yx: of the patch's middle, pixels of the image.
        scale: pixels of the image per pixel of the patch.
        found: where the target is, and how surely.
    """

    features: torch.Tensor
    position_yx: Pair
    scale: float
    found: Localization


@dataclass(frozen=True)
class Judgement:
    """What a frame is good for.

    Attributes:
        uncertainty: of GEM's answer.
        confidence: 0..1, as in `ScoreHistory.confidence`.
        visible: the tracker's word on whether the target is there.
        moved_yx: GEM's answer, inside the image.
        move: whether it moves position and size.
        segment: whether the frame is worth a mask.
        learn: whether the frame enters GEM's memory.
        refine: whether GEM is refined at once, rather than when its time has come.
    """

    uncertainty: float
    confidence: float
    visible: bool
    moved_yx: Pair
    move: bool
    segment: bool
    learn: bool
    refine: bool


class D3STarget(Target):
    """One target.

    Args:
        model: the networks.
        frame: the first.
        given: the target in it.

    Attributes:
        position_yx: of its middle, pixels of the image.
        size_hw: its sides, pixels of the image.
        scale: pixels of the image per pixel of the localisation patch.
        history: of GEM's scores.
        gem: the online model.
        segmenter: its template and masks.
    """

    def __init__(self, model: D3SModel, frame: Frame, given: Given) -> None:
        self.model, self.config = model, model.config
        c = self.config
        self._image_hw, self._form = frame.size_hw, given.form
        (x, y), (w, h) = given.center_xy, given.size_wh
        self.position_yx: Pair = (y, x)
        self.size_hw: Pair = (h, w)
        self.scale = math.sqrt(c.gem_search_area_scale**2 * w * h) / c.gem_patch_size
        self._base_hw: Pair = (h / self.scale, w / self.scale)
        self._answered_hw, self._clamped = self.size_hw, False
        self._frames = 1
        self.gem = self._learn_first(frame)
        self.segmenter = Segmenter(model, frame, given)
        self.history = ScoreHistory(c)

    def _learn_first(self, frame: Frame) -> GEM:
        """The online model from the augmented samples of the first frame."""
        c = self.config
        at = (float(round(self.position_yx[0])), float(round(self.position_yx[1])))
        window = localization_patch(frame.on(self.model.device), at, self.scale, c.gem_window_size)
        samples, shifts = first_frame_samples(window, c.gem_patch_size)  # 27 x 3 x 256 x 256, 27 x 2
        features = self.model.gem_features(samples)  # 27 x C x 16 x 16
        centers = self._label_center(at, self.scale) + shifts / c.gem_stride  # 27 x 2
        return GEM(c, features, self._labels(centers))

    def _label_center(self, middle_yx: Pair, scale: float) -> torch.Tensor:
        """(y, x) of the target on the feature grid of a sample of this middle and scale."""
        c = self.config
        target, middle = (torch.tensor(p, dtype=torch.float32, device="cpu") for p in (self.position_yx, middle_yx))
        return c.gem_feature_size * (target - middle) / (scale * c.gem_patch_size) + 0.5

    def _labels(self, centers: torch.Tensor) -> torch.Tensor:
        c = self.config
        sigma = c.label_sigma_factor * math.sqrt(math.prod(self._base_hw)) / c.gem_stride
        return gaussian_labels(centers.to(self.model.device, torch.float32), sigma, c.gem_feature_size)

    def step(self, frame: Frame) -> Steps:
        """See `Target.step`."""
        self._measure_in(*frame.size_hw)
        sight = yield from self._look(frame, self.position_yx, self.scale)
        judgement = self._judge(sight)
        self._locate(sight, judgement)
        segmentation = yield from self._segment(frame, judgement)
        prediction = self._conclude(sight, judgement, segmentation)
        self._learn(sight, judgement)
        return prediction

    # What is asked of a frame. Nothing is changed by it.

    def _look(self, frame: Frame, position_yx: Pair, scale: float) -> Generator[Pass, Any, Sight]:
        """What GEM sees around a place."""
        c = self.config
        patch = localization_patch(frame.on(self.model.device), position_yx, scale, c.gem_patch_size)
        features = yield Pass(self.model.patch_features, patch)  # 1 x C x 16 x 16
        found = localize(self.gem.score(features), scale, self.size_hw, c, size=c.gem_patch_size)
        return Sight(features, position_yx, scale, found)

    def _judge(self, sight: Sight) -> Judgement:
        c = self.config
        uncertainty = self.history.uncertainty(sight.found)
        trusted = uncertainty < c.uncertainty_update
        return Judgement(
            uncertainty,
            confidence=self.history.confidence(sight.found),
            visible=trusted,
            moved_yx=self._inside(sight.position_yx, sight.found.displacement),
            move=trusted,
            segment=uncertainty < c.uncertainty_segment or self._form is Form.MASK,
            learn=trusted,
            refine=sight.found.flag == Flag.HARD_NEGATIVE,
        )

    def _segment(self, frame: Frame, judgement: Judgement) -> Generator[Pass, Any, Segmentation | None]:
        """What the mask of the frame says, where it is worth one."""
        if not judgement.segment:
            return None
        (y, x), (h, w) = judgement.moved_yx, self.size_hw
        crop = self.segmenter.crop((x, y), (w, h))
        probability = yield Pass(self.model.segment, (crop.cut(frame.image), self.segmenter.template))  # S x S
        return self.segmenter.judge(crop, probability, judgement.uncertainty)

    def _inside(self, position_yx: Pair, displacement: Pair) -> Pair:
        """A new position, clamped into the image."""
        h, w = self._image_hw
        y, x = position_yx[0] + displacement[0], position_yx[1] + displacement[1]
        return min(max(y, 0.0), float(h)), min(max(x, 0.0), float(w))

    def _kept_visible(self, position_yx: Pair) -> Pair:
        """A position from which a fifth of the target's size still lies inside the image."""
        margin = 0.5 - self.config.target_inside_ratio
        y, x = (
            max(-margin * side, min(p, length + margin * side))
            for p, side, length in zip(position_yx, self.size_hw, self._image_hw, strict=True)
        )
        return y, x

    # What it changes.

    def _measure_in(self, height: int, width: int) -> None:
        """Bring the state into the pixels of a frame that shows the same view at another size."""
        self._frames += 1
        if (height, width) == self._image_hw:
            return
        down, right = height / self._image_hw[0], width / self._image_hw[1]
        factor = math.sqrt(down * right)
        self._image_hw = (height, width)
        self.position_yx = (self.position_yx[0] * down, self.position_yx[1] * right)
        self.size_hw = (self.size_hw[0] * factor, self.size_hw[1] * factor)
        self._answered_hw = (self._answered_hw[0] * factor, self._answered_hw[1] * factor)
        self.scale *= factor

    def _locate(self, sight: Sight, judgement: Judgement) -> None:
        """Let GEM's answer move position and size."""
        self.history.add(sight.found)
        if judgement.move:
            self._rescale(sight.scale)
            self.position_yx = self._kept_visible(judgement.moved_yx)

    def _rescale(self, scale: float) -> None:
        """Set the scale, so that the target has 10 pixels and fits the image, and the size that follows."""
        (h, w), (base_h, base_w) = self._image_hw, self._base_hw
        low = max(self.config.min_base_size / base_h, self.config.min_base_size / base_w)
        high = max(min(h / base_h, w / base_w), low)
        self.scale = min(max(scale, low), high)
        self._clamped = not low < scale < high
        self.size_hw = (base_h * self.scale, base_w * self.scale)

    def _conclude(self, sight: Sight, judgement: Judgement, segmentation: Segmentation | None) -> Prediction:
        """The answer for the frame; the mask moves position and scale."""
        if segmentation is None:
            self.position_yx = judgement.moved_yx
        else:
            self._follow_mask(segmentation, judgement)
        return self._answer(segmentation, judgement.confidence, judgement.visible, sight.found.flag)

    def _answer(
        self, segmentation: Segmentation | None, confidence: float, visible: bool, flag: Flag
    ) -> Prediction:
        """The answer for a frame, from its mask or the state."""
        shape: Box | Polygon
        if segmentation is not None and segmentation.corners is not None:
            if self._form is Form.BOX:
                shape = self.segmenter.calibration.correct(mask_box(segmentation.corners))
            else:
                shape = Polygon(segmentation.corners)
            self._answered_hw = (shape.box.h, shape.box.w)
        else:
            # The smallest and the largest size are for the search: a target beyond them has not changed its own.
            h, w = self._answered_hw if self._clamped else self.size_hw
            shape = Box.from_center(self.position_yx[1], self.position_yx[0], w, h)
        return Prediction(
            shape,
            confidence=confidence,
            visible=visible,
            image_size=self._image_hw,
            patch=None if segmentation is None else segmentation.patch,
            as_mask=self._form is Form.MASK,
            flag=flag,
        )

    def _follow_mask(self, mask: Segmentation, judgement: Judgement) -> None:
        """Let the mask move position and scale, from GEM's answer."""
        self.segmenter.remember(mask)
        if mask.corners is None:
            self.position_yx = judgement.moved_yx
        if mask.center is not None:
            self.position_yx = (mask.center[1], mask.center[0])
        if mask.size is not None:
            self._follow_size(mask.size)

    def _follow_size(self, size: float) -> None:
        """Move the scale towards that of a target of sqrt(w h) = size pixels, a step at most."""
        c = self.config
        wanted = size * c.gem_search_area_scale / c.gem_patch_size
        if wanted > c.min_scale and abs(wanted - self.scale) / self.scale < c.max_scale_change:
            step = c.scale_step_mask_mode if self._form is Form.MASK else c.scale_step
            self.scale = min(max(wanted, self.scale * (1 - step)), self.scale * (1 + step))

    def _learn(self, sight: Sight, judgement: Judgement) -> None:
        """Let the frame into GEM's memory; refine GEM where the frame asks for it, or enough of them went by."""
        c = self.config
        if judgement.learn:
            center = self._label_center(sight.position_yx, sight.scale)
            label = self._labels(center[None])[0]
            hard = sight.found.flag == Flag.HARD_NEGATIVE
            self.gem.add(sight.features, label, c.hard_negative_learning_rate if hard else c.learning_rate)
        if judgement.refine or (self._frames - 1) % c.update_interval == 0:
            self.gem.update()
