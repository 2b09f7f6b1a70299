"""What blurs a crop, and what is left of it."""

from __future__ import annotations

import numpy as np

from d3s_vot.crops.blurred import blurred


def test_a_point_becomes_a_line_along_x_one_along_y_and_a_spot() -> None:
    crop = np.zeros((64, 64, 3), np.uint8)
    crop[32, 32] = 255
    along_x, along_y, spot = (view[..., 0] > 0 for view in blurred(crop, length=28.0))
    assert along_x.sum() == 7 and along_x[32].sum() == 7  # a quarter of the length
    assert np.array_equal(along_y, along_x.T)
    assert spot[32].sum() == spot[:, 32].sum() > 3 and np.array_equal(spot, spot.T)


def test_even_ground_stays_as_it_is_and_small_targets_are_blurred_too() -> None:
    crop = np.full((64, 64, 3), (10, 20, 30), np.uint8)
    for view in blurred(crop, length=0.5):
        assert view.dtype == np.uint8 and np.array_equal(view, crop)
    edge = np.zeros((64, 64, 3), np.uint8)
    edge[:, 32:] = 200
    assert all(np.unique(view).size > 2 for view in blurred(edge, length=0.5)[::2])
