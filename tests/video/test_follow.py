"""Several targets in one video: what comes out for each frame, and where it begins."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("av")
from matching import Made, matching
from scenes import scene
from videos import damage, disc_video

from d3s_vot import Box, InputError, Mask, Polygon, load_tracker
from d3s_vot.regions import box_iou, rasterize
from d3s_vot.video.follow import Follower, find_start, follow, given
from d3s_vot.video.sources import open_source, parse_start

GROUND = Box(5, 5, 30, 20)


def test_a_given_region_is_its_own_answer() -> None:
    disc = Mask(np.hypot(*np.mgrid[-20:40, -30:50]) < 15)
    for region in (Box(-5, 10, 30, 20), Polygon([3, 4, 60, 9, 50, 59, 20, 50, 1, 30]), disc, Box(0, 0, 80, 60)):
        answer = given(region, (60, 80))
        assert (answer.mask == rasterize(region, 60, 80)).all()
        assert (answer.confidence, answer.visible, answer.box) == (1, True, region.box)
        assert np.array_equal(answer.region.array, disc.array) if region is disc else answer.region == region
    with pytest.raises(InputError):
        given(Box(100, 0, 5, 5), (60, 80))


def test_two_targets_and_damaged_frames(tmp_path: Path) -> None:
    path, boxes = disc_video(tmp_path / "v.mkv", 14, options={"g": "1", "bf": "0"})
    damage(path, [4, 5, 13])
    with open_source(path) as source:
        found = list(follow(source, [boxes[0], GROUND.polygon], matching()))
    assert [frame.index for frame, _ in found] == list(range(14))
    assert [answer.region for answer in found[0][1]] == [boxes[0], GROUND.polygon]
    for (_, before), (frame, (disc, ground)) in itertools.pairwise(found):
        if frame.index in (4, 5, 13):
            assert frame.image is None and disc.region == before[0].region and ground.region == before[1].region
            assert (disc.confidence, disc.visible, ground.confidence, ground.visible) == (0, False, 0, False)
            assert disc.mask.any()
        else:
            assert box_iou(disc.box, boxes[frame.index]) > 0.85 and disc.visible
            assert ground.polygon == GROUND.polygon


def test_the_start(tmp_path: Path) -> None:
    path, boxes = disc_video(tmp_path / "v.mp4", 14)
    for start, index in ((0, 0), (6, 6), ("6", 6), ("0.3s", 8)):
        with open_source(path) as source:
            begin = parse_start(start, source) if isinstance(start, str) else start
            found = list(follow(source, [boxes[index]], matching(), begin))
        assert [frame.index for frame, _ in found] == list(range(index, 14))
        assert found[0][1][0].region == boxes[index] and box_iou(found[-1][1][0].box, boxes[13]) > 0.85
    with open_source(path) as source, pytest.raises(InputError, match=r"ends .* 9s: its last frame is 13, at 0\.52 s"):
        find_start(source, parse_start("9s", source))


def test_a_start_without_a_picture() -> None:
    image = scene(0)[0]
    with pytest.raises(InputError, match="frame 1 of made cannot be decoded; begin at frame 3"):
        find_start(Made([image, None, None, image]), 1)
    with pytest.raises(InputError, match=r"frame 1 of made cannot be decoded$"):
        find_start(Made([image, None]), 1)


def test_targets_are_added_and_corrected_on_the_way() -> None:
    images, boxes = zip(*(scene(t) for t in range(8)), strict=True)
    follower = Follower(matching())
    assert follower.track(images[0]) == []
    follower.set_target(1, images[1], GROUND)
    assert follower.track(images[2])[0] is None
    assert follower.set_target(0, images[2], boxes[2]) is follower.answers[0]
    assert box_iou(follower.track(images[3])[0].box, boxes[3]) > 0.85
    follower.set_target(1, images[3], boxes[3])
    with pytest.raises(InputError):
        follower.set_target(0, images[3], Box(500, 0, 9, 9))
    for t in (4, 5):
        assert all(box_iou(answer.box, boxes[t]) > 0.85 for answer in follower.track(images[t]))


def test_bad_targets_come_at_the_call() -> None:
    with pytest.raises(InputError, match=r"^target 2: the target.* lies outside"):
        follow(Made([scene(0)[0]]), [GROUND, Box(500, 0, 9, 9)], matching())
    with pytest.raises(InputError, match=r"^the target.* lies outside"):
        follow(Made([scene(0)[0]]), [Box(500, 0, 9, 9)], matching())


def test_with_the_network() -> None:
    images, boxes = zip(*(scene(t) for t in range(3)), strict=True)
    disc = np.zeros((120, 160), bool)
    disc[50 - 15 : 50 + 16, 40 - 15 : 40 + 16] = np.hypot(*np.mgrid[-15:16, -15:16]) <= 15
    found = list(follow(Made(images), [boxes[0], Mask(disc)], load_tracker(device="cpu")))
    assert (found[0][1][1].mask == disc).all()
    for box, (_, answers) in zip(boxes, found, strict=True):
        assert min(box_iou(answer.box, box) for answer in answers) > 0.5
        assert isinstance(answers[1].region, Mask)
