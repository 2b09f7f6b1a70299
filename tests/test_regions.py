"""Conversions, areas and overlaps of boxes, polygons and masks."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from d3s_vot.errors import InputError
from d3s_vot.regions import Box, Mask, Polygon, box_iou, mask_iou, polygon_iou, rasterize


def test_one_based_round_trip():
    box = Box.from_one_based(205, 151, 17, 50)
    assert tuple(box) == (204, 150, 17, 50)
    assert box.one_based() == (205, 151, 17, 50)


def test_center_and_back():
    box = Box(10, 20, 5, 7)
    assert box.center == (12.5, 23.5)
    assert Box.from_center(12.5, 23.5, 5, 7) == box


def test_box_and_its_polygon_have_the_same_area_and_box():
    box = Box(1.5, 2.5, 3, 4)
    assert box.polygon.area == pytest.approx(12)
    assert box.polygon.box == box


@pytest.mark.parametrize("values", [(0, 0, math.nan, 4), (math.inf, 0, 4, 4), (0, 0, 0, 4), (0, 0, 4, -1)])
def test_bad_boxes_are_refused(values):
    with pytest.raises(InputError):
        Box(*values)


@pytest.mark.parametrize(
    "value",
    [np.float32(3), np.int8(3), np.array(3), torch.tensor(3), torch.tensor(3.0, requires_grad=True), "3"],
    ids=repr,
)
def test_numbers_of_every_kind_make_boxes(value):
    assert Box(value, 1, value, 2) == Box(3, 1, 3, 2)
    assert Box.from_one_based(value, value, 2, 2) == Box(2, 2, 2, 2)
    assert Box.from_center(value, 3, value, 2) == Box(1.5, 2, 3, 2)


@pytest.mark.parametrize(
    "value", [None, "left", 1j, [3], np.ones(2), np.ones((2, 2)), torch.ones(2), 10**400], ids=repr
)
def test_what_is_no_number_is_refused_in_one_sentence(value):
    for make in (Box, Box.from_one_based, Box.from_center):
        with pytest.raises(InputError, match="is none") as caught:
            make(1, 2, value, 4)
        assert "\n" not in str(caught.value)


CORNERS = [(0, 0), (4, 0), (4, 4)]


@pytest.mark.parametrize(
    "points", [CORNERS, np.array(CORNERS), torch.tensor(CORNERS), iter(CORNERS), np.array(CORNERS, object)], ids=type
)
def test_corners_of_every_kind_make_polygons(points):
    assert Polygon(points) == Polygon([0, 0, 4, 0, 4, 4])


@pytest.mark.parametrize(
    "points", [[(1, 2), (30, 4), (5,)], ["a"] * 6, None, "0,0,4,0,4,4", 3, Box(1, 2, 3, 4)], ids=repr
)
def test_what_is_no_polygon_is_refused(points):
    with pytest.raises(InputError, match="polygon"):
        Polygon(points)


HALF = np.array([[0, 1, 1], [0, 0, 1]])


@pytest.mark.parametrize(
    "array",
    [
        HALF,
        HALF.tolist(),
        iter(HALF.tolist()),
        HALF.astype(bool),
        torch.from_numpy(HALF),
        torch.from_numpy(HALF).to(torch.bfloat16),
        torch.from_numpy(HALF).float().requires_grad_(),
        Image.fromarray(HALF.astype(np.uint8) * 255),
    ],
    ids=type,
)
def test_arrays_of_every_kind_make_masks(array):
    mask = Mask(array).array
    assert mask.dtype == bool and np.array_equal(mask, HALF > 0)


@pytest.mark.parametrize(
    "array",
    [
        [[0, 1], [1]],
        HALF.astype(object),
        HALF.astype(str),
        HALF.astype(complex),
        [[None, 1]],
        None,
        "mask.png",
        3,
        Box(1, 2, 3, 4),
        torch.ones(2, 2).to_sparse(),
        torch.ones(2, 2, device="meta"),
    ],
    ids=lambda array: type(array).__name__,
)
def test_what_is_no_mask_is_refused(array):
    with pytest.raises(InputError, match="mask") as caught:
        Mask(array)
    assert "\n" not in str(caught.value)


def test_corners_far_outside_paint_what_is_inside():
    for far in (1e7, 1e12, 1e200):
        assert rasterize(Polygon([(-far, -far), (far, -far), (far, far), (-far, far)]), 4, 5).all(), far
    beside = rasterize(Polygon([(1e9, 0), (2e9, 0), (2e9, 4), (1e9, 4)]), 4, 5)
    assert not beside.any()
    # Below the diagonal of a square picture: an edge from far away to far away.
    half = rasterize(Polygon([(-1e8, -1e8), (1e8, 1e8), (-1e8, 1e8)]), 64, 64)
    assert np.array_equal(half, np.tri(64, dtype=bool))
    near = Polygon([(-900, -900), (900, 900), (-900, 900)])
    assert np.array_equal(half, rasterize(near, 64, 64))


@pytest.mark.parametrize(
    "points", [[0, 0, 1, 1], [0, 0, 4, 0, 4], [0, 0, 4, 0, 8, 0], [0, 0, 4, math.nan, 4, 4], [[0, 0, 0]] * 3]
)
def test_bad_polygons_are_refused(points):
    with pytest.raises(InputError):
        Polygon(points)


def test_polygon_copies_what_it_is_given():
    points = np.array([[0.0, 0], [4, 0], [4, 4]])
    polygon = Polygon(points)
    points[0, 0] = 99
    assert polygon.points[0, 0] == 0
    with pytest.raises(ValueError, match="read-only"):
        polygon.points[0, 0] = 1


def test_quadrilateral_of_a_pentagon_encloses_it():
    pentagon = Polygon([(0, 0), (10, 0), (12, 5), (5, 9), (0, 6)])
    rectangle = pentagon.quadrilateral()
    assert len(rectangle.points) == 4
    assert rectangle.area >= pentagon.area
    assert polygon_iou(rectangle, pentagon) == pytest.approx(pentagon.area / rectangle.area, abs=1e-3)


def test_mask_box_area_and_refusals():
    array = np.zeros((20, 30), np.uint8)
    array[5:9, 10:13] = 7
    mask = Mask(array)
    assert mask.box == Box(10, 5, 3, 4) and mask.area == 12 and mask.center == (11, 6.5)
    with pytest.raises(InputError, match="empty"):
        Mask(np.zeros((4, 4)))
    with pytest.raises(InputError, match="finite"):
        Mask(np.full((4, 4), np.nan))
    with pytest.raises(InputError, match="H x W"):
        Mask(np.ones((4, 4, 3)))


def test_rasterize_box_covers_its_pixels_and_clips():
    assert rasterize(Box(2, 3, 4, 5), 20, 20).sum() == 20
    assert rasterize(Box(-2, -2, 4, 4), 20, 20).sum() == 4
    assert not rasterize(Box(50, 50, 4, 4), 20, 20).any()


def test_overlaps_agree_with_each_other():
    a, b = Box(2, 3, 10, 8), Box(5, 5, 10, 8)
    expected = 7 * 6 / (80 + 80 - 42)
    assert box_iou(a, b) == pytest.approx(expected)
    assert polygon_iou(a.polygon, b.polygon) == pytest.approx(expected, abs=1e-5)
    assert mask_iou(rasterize(a, 30, 30), rasterize(b, 30, 30)) == pytest.approx(expected)
    assert box_iou(a, Box(50, 50, 1, 1)) == 0
    assert mask_iou(np.zeros((2, 2), bool), np.zeros((2, 2), bool)) == 1
