from __future__ import annotations

import cv2
import numpy as np
import pytest

from d3s_vot.errors import InputError
from d3s_vot.regions import Polygon, polygon_iou, rasterize
from d3s_vot.trackers.d3s.config import D3SConfig
from d3s_vot.trackers.d3s.fit import fit_axis_aligned, fit_rotated, largest_contour, largest_part, min_area_corners

CONFIG = D3SConfig.published()


def ellipse(center: tuple[int, int], axes: tuple[int, int], angle: float, size: int = 384) -> np.ndarray:
    """Half axes and angle in degrees, as OpenCV draws them."""
    return cv2.ellipse(np.zeros((size, size), np.uint8), center, axes, angle, 0, 360, 1, -1).astype(bool)


def rectangle(cx: float, cy: float, w: float, h: float, angle: float) -> Polygon:
    return Polygon(cv2.boxPoints(((cx, cy), (w, h), angle)))


def score(mask: np.ndarray, box: tuple[int, int, int, int]) -> float:
    """The paper's score of an upright box (x0, y0, x1, y1, inclusive), counted pixel by pixel."""
    x0, y0, x1, y1 = box
    total, inside = mask.sum(), mask[y0 : y1 + 1, x0 : x1 + 1].sum()
    area = (x1 - x0 + 1) * (y1 - y0 + 1)
    return inside / (CONFIG.fit_alpha * (area - inside) + inside + (total - inside))


def test_rectangles_match_the_published_ones(golden) -> None:
    reference = golden("geometry.npz")
    masks = np.unpackbits(reference["masks"], axis=-1).astype(bool)
    assert masks.shape == (12, 384, 384)
    for mask, rotated, upright in zip(
        masks, reference["rotated_corners"], reference["axis_aligned_corners"], strict=True
    ):
        np.testing.assert_array_equal(fit_axis_aligned(mask), upright)
        found = fit_rotated(mask, CONFIG)
        # Another OpenCV fits ellipses that differ by a fraction of a pixel.
        np.testing.assert_allclose(found, rotated, atol=1e-6 if cv2.__version__.startswith("5.") else 1.5)


@pytest.mark.parametrize("angle", [0, 17, 45, 73, 90, 128])
def test_a_rotated_rectangle_is_found_again(angle: float) -> None:
    truth = rectangle(190, 200, 120, 60, angle)
    found = fit_rotated(rasterize(truth, 384, 384), CONFIG)
    assert found.shape == (4, 2) and found.dtype == np.float64
    assert polygon_iou(Polygon(found), truth) > 0.93


def test_a_thin_tail_is_left_out_and_a_body_is_not() -> None:
    body = rectangle(190, 190, 100, 70, 0)
    mask = rasterize(body, 384, 384)
    tail = mask.copy()
    tail[188:192, 190:300] = True
    # The tail turns the ellipse by a fraction of a degree at most: it lies on the long axis.
    found = fit_rotated(tail, CONFIG)
    assert np.ptp(found[:, 0]) < 120
    assert polygon_iou(Polygon(found), body) > 0.85
    assert np.ptp(fit_axis_aligned(tail)[:, 0]) == 299 - 140


def test_no_side_can_move_by_one_pixel_to_a_better_score() -> None:
    # A symmetric cross has the angle of its arms, so that its pixels stay pixels when it is turned.
    mask = np.zeros((384, 384), bool)
    mask[150:231, 100:281] = True
    mask[120:261, 180:201] = True
    found = fit_rotated(mask, CONFIG)
    (x0, y0), (x1, y1) = np.rint(found.min(axis=0)).astype(int), np.rint(found.max(axis=0)).astype(int)
    np.testing.assert_allclose(sorted(found[:, 0]), [x0, x0, x1, x1], atol=1e-6)
    best = score(mask, (x0, y0, x1, y1))
    assert best > score(mask, (100, 120, 280, 260))
    for dx0, dy0, dx1, dy1 in [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, -1, 0), (0, 0, 0, -1)]:
        box = (x0 + dx0, y0 + dy0, x1 + dx1, y1 + dy1)
        inside = mask[box[1] : box[3] + 1, box[0] : box[2] + 1].sum()
        assert score(mask, box) <= best or inside < CONFIG.fit_min_inside * mask.sum()


def test_nine_tenths_of_the_mask_stay_inside() -> None:
    # Without the bound the score gains from cutting both tails off, which hold a fifth of the pixels.
    mask = np.zeros((384, 384), bool)
    mask[170:211, 170:211] = True
    mask[189:192, 110:271] = True
    assert score(mask, (170, 170, 210, 210)) > score(mask, (110, 170, 270, 210))
    found = fit_rotated(mask, CONFIG)
    inside = rasterize(Polygon(found), 384, 384) & mask
    assert 0.9 * mask.sum() <= inside.sum() < 0.91 * mask.sum()


def test_only_the_largest_component_counts() -> None:
    mask = ellipse((200, 180), (60, 30), 30)
    with_specks = mask.copy()
    with_specks[5:15, 5:15] = with_specks[350:360, 20:40] = True
    np.testing.assert_array_equal(fit_rotated(with_specks, CONFIG), fit_rotated(mask, CONFIG))
    np.testing.assert_array_equal(fit_axis_aligned(with_specks), fit_axis_aligned(mask))


def test_a_hole_does_not_change_the_rectangle() -> None:
    mask = ellipse((200, 180), (60, 30), 30)
    hollow = mask & ~ellipse((200, 180), (50, 22), 30)
    np.testing.assert_array_equal(fit_rotated(hollow, CONFIG), fit_rotated(mask, CONFIG))


def test_an_ellipse_larger_than_the_bound_gives_way_to_the_rectangle() -> None:
    # A bent bar: its ellipse has another angle than its minimum-area rectangle.
    mask: np.ndarray = np.zeros((384, 384), np.uint8)
    cv2.polylines(mask, [np.array([(40, 300), (330, 300), (340, 200)], np.int32)], False, 1, 12)
    contour = largest_contour(mask)
    assert contour is not None and max(cv2.fitEllipse(contour)[1]) > 0.6 * 384
    x, y = np.ptp(fit_rotated(mask.astype(bool), CONFIG), axis=0)
    r0 = min_area_corners(contour)
    side, found = r0[1] - r0[0], fit_rotated(mask.astype(bool), CONFIG)[1] - fit_rotated(mask, CONFIG)[0]
    cosine = abs(side @ found) / np.linalg.norm(side) / np.linalg.norm(found)
    assert min(cosine, 1 - cosine) < 1e-6  # parallel to one of R0's sides
    assert x > 200 and y > 10


@pytest.mark.parametrize("pixels", [[(7, 9)], [(7, 9), (8, 9)], [(7, y) for y in range(3, 60)]])
def test_points_and_lines_have_a_rectangle(pixels: list[tuple[int, int]]) -> None:
    mask = np.zeros((64, 64), bool)
    for x, y in pixels:
        mask[y, x] = True
    xs, ys = zip(*pixels, strict=True)
    for found in (fit_rotated(mask, CONFIG), fit_axis_aligned(mask)):
        assert found.shape == (4, 2) and np.isfinite(found).all()
        np.testing.assert_allclose(found.min(axis=0), (min(xs), min(ys)), atol=1)
        np.testing.assert_allclose(found.max(axis=0), (max(xs), max(ys)), atol=1)


def test_masks_at_the_border_and_full_masks_have_a_rectangle() -> None:
    full = np.ones((384, 384), bool)
    np.testing.assert_array_equal(fit_axis_aligned(full)[[0, 2]], [(0, 0), (383, 383)])
    assert Polygon(fit_rotated(full, CONFIG)).area > 0.9 * 383**2
    edge = np.zeros((384, 384), bool)
    edge[:40, :90] = True
    assert Polygon(fit_rotated(edge, CONFIG)).area > 0.8 * 39 * 89


def test_an_empty_mask_is_an_error_and_has_no_contour() -> None:
    empty = np.zeros((384, 384), bool)
    assert largest_contour(empty) is None
    for fit in (lambda: fit_rotated(empty, CONFIG), lambda: fit_axis_aligned(empty)):
        with pytest.raises(InputError, match="empty"):
            fit()


def test_the_largest_contour_is_of_the_largest_component_and_r0_is_its_rectangle() -> None:
    mask = rasterize(rectangle(250, 250, 100, 40, 30), 384, 384) | ellipse((60, 60), (20, 10), 0)
    contour = largest_contour(mask)
    assert contour is not None and contour.shape[1:] == (1, 2)
    assert polygon_iou(Polygon(min_area_corners(contour)), rectangle(250, 250, 100, 40, 30)) > 0.95


@pytest.mark.parametrize("dtype", [bool, np.uint8])
def test_the_mask_is_not_changed_and_the_answer_is_the_same_twice(dtype: type) -> None:
    mask: np.ndarray = ellipse((200, 180), (60, 30), 30).astype(dtype)
    before = mask.copy()
    first, second = fit_rotated(mask, CONFIG), fit_rotated(mask[::-1][::-1], CONFIG)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(mask, before)
    np.testing.assert_array_equal(fit_rotated(mask.astype(np.uint8) * 255, CONFIG), first)


def test_the_largest_part_keeps_its_holes_and_nothing_else() -> None:
    mask = np.zeros((60, 80), bool)
    mask[5:12, 5:12] = True
    mask[20:50, 20:60] = True
    mask[30:36, 30:40] = False
    expected = mask.copy()
    expected[5:12, 5:12] = False
    np.testing.assert_array_equal(largest_part(mask), expected)
    assert not largest_part(np.zeros((8, 8), bool)).any()
