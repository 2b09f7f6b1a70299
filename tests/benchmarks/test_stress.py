"""The stress set: its clips keep the truth, its measures count what they say."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from benchmarks.stress.clips import LISTS, PARTS, Clip, Cutout, paste, placed, video_names
from benchmarks.stress.edits import EDITS
from benchmarks.stress.measures import COLUMNS, Run, follow, roc_area, summary
from benchmarks.stress.scenes import AWAY, SCENES, SHOWN
from d3s_vot import Box
from d3s_vot.prediction import Prediction


def thing(seed: int, name: str = "a") -> Cutout:
    """A coloured ellipse."""
    rng = np.random.default_rng(seed)
    image = np.full((80, 120, 3), rng.integers(60, 256, 3), np.uint8)
    mask = cv2.ellipse(np.zeros((80, 120), np.uint8), (60, 40), (35, 25), 0, 0, 360, 1, -1).astype(bool)
    return Cutout.of(name, "ellipses", image, mask)


def clip() -> Clip:
    """A bright square of 30 pixels that moves by 4 pixels a frame over a dark ground."""
    frames, masks = [], []
    for k in range(12):
        mask = np.zeros((120, 200), bool)
        mask[40:70, 40 + 4 * k : 70 + 4 * k] = True
        frames.append(np.where(mask[..., None], np.uint8(220), np.uint8(40)) * np.ones(3, np.uint8))
        masks.append(mask)
    return Clip("square", "plain", frames, masks)


@pytest.fixture
def things() -> list[Cutout]:
    return [thing(seed, str(seed)) for seed in range(3)]


@pytest.fixture
def pictures(tmp_path):
    path = tmp_path / "ground.png"
    cv2.imwrite(str(path), np.full((90, 120, 3), 30, np.uint8))
    return [path]


def test_no_video_is_in_two_parts():
    names = [name for part in PARTS for name in video_names(part)]
    assert len(names) == len(set(names)) > 20
    assert all(name.count("/") == 1 for name in names) and LISTS.name == "benchmarks"


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_edits_keep_picture_and_truth_together(edit, things):
    first = clip()
    before = [frame.copy() for frame in first.frames]
    made = edit(first, np.random.default_rng(0), things)
    assert len(made.frames) == len(made.masks) >= 6
    assert all(np.array_equal(a, b) for a, b in zip(first.frames, before, strict=True))
    for frame, mask in zip(made.frames, made.masks, strict=True):
        assert frame.shape[:2] == mask.shape and frame.dtype == np.uint8 and mask.dtype == bool
        ground = frame[~mask].mean()
        if mask.any() and edit.__name__ not in ("occlusion", "lookalike"):
            assert frame[mask].mean() > ground + 20  # the target is what is bright
    again = edit(first, np.random.default_rng(0), things)
    assert all(np.array_equal(a, b) for a, b in zip(made.frames, again.frames, strict=True))


def test_an_occlusion_hides_the_target_and_gives_it_back(things):
    edit = next(e for e in EDITS if e.__name__ == "occlusion")
    areas = [mask.sum() for mask in edit(clip(), np.random.default_rng(0), things).masks]
    assert min(areas[4:8]) < 0.2 * areas[0] and areas[-1] == areas[0]


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_scenes_show_their_target_first(scene, things, pictures):
    made = scene(np.random.default_rng(1), things, pictures)
    assert len(made.frames) == len(made.masks) >= 40 and made.masks[0].sum() > 100
    assert made.kind == scene.__name__


@pytest.mark.parametrize("name", ["away", "impostor"])
def test_a_target_that_leaves_is_gone_for_sixty_frames(name, things, pictures):
    scene = next(s for s in SCENES if s.__name__ == name)
    made = scene(np.random.default_rng(3), things, pictures)
    there = [bool(mask.any()) for mask in made.masks]
    assert not any(there[SHOWN : SHOWN + AWAY]) and all(there[: SHOWN - 6]) and all(there[SHOWN + AWAY :])


def test_a_cutout_lies_where_it_is_put():
    frame, mask, ellipse = np.zeros((100, 100, 3), np.uint8), np.zeros((100, 100), bool), thing(0)
    paste(frame, mask, ellipse, placed(ellipse, np.array([30.0, 60.0]), 0.5), target=True)
    x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
    assert abs(x + (w - 1) / 2 - 30) <= 1 and abs(y + (h - 1) / 2 - 60) <= 1 and abs(w - 35) <= 2
    hidden = mask.copy()
    paste(frame, hidden, ellipse, placed(ellipse, np.array([30.0, 60.0]), 0.5), target=False)
    assert not hidden.any()


class Told:
    """A tracker that gives what it was told to."""

    def __init__(self, answers: list[Prediction]) -> None:
        self.answers = list(answers)

    def initialize(self, image, region=None, *, mask=None) -> None:
        self.first = region

    def track(self, image) -> Prediction:
        return self.answers.pop(0)


def test_measures_of_a_tracker_that_is_right_then_lost():
    made = clip()
    right = [Prediction(Box(40 + 4 * k, 40, 30, 30), 0.9, True, (120, 200)) for k in range(12)]
    wrong = Prediction(Box(150, 90, 20, 20), 0.2, True, (120, 200))
    run = follow(Told([*right[1:5], *[wrong] * 7]), made)
    assert run.good.sum() == 4 and run.lost.sum() == 7 and run.lost_after == 5 and np.isnan(run.found_after)
    told = summary([run])
    assert told["overlap"] == pytest.approx(4 / 11) and told["lost"] == 1 and told["ROC area"] == 1
    assert told["visible when lost"] == 1 and told["unseen when good"] == 0


def test_finding_again_is_counted_from_the_return():
    away = np.array([False, True, True, False, False, False])
    overlap = np.where(away, np.nan, [0.9, 0, 0, 0.2, 0.3, 0.8])
    run = Run("a", "away", overlap, overlap, away, np.full(6, 0.5), np.ones(6, bool))
    assert run.found_after == 2 and summary([run])["found"] == 1 and summary([run])["ROC area"] == 0.5


def test_roc_area_counts_ties_by_half():
    assert roc_area(np.array([0.9, 0.5]), np.array([0.5, 0.1])) == 0.875


def test_rows_have_a_cell_for_each_column():
    overlap = np.array([0.75, np.nan, 0.0])
    run = Run("a", "away", overlap, overlap, np.array([0, 0, 1], bool), np.array([0.9, 0.5, 0.1]), np.ones(3, bool))
    rows = [dict(zip(COLUMNS, row.split(","), strict=True)) for row in run.rows()]
    assert [row["frame"] for row in rows] == ["1", "2", "3"] and [row["away"] for row in rows] == ["0", "0", "1"]
    assert [row["overlap"] for row in rows] == ["0.7500", "", "0.0000"] and rows[2]["confidence"] == "0.1000"
