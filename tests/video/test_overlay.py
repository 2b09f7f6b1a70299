"""What is drawn on a frame: where it is, where it is not, and that it can be read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from d3s_vot.crops.squares import Crop
from d3s_vot.prediction import MaskPatch, Prediction
from d3s_vot.regions import Box, Mask, Polygon
from d3s_vot.video.follow import given
from d3s_vot.video.overlay import COLOURS, TINT, draw

GROUND = 90  # grey level of the pictures


def answer(
    shape: Box | Polygon, size: tuple[int, int] = (240, 320), confidence: float = 0.87, visible: bool = True
) -> Prediction:
    """The shape, with a mask that fills its box but for a quarter of its width on each side."""
    x, y, w, h = (round(value) for value in shape.box)
    crop = Crop.around((x + w / 2, y + h / 2), (w, h), 1.5, 64)
    mask = np.zeros(size, bool)
    mask[max(y, 0) : max(y + h, 0), max(x + w // 4, 0) : max(x + w - w // 4, 0)] = True
    return Prediction(shape, confidence, visible, size, MaskPatch(crop, crop.cut_mask(mask)))


def ground(height: int = 240, width: int = 320, level: int = GROUND) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def changed(image: np.ndarray, before: np.ndarray) -> np.ndarray:
    return (image != before).any(axis=2)


def near(image: np.ndarray, colour: tuple[int, int, int], distance: int = 3) -> np.ndarray:
    return (np.abs(image.astype(int) - colour) <= distance).all(axis=2)


def test_mask_is_tinted_and_the_rest_is_left_alone() -> None:
    image = ground()
    result = draw(image, [answer(Box(100, 80, 80, 60))])
    assert result.shape == image.shape and result.dtype == np.uint8 and not np.shares_memory(result, image)
    assert (image == GROUND).all()
    tint = (1 - TINT) * GROUND + TINT * np.array(COLOURS[0])
    assert np.abs(result[100:120, 130:150] - tint).max() <= 1
    far = changed(result, image)
    far[50:142, 98:182] = False  # the box, the label above it
    assert not far.any()


def test_a_given_shape_is_an_outline_and_no_mask() -> None:
    inside = np.zeros((240, 320), bool)
    inside[80:140, 100:180] = True
    for region in (Box(100, 80, 80, 60), Polygon([(100, 80), (180, 80), (180, 140), (100, 140)])):
        first = given(region, (240, 320))
        for prediction in (first, replace(first, confidence=0.0, visible=False)):  # and where a frame is lost
            result = draw(ground(), [prediction])
            assert changed(result, ground())[80, 100:180].any()
            assert not changed(result, ground())[90:130, 110:170].any()
    assert changed(draw(ground(), [given(Mask(inside), (240, 320))]), ground())[90:130, 110:170].all()


def test_box_is_drawn_on_its_outermost_pixels() -> None:
    result = draw(ground(), [answer(Box(100, 80, 80, 60))])
    lines = near(result, COLOURS[0])
    assert lines[80:140, 100].all() and lines[80:140, 179].all()
    assert lines[80, 100:180].all() and lines[139, 100:180].all()
    assert not lines[80:142, 180:].any() and not lines[140:].any()


def test_rotated_rectangle_is_drawn_where_the_shape_is_one() -> None:
    result = draw(ground(), [answer(Polygon([(160, 60), (220, 120), (160, 180), (100, 120)]))])
    lines = changed(result, ground())
    assert lines[90, 130] and lines[90, 190] and lines[150, 130] and lines[150, 190]
    assert not lines[70:100, 100:110].any()  # a corner of its axis-aligned box


def test_lost_target_is_dashed_and_says_so() -> None:
    box = Box(100, 100, 120, 90)
    seen, lost = (draw(ground(), [answer(box, visible=visible)]) for visible in (True, False))
    edge = changed(lost, ground())[150:185, 100]
    assert edge.any() and not edge.all()
    assert not near(lost[100:], COLOURS[0]).any()  # greyer
    tints = [np.abs(image[140, 160].astype(int) - GROUND).sum() for image in (seen, lost)]
    assert 0 < tints[1] < tints[0]
    widths = [changed(image, ground())[:95].any(axis=0).sum() for image in (seen, lost)]
    assert widths[1] > widths[0] + 10  # "0.87  lost?"


def test_answer_without_mask_has_its_box_only() -> None:
    result = draw(ground(), [Prediction(Box(100, 80, 80, 60), 0.1, False, (240, 320))])
    assert changed(result, ground())[80].any() and (result[90:130, 110:170] == GROUND).all()


def test_each_target_has_its_colour_and_number() -> None:
    boxes = [Box(20 + 100 * k, 100, 60, 60) for k in range(3)]
    result = draw(ground(), [answer(boxes[0]), None, answer(boxes[2])])
    assert near(result, COLOURS[0]).any() and near(result, COLOURS[2]).any() and not near(result, COLOURS[1]).any()
    alone = draw(ground(), [answer(boxes[0])])
    assert changed(result, ground())[:95, :120].sum() > changed(alone, ground())[:95, :120].sum()  # "1  0.87"
    many = draw(ground(), [None] * len(COLOURS) + [answer(Box(20, 100, 60, 60))])  # the colours begin anew
    assert near(many, COLOURS[0]).any()


def test_labels_take_the_place_of_numbers() -> None:
    result = draw(ground(), [answer(Box(20, 100, 60, 60))], labels=["left hand"])
    plain = draw(ground(), [answer(Box(20, 100, 60, 60))])
    assert changed(result, plain)[:100].any()
    with pytest.raises(ValueError, match="shorter"):
        draw(ground(), [None, None], labels=["one"])


def test_labels_of_targets_in_one_place_do_not_cover_each_other() -> None:
    result = draw(ground(), [answer(Box(100, 100, 80, 60)), answer(Box(100, 100, 80, 60))])
    stripes = [near(result, colour)[:, 100] for colour in COLOURS[:2]]  # at the left of each label
    assert all(stripe[np.r_[60:98, 162:200]].sum() > 10 for stripe in stripes)


def test_frame_and_time_are_at_the_lower_left() -> None:
    image = ground()
    both = changed(draw(image, [], time=12.483, frame=312), image)
    assert both[-12:-6, 3:60].any() and not both[:-30].any() and not both[:, 200:].any()
    alone = changed(draw(image, [None], time=12.483), image)
    assert 0 < alone.any(axis=0).sum() < both.any(axis=0).sum()
    assert not changed(draw(image, []), image).any()


@pytest.mark.parametrize("level", [0, 127, 255])
def test_text_is_legible_on_anything(level: int) -> None:
    plate = draw(ground(level=level), [], frame=8, time=1.0)[-16:, 4:60].max(axis=2)
    assert plate.max() > 180 and plate.min() <= 0.4 * level  # white on at most dark grey


@pytest.mark.parametrize(("height", "width"), [(240, 320), (1080, 1920), (2160, 3840)])
def test_sizes_follow_the_picture(height: int, width: int) -> None:
    image = ground(height, width)
    box = Box(width / 4, height / 4, width / 2, height / 2)
    plain = Prediction(box, 0.87, True, (height, width))
    text = changed(draw(image, [], time=1.0), image).any(axis=1).sum()
    assert 0.02 * height < text < 0.09 * height
    line = near(draw(image, [plain]), COLOURS[0])[height // 2, : width // 2].sum()
    assert 1 <= line == pytest.approx(height / 500, abs=1)


@pytest.mark.parametrize(
    "shape",
    [
        Box(-30, -20, 60, 50),
        Box(290, 210, 90, 80),
        Box(-100, -100, 600, 500),
        Box(400, 400, 50, 50),
        Box(-1e9, 50, 2e9, 40),
        Box(30, 30, 0.2, 0.2),
        Polygon([(-50, 120), (160, -60), (400, 120), (160, 300)]),
        Polygon([(1e12, 0), (2e12, 1e12), (0, 5)]),
    ],
)
@pytest.mark.parametrize("visible", [True, False])
def test_shapes_that_leave_the_picture(shape: Box | Polygon, visible: bool) -> None:
    prediction = Prediction(shape, 0.5, visible, (240, 320))
    result = draw(ground(), [prediction, prediction], time=3.0, frame=7)
    assert result.shape == (240, 320, 3) and changed(result, ground()).any()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 300), (300, 2), (8, 8), (48, 64), (400, 30)])
def test_small_pictures(height: int, width: int) -> None:
    image = ground(height, width)
    prediction = Prediction(Box(0, 0, width, height), 1.0, True, (height, width))
    assert draw(image, [prediction], time=754.12, frame=20000).shape == image.shape
