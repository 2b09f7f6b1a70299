"""The data sets of boxes: every layout opens, everything broken gets its sentence."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from layouts import Video, moving_disc, shared_videos, write_frames, write_layout
from scenes import annotations

from d3s_vot.errors import InputError
from d3s_vot.evaluation.boxes.boxsets import NAMES, check_frames, open_boxset

GREY = np.full((12, 16, 3), 90, np.uint8)


def still(name: str, frames: int, boxes: int) -> Video:
    """Small grey frames; the box of row i is at (i + 1) / 10."""
    rows = [(1 + i / 10, 2, 5, 6) for i in range(boxes)]
    return Video(name, [GREY] * frames, np.array(rows, float))


def one(name: str, root: Path) -> Path:
    """A data set with one sequence of ten frames; returns the folder of its frames."""
    (written,) = write_layout(name, root, [moving_disc("disc", 10)])
    (sequence,) = open_boxset(name, root, [written])
    return sequence.frames[0].parent


@pytest.mark.parametrize("name", NAMES)
def test_layout_opens(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    videos = [moving_disc("later", 5, start=3), moving_disc("disc", 12)]
    names = write_layout(name, tmp_path, videos)
    found = {sequence.name: sequence for sequence in open_boxset(name, tmp_path, names)}
    assert found.keys() == set(names)
    for written, video in zip(names, videos, strict=True):
        sequence = found[written]
        assert sequence.origin == (0 if name.startswith("trackingnet") else 1)
        lines = 1 if name in ("got10k-test", "trackingnet") else len(video.boxes)
        boxes = video.boxes[:lines] + [sequence.origin, sequence.origin, 0, 0]  # noqa: RUF005 - arrays
        np.testing.assert_array_equal(sequence.truth[:lines], boxes)
        assert sequence.truth.dtype == np.float64
        assert len(sequence.truth) in (1, len(sequence))
        assert len(sequence) == len(video.frames) or name == "uav123"  # whose lengths are fixed
        for path, frame in zip(sequence.frames, video.frames, strict=name != "uav123"):
            assert np.abs(cv2.imread(str(path))[..., ::-1].astype(int) - frame).mean() < 8
        if name == "got10k-val":
            assert sequence.size == (160, 120)
            assert sequence.cover is not None and sequence.cover.tolist() == [8] * len(sequence)
        else:
            assert sequence.size is None and sequence.cover is None
    visited: list[str] = []
    assert check_frames(list(found.values()), lambda sequence: visited.append(sequence.name)) == []
    assert visited == list(found)
    assert capfd.readouterr() == ("", "")  # of what the toolkit prints nothing reaches the user


@pytest.mark.parametrize("name", NAMES)
def test_wrong_root(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no folder .*nowhere; give that of"):
        open_boxset(name, tmp_path / "nowhere")
    with pytest.raises(InputError, match=f"is not the folder of {name}, which holds"):
        open_boxset(name, tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "picture.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=f"is not the folder of {name}, which holds"):
        open_boxset(name, tmp_path)


def test_names(tmp_path: Path) -> None:
    write_layout("trackingnet", tmp_path, [still("bird-1", 1, 1), still("bird-2", 1, 1), still("car", 1, 1)])
    assert [s.name for s in open_boxset("trackingnet", tmp_path)] == ["bird-1", "bird-2", "car"]
    assert [s.name for s in open_boxset("trackingnet", tmp_path, ["car", "bird-1"])] == ["bird-1", "car"]
    with pytest.raises(InputError, match=r"no sequence 'bird-3' of trackingnet in .*; there is bird-2, bird-1"):
        open_boxset("trackingnet", tmp_path, ["car", "bird-3"])
    with pytest.raises(InputError, match="no data set 'otb'; known: got10k-val"):
        open_boxset("otb", tmp_path)


def test_path_that_the_toolkit_takes_for_a_pattern(tmp_path: Path) -> None:
    write_layout("dtb70", tmp_path / "a[1]", [still("car", 1, 1)])
    with pytest.raises(InputError, match=r"a path without the characters \* \? \[ \]"):
        open_boxset("dtb70", tmp_path / "a[1]")


def test_without_the_toolkit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_layout("trackingnet", tmp_path, [still("car", 2, 2)])
    monkeypatch.setitem(sys.modules, "got10k", None)
    assert len(open_boxset("trackingnet", tmp_path)) == 1  # which does not need it
    with pytest.raises(InputError, match=r"the got10k toolkit cannot be used .*; install d3s-vot\[got10k\]"):
        open_boxset("lasot", tmp_path)


@pytest.mark.parametrize(
    "name, frames, boxes",
    [("David", 471, 471), ("Football1", 80, 74), ("Freeman3", 463, 460), ("Freeman4", 290, 283), ("Diving", 231, 215)],
)
def test_otb_sequences_cut_by_the_toolkit(name: str, frames: int, boxes: int, tmp_path: Path) -> None:
    write_layout("otb100", tmp_path, [still(name, frames, boxes)])
    (sequence,) = open_boxset("otb100", tmp_path, [name])
    first = 300 if name == "David" else 1  # the layout puts 299 frames in front of David
    assert [int(path.stem) for path in sequence.frames] == list(range(first, first + boxes))
    assert len(sequence.truth) == boxes
    assert check_frames([sequence]) == []


def test_otb_two_targets_in_one_video(tmp_path: Path) -> None:
    second = Video("Jogging.2", [GREY] * 4, still("", 4, 4).boxes + 1)
    assert write_layout("otb100", tmp_path, [still("Jogging.1", 4, 4), second]) == ["Jogging.1", "Jogging.2"]
    one, two = open_boxset("otb100", tmp_path, ["Jogging.1", "Jogging.2"])
    assert one.frames == two.frames
    np.testing.assert_array_equal(two.truth - one.truth, np.ones((4, 4)))
    with pytest.raises(InputError, match=r"lacks frames or annotation of 97 of 99 sequences of otb100: Basketball, "):
        open_boxset("otb100", tmp_path)


def test_otb_empty_annotation_of_human4(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The older packages have an empty file beside the real one."""
    write_layout("otb50", tmp_path, [still("Human4", 4, 4)])
    folder = tmp_path / "Human4"
    (folder / "groundtruth_rect.txt").rename(folder / "groundtruth_rect.2.txt")
    (folder / "groundtruth_rect.1.txt").write_text("")
    (sequence,) = open_boxset("otb50", tmp_path, ["Human4"])
    assert len(sequence.truth) == 4
    assert capfd.readouterr().out == ""


def test_whole_otb_is_not_missed(tmp_path: Path) -> None:
    """All 49 folders give 50 sequences, as Skating2 has two targets."""
    names = write_layout("otb50", tmp_path, [still(f"{i}", 1, 1) for i in range(43)])
    rest = ["David", "Freeman4", "Diving", "Human4", "Skating2.1", "Skating2.2"]
    write_layout("otb50", tmp_path, [still(name, 1, 1) for name in rest])
    opened = [sequence.name for sequence in open_boxset("otb50", tmp_path, [*names, *rest])]
    assert len(opened) == 49
    with pytest.raises(InputError, match="lacks frames or annotation of 1 of 50 sequences of otb50: Woman;"):
        open_boxset("otb50", tmp_path)
    shutil.copytree(tmp_path / names[0], tmp_path / "Woman")
    assert len(open_boxset("otb50", tmp_path)) == 50


def test_uav123_without_other_folders(tmp_path: Path) -> None:
    """The toolkit wants more than three entries in the root, whatever they are."""
    write_layout("uav123", tmp_path, [still("uav6", 3, 3)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["anno", "data_seq"]
    (sequence,) = open_boxset("uav123", tmp_path, ["uav6"])
    assert len(sequence) == 109
    with pytest.raises(InputError, match="lacks frames or annotation of 122 of 123 sequences of uav123: bike1, bike2"):
        open_boxset("uav123", tmp_path)
    (sequence.frames[0].parent / "000050.jpg").unlink()
    assert [re.sub("in .*:", "in ...:", text) for text in check_frames([sequence])] == [
        "uav6: 1 of 109 frames are missing in ...: 000050.jpg"
    ]
    (tmp_path / "anno" / "UAV123" / "uav66.txt").write_text("1,1,2,2\n")
    with pytest.raises(InputError, match=r"uav66\.txt is the annotation of no sequence of UAV123; remove it"):
        open_boxset("uav123", tmp_path, ["uav6"])


def test_uav123_frames_where_the_target_is_not_annotated(tmp_path: Path) -> None:
    write_layout("uav123", tmp_path, [still("uav6", 3, 3)])
    path = tmp_path / "anno" / "UAV123" / "uav6.txt"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:5], "NaN,NaN,NaN,NaN", *lines[6:8], "2,NaN,3,4", *lines[9:]]))
    (sequence,) = open_boxset("uav123", tmp_path, ["uav6"])
    assert np.isnan(sequence.truth[5]).all()
    assert check_frames([sequence]) == ["uav6: some boxes hold values that are not finite, in line 9"]


def test_lasot_frames_without_a_visible_target(tmp_path: Path) -> None:
    (name,) = write_layout("lasot", tmp_path, [still("", 5, 5)])
    folder = tmp_path / "airplane" / name
    (folder / "full_occlusion.txt").write_text("0,1,0,0,0\n")
    (folder / "out_of_view.txt").write_text("0,0,0,0,1")
    (sequence,) = open_boxset("lasot", tmp_path, [name])
    assert np.isnan(sequence.truth).all(axis=1).tolist() == [False, True, False, False, True]
    assert check_frames([sequence]) == []
    (folder / "out_of_view.txt").write_text("0,0,0")
    with pytest.raises(InputError, match=r"5 boxes; full_occlusion\.txt or out_of_view\.txt of its sequence has not"):
        open_boxset("lasot", tmp_path, [name])
    (folder / "out_of_view.txt").unlink()
    with pytest.raises(InputError, match=r"out_of_view\.txt"):
        open_boxset("lasot", tmp_path, [name])
    with pytest.raises(InputError, match="lacks frames or annotation of 279 of 280 sequences of lasot: airplane-13, "):
        open_boxset("lasot", tmp_path)


def test_lasot_extension_and_avist_without_a_visible_target(tmp_path: Path) -> None:
    videos = [still("lantern", 5, 5), still("wingsuit", 5, 5)]
    write_layout("lasot-extension", tmp_path / "lasot", videos)
    write_layout("avist", tmp_path / "avist", videos)
    folder = tmp_path / "lasot" / "lantern" / "lantern-1"
    label = tmp_path / "avist" / "full_occlusion" / "lantern_full_occlusion.txt"
    for path in (folder / "full_occlusion.txt", label):
        path.write_text("0,1,0,0,0\n")
    for name, file in (("lasot-extension", "groundtruth.txt"), ("avist", "lantern.txt")):
        root = tmp_path / ("avist" if name == "avist" else "lasot")
        first, second = open_boxset(name, root)
        assert np.isnan(first.truth).all(axis=1).tolist() == [False, True, False, False, False]
        assert np.isfinite(second.truth).all() and check_frames([first, second]) == []
        (folder / "full_occlusion.txt" if name != "avist" else label).write_text("0,1\n")
        sentence = rf"{file} has 5 boxes; .*full_occlusion\.txt or .*out_of_view\.txt of its sequence has not"
        with pytest.raises(InputError, match=sentence):
            open_boxset(name, root)
    shutil.rmtree(tmp_path / "lasot" / "wingsuit" / "wingsuit-1" / "img")
    with pytest.raises(InputError, match="annotation of 1 of 2 sequences of lasot-extension: wingsuit-1;"):
        open_boxset("lasot-extension", tmp_path / "lasot")
    (tmp_path / "avist" / "anno" / "wingsuit.txt").unlink()
    with pytest.raises(InputError, match="lacks frames or annotation of 1 of 2 sequences of avist: wingsuit;"):
        open_boxset("avist", tmp_path / "avist")


def test_nfs_annotation_of_its_30_frames(tmp_path: Path) -> None:
    """Lines for 240 or 30 frames a second; one frame more or less than boxes is the toolkit's to cut."""
    write_layout("nfs30", tmp_path, [still("ball", 16, 16)])
    (before,) = open_boxset("nfs30", tmp_path)
    path = tmp_path / "ball" / "30" / "ball.txt"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[::8]))
    (after,) = open_boxset("nfs30", tmp_path)
    np.testing.assert_array_equal(before.truth, after.truth)
    (tmp_path / "ball" / "30" / "ball" / "00016.jpg").unlink()
    (shorter,) = open_boxset("nfs30", tmp_path)
    assert len(shorter) == len(shorter.truth) == 15
    (tmp_path / "ball" / "30" / "ball" / "00014.jpg").unlink()
    assert check_frames(open_boxset("nfs30", tmp_path)) == [
        f"ball: 1 of 15 frames are missing in {tmp_path}/ball/30/ball: 00014.jpg",
        f"ball: there are 15 frames in {tmp_path}/ball/30/ball, but 16 boxes",
    ]


def test_tcolor128_needs_its_range_of_frames(tmp_path: Path) -> None:
    write_layout("tcolor128", tmp_path, [still("Ball_ce1", 4, 4)])
    path = tmp_path / "Ball_ce1" / "Ball_ce1_frames.txt"
    path.write_text("2,4\r\n")
    (sequence,) = open_boxset("tcolor128", tmp_path)
    assert [frame.name for frame in sequence.frames] == ["0002.jpg", "0003.jpg", "0004.jpg"]
    assert check_frames([sequence]) == [f"Ball_ce1: there are 3 frames in {tmp_path}/Ball_ce1/img, but 4 boxes"]
    path.write_text("all of them\n")
    with pytest.raises(InputError, match=r"Ball_ce1 needs a file \*_frames\.txt"):
        open_boxset("tcolor128", tmp_path)
    path.unlink()
    with pytest.raises(InputError, match=r"Ball_ce1 needs a file \*_frames\.txt"):
        open_boxset("tcolor128", tmp_path)


def test_trackingnet_frames_and_boxes(tmp_path: Path) -> None:
    """Frames are in the order of their numbers; all boxes are kept where they are known."""
    write_layout("trackingnet", tmp_path, [still("car", 12, 12)])
    (sequence,) = open_boxset("trackingnet", tmp_path)
    assert [path.name for path in sequence.frames] == [f"{i}.jpg" for i in range(12)]
    path = tmp_path / "TEST" / "anno" / "car.txt"
    path.write_text("".join(f"{i + 0.25},2,5.5,6\n" for i in range(12)))
    (whole,) = open_boxset("trackingnet", tmp_path)
    np.testing.assert_array_equal(whole.truth[3], [3.25, 2, 5.5, 6])
    assert whole.truth.shape == (12, 4) and check_frames([whole]) == []
    path.write_text("1,2,5,6\n" * 5)
    assert check_frames(open_boxset("trackingnet", tmp_path)) == [
        f"car: there are 12 frames in {tmp_path}/TEST/frames/car, but 5 boxes"
    ]
    (tmp_path / "TEST" / "frames" / "dog").mkdir()
    (tmp_path / "TEST" / "anno" / "cat.txt").write_text("1,2,5,6\n")
    with pytest.raises(InputError, match="of 2 of 3 sequences of trackingnet: cat, dog;"):
        open_boxset("trackingnet", tmp_path)


@pytest.mark.parametrize("end, between", [("\n", "\n"), ("\r\n", ""), ("\n", "\n  \n")])
def test_got10k_list_with_blank_lines_and_windows_ends(end: str, between: str, tmp_path: Path) -> None:
    names = write_layout("got10k-val", tmp_path, [still("a", 1, 1), still("b", 1, 1)])
    (tmp_path / "val" / "list.txt").write_bytes(("\n" + "a" + end + between + "b" + end + end).encode())
    assert [sequence.name for sequence in open_boxset("got10k-val", tmp_path)] == names


def test_got10k_missing_folder(tmp_path: Path) -> None:
    write_layout("got10k-test", tmp_path, [still(name, 1, 1) for name in "abcdefghij"])
    for name in "bcdefgh":
        shutil.rmtree(tmp_path / "test" / name)
    with pytest.raises(InputError, match="7 of 10 sequences of got10k-test: b, c, d, e, f and 2 more; add them"):
        open_boxset("got10k-test", tmp_path)
    assert len(open_boxset("got10k-test", tmp_path, ["a", "j"])) == 2


def test_got10k_val_with_the_first_box_alone(tmp_path: Path) -> None:
    write_layout("got10k-val", tmp_path, [still("a", 4, 4)])
    (tmp_path / "val" / "a" / "groundtruth.txt").write_text("1,2,3,4\n")
    with pytest.raises(InputError, match=r"the annotation of a in .* has one box for 4 frames"):
        open_boxset("got10k-val", tmp_path)


@pytest.mark.parametrize(
    "name, text",
    [
        ("meta_info.ini", None),
        ("meta_info.ini", "[METAINFO]\nanno_fps: 10Hz\n"),
        ("meta_info.ini", "[METAINFO]\nresolution: 640x480\n"),
        ("meta_info.ini", "[METAINFO]\nresolution\n"),
        ("cover.label", None),
        ("cover.label", "eight\n"),
        ("absence.label", None),
    ],
)
def test_got10k_val_facts(name: str, text: str | None, tmp_path: Path) -> None:
    folder = one("got10k-val", tmp_path)
    (folder / name).unlink() if text is None else (folder / name).write_text(text)
    with pytest.raises(InputError, match=r"disc needs meta_info\.ini, with a line 'resolution"):
        open_boxset("got10k-val", tmp_path)


def test_got10k_val_cover(tmp_path: Path) -> None:
    video = still("a", 4, 4)
    write_layout("got10k-val", tmp_path, [Video("a", video.frames, video.boxes, cover=[8, 0, 5, 8])])
    (sequence,) = open_boxset("got10k-val", tmp_path)
    assert sequence.cover is not None and sequence.cover.tolist() == [8, 0, 5, 8]
    (tmp_path / "val" / "a" / "cover.label").write_text("8\n0\n")
    assert check_frames(open_boxset("got10k-val", tmp_path)) == [
        f"a: there are 4 frames in {tmp_path}/val/a, but 2 lines in cover.label"
    ]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "text, sentence",
    [
        ("", "is empty"),
        ("1,2,3\n" * 4, "must have four numbers for each frame|cannot be read"),
        ("1,2,three,4\n" * 4, "cannot be read|must have four numbers"),
    ],
)
def test_damaged_annotation(name: str, text: str, sentence: str, tmp_path: Path) -> None:
    (written,) = write_layout(name, tmp_path, [still("a", 4, 4)])
    files = [*tmp_path.rglob("groundtruth*.txt"), *tmp_path.rglob(f"{written}.txt"), *tmp_path.rglob("*_gt.txt")]
    (path,) = files
    path.write_text(text)
    if name.startswith("otb") and not text:  # as if there were none: Human4 has such a file for good
        sentence = "there is no sequence|is not the folder"
    with pytest.raises(InputError, match=sentence):
        open_boxset(name, tmp_path, [written])


def damaged(name: str, root: Path, damage: Callable[[Path], None]) -> list[str]:
    """The problems of a sequence of ten frames after `damage` to their folder, without the path."""
    folder = one(name, root)
    damage(folder)
    (sequence,) = open_boxset(name, root, [folder.parent.name if name.startswith("otb") else "disc"])
    return [text.partition(": ")[2].replace(f"{folder}", "FOLDER") for text in check_frames([sequence])]


def remove(*numbers: int) -> Callable[[Path], None]:
    """Removes these of the sorted frames."""

    def damage(folder: Path) -> None:
        for path in [sorted(folder.glob("*.jpg"), key=lambda path: int(path.stem))[number] for number in numbers]:
            path.unlink()

    return damage


@pytest.mark.parametrize(
    "name, missing",
    [
        ("got10k-val", "00000003.jpg, 00000006.jpg, 00000007.jpg, 00000009.jpg"),
        ("got10k-test", "00000003.jpg, 00000006.jpg, 00000007.jpg, 00000009.jpg"),
        ("trackingnet", "2.jpg, 5.jpg, 6.jpg, 8.jpg"),
        ("otb100", "0003.jpg, 0006.jpg, 0007.jpg, 0009.jpg"),
        ("tcolor128", "0003.jpg, 0006.jpg, 0007.jpg, 0009.jpg"),
    ],
)
def test_four_of_ten_frames_missing(name: str, missing: str, tmp_path: Path) -> None:
    problems = damaged(name, tmp_path, remove(2, 5, 6, 8))
    assert problems == [f"4 of 10 frames are missing in FOLDER: {missing}"]


@pytest.mark.parametrize("numbers", [(0, 1), (8, 9)])
def test_frames_missing_at_an_end(numbers: tuple[int, ...], tmp_path: Path) -> None:
    assert damaged("dtb70", tmp_path, remove(*numbers)) == ["there are 8 frames in FOLDER, but 10 boxes"]


def test_frame_too_many(tmp_path: Path) -> None:
    problems = damaged("got10k-val", tmp_path, lambda folder: write_frames(folder, [GREY], first=11))
    assert problems[0] == "there are 11 frames in FOLDER, but 10 boxes"


@pytest.mark.parametrize("name", ["got10k-val", "trackingnet", "dtb70"])
def test_empty_sequence(name: str, tmp_path: Path) -> None:
    assert damaged(name, tmp_path, remove(*range(10))) == ["there is not one frame (*.jpg) in its folder"]


PNG = cv2.imencode(".png", GREY.repeat(10, 0).repeat(10, 1))[1].tobytes()  # of the size of the disc's frames


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


@pytest.mark.parametrize(
    "change, problem",
    [
        (lambda data: b"frames of the first camera\n", "00000003.jpg is no picture"),
        (lambda data: b"", "00000003.jpg is empty"),
        (cut, "00000003.jpg is cut off"),
        (lambda data: cut(data) + bytes(len(data) // 2), "00000003.jpg is cut off"),
        (lambda data: data[:1], "00000003.jpg is no picture"),
        (lambda data: data + b"\0\0\0\0", None),
        (lambda data: PNG, None),
        (lambda data: cut(PNG), "00000003.jpg is damaged"),
    ],
)
def test_damaged_frame(change: Callable[[bytes], bytes], problem: str | None, tmp_path: Path) -> None:
    def damage(folder: Path) -> None:
        path = folder / "00000003.jpg"
        path.write_bytes(change(path.read_bytes()))

    expected = [] if problem is None else [f"1 of 10 frames in FOLDER cannot be read: {problem}"]
    assert damaged("got10k-val", tmp_path, damage) == expected


def test_many_damaged_frames_are_one_problem(tmp_path: Path) -> None:
    def damage(folder: Path) -> None:
        for number in range(1, 8):
            (folder / f"{number:08d}.jpg").write_bytes(b"")
        (folder / "00000009.jpg").unlink()
        (folder / "00000009.jpg").mkdir()

    assert damaged("got10k-val", tmp_path, damage) == [
        "8 of 10 frames in FOLDER cannot be read: 00000001.jpg is empty, 00000002.jpg is empty, 00000003.jpg is empty, "
        "00000004.jpg is empty, 00000005.jpg is empty and 3 more"
    ]


def test_names_of_frames(tmp_path: Path) -> None:
    problems = damaged("got10k-val", tmp_path / "a", lambda folder: write_frames(folder, [GREY], "cover.jpg"))
    assert problems[0] == "there are 11 frames in FOLDER, but 10 boxes"
    assert problems[-1] == "frames are named by their number, which these in FOLDER are not: cover.jpg"

    def unpadded(folder: Path) -> None:
        for path in folder.glob("*.jpg"):
            path.rename(path.with_stem(str(int(path.stem))))

    assert damaged("got10k-val", tmp_path / "b", unpadded) == [
        "FOLDER/10.jpg comes before 2.jpg, against their numbers; pad the numbers with zeros"
    ]


def test_frame_of_another_size(tmp_path: Path) -> None:
    def damage(folder: Path) -> None:
        write_frames(folder, [GREY], first=4)

    assert damaged("got10k-val", tmp_path, damage) == [
        "frames in FOLDER must keep the size of the first, 160 x 120: 00000004.jpg is 16 x 12"
    ]


@pytest.mark.parametrize(
    "first, problem",
    [
        ("NaN,NaN,NaN,NaN", "the first box (nan, nan, nan, nan) holds a value that is not finite"),
        ("10,20,0,5", "the first box (10.0, 20.0, 0.0, 5.0) is empty"),
        ("161,20,4,5", "the first box (161.0, 20.0, 4.0, 5.0) lies outside the frame of 160 x 120"),
        ("160,20,4,5", None),
    ],
)
def test_first_box(first: str, problem: str | None, tmp_path: Path) -> None:
    def damage(folder: Path) -> None:
        path = folder / "groundtruth.txt"
        path.write_text("\n".join([first, *path.read_text().splitlines()[1:]]))

    problems = damaged("got10k-val", tmp_path, damage)
    assert [text.partition(";")[0] for text in problems] == ([] if problem is None else [problem])


def test_all_problems_of_all_sequences(tmp_path: Path) -> None:
    names = write_layout("dtb70", tmp_path, [still("a", 4, 4), still("b", 4, 4), still("c", 4, 3)])
    (tmp_path / "a" / "img" / "00002.jpg").write_bytes(b"")
    (tmp_path / "a" / "img" / "00003.jpg").unlink()
    sequences = open_boxset("dtb70", tmp_path)
    assert [sequence.name for sequence in sequences] == names
    assert check_frames(sequences) == [
        f"a: 1 of 4 frames are missing in {tmp_path}/a/img: 00003.jpg",
        f"a: 1 of 4 frames in {tmp_path}/a/img cannot be read: 00002.jpg is empty",
        f"c: there are 4 frames in {tmp_path}/c/img, but 3 boxes",
    ]


def test_shared_sequences_as_got10k_val(shared: Path, tmp_path: Path) -> None:
    names = write_layout("got10k-val", tmp_path, shared_videos(shared))
    sequences = open_boxset("got10k-val", tmp_path)
    assert [sequence.name for sequence in sequences] == names
    assert sum(map(len, sequences)) == 1847
    assert check_frames(sequences) == []
    for sequence in sequences:
        regions = annotations(shared / "data" / "sequences" / sequence.name)
        boxes = np.array([tuple(region.box) for region in regions])
        np.testing.assert_allclose(sequence.truth - [1, 1, 0, 0], boxes, atol=1e-9)


def test_shared_sequences_as_otb(shared: Path, tmp_path: Path) -> None:
    """Under their own names, David from its frame 300 on."""
    videos = shared_videos(shared, ["otb-David", "otb-Crossing", "otb-Jumping"], frames=40)
    names = write_layout("otb100", tmp_path, videos)
    assert sorted(names) == ["Crossing", "David", "Jumping"]
    sequences = open_boxset("otb100", tmp_path, names)
    assert check_frames(sequences) == []
    assert [(s.name, s.frames[0].name, len(s)) for s in sequences] == [
        ("Crossing", "0001.jpg", 40),
        ("David", "0300.jpg", 40),
        ("Jumping", "0001.jpg", 40),
    ]


LEFTOVERS = (".DS_Store", "Thumbs.db", "desktop.ini")


def litter(root: Path) -> None:
    """What a Mac, Windows and Jupyter leave: beside each file, in each folder, and a second tree in the archive."""
    for path in sorted(root.rglob("*")):
        if path.is_dir():
            for name in LEFTOVERS:
                (path / name).write_bytes(b"\0\5\26\7")
        else:
            path.with_name(f"._{path.name}").write_bytes(b"\0\5\26\7")
            copy = path.parent / ".ipynb_checkpoints" / f"{path.stem}-checkpoint{path.suffix}"
            copy.parent.mkdir(exist_ok=True)
            copy.write_bytes(b"old")
            there = root / "__MACOSX" / path.relative_to(root).with_name(f"._{path.name}")
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_bytes(b"\0\5\26\7")


@pytest.mark.parametrize("name", NAMES)
def test_leftovers_of_systems(name: str, tmp_path: Path) -> None:
    names = write_layout(name, tmp_path, [moving_disc("disc", 5)])
    before = open_boxset(name, tmp_path, names)
    litter(tmp_path)
    after = open_boxset(name, tmp_path, names)
    assert [sequence.frames for sequence in after] == [sequence.frames for sequence in before]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old.truth, new.truth)
    assert check_frames(after) == []
    if name not in ("otb50", "otb100", "uav123", "lasot"):  # which know more sequences
        assert [sequence.name for sequence in open_boxset(name, tmp_path)] == names


@pytest.mark.parametrize("line", ["NaN,NaN,NaN,NaN", "0,0,0,0", "10,20,0,5"])
@pytest.mark.parametrize("name", ["otb100", "dtb70", "tcolor128"])
def test_frames_without_a_target(name: str, line: str, tmp_path: Path) -> None:
    """They are annotated in several ways, and count in none."""
    (written,) = write_layout(name, tmp_path, [still("a", 5, 5)])
    (path,) = [*tmp_path.rglob("groundtruth*.txt"), *tmp_path.rglob("*_gt.txt")]
    lines = path.read_text().splitlines()
    lines[2] = line.replace(",", "\t") if "\t" in lines[2] else line
    path.write_text("\n".join(lines) + "\n")
    (sequence,) = open_boxset(name, tmp_path, [written])
    assert np.isnan(sequence.truth).all(axis=1).tolist() == [False, False, True, False, False]
    assert check_frames([sequence]) == []


def test_frames_that_change_their_size(tmp_path: Path) -> None:
    """As two of GOT-10k's validation set do; another shape is another picture."""

    def resize(width: int, height: int, folder: Path) -> None:
        for number in range(6, 11):
            write_frames(folder, [cv2.resize(GREY, (width, height))], first=number)

    assert damaged("got10k-val", tmp_path / "smaller", partial(resize, 107, 80)) == []
    assert damaged("got10k-val", tmp_path / "larger", partial(resize, 320, 240)) == []
    (problem,) = damaged("got10k-val", tmp_path / "wider", partial(resize, 160, 100))
    assert problem.startswith("frames in FOLDER must keep the size of the first, 160 x 120: 00000006.jpg is 160 x 100")


def test_text_in_the_place_of_a_path_and_of_a_list(tmp_path: Path) -> None:
    write_layout("dtb70", tmp_path, [still("car", 1, 1), still("cat", 1, 1)])
    (sequence,) = open_boxset("dtb70", str(tmp_path), "car")  # type: ignore[arg-type]
    assert sequence.name == "car"
