"""Pictures made worse for the judgement's samples."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from train.judgement.worsen import draw_change, motion


def test_a_change_keeps_size_and_kind_gives_the_same_again_and_alters_the_picture() -> None:
    ground = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    picture = cv2.GaussianBlur(ground, (0, 0), 1.5)
    differing = set()
    for seed in range(40):
        change, again = (draw_change(np.random.default_rng(seed), 40.0) for _ in range(2))
        worse = change(picture)
        assert worse.shape == picture.shape and worse.dtype == np.uint8
        assert np.array_equal(worse, change(picture)) and np.array_equal(worse, again(picture))
        assert 0 < np.abs(worse.astype(int) - picture).mean() < 100
        differing.add(worse.tobytes())
    assert len(differing) > 30


@pytest.mark.parametrize("length", [3, 4, 11])
def test_a_motion_moves_light_and_loses_none(length: int) -> None:
    kernel = motion(np.random.default_rng(1), length)
    assert kernel.shape == (length, length) and kernel.min() >= 0
    assert kernel.sum() == pytest.approx(1)
    assert (kernel > 0.3 / length).sum() >= length - 1
