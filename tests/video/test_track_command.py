"""`d3s-vot track`: what a user gives and gets, and what is said where something cannot be used."""

from __future__ import annotations

import csv
import json
import os
import signal
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

pytest.importorskip("av")
pytest.importorskip("pycocotools")
from matching import Made, Matching, matching
from scenes import scene
from simple import SimpleTarget, simple
from videos import damage, disc_video, packet_count

from d3s_vot import interrupts, zoo
from d3s_vot.cli import main
from d3s_vot.errors import D3SError, InputError
from d3s_vot.given import Frame as Picture
from d3s_vot.given import Given
from d3s_vot.prediction import Prediction
from d3s_vot.regions import Box, box_iou
from d3s_vot.tracker import Tracker
from d3s_vot.video import sources, targets
from d3s_vot.video.follow import follow, given
from d3s_vot.video.outputs import open_outputs
from d3s_vot.video.outputs.tables import JsonLines
from d3s_vot.video.sources import Frame
from d3s_vot.video.targets import read_masks
from d3s_vot.video.writing import PrintedCsv, write_answers

DISC = "--box=25,35,31,31"  # in the first frame of `scene`


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> list[zoo.Choice]:
    """No network; what was chosen."""
    asked: list[zoo.Choice] = []

    def load(choice: zoo.Choice) -> Tracker:
        asked.append(choice)
        return matching()

    monkeypatch.setattr(zoo.Choice, "load_tracker", load)
    monkeypatch.setattr(zoo.Choice, "demand_masks", lambda *_: None)
    return asked


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def boxes_of(table: list[dict[str, str]], target: int = 1) -> list[Box]:
    return [Box(*(float(row[key]) for key in "xywh")) for row in table if row["target"] == str(target)]


def test_everything_of_a_damaged_video(tmp_path: Path, stand_in: list, capsys: pytest.CaptureFixture[str]) -> None:
    path, boxes = disc_video(tmp_path / "v.mkv", 14, height=121, width=161, options={"g": "1", "bf": "0"})
    damage(path, [3, 9, 10])
    out = tmp_path / "out"
    files = {"overlay": "v.mp4", "masks": "masks", "csv": "v.csv", "jsonl": "v.jsonl", "vot": "v.txt"}
    flags = [part for flag, name in files.items() for part in (f"--{flag}", str(out / name))]
    tracking = ["--device", "cpu", "--trunk", "t.pth", "--preset", "fast", "--threads", "2", "--weights", "w"]
    tracking += ["--rules", "published"]
    assert main(["track", str(path), DISC, "--polygon", "90,80 130,80 130,110 90,110", *flags, *tracking]) == 0
    assert stand_in == [zoo.Choice("w", "cpu", "fast", "published", Path("t.pth"))]
    printed = capsys.readouterr()
    assert printed.out == "" and "3 of 14 frames cannot be decoded" in printed.err
    summary = printed.err.splitlines()[-1]
    assert summary.startswith("14 frames in ") and "; target 2: mean confidence 0." in summary
    assert summary.count("not visible in 3 frames") == 2

    assert packet_count(out / "v.mp4") == 14 == len(list((out / "masks").glob("*.png")))
    table = rows(out / "v.csv")
    assert [int(row["frame"]) for row in table] == [i for i in range(14) for _ in range(2)]
    assert [row["visible"] for row in table[::2]] == ["false" if i in (3, 9, 10) else "true" for i in range(14)]
    for i, (found, box) in enumerate(zip(boxes_of(table), boxes, strict=True)):
        assert box_iou(found, box) > (0.6 if i in (3, 9, 10) else 0.85)
    assert all(box_iou(found, Box(90, 80, 40, 30)) > 0.85 for found in boxes_of(table, 2))
    assert len((out / "v.jsonl").read_text().splitlines()) == 28
    assert len((out / "v.txt").read_text().splitlines()) == len((out / "v_2.txt").read_text().splitlines()) == 14
    assert set(np.unique(np.array(Image.open(out / "masks" / "00000013.png")))) == {0, 1, 2}
    assert not list(out.rglob("*.part"))


def test_rows_are_printed_by_default(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, boxes = disc_video(tmp_path / "v.mp4", 14)
    assert main(["track", str(path), "--start", "0.3s", "--box", ",".join(map(str, boxes[8]))]) == 0
    table = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [(int(row["frame"]), float(row["time"])) for row in table] == [(i, i / 25) for i in range(8, 14)]
    assert all(box_iou(found, box) > 0.85 for found, box in zip(boxes_of(table), boxes[8:], strict=True))


def test_rows_go_to_standard_output_beside_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path, _ = disc_video(tmp_path / "v.mp4", 5)
    assert main(["track", str(path), DISC, "--csv", "-", "--jsonl", "a.jsonl"]) == 0
    assert [int(row["frame"]) for row in csv.DictReader(capsys.readouterr().out.splitlines())] == list(range(5))
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 5
    for flag in ("jsonl", "vot", "masks", "overlay"):
        assert main(["track", str(path), DISC, f"--{flag}", "-"]) == 2
        assert f"--{flag} cannot go to standard output" in capsys.readouterr().err
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.jsonl", "v.mp4"]


def test_a_box_mostly_outside_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, _ = disc_video(tmp_path / "v.mp4", 3)
    assert main(["track", str(path), "--box=-60,10,80,40"]) == 0
    (line,) = (line for line in capsys.readouterr().err.splitlines() if "outside" in line)
    assert line.startswith("box -60,10,80,40 lies mostly outside: 25 % of it can be seen")
    assert main(["track", str(path), "--box=-30,10,80,40"]) == 0
    assert "outside" not in capsys.readouterr().err


@pytest.mark.parametrize("kind", interrupts.KINDS)
@pytest.mark.parametrize("moment", ["tracking", "writing"])
def test_told_to_end_in_any_moment_files_are_whole(
    moment: str, kind: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def told(method: Any) -> Any:
        calls: list[None] = []

        def call(*arguments: Any) -> Any:
            calls.append(None)
            if len(calls) == 3:
                signal.raise_signal(kind)
            return method(*arguments)

        return call

    place, name = (Matching, "track") if moment == "tracking" else (JsonLines, "text")
    monkeypatch.setattr(place, name, told(getattr(place, name)))
    path, _ = disc_video(tmp_path / "v.mp4", 9)
    flags = ["--overlay", str(tmp_path / "o.mp4"), "--csv", str(tmp_path / "v.csv"), "--jsonl", str(tmp_path / "j")]
    assert main(["track", str(path), DISC, *flags, "--masks", str(tmp_path / "m")]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "d3s-vot: interrupted; what is written ends after 3 frames"
    assert packet_count(tmp_path / "o.mp4") == len(rows(tmp_path / "v.csv")) == 3
    assert len((tmp_path / "j").read_text().splitlines()) == len(list((tmp_path / "m").iterdir())) == 3
    assert not list(tmp_path.rglob("*.part"))


def test_a_label_map_gives_several_targets_and_comes_back(tmp_path: Path) -> None:
    path, _ = disc_video(tmp_path / "v.mp4", 4)
    labels = np.zeros((120, 160), np.uint8)
    labels[35:66, 25:56], labels[5:25, 100:130] = 1, 2
    picture = Image.fromarray(labels)
    picture.putpalette([0, 0, 0, 255, 255, 255, 9, 9, 9])
    picture.save(tmp_path / "labels.png")
    masks, coco = tmp_path / "masks", tmp_path / "coco.json"
    assert main(["track", str(path), "--mask", str(tmp_path / "labels.png"), "--coco", str(coco)]) == 0
    assert [(entry["image_id"], entry["track_id"]) for entry in json.loads(coco.read_text())] == [
        (frame, target) for frame in range(4) for target in (1, 2)
    ]
    arguments = ["--box=90,80,40,30", "--mask", str(tmp_path / "labels.png"), "--masks", str(masks)]
    assert main(["track", str(path), *arguments]) == 0
    expected = [Box(90, 80, 40, 30), Box(25, 35, 31, 31), Box(100, 5, 30, 20)]  # in the order of the command line
    assert [mask.box for mask in read_masks(masks / "00000000.png")] == expected


def test_kinds_of_masks(tmp_path: Path) -> None:
    disc = np.hypot(*np.mgrid[-20:20, -30:30]) < 9
    soft = cv2.GaussianBlur(disc * np.uint8(255), (0, 0), 2)
    clear = np.dstack([np.full((40, 60, 3), 255, np.uint8), disc * np.uint8(255)])  # white, transparent around
    pictures = {"one": disc * np.uint8(1), "bool": disc, "soft": soft, "clear": clear, "deep": disc * np.uint16(65535)}
    pictures["grey"] = np.dstack([disc * np.uint8(255)] * 3)
    for name, array in pictures.items():
        Image.fromarray(array).save(tmp_path / f"{name}.png")
        (mask,) = read_masks(tmp_path / f"{name}.png")
        assert (mask.array == disc).mean() > 0.98 and mask.array.sum() == pytest.approx(disc.sum(), rel=0.1)
    void = disc * np.uint8(1)
    void[:5], void[-5:] = 2, 255
    Image.fromarray(void).save(tmp_path / "void.png")
    assert [mask.area for mask in read_masks(tmp_path / "void.png")] == [disc.sum(), 5 * 60]
    bad = {"gap": disc * np.uint8(3) + 1, "empty": disc * np.uint8(0), "colour": np.dstack([disc * np.uint8(9)] * 3)}
    bad["colour"][0, 0] = (1, 2, 3)
    for name, array in bad.items():
        Image.fromarray(array).save(tmp_path / f"{name}.png")
    words = {"gap": "holds the values 1, 4; number", "empty": "is empty", "colour": "is in colour", "none": "no mask"}
    for name, sentence in words.items():
        with pytest.raises(InputError, match=sentence):
            read_masks(tmp_path / f"{name}.png")


def stopped(count: int) -> Iterator[np.ndarray]:
    """Ctrl-C comes after so many frames."""
    yield from (scene(t)[0] for t in range(count))
    raise KeyboardInterrupt


@pytest.mark.parametrize("live", [False, True])
def test_ctrl_c_leaves_whole_files(
    live: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sources, "open_source", lambda _: Made(stopped(7), None if live else 20, live))
    flags = ["--overlay", str(tmp_path / "v.mp4"), "--csv", str(tmp_path / "v.csv"), "--coco", str(tmp_path / "v.json")]
    assert main(["track", "made", DISC, *flags]) == (0 if live else 1)
    count = 6 if live else 7  # a device's first picture is left out: it is old
    error = capsys.readouterr().err.splitlines()
    if not live:
        assert error.pop() == "d3s-vot: interrupted; what is written ends after 7 frames"
    assert error[-1].startswith(f"{count} frames in ") and "; mean confidence " in error[-1]
    assert packet_count(tmp_path / "v.mp4") == len(rows(tmp_path / "v.csv")) == count
    assert len(json.loads((tmp_path / "v.json").read_text())) == count
    assert sorted(path.name for path in tmp_path.iterdir()) == ["v.csv", "v.json", "v.mp4"]



def test_an_error_on_the_way_leaves_whole_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Iterator[np.ndarray]:
        yield from (scene(t)[0] for t in range(5))
        raise D3SError("the stream is lost")

    monkeypatch.setattr(sources, "open_source", lambda _: Made(broken()))
    assert main(["track", "made", DISC, "--csv", str(tmp_path / "v.csv")]) == 1
    assert len(rows(tmp_path / "v.csv")) == 5


def test_a_reader_of_the_rows_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stdout:
        monkeypatch.setattr("sys.stdout", stdout)
        answers = follow(Made([scene(0)[0]]), [Box(25, 35, 31, 31)], matching())
        with pytest.raises(D3SError, match="nobody reads"):
            write_answers(answers, PrintedCsv())


class Still(SimpleTarget):
    """Says the same each time."""

    def __init__(self, frame: Picture, given_: Given) -> None:
        self._answer = given(given_.region, frame.size_hw)

    def track(self, image: np.ndarray) -> Prediction:
        return replace(self._answer)


def test_memory_does_not_grow(tmp_path: Path) -> None:
    alive: weakref.WeakSet[Frame] = weakref.WeakSet()
    answers: weakref.WeakSet[Prediction] = weakref.WeakSet()
    most = [0, 0]

    class Watched(Still):
        def track(self, image: np.ndarray) -> Prediction:
            prediction = super().track(image)
            answers.add(prediction)
            most[1] = max(most[1], len(answers))
            return prediction

    class Watching(Made):
        def __iter__(self) -> Iterator[Frame]:
            for frame in super().__iter__():
                alive.add(frame)
                most[0] = max(most[0], len(alive))
                yield frame

    image = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
    source = Watching(image.copy() for _ in range(1001))
    output = open_outputs(source, csv=tmp_path / "v.csv", masks=tmp_path / "v.json")
    write_answers(follow(source, [Box(4, 4, 9, 9)], simple(Watched)), output)
    assert len(rows(tmp_path / "v.csv")) == 1001
    assert 0 < most[0] <= 4 and 0 < most[1] <= 4  # frames and answers in memory at a time


def test_select(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, boxes = disc_video(tmp_path / "v.mp4", 5)
    drawn = iter([tuple(map(int, boxes[2])), (0, 0, 0, 0)])
    monkeypatch.setattr(targets, "check_display", lambda: None)
    for name in ("namedWindow", "resizeWindow", "destroyAllWindows"):
        monkeypatch.setattr(cv2, name, lambda *_: None)
    monkeypatch.setattr(cv2, "selectROI", lambda *_: next(drawn))
    assert main(["track", str(path), "--select", "--start", "2", "--csv", str(tmp_path / "v.csv")]) == 0
    assert boxes_of(rows(tmp_path / "v.csv"))[0] == boxes[2]
    capsys.readouterr()
    assert main(["track", str(path), "--select", "--csv", str(tmp_path / "w.csv")]) == 2
    assert "no box was drawn" in capsys.readouterr().err and not (tmp_path / "w.csv").exists()


def test_select_without_a_display(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    if os.name != "posix" or os.uname().sysname == "Darwin":
        pytest.skip("has a display always")
    assert main(["track", "none.mp4", "--select"]) == 2
    sentence = "d3s-vot: --select needs a display, and there is none; give the target by --box x,y,w,h\n"
    assert capsys.readouterr().err == sentence
    monkeypatch.setattr(targets, "PROBE", "raise SystemExit('The function is not implemented. Rebuild the library')")
    assert main(["track", "none.mp4", "--select"]) == 2
    assert "needs OpenCV with windows" in capsys.readouterr().err


def bad_inputs(folder: Path) -> Iterator[tuple[list[str], str]]:
    """Arguments, and a word of what is said."""
    video, _ = disc_video(folder / "v.mp4", 5)
    (folder / "empty").mkdir()
    (folder / "zero.mp4").touch()
    Image.fromarray(np.full((30, 40), 255, np.uint8)).save(folder / "small.png")
    v = str(video)
    yield [v], "no target is given; add --box"
    yield [v, "--select", DISC], "--select draws the target"
    yield [v, "--box", "1,2,3"], "box '1,2,3' is not x,y,w,h"
    yield [v, "--box", "a,b,c,d"], "is not x,y,w,h"
    yield [v, "--box", "1,2,3,nan"], "not finite"
    yield [v, "--box", "1,2,0,5"], "must be positive"
    yield [v, "--box", "200,10,30,30"], "box 200,10,30,30 lies outside the frames of"
    yield [v, "--polygon", "300,1,310,1,305,9"], "polygon 300,1,310,1,305,9 lies outside"
    yield [v, "--polygon", "1,2,3,4"], "three corners or more"
    yield [v, "--mask", str(folder / "small.png")], "the mask is 40 x 30 pixels"
    yield [v, "--mask", v], "damaged or not a picture"
    yield [v, DISC, "--start", "7"], "there is no frame 7"
    yield [v, DISC, "--start", "9s"], "ends before the start, 9s"
    yield [v, DISC, "--start", "soon"], "is no frame or time"
    yield [v, DISC, "--overlay", v], "is the source"
    yield [v, DISC, "--overlay", str(folder / "v.avi")], "must be a video"
    yield [str(folder / "none.mp4"), DISC], "there is no video or folder"
    yield [str(folder / "zero.mp4"), DISC], "is empty (0 bytes)"
    yield [str(folder / "empty"), DISC], "holds no pictures"
    yield ["97", DISC], "there is no camera 97"


def test_bad_input_is_one_sentence_and_leaves_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = list(bad_inputs(tmp_path))
    before = sorted(tmp_path.rglob("*"))
    for arguments, words in cases:
        assert main(["track", *arguments, "--csv", str(tmp_path / "v.csv")]) == 2
        printed = capsys.readouterr()
        assert words in printed.err and printed.err.startswith("d3s-vot: ") and printed.out == ""
        assert printed.err.count("\n") == 1, printed.err
        assert sorted(tmp_path.rglob("*")) == before


def test_what_the_grammar_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    for flags, words in (
        (["--threads", "0"], "invalid whole number of 1 or more value: '0'"),
        (["--coco", "masks"], "'masks' must end in .json"),
        (["--coco", "m.json", "--masks", "m"], "not allowed with"),
    ):
        with pytest.raises(SystemExit) as done:
            main(["track", "v.mp4", DISC, *flags])
        assert done.value.code == 2 and words in capsys.readouterr().err


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["track", "--help"])
    assert done.value.code == 0 and "examples:\n  d3s-vot track bag.mp4 --box" in capsys.readouterr().out
