"""JudgedTarget: D3S that asks, of every frame, whether what it sees is the target, and searches for it when it is not.

The published rules follow the online model's own response, which grows with whatever the model has drifted to. Here a
head that was trained on failures (heads/judgement.py) compares the crop with the first frame, and only what it trusts
moves the position, the size and the online model:

- the size follows the mask beside the first frame's own mask, where the head sees the same size; else both by half;
- GEM learns from trusted frames alone, and the judgement remembers what the target looked like in the last of them;
- after some frames without the target, growing surroundings of the last trusted place are searched at the last trusted
  size, or nearly that, with what GEM learnt in the first frame; what is found must be better than what is enough to be
  kept. What there is at the present place is followed meanwhile: a target that has changed looks like one that is lost.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from d3s_vot.crops.blurred import blurred
from d3s_vot.crops.patches import localization_patch
from d3s_vot.crops.squares import Crop
from d3s_vot.given import Form, Frame, Given, area_preserving_box
from d3s_vot.heads.judgement import Verdict
from d3s_vot.online.evidence import Appearance, Evidence, cells_of, gather
from d3s_vot.online.localize import peak
from d3s_vot.online.search import places
from d3s_vot.prediction import Flag, Prediction
from d3s_vot.steps import Pass, Steps
from d3s_vot.trackers.d3s.fit import largest_contour, largest_part, min_area_corners
from d3s_vot.trackers.d3s.target import D3STarget, Judgement, Pair, Sight

if TYPE_CHECKING:
    from d3s_vot.trackers.d3s.model import D3SModel, Seen, Template

LEAST_CELLS = 2  # of a target that are worth remembering
BETTER = 0.1  # quality: by so much what is found elsewhere must surpass what is followed


@dataclass(frozen=True, eq=False)
class View:
    """A crop that was segmented and judged.

    Attributes:
        crop: where it lies.
        probability: S x S of the target.
        cells: of the target, C x some.
        length: sqrt(w h) of the mask's least rectangle, pixels of the image; None where there is no mask.
        verdict: of the head.
    """

    crop: Crop
    probability: NDArray[np.float32]
    cells: NDArray[np.float32]
    length: float | None
    verdict: Verdict


class JudgedTarget(D3STarget):
    """One target; arguments as for `D3STarget`.

    Attributes:
        missed: frames in a row without the target.
    """

    def __init__(self, model: D3SModel, frame: Frame, given: Given) -> None:
        super().__init__(model, frame, given)
        (x, y), (w, h) = given.center_xy, given.size_wh
        crop = self.segmenter.crop((x, y), (w, h))
        picture = crop.cut(frame.image)
        (seen,) = model.inspect([(picture, self.segmenter.template)])
        mask = largest_part(seen.probability > self.config.mask_threshold)
        if mask.sum() <= self.config.min_mask_area:  # the network sees nothing there: what was given stands for it
            mask = crop.cut_mask(given.filled) > 0.5
        self.appearance = appearance(model, picture, self.segmenter.template, seen, mask)
        verdict = model.judge(self._evidence(seen, mask, recent=()))
        length = _length(crop, mask)
        # The head's and the mask's words about sizes count beside those about the first frame.
        self._usual_log_size = verdict.log_size
        self._usual_length = 1.0 if length is None else length / math.sqrt(w * h)
        self._first_taps = self.gem.taps
        self._recent: deque[NDArray[np.float32]] = deque(maxlen=self.config.remembered_frames)
        self._remembered = self._frames
        self.missed = 0
        self._trusted: tuple[Pair, float] = (self.position_yx, self.scale)

    def step(self, frame: Frame) -> Steps:
        """See `Target.step`."""
        self._measure_in(*frame.size_hw)
        searching = self.missed - self.config.lost_after
        sight = yield from self._look(frame, self.position_yx, self.scale)
        judgement = self._judge(sight)
        self._locate(sight, judgement)
        view = yield from self._view(frame, judgement.moved_yx, self.size_hw)
        prediction = self._weigh(sight, judgement, view)
        if searching >= 0 and self.missed:
            elsewhere = yield from self._search(frame, searching)
            enough = max(self.config.quality_found, view.verdict.quality + BETTER)
            if elsewhere is not None and elsewhere.verdict.quality >= enough:
                most = self.config.size_change_lost
                change = elsewhere.verdict.log_size - self._usual_log_size
                return self._found(elsewhere, self._trusted[1] * math.exp(min(max(change, -most), most)))
        return prediction

    def _weigh(self, sight: Sight, judgement: Judgement, view: View) -> Prediction:
        """The answer from around the last place; only what is trusted has a say in size and memory."""
        c, quality = self.config, view.verdict.quality
        judgement = replace(
            judgement,
            confidence=quality,
            visible=quality >= c.quality_visible,
            learn=judgement.learn and quality >= c.quality_learn,
        )
        segmentation = self.segmenter.judge(view.crop, view.probability, judgement.uncertainty)
        if segmentation.size is not None:
            segmentation = replace(segmentation, size=self._believed_size(view))
        prediction = self._conclude(sight, judgement, segmentation)
        self._learn(sight, judgement)
        self.missed = self.missed + 1 if quality < c.quality_lost else 0
        if quality >= c.quality_learn:
            self._trusted = (self.position_yx, self.scale)
        due = self._frames - self._remembered >= c.remember_interval
        if quality >= c.quality_remember and due and view.cells.shape[1] >= LEAST_CELLS:
            self._recent.append(view.cells)
            self._remembered = self._frames
        return prediction

    # What is asked of a frame. Nothing is changed by it.

    def _view(self, frame: Frame, middle_yx: Pair, size_hw: Pair) -> Generator[Pass, Any, View]:
        """What there is around a place, for a target of this size."""
        crop = self.segmenter.crop((middle_yx[1], middle_yx[0]), (size_hw[1], size_hw[0]))
        seen = yield Pass(self.model.inspect, (crop.cut(frame.image), self.segmenter.template))
        mask = largest_part(seen.probability > self.config.mask_threshold)
        verdict = self.model.judge(self._evidence(seen, mask, self._recent))
        return View(crop, seen.probability, cells_of(seen.vectors, mask), _length(crop, mask), verdict)

    def _evidence(self, seen: Seen, mask: NDArray[np.bool_], recent: Iterable[NDArray[np.float32]]) -> Evidence:
        return gather(self.appearance, seen.vectors, seen.similarities, seen.probability, mask, recent)

    def _believed_size(self, view: View) -> float | None:
        """sqrt(w h) that the target is taken to have, or None where that is not known; two witnesses are asked."""
        if view.verdict.quality < self.config.quality_size:
            return None
        measured, told = self._measured(view), self._told(view)
        if measured is None:
            return told
        apart = abs(math.log(measured / told))
        return measured if apart < self.config.size_agreement else math.sqrt(measured * told)

    def _told(self, view: View) -> float:
        """sqrt(w h) of the target by the head's word, pixels of the image."""
        return math.sqrt(math.prod(self.size_hw)) * math.exp(view.verdict.log_size - self._usual_log_size)

    def _measured(self, view: View) -> float | None:
        """The same by the mask's, beside the first frame's own mask; None where there is none."""
        return None if view.length is None else view.length / self._usual_length

    # What it changes.

    def _follow_size(self, size: float) -> None:
        """Move the scale towards a size that two witnesses have told, however far that is, a step at most."""
        c = self.config
        step = c.scale_step_mask_mode if self._form is Form.MASK else c.scale_step
        wanted = size * c.gem_search_area_scale / c.gem_patch_size
        self.scale = min(max(wanted, self.scale * (1 - step)), self.scale * (1 + step))

    def _measure_in(self, height: int, width: int) -> None:
        down, right = height / self._image_hw[0], width / self._image_hw[1]
        super()._measure_in(height, width)
        (y, x), scale = self._trusted
        self._trusted = ((y * down, x * right), scale * math.sqrt(down * right))

    def _search(self, frame: Frame, number: int) -> Generator[Pass, Any, View | None]:
        """The likeliest of some places, farther and farther from where the target was trusted last; None of none.

        Args:
            frame: in which it is searched.
            number: of the frame in the search.
        """
        c = self.config
        last_yx, scale = self._trusted
        image = frame.on(self.model.device)
        height, width = self._image_hw
        best: tuple[float, Pair] | None = None
        for place in places(self._image_hw, last_yx, scale * c.gem_patch_size, number, c.search_places):
            patch = localization_patch(image, place, scale, c.gem_patch_size)
            features = yield Pass(self.model.patch_features, patch)  # 1 x C x 16 x 16
            score, (dy, dx) = peak(self.gem.score(features, self._first_taps), scale, c.gem_patch_size)
            y, x = place[0] + dy, place[1] + dx
            if 0 <= y < height and 0 <= x < width and (best is None or score > best[0]):
                best = (score, (y, x))
        if best is None:
            return None
        return (yield from self._view(frame, best[1], (self._base_hw[0] * scale, self._base_hw[1] * scale)))

    def _found(self, view: View, scale: float) -> Prediction:
        """Go to where the target was found again, at this scale."""
        segmentation = self.segmenter.judge(view.crop, view.probability, uncertainty=0.0)
        x, y = view.crop.center if segmentation.center is None else segmentation.center
        self.position_yx = (y, x)
        self._rescale(scale)
        self.missed = 0
        self._trusted = (self.position_yx, self.scale)
        return self._answer(segmentation, view.verdict.quality, visible=True, flag=Flag.NORMAL)


def appearance(
    model: D3SModel, picture: NDArray[np.uint8], template: Template, seen: Seen, mask: NDArray[np.bool_]
) -> Appearance:
    """What the target looks like in the first frame: S x S x 3, what the network saw there, and the mask (S x S)."""
    worse: list[NDArray[np.float32]] = []
    if model.config.blurred_views:
        views = blurred(picture, math.sqrt(mask.sum()))
        worse = [each.vectors for each in model.inspect([(view, template) for view in views])]
    return Appearance.of(seen.vectors, mask, worse)


def _length(crop: Crop, mask: NDArray[np.bool_]) -> float | None:
    """sqrt(w h) of the box of equal area with a mask's least rectangle, pixels of the image; None of an empty mask."""
    contour = largest_contour(mask.astype(np.uint8))
    if contour is None or len(contour) < 3:
        return None
    return math.sqrt(math.prod(area_preserving_box(crop.to_image(min_area_corners(contour)))))
