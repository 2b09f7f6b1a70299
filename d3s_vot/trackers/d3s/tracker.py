"""D3STracker: the state of one target in one video, frame by frame (paper sections 3.5 and 4.1).

    tracker = load_tracker("D3S")
    tracker.initialize(first_image, Box(x, y, w, h))
    prediction = tracker.track(next_image)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from d3s_vot.compute.arithmetic import computes
from d3s_vot.crops.patches import localization_patch
from d3s_vot.crops.squares import Crop, Image, image_tensor
from d3s_vot.errors import InputError
from d3s_vot.images import ImageLike, as_image, keeps_aspect
from d3s_vot.online.augment import first_frame_samples
from d3s_vot.online.factorized import GEM
from d3s_vot.online.labels import gaussian_labels
from d3s_vot.online.localize import Flag, ScoreHistory, localize
from d3s_vot.prediction import Prediction
from d3s_vot.regions import Box, Mask, Polygon, Region, rasterize
from d3s_vot.tracker import Tracker
from d3s_vot.trackers.d3s.config import D3SConfig
from d3s_vot.trackers.d3s.model import D3SModel
from d3s_vot.trackers.d3s.network import Template
from d3s_vot.trackers.d3s.segment import Output, Segmentation, Segmenter, area_preserving_box, mask_box

Pair = tuple[float, float]

MIN_TARGET_SIDE = 0.5  # pixels; the shorter side is kept at 10 pixels later, which makes a thin target enormous
MAX_TARGET_RATIO = 16  # of the image's longer side; nothing can be seen of a larger target


@dataclass(frozen=True, eq=False)
class Sight:
    """What GEM says of a frame, before there is a mask.

    Attributes:
        features: 1 x C x 16 x 16, of the localisation patch.
        position: (y, x) of the patch's middle, pixels of the image.
        scale: pixels of the image per pixel of the patch.
        flag: what the response says of the frame.
        uncertainty: of GEM's answer.
        trusted: whether the answer moves the state and enters the memory.
        moved: (y, x) of GEM's answer, inside the image.
        crop: where to segment the frame; None where it is not worth it.
    """

    features: torch.Tensor
    position: Pair
    scale: float
    flag: Flag
    uncertainty: float
    trusted: bool
    moved: Pair
    crop: Crop | None


class D3STracker(Tracker):
    """One target in one video.

    Args:
        model: the networks; any number of trackers share one.
        segmentation: False leaves localisation alone, with a fixed size.

    Raises:
        InputError: the model is none.
    """

    def __init__(self, model: D3SModel, *, segmentation: bool = True) -> None:
        if not isinstance(model, D3SModel):
            raise InputError(f"the model is given as {type(model).__name__}; load_tracker makes a tracker from weights")
        self.model = model
        self._segmentation = segmentation
        self._frame = 0  # the first is 1

    @property
    def config(self) -> D3SConfig:
        """The constants in use."""
        return self.model.config

    def fork(self) -> D3STracker:
        """Another tracker on the same network, for another target."""
        return D3STracker(self.model, segmentation=self._segmentation)

    @computes
    def initialize(self, image: ImageLike, region: Region | None = None, *, mask: NDArray | Mask | None = None) -> None:
        """Learn the target from the first frame; see `Tracker.initialize`."""
        image = as_image(image)
        height, width = image.shape[:2]
        c = self.config
        target = region if mask is None else mask if isinstance(mask, Mask) else Mask(mask)
        if isinstance(target, Mask):
            output, center, wh = Output.MASK, target.center, (target.box.w, target.box.h)
        elif isinstance(target, Box):
            output, center, wh = Output.BOX, target.center, (target.w, target.h)
        elif isinstance(target, Polygon):
            target = target.quadrilateral()
            output, center, wh = Output.POLYGON, target.center, area_preserving_box(target.points)
        else:
            raise InputError(f"the target must be a Box, a Polygon or a mask, not {type(region).__name__}")
        if not target.box.overlaps_image(height, width):
            raise InputError(f"the target's box {tuple(target.box)} lies outside the image of {width} x {height}")
        if max(wh) > MAX_TARGET_RATIO * max(height, width):
            raise InputError(f"the target's box {tuple(target.box)} is far larger than the image of {width} x {height}")
        if min(wh) < MIN_TARGET_SIDE:
            raise InputError(f"the target's box {tuple(target.box)} is thinner than half a pixel; give a wider one")
        filled = rasterize(target, height, width)
        if not filled.any():
            raise InputError(f"the target's box {tuple(target.box)} covers no pixel of the image")

        position: Pair = (center[1], center[0])  # (y, x), as all of GEM
        size: Pair = (wh[1], wh[0])  # (h, w)
        scale = math.sqrt(c.gem_search_area_scale**2 * wh[0] * wh[1]) / c.gem_patch_size
        base_size: Pair = (size[0] / scale, size[1] / scale)
        gem = self._learn(image, position, scale, base_size)
        segmenter = Segmenter(self.model, image, center, wh, filled, output, target.box)
        history = ScoreHistory(c)
        # Only now, when nothing can fail any more: until here the tracker follows its target of before.
        self._frame, self._image_size, self._output = 1, (height, width), output
        self._position, self._size, self._scale, self._base_size = position, size, scale, base_size
        self._answered_size, self._clamped = size, False
        self._history, self._gem, self._segmenter = history, gem, segmenter

    def _learn(self, image: Image, position: Pair, scale: float, base_size: Pair) -> GEM:
        """The online model from the augmented samples of the first frame; see `initialize` for the arguments."""
        c = self.config
        at = (float(round(position[0])), float(round(position[1])))
        frame = image_tensor(image, self.model.device)
        window = localization_patch(frame, at, scale, c.gem_window_size)
        samples, shifts = first_frame_samples(window, c.gem_patch_size)  # 27 x 3 x 256 x 256, 27 x 2
        features = self.model.gem_features(samples)  # 27 x C x 16 x 16
        centers = self._label_center(position, at, scale) + shifts / c.gem_stride  # 27 x 2
        return GEM(c, features, self._labels(centers, base_size))

    def _label_center(self, position: Pair, sample_position: Pair, scale: float) -> torch.Tensor:
        """(y, x) of the target on the feature grid of a sample, from its middle."""
        c = self.config
        target, middle = (torch.tensor(p, dtype=torch.float32, device="cpu") for p in (position, sample_position))
        return c.gem_feature_size * (target - middle) / (scale * c.gem_patch_size) + 0.5

    def _labels(self, centers: torch.Tensor, base_size: Pair) -> torch.Tensor:
        c = self.config
        sigma = c.label_sigma_factor * math.sqrt(math.prod(base_size)) / c.gem_stride
        return gaussian_labels(centers.to(self.model.device, torch.float32), sigma, c.gem_feature_size)

    @computes
    def track(self, image: ImageLike) -> Prediction:
        """Find the target in the next frame; see `Tracker.track`, and `track_together` for several targets."""
        image = as_image(image)
        self.check(image)
        patch = self.look(image_tensor(image, self.model.device))
        sight = self.locate(self.model.gem_features(patch))
        probability = None
        if sight.crop is not None:
            (probability,) = self.model.segment([sight.crop.cut(image)], [self.template])
        prediction = self.conclude(sight, probability)
        self.refine(sight)
        return prediction

    # The parts of `track` between the networks, so that several targets can go through these at once.

    @property
    def template(self) -> Template:
        """What the segmentation network compares the target's crops with."""
        return self._segmenter.template

    def check(self, image: Image) -> None:
        """Refuse a frame that cannot be tracked, before anything is changed by it.

        Raises:
            InputError: `initialize` was not called, or the frame is of another shape than the one before.
        """
        if self._frame == 0:
            raise InputError("the tracker has no target yet; call initialize first")
        (h, w), (fh, fw) = self._image_size, image.shape[:2]
        if not keeps_aspect((h, w), (fh, fw)):
            raise InputError(
                f"the frame is {fw} x {fh}, the one before {w} x {h}; frames must keep their size, or at least its "
                "ratio of width to height"
            )

    def look(self, frame: torch.Tensor) -> torch.Tensor:
        """The localisation patch (1 x 3 x 256 x 256) of a frame (1 x 3 x H x W) that was checked."""
        self._frame += 1
        self._measure_in(frame.shape[2], frame.shape[3])
        return localization_patch(frame, self._position, self._scale, self.config.gem_patch_size)

    def locate(self, features: torch.Tensor) -> Sight:
        """GEM's answer from the patch's features (1 x C x 16 x 16), and whether and where it is worth a mask."""
        c = self.config
        position, scale = self._position, self._scale
        found = localize(self._gem.score(features), scale, self._size, c, size=c.gem_patch_size)
        uncertainty = self._history.observe(found)
        moved = self._inside(position, found.displacement)
        trusted = uncertainty < c.uncertainty_update
        if trusted:
            self._rescale(scale)
            self._position = self._keep_visible(moved)
        crop = None
        if self._segmentation and (uncertainty < c.uncertainty_segment or self._output is Output.MASK):
            crop = self._segmenter.crop((moved[1], moved[0]), (self._size[1], self._size[0]))
        return Sight(features, position, scale, found.flag, uncertainty, trusted, moved, crop)

    def conclude(self, sight: Sight, probability: NDArray[np.float32] | None) -> Prediction:
        """The answer for the frame; the mask moves position and scale, and GEM's memory takes the frame.

        Args:
            sight: from `locate`.
            probability: S x S of the target in the sight's crop; None where it has none.
        """
        segmentation = None
        if sight.crop is None or probability is None:
            self._position = sight.moved
        else:
            segmentation = self._segmenter.judge(sight.crop, probability, sight.uncertainty)
            self._follow_mask(segmentation, sight.moved)
        if sight.trusted:
            self._remember(sight)
        return self._predict(segmentation, sight.uncertainty)

    def refine(self, sight: Sight) -> None:
        """Refine the online model where this frame asks for it, or enough frames went by."""
        if sight.flag == Flag.HARD_NEGATIVE or (self._frame - 1) % self.config.update_interval == 0:
            self._gem.update()

    def _measure_in(self, height: int, width: int) -> None:
        """Bring the state into the pixels of a frame that shows the same view at another size."""
        if (height, width) == self._image_size:
            return
        down, right = height / self._image_size[0], width / self._image_size[1]
        factor = math.sqrt(down * right)
        self._image_size = (height, width)
        self._position = (self._position[0] * down, self._position[1] * right)
        self._size = (self._size[0] * factor, self._size[1] * factor)
        self._answered_size = (self._answered_size[0] * factor, self._answered_size[1] * factor)
        self._scale *= factor

    def _inside(self, position: Pair, displacement: Pair) -> Pair:
        """A new position, clamped into the image."""
        h, w = self._image_size
        y, x = position[0] + displacement[0], position[1] + displacement[1]
        return min(max(y, 0.0), float(h)), min(max(x, 0.0), float(w))

    def _keep_visible(self, position: Pair) -> Pair:
        """A position from which a fifth of the target's size still lies inside the image."""
        margin = 0.5 - self.config.target_inside_ratio
        y, x = (
            max(-margin * side, min(p, length + margin * side))
            for p, side, length in zip(position, self._size, self._image_size, strict=True)
        )
        return y, x

    def _rescale(self, scale: float) -> None:
        """Set the scale, so that the target has 10 pixels and fits the image, and the size that follows."""
        (h, w), (base_h, base_w) = self._image_size, self._base_size
        low = max(self.config.min_base_size / base_h, self.config.min_base_size / base_w)
        high = max(min(h / base_h, w / base_w), low)
        self._scale = min(max(scale, low), high)
        self._clamped = not low < scale < high
        self._size = (base_h * self._scale, base_w * self._scale)

    def _follow_mask(self, mask: Segmentation, moved: Pair) -> None:
        """Let the mask move position and scale, from GEM's answer."""
        if mask.corners is None:
            self._position = moved
        if mask.center is not None:
            self._position = (mask.center[1], mask.center[0])
        if mask.size is not None:
            self._follow_size(mask.size)

    def _follow_size(self, size: float) -> None:
        """Move the scale towards that of a target of sqrt(w h) = size pixels, a step at most."""
        c = self.config
        wanted = size * c.gem_search_area_scale / c.gem_patch_size
        if wanted > c.min_scale and abs(wanted - self._scale) / self._scale < c.max_scale_change:
            step = c.scale_step_mask_mode if self._output is Output.MASK else c.scale_step
            self._scale = min(max(wanted, self._scale * (1 - step)), self._scale * (1 + step))

    def _remember(self, sight: Sight) -> None:
        """Let the frame into GEM's memory."""
        c = self.config
        center = self._label_center(self._position, sight.position, sight.scale)
        label = self._labels(center[None], self._base_size)[0]
        hard = sight.flag == Flag.HARD_NEGATIVE
        self._gem.add(sight.features, label, c.hard_negative_learning_rate if hard else c.learning_rate)

    def _predict(self, found: Segmentation | None, uncertainty: float) -> Prediction:
        height, width = self._image_size
        shape: Box | Polygon
        if found is not None and found.corners is not None:
            if self._output is Output.BOX:
                shape = self._segmenter.calibration.correct(mask_box(found.corners))
            else:
                shape = Polygon(found.corners)
            self._answered_size = (shape.box.h, shape.box.w)
        else:
            # The smallest and the largest size are for the search: a target beyond them has not changed its own.
            h, w = self._answered_size if self._clamped else self._size
            shape = Box.from_center(self._position[1], self._position[0], w, h)
        c = self.config
        as_mask = self._output is Output.MASK
        return Prediction(
            shape,
            confidence=self._history.confidence,
            visible=uncertainty < c.uncertainty_update,
            image_size=(height, width),
            crop=None if found is None else found.crop,
            probability=None if found is None else found.probability,
            threshold=c.mask_threshold_mask_mode if as_mask else c.mask_threshold,
            as_mask=as_mask,
        )
