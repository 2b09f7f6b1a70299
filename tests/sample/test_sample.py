"""The rendered sequences: exact truth, the same bytes every time, whole or not there."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import toolkit

from d3s_vot.errors import InputError
from d3s_vot.evaluation.vot.stored import Sequence
from d3s_vot.images import read_image
from d3s_vot.mask_codes import from_code
from d3s_vot.sample import write as sample
from d3s_vot.sample.scenes import OBJECT_SCENES, SCENES
from d3s_vot.sample.write import (
    HEIGHT,
    WIDTH,
    Sprite,
    anchors_of,
    annotation,
    ground_truth,
    is_complete,
    render,
    write_sample,
)

SHORT = dataclasses.replace(SCENES[0], length=3)


def test_layout() -> None:
    root = toolkit.sample()
    assert (root / "list.txt").read_text().split() == [scene.name for scene in SCENES]
    assert sum(scene.length for scene in SCENES) > 300
    for scene in SCENES:
        sequence = Sequence.load(root / scene.name)
        assert (len(sequence.truth), sequence.width, sequence.height) == (scene.length, WIDTH, HEIGHT)
        assert len(list((root / scene.name / "color").iterdir())) == scene.length
        assert read_image(root / scene.name / "color" / "00000001.jpg").shape == (HEIGHT, WIDTH, 3)
        assert all(region.shape == ((4, 2) if scene.rotated else (4,)) for region in sequence.truth)
        assert is_complete(scene, root / scene.name)
    assert sorted(path.name for path in root.iterdir()) == sorted([s.name for s in SCENES] + ["list.txt"])


@pytest.mark.parametrize("scene", SCENES, ids=[scene.name for scene in SCENES])
def test_truth_is_where_the_target_is(scene) -> None:
    """The target alone, on black, fills its outline and nothing outside its rectangle."""
    sprite = Sprite(scene.target)
    for line, t in zip(ground_truth(scene), np.linspace(0, 1, scene.length), strict=True):
        layer = np.zeros((HEIGHT, WIDTH, 3), np.float32)
        sprite.image[..., :3] = sprite.image[..., 3:]  # white
        sprite.draw(layer, t)
        values = np.array([float(value) for value in line.split(",")])
        if scene.rotated:
            corners = values.reshape(4, 2)
        else:
            x, y, w, h = values - (1, 1, 0, 0)  # counted from 1
            corners = np.array([(x, y), (x + w, y), (x + w, y + h), (x, y + h)])
            rows, columns = np.nonzero(layer[..., 0] > 0.5)
            box = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
            assert np.abs(np.array(box) - (x, y, x + w, y + h)).max() < 1.5
        assert (corners >= 0).all() and (corners <= (WIDTH, HEIGHT)).all()
        inside = np.zeros((HEIGHT, WIDTH), np.uint8)
        cv2.fillPoly(
            inside, [np.rint(corners * 16 - 8).astype(np.int32)], 1, shift=4
        )  # pixel i is i .. i + 1
        outside = layer[..., 0] * (1 - cv2.dilate(inside, np.ones((3, 3), np.uint8)))
        assert outside.max() < 0.5
        area = cv2.contourArea(np.float32(sprite.outline_at(t)))
        assert layer[..., 0].sum() == pytest.approx(area, rel=0.04)


def test_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        render(SHORT, tmp_path / name)
    files = [path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file()]
    assert len(files) == 5
    assert all((tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files)


def test_keeps_what_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "SCENES", (SHORT, dataclasses.replace(SCENES[4], length=2)))
    told: list[str] = []
    folders = write_sample(tmp_path / "out", told.append)
    assert [folder.name for folder in folders] == ["cat", "cup"] and len(told) == 2
    first = folders[0] / "color" / "00000002.jpg"
    times = first.stat().st_mtime_ns
    (folders[1] / "color" / "00000001.jpg").unlink()
    shutil.copytree(folders[0], tmp_path / "out" / ".cat-of-a-killed-run")
    told.clear()
    write_sample(tmp_path / "out", told.append)
    assert "there already" in told[0] and "2 frames" in told[1]
    assert first.stat().st_mtime_ns == times
    assert is_complete(sample.SCENES[1], folders[1])


def test_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sample, "ground_truth", fail)
    with pytest.raises(KeyboardInterrupt):
        write_sample(tmp_path / "out")
    assert not any((tmp_path / "out").iterdir())


def test_other_sequences_stay(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("ants1\nants3\n")
    with pytest.raises(InputError, match="lists other sequences"):
        write_sample(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_sample(tmp_path / "file" / "folder")


@pytest.mark.parametrize("scene", [SCENES[1], *OBJECT_SCENES], ids=lambda scene: scene.name)
def test_masks_are_what_is_to_be_seen(scene, tmp_path: Path) -> None:
    """What is drawn last hides what lies behind it; all begin in sight, and the masks do not overlap."""
    kind = "objects" if scene.objects else "anchors"
    short = dataclasses.replace(scene, length=9)
    assert short.length == 9
    files = annotation(short, kind)
    truths = {name: [from_code(line) for line in text.split()] for name, text in files.items() if "truth" in name}
    assert all(len(masks) == 9 and masks[0].array.sum() > 500 for masks in truths.values())
    for frame in range(9):
        seen = [masks[frame].window(0, 0, WIDTH, HEIGHT) for masks in truths.values()]
        assert np.sum(seen, axis=0).max() <= 1
    if kind == "anchors":
        assert files["anchor.value"].split() == ["1"] + ["0"] * 8 and list(truths) == ["groundtruth.txt"]
        whole = Sprite(scene.target).layer(0.5)[..., 3] > 0.5
        middle = truths["groundtruth.txt"][4].window(0, 0, WIDTH, HEIGHT)
        assert np.count_nonzero(middle & ~whole) == 0 and middle.sum() < whole.sum()  # a post is before it
    else:
        assert set(truths) == {f"groundtruth_{name}.txt" for name in scene.objects if name}
    (tmp_path / "a").mkdir()
    render(dataclasses.replace(scene, length=2), tmp_path / "a", kind)
    assert is_complete(dataclasses.replace(scene, length=2), tmp_path / "a", kind)


def test_the_cat_goes_away_for_long() -> None:
    """More than the ten frames from which on absence is measured."""
    cat = annotation(OBJECT_SCENES[1], "objects")["groundtruth_cat.txt"].split()
    assert cat.count("m0,0,0,0,0") == 17 and cat[0] != "m0,0,0,0,0" != cat[-1]


def test_anchors_go_to_the_longer_side() -> None:
    assert [(frame, value) for frame, value in enumerate(anchors_of(60)) if value] == [(0, 1), (50, -1)]
    assert sum(map(abs, anchors_of(101))) == 3 and anchors_of(101)[50] == 1


def test_a_folder_of_another_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Boxes become masks where masks are asked for; other sequences stay."""
    monkeypatch.setattr(sample, "SCENES", (SHORT,))
    monkeypatch.setattr(sample, "OBJECT_SCENES", (dataclasses.replace(OBJECT_SCENES[0], length=2),))
    write_sample(tmp_path)
    write_sample(tmp_path, kind="anchors")
    assert (tmp_path / "cat" / "groundtruth.txt").read_text().startswith("m")
    with pytest.raises(InputError, match="lists other sequences"):
        write_sample(tmp_path, kind="objects")
