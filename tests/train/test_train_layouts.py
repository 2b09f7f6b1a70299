"""From folders in each layout, as it is unpacked, to the objects in them."""

import dataclasses
import json
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from train_data import (
    HEIGHT,
    LEFT,
    RIGHT,
    WIDTH,
    draw_mask,
    draw_stills,
    find,
    write_coco,
    write_davis,
    write_image,
    write_mask,
    write_youtube,
)

from train.data import layouts
from train.data.items import LAYOUTS, WHOLE, Item, read_masks, read_object
from train.data.layouts import checksum
from train.data.videos import HELD_OUT_VIDEOS
from train.errors import DataError


def assert_readable(items: list[Item]) -> None:
    """What the index says of an item is what reading it gives."""
    for item in items:
        image, mask, ignore = read_object(item)
        assert image.dtype == np.uint8 and image.shape == (*mask.shape, 3) and ignore.shape == mask.shape
        assert mask.dtype == ignore.dtype == bool and not (mask & ignore).any()
        assert (mask.sum(), cv2.boundingRect(mask.astype(np.uint8))) == (item.area, item.box)


# --- stills


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_stills(tmp_path_factory.mktemp("drawn"))


def test_stills_with_ids_and_a_video(drawn: Path) -> None:
    items, skipped = find("stills", drawn)
    assert len(items) == 86 and not skipped
    assert_readable(items)
    assert read_masks(items[0])[1][:3].all() and not read_masks(items[0])[1][3:].any()
    assert [(i.group, i.frame) for i in items if i.collection == "video_clips"] == [
        ("clip", frame) for frame in (0, 0, 1, 1, 2, 2)
    ]
    assert all(i.group == i.image.name and i.frame == 0 for i in items if i.collection == "shapes")
    assert all(i.background and not i.cutout and i.source == "stills" for i in items)


def test_held_out_stills_are_whole_groups_and_about_one_in_18(drawn: Path) -> None:
    items, _ = find("stills", drawn)
    for item in items:
        assert item.held_out == (checksum(item.collection, item.group) % 18 == 0)
    assert len({(i.group, i.held_out) for i in items}) == 41
    assert 0 < sum(i.held_out for i in items) < len(items) / 4
    assert checksum("a", "b.jpg") == 1558253591  # of another machine: no run may hold out other pictures


def test_binary_stills_have_one_object_and_nothing_to_ignore(tmp_path: Path) -> None:
    for k, end in enumerate(("jpg", "png", "JPEG")):
        write_image(tmp_path / f"binary/images/{k}.{end.lower()}")
        (tmp_path / f"binary/images/{k}.{end.lower()}").rename(tmp_path / f"binary/images/{k}.{end}")
        write_mask(tmp_path / f"binary/masks/{k}.png", draw_mask({255: LEFT}))
    write_image(tmp_path / "binary/images/bits.jpg")
    Image.fromarray(draw_mask({255: RIGHT}) > 0).save(tmp_path / "binary/masks/bits.png")
    for k, mask in enumerate((draw_mask({255: LEFT}), draw_mask({1: LEFT, 255: RIGHT}))):  # ids: 255 is no object
        write_image(tmp_path / f"ids/images/{k}.jpg")
        write_mask(tmp_path / f"ids/masks/{k}.png", mask)
    items, skipped = find("stills", tmp_path)
    assert [(i.collection, i.image.name, i.instance, i.box) for i in items] == [
        ("binary", "0.jpg", WHOLE, LEFT),
        ("binary", "1.png", WHOLE, LEFT),
        ("binary", "2.JPEG", WHOLE, LEFT),
        ("binary", "bits.jpg", WHOLE, RIGHT),
        ("ids", "1.jpg", 1, LEFT),
    ]
    assert skipped == {layouts.NO_OBJECT: 1}
    assert_readable(items)
    assert not read_masks(items[0])[1].any() and read_masks(items[-1])[1].any()


def test_one_mask_of_another_kind_costs_the_others_of_its_set_nothing(tmp_path: Path) -> None:
    """With soft edges, which are no ids; and with an id for the object, or with void, among masks of 0 and 255."""
    hard = draw_mask({255: LEFT})
    soft = cv2.GaussianBlur(hard, (0, 0), 1.5)
    assert len(np.unique(soft)) > 20
    for collection, others in (("soft", [soft]), ("numbered", [draw_mask({1: LEFT, 255: (0, 0, 64, 3)})])):
        for k, mask in enumerate([hard, hard, hard, *others]):
            write_image(tmp_path / f"{collection}/images/{k}.jpg")
            write_mask(tmp_path / f"{collection}/masks/{k}.png", mask)
    items, skipped = find("stills", tmp_path)
    assert [(i.collection, i.instance) for i in items] == [("numbered", WHOLE)] * 3 + [("numbered", 1)] + [
        ("soft", WHOLE)
    ] * 4
    assert not skipped
    assert_readable(items)
    found, ignored = read_masks(items[-1])
    assert not ignored.any() and np.array_equal(found, soft > 127)
    assert read_masks(items[3])[1].sum() == 64 * 3


def test_a_mask_of_void_alone_is_no_object_among_masks_of_ids(tmp_path: Path) -> None:
    for k, mask in enumerate([draw_mask({1: LEFT}), draw_mask({2: RIGHT}), draw_mask({255: RIGHT})]):
        write_image(tmp_path / f"set/images/{k}.jpg")
        write_mask(tmp_path / f"set/masks/{k}.png", mask)
    items, skipped = find("stills", tmp_path)
    assert [(i.image.stem, i.instance) for i in items] == [("0", 1), ("1", 2)]
    assert skipped == {layouts.NO_OBJECT: 1}


def test_what_systems_leave_is_no_picture_and_no_set(tmp_path: Path) -> None:
    for name in ("set/{}/a", "set/{}/._a", "set/{}/@eaDir/a", "set/{}/.ipynb_checkpoints/a", "__MACOSX/{}/a"):
        write_image(tmp_path / (name.format("images") + ".jpg"))
        write_mask(tmp_path / (name.format("masks") + ".png"), draw_mask({1: LEFT}))
    items, skipped = find("stills", tmp_path)
    assert [(i.collection, i.group) for i in items] == [("set", "a.jpg")] and not skipped


def test_cutouts_and_pictures_labelled_in_part_are_no_backgrounds(tmp_path: Path) -> None:
    for name in ("railvehicle/{}/a", "coco_subset/{}/P1", "coco_subset/{}/F1"):
        write_image(tmp_path / (name.format("images") + ".jpg"))
        write_mask(tmp_path / (name.format("masks") + ".png"), draw_mask({1: LEFT}))
    items, _ = find("stills", tmp_path)
    assert {i.image.stem: (i.cutout, i.background) for i in items} == {
        "a": (True, False),
        "P1": (False, False),
        "F1": (False, True),
    }


# --- YouTube-VOS


@pytest.fixture(scope="module")
def youtube(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten videos of two objects, one video that is too short, one with a rare object; within a folder train."""
    root = tmp_path_factory.mktemp("youtube")
    videos: dict[str, tuple[int, dict[int, int]]] = {f"{k:08x}": (20, {1: 20, 2: 6}) for k in range(10)}
    videos |= {"short": (19, {1: 19}), "rare": (20, {1: 4, 2: 5})}
    write_youtube(root / "train", videos)
    return root


def test_youtube_vos(youtube: Path) -> None:
    items, skipped = find("youtube-vos", youtube)
    assert items == find("youtube-vos", youtube / "train")[0]
    assert_readable(items[::10])
    assert {(i.source, i.collection, i.cutout, i.background) for i in items} == {
        ("youtube-vos", "youtube-vos", False, True)
    }
    assert sorted({i.frame for i in items}) == list(range(0, 100, 5))
    groups = {(i.group, i.instance) for i in items}
    assert not any(video == "short" for video, _ in groups)
    held_out = {(i.group, i.instance) for i in items if i.held_out}
    videos = {video for video, _ in groups}
    assert len(videos) == 11
    smallest = min(videos, key=lambda v: checksum("youtube-vos", v))
    assert held_out == {(smallest, min(i for v, i in groups if v == smallest))}
    assert not any(i.group == smallest and not i.held_out for i in items)
    assert skipped["video of fewer than 20 annotated frames"] == 1
    assert skipped["object in fewer than 5 frames"] == 1
    assert skipped["object beside one that is held out"] == (smallest != "rare")


def test_youtube_vos_holds_out_25_videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert HELD_OUT_VIDEOS == 25
    monkeypatch.setattr("train.data.videos.MIN_FRAMES", 5)
    write_youtube(tmp_path, {f"v{k:03d}": (5, {1: 5}) for k in range(31)}, meta=False)
    for number, wanted in ((25, 3), (2, 2)):
        monkeypatch.setattr("train.data.videos.HELD_OUT_VIDEOS", number)
        items, skipped = find("youtube-vos", tmp_path)
        assert len({i.group for i in items if i.held_out}) == wanted and not skipped
        assert len({i.group for i in items}) == 31


def test_youtube_vos_is_checked_against_its_list(youtube: Path, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(youtube / "train", root)
    listing = json.loads((root / "meta.json").read_text())
    train = sorted({i.group for i in find("youtube-vos", root)[0] if not i.held_out and i.instance == 2} - {"rare"})
    del listing["videos"][train[0]]["objects"]["2"]
    listing["videos"][train[1]]["objects"]["7"] = {"category": "dog", "frames": []}
    (root / "meta.json").write_text(json.dumps(listing))
    items, skipped = find("youtube-vos", root)
    assert {i.instance for i in items if i.group == train[0]} == {1}
    assert skipped["object that meta.json does not list"] == skipped["object of meta.json in no mask"] == 1
    (root / "meta.json").write_text("{}")
    with pytest.raises(DataError, match=r"meta\.json is no list.*remove"):
        find("youtube-vos", root)
    (root / "meta.json").unlink()
    items, skipped = find("youtube-vos", root)
    assert {i.instance for i in items if i.group == train[0]} == {1, 2}
    assert not any("meta.json" in reason for reason in skipped)


def test_youtube_vos_frames_without_the_other_half(youtube: Path, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(youtube / "train", root)
    write_image(root / "JPEGImages/00000000/00001.jpg")
    (root / "JPEGImages/00000001/00095.jpg").unlink()
    _, skipped = find("youtube-vos", root)
    assert skipped["picture without a mask"] == skipped["mask without a picture"] == 1
    assert skipped["video of fewer than 20 annotated frames"] == 2
    write_image(root / "JPEGImages/00000000/last.jpg")
    write_mask(root / "Annotations/00000000/last.png", draw_mask({1: LEFT}))
    with pytest.raises(DataError, match=r"last\.png has no number"):
        find("youtube-vos", root)


# --- DAVIS


@pytest.mark.parametrize("inner", ["", "DAVIS"])
def test_davis_2017(tmp_path: Path, inner: str) -> None:
    write_davis(tmp_path / inner, "2017")
    items, skipped = find("davis", tmp_path)
    assert {(i.group, i.instance, i.held_out) for i in items} == {
        ("bear", 1, False),
        ("bear", 2, False),
        ("dance", 1, True),
        ("dance", 2, True),
    }
    assert [i.frame for i in items if i.group == "bear" and i.instance == 1] == [0, 1, 2] and not skipped
    assert_readable(items)
    assert read_masks(items[0])[1].sum() == 2 * WIDTH


@pytest.mark.parametrize("year", ["2016", "480p"])
def test_davis_2016_has_one_object(tmp_path: Path, year: str) -> None:
    write_davis(tmp_path, year)
    items, _ = find("davis", tmp_path)
    assert [(i.group, i.frame, i.instance, i.box, i.held_out) for i in items] == [
        (video, k, WHOLE, LEFT, held_out) for video, held_out in (("bear", False), ("dance", True)) for k in range(3)
    ]
    assert_readable(items)


def test_davis_with_a_video_missing(tmp_path: Path) -> None:
    write_davis(tmp_path, "2017")
    shutil.rmtree(tmp_path / "JPEGImages/480p/bear")
    items, skipped = find("davis", tmp_path)
    assert {i.group for i in items} == {"dance"}
    assert skipped == {"video of a list without pictures": 1, "mask without a picture": 3}


# --- COCO


def test_coco_instances(tmp_path: Path) -> None:
    write_coco(tmp_path, "instances")
    items, skipped = find("coco", tmp_path)
    json_file = tmp_path / "annotations/instances_train2017.json"
    assert [(i.collection, i.group, i.instance, i.box, i.mask) for i in items] == [
        ("train2017", "1.jpg", 100, LEFT, json_file),
        ("train2017", "2.jpg", 101, RIGHT, json_file),
    ]
    assert skipped == {layouts.TOO_SMALL: 2}
    assert_readable(items)
    assert not read_masks(items[0])[1].any()
    ignore = read_masks(items[1])[1]
    assert ignore[40:].all() and not ignore[:40].any()


def test_coco_panoptic_things_alone(tmp_path: Path) -> None:
    write_coco(tmp_path, "panoptic")
    items, skipped = find("coco", tmp_path)
    assert [(i.group, i.instance, i.box, i.mask.name) for i in items] == [
        ("1.jpg", 70000, LEFT, "1.png"),
        ("2.jpg", 70000, RIGHT, "2.png"),
    ]
    assert not skipped
    assert_readable(items)
    ignore = read_masks(items[0])[1]
    assert ignore[40:].all() and not ignore[:40].any()


def test_coco_prefers_train2017_and_instances(tmp_path: Path) -> None:
    for kind, name in (("instances", "val2017"), ("panoptic", "val2017"), ("instances", "mine")):
        write_coco(tmp_path, kind, name)
    (tmp_path / "annotations/instances_absent.json").write_text("not looked at: there are no pictures")
    items, _ = find("coco", tmp_path)
    assert {i.collection for i in items} == {"mine", "val2017"} and {i.mask.suffix for i in items} == {".json"}
    write_coco(tmp_path, "instances")
    assert {i.collection for i in find("coco", tmp_path)[0]} == {"train2017"}


def test_coco_that_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_coco(tmp_path, "instances")
    path = tmp_path / "annotations/instances_train2017.json"
    whole = json.loads(path.read_text())
    (tmp_path / "train2017/1.jpg").unlink()
    assert find("coco", tmp_path)[1]["mask without a picture"] == 1
    write_image(tmp_path / "train2017/1.jpg", HEIGHT + 8)
    assert find("coco", tmp_path)[1]["mask of another size than its picture"] == 1
    write_image(tmp_path / "train2017/1.jpg")
    for counts in ([3, 4], "no runs", "0", None):
        whole["annotations"][0]["segmentation"] = {"size": [HEIGHT, WIDTH], "counts": counts}
        path.write_text(json.dumps(whole))
        assert find("coco", tmp_path)[1]["mask that cannot be decoded"] == 1, counts
    item = dataclasses.replace(find("coco", tmp_path)[0][0], instance=99)
    with pytest.raises(DataError, match="has no annotation 99"):
        read_masks(item)
    del whole["images"]
    path.write_text(json.dumps(whole))
    with pytest.raises(DataError, match=r"no file of COCO instances \(at 'images'\)"):
        find("coco", tmp_path)
    path.write_text("{")
    with pytest.raises(DataError, match=r"instances_train2017\.json cannot be read as JSON"):
        find("coco", tmp_path)
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(DataError, match=r"pycocotools; install d3s-vot\[train\]"):
        find("coco", tmp_path)


# --- parts that are missing


def test_videos_without_labels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no labels; only DropMAE is trained on such videos"):
        find("clips", tmp_path)


@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if layout != "clips"])
def test_a_folder_without_the_layout_names_the_missing_part(layout: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no data folder"):
        find(layout, tmp_path / "absent")
    part = {"stills": "SET/images", "coco": "annotations"}.get(layout, "JPEGImages")
    with pytest.raises(DataError, match=f"has no folder {part}"):
        find(layout, tmp_path)


def test_missing_halves_are_named(tmp_path: Path) -> None:
    def fails(layout: str, root: Path, complaint: str) -> None:
        with pytest.raises(DataError, match=complaint):
            find(layout, root)

    write_image(tmp_path / "stills/set/images/a.jpg")
    fails("stills", tmp_path / "stills", "no folder set/masks")
    fails("stills", tmp_path / "stills/set", "is one set")
    write_image(tmp_path / "vos/JPEGImages/a/00000.jpg")
    fails("youtube-vos", tmp_path / "vos", "no folder Annotations")
    write_davis(tmp_path / "davis", "2017")
    shutil.rmtree(tmp_path / "davis/ImageSets")
    fails("davis", tmp_path / "davis", r"no ImageSets/2017/train\.txt")
    write_coco(tmp_path / "coco", "panoptic")
    shutil.rmtree(tmp_path / "coco/annotations/panoptic_train2017")
    fails("coco", tmp_path / "coco", "no folder panoptic_train2017 of masks")
    shutil.rmtree(tmp_path / "coco/train2017")
    fails("coco", tmp_path / "coco", "no folder of pictures train2017")
    (tmp_path / "coco/annotations/panoptic_train2017.json").unlink()
    fails("coco", tmp_path / "coco", r"no instances_NAME\.json")
