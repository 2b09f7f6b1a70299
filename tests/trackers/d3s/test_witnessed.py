"""D3S beside a second tracker: whom the head believes, where the two are apart, and what becomes of the size."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scenes import picture, scene
from small import small_checkpoint

from d3s_vot import Box, InputError, Prediction, Tracker, load_tracker, track_together
from d3s_vot.given import Form, Frame, Given
from d3s_vot.model import Model, Target, Witness
from d3s_vot.regions import box_iou
from d3s_vot.steps import Steps
from d3s_vot.trackers.d3s.config import RULES, D3SConfig
from d3s_vot.trackers.d3s.model import D3SModel
from d3s_vot.trackers.d3s.witnessed import WITNESS, WitnessedTarget
from d3s_vot.weights.checkpoint import Checkpoint

Told = Callable[[int], tuple[Box, bool]]  # of the frame's number


def box(x: int, y: int) -> Box:
    return Box(x - 15, y - 15, 31, 31)


class Says(Witness):
    """Says what it was told to."""

    def __init__(self, told: Told) -> None:
        self.told, self.number = told, 0
        self.led: list[Box] = []

    def step(self, frame: Frame) -> Steps:
        self.number += 1
        return Prediction(self.box, 1.0, self.seen, frame.size_hw)
        yield  # a generator that asks for nothing

    @property
    def box(self) -> Box:
        return self.told(self.number)[0]

    @property
    def seen(self) -> bool:
        return self.told(self.number)[1]

    def lead(self, box: Box) -> None:
        self.led.append(box)


class SaysModel(Model):
    """Makes targets that say what they were told to."""

    name, gives_masks, rules = "says", False, {}

    def __init__(self, told: Told) -> None:
        self.told = told

    def begin(self, frame: Frame, given: Given) -> Target:
        return Says(self.told)

    @classmethod
    def constants(cls, checkpoint: Checkpoint) -> Any:
        raise NotImplementedError

    @classmethod
    def check(cls, checkpoint: Checkpoint, what: str, remedy: str) -> None:
        raise NotImplementedError

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint, device: torch.device, config: Any, trunk: Any = None) -> Model:
        raise NotImplementedError

    def examples(self) -> dict[str, tuple[torch.Tensor, ...]]:
        raise NotImplementedError


def beside(told: Told, images: list[np.ndarray]) -> tuple[WitnessedTarget, Says, list[Prediction]]:
    """D3S beside a second tracker that says this, over pictures with the disc at (80, 90) in the first."""
    checkpoint = small_checkpoint(witness=1)
    model = D3SModel.from_checkpoint(checkpoint, torch.device("cpu"), D3SModel.configure(checkpoint))
    model.witness = SaysModel(told)
    tracker = Tracker(model)
    tracker.initialize(images[0], box(80, 90))
    answers = [tracker.track(image) for image in images[1:]]
    target = tracker.target
    assert isinstance(target, WitnessedTarget) and isinstance(target.witness, Says)
    return target, target.witness, answers


def test_where_it_lost_the_target_it_goes_to_where_the_other_sees_it() -> None:
    """Alone it would miss it for some frames, and then search."""
    far = (250, 170)
    target, other, answers = beside(lambda n: (box(*far) if n > 1 else box(80, 90), True),
                                    [picture((80, 90)), picture((80, 90)), picture(far)])  # fmt: skip
    assert box_iou(answers[1].box, box(*far)) > 0.6 and answers[1].visible
    assert target.missed == 0 and not other.led


def test_where_the_other_sees_nothing_it_is_led_back() -> None:
    places = [(80, 90), (82, 90), (84, 90)]
    _, other, answers = beside(lambda n: (box(250, 170) if n == 2 else box(*places[n]), True),
                               [picture(place) for place in places])  # fmt: skip
    assert box_iou(answers[1].box, box(*places[2])) > 0.6
    assert len(other.led) == 1 and box_iou(other.led[0], box(*places[2])) > 0.6


def test_what_the_other_says_outside_the_picture_is_not_looked_at() -> None:
    _, other, answers = beside(lambda n: (box(-90, 90), True), [picture((80, 90)), picture((82, 90))])
    assert box_iou(answers[0].box, box(82, 90)) > 0.6 and not other.led


def test_the_size_is_the_middle_one_of_three_words() -> None:
    """Of a target that the mask and the head see as it was, the other's growth counts for nothing; of one that they
    see at two sizes, its word lies between."""
    seen = [True]
    target, _, _ = beside(lambda n: (Box(40, 50, 62, 62) if n else box(80, 90), seen[0]),
                              [picture((80, 90)), picture((80, 90))])  # fmt: skip
    frame = Frame.of(picture((80, 90)))
    step = target._view(frame, target.position_yx, target.size_hw)
    asked = next(step)
    with pytest.raises(StopIteration) as end:
        step.send(asked.run([asked.item])[0])
    view = end.value.value
    told, measured = target._told(view), target._measured(view)
    assert target._told_length() == pytest.approx(62, rel=1e-6)
    assert target._believed_size(view) == pytest.approx(max(told, measured))
    small = dataclasses.replace(view, length=view.length / 3)
    assert target._believed_size(small) == pytest.approx(told)
    huge = dataclasses.replace(view, length=view.length * 9)
    assert target._believed_size(huge) == pytest.approx(62)
    none = dataclasses.replace(view, length=None)
    assert target._believed_size(none) == pytest.approx((told * 62) ** 0.5)
    seen[0] = False  # then it has no word
    assert target._believed_size(none) == pytest.approx(told)


def test_the_box_moves_to_the_others_by_what_the_head_doubts() -> None:
    target, _, answers = beside(lambda n: (Box(69, 77, 38, 31) if n else box(80, 90), True), [picture((80, 90))] * 2)
    (answer,), other = answers, target.witness.box
    sure = dataclasses.replace(answer, shape=box(80, 90), confidence=0.95)
    assert target._between(sure) is sure
    doubtful = target._between(dataclasses.replace(sure, confidence=0.4)).box
    assert doubtful.center == pytest.approx(((80.5 + 88) / 2, (90.5 + 92.5) / 2))
    assert (doubtful.w, doubtful.h) == pytest.approx(((31 * 38) ** 0.5, 31))
    as_mask = dataclasses.replace(sure, confidence=0.4)
    target._form = Form.MASK
    assert target._between(as_mask) is as_mask
    target._form = Form.BOX
    apart = dataclasses.replace(sure, shape=box(150, 90), confidence=0.4)
    assert target._between(apart) is apart and box_iou(apart.box, other) == 0


def test_with_eco_as_users_load_it() -> None:
    tracker = load_tracker("D3S", "cpu", rules="witnessed")
    model = tracker.model
    assert model.wants == WITNESS and model.witness is not None and model.witness.name == "ECO"
    assert tracker.config == RULES["witnessed"] and RULES["witnessed"].changes() == {
        "box_calibration": 0.5, "judgement": 1, "witness": 1
    }  # fmt: skip
    tracker.initialize(*scene(0))
    other = copy.deepcopy(tracker)
    assert other.target.witness.model is model.witness
    for t in range(1, 4):
        answer = tracker.track(scene(t)[0])
        assert box_iou(answer.box, scene(t)[1]) > 0.6
        (again,) = track_together([other], scene(t)[0])
        assert again.box == answer.box and np.array_equal(again.mask, answer.mask)


def test_a_witness_needs_a_head_that_decides() -> None:
    with pytest.raises(InputError, match="witness is 1 and judgement 0"):
        D3SConfig(witness=1)
    assert load_tracker("D3S", "cpu").model.wants is None
