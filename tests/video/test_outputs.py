"""The files of results: read back, and left whole by errors, Ctrl-C and a full disk."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from answers import SIZE, Made, answer, little_room

from d3s_vot.errors import D3SError, InputError
from d3s_vot.evaluation.vot.stored import read_trajectory
from d3s_vot.images import read_image
from d3s_vot.prediction import Prediction
from d3s_vot.regions import Box, Polygon
from d3s_vot.video.outputs import Output, open_outputs
from d3s_vot.video.outputs.masks import CocoJson, MaskFolder, palette
from d3s_vot.video.outputs.tables import COLUMNS, CsvTable, JsonLines, VotText
from d3s_vot.video.sources import Frame, Source


def fill(output: Output, frames: int = 5, predictions: Sequence[Prediction | None] | None = None) -> None:
    with output:
        for frame in Made([k / 25 for k in range(frames)]):
            output.write(frame, [answer()] if predictions is None else predictions)


# ---- tables


def test_csv_and_json_lines_are_read_back(tmp_path: Path) -> None:
    turned = Polygon([(10, 5), (30.5, 15), (25, 30.123456), (4, 20)])
    source = Made([0, 0.04, 0.0801])
    answers = [[answer(), None], [answer(), answer(turned, confidence=1.0)], [answer(visible=False), answer(turned)]]
    with CsvTable(tmp_path / "a.csv") as table, JsonLines(tmp_path / "a.jsonl") as lines:
        for frame, predictions in zip(source, answers, strict=True):
            table.write(frame, predictions)
            lines.write(frame, predictions)
    objects = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [(o["frame"], o["target"]) for o in objects] == [(0, 1), (1, 1), (1, 2), (2, 1), (2, 2)]
    assert objects[2] == {
        "frame": 1,
        "time": 0.04,
        "target": 2,
        "box": pytest.approx([4, 5, 26.5, 25.123]),
        "polygon": [10, 5, 30.5, 15, 25, 30.123, 4, 20],
        "confidence": 1.0,
        "visible": True,
    }
    assert objects[0]["box"] == [10.25, 8, 20.5, 16] and len(objects[0]["polygon"]) == 8
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS and len(rows) == len(objects)
    for row, o in zip(rows, objects, strict=True):
        numbers = [float(row[name]) for name in COLUMNS[:-1]]
        assert numbers == [o["frame"], o["time"], o["target"], *o["box"], *o["polygon"], o["confidence"]]
        assert row["visible"] == str(o["visible"]).lower()
    data = (tmp_path / "a.csv").read_bytes()
    assert data.count(b"\r\n") == data.count(b"\n") == 6


@pytest.mark.parametrize("one_based", [True, False])
def test_vot_text_is_read_back(tmp_path: Path, one_based: bool) -> None:
    turned = Polygon([(10, 5), (30.5, 15), (25, 30.12345), (4, 20)])
    with VotText(tmp_path / "bag.txt", one_based) as output:
        output.write(Frame(2, 0.08, None), [answer(), None])
        output.write(Frame(3, 0.12, None), [answer(Box(1, 2, 3, 4)), answer(turned)])
        output.write(Frame(4, 0.16, None), [answer(turned), answer(turned)])
        output.write(Frame(5, 0.2, None), [answer(visible=False), answer(Box(1, 2, 3, 4))])
    first, second = (read_trajectory(tmp_path / name) for name in ("bag.txt", "bag_2.txt"))
    assert first[:3] == [0, 0, 1] and second[:4] == [0, 0, 0, 1]
    corner = 1 if one_based else 0
    expected = [[1 + corner, 2 + corner, 3, 4], [4 + corner, 5 + corner, 26.5, 25.1234], [10.25 + corner, 8 + corner]]
    assert all(np.allclose(line[:4], values) for line, values in zip(first[3:5], expected, strict=False))
    assert np.allclose(first[5], [*expected[2], 20.5, 16])
    assert np.allclose(second[4], turned.points, atol=1e-4)
    assert np.allclose(second[5], [(1, 2), (4, 2), (4, 6), (1, 6)])  # in kind: polygons have another origin


def test_vot_text_is_what_the_toolkit_reads(tmp_path: Path) -> None:
    io = pytest.importorskip("vot.region.io")
    fill(VotText(tmp_path / "a.txt"), 3)
    special, *rest = io.read_trajectory(str(tmp_path / "a.txt"))
    assert special.code == 1
    assert [(r.x, r.y, r.width, r.height) for r in rest] == [(11.25, 9, 20.5, 16)] * 2


# ---- masks


def test_masks_of_one_target_are_black_and_white(tmp_path: Path) -> None:
    prediction = answer()
    with MaskFolder(tmp_path / "new" / "masks", SIZE) as output:
        output.write(Frame(7, 0.1, None), [None])
        output.write(Frame(8, 0.2, None), [prediction])
    assert sorted(path.name for path in (tmp_path / "new" / "masks").iterdir()) == ["00000007.png", "00000008.png"]
    none, some = (read_image(tmp_path / "new" / "masks" / f"0000000{k}.png") for k in (7, 8))
    assert none.shape == (48, 64, 3) and not none.any()
    assert np.array_equal(some, np.where(prediction.mask[..., None], 255, 0).repeat(3, axis=2))


def test_masks_of_several_targets_are_label_maps(tmp_path: Path) -> None:
    from PIL import Image

    sure, unsure = answer(Box(0, 0, 20, 20), confidence=0.9), answer(Box(10, 10, 20, 20), confidence=0.3)
    with MaskFolder(tmp_path, SIZE) as output:
        output.write(Frame(0, 0, None), [sure, None, unsure])
    with Image.open(tmp_path / "00000000.png") as picture:
        labels = np.asarray(picture)
        assert picture.mode == "P" and picture.getpalette()[:12] == palette()[:12]
    assert np.array_equal(labels == 1, sure.mask) and np.array_equal(labels == 3, unsure.mask & ~sure.mask)
    assert set(np.unique(labels)) == {0, 1, 3}


def test_mask_folder_must_be_empty(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "00000000.png").touch()
    with pytest.raises(InputError, match="is not empty"):
        MaskFolder(tmp_path / "old", SIZE)
    with pytest.raises(InputError, match="is a file"):
        MaskFolder(tmp_path / "old" / "00000000.png", SIZE)
    with pytest.raises(InputError, match="cannot be written"):
        MaskFolder(tmp_path / "old" / "00000000.png" / "a", SIZE)


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # in pycocotools
def test_coco_codes_decode_to_the_masks(tmp_path: Path) -> None:
    mask = pytest.importorskip("pycocotools.mask")
    predictions = [answer(), None, answer(Polygon([(30, 30), (60, 30), (50, 44)]), confidence=0.5)]
    fill(CocoJson(tmp_path / "a.json"), 3, predictions)
    entries = json.loads((tmp_path / "a.json").read_text())
    assert [(entry["image_id"], entry["track_id"]) for entry in entries] == [(k, t) for k in range(3) for t in (1, 3)]
    for entry in entries:
        prediction = predictions[entry["track_id"] - 1]
        assert np.array_equal(mask.decode(entry["segmentation"]), prediction.mask)
        assert entry["bbox"] == list(prediction.box) and entry["score"] == prediction.confidence
        assert entry["category_id"] == 1
    fill(CocoJson(tmp_path / "empty.json"), 1, [answer(visible=False)])
    (entry,) = json.loads((tmp_path / "empty.json").read_text())
    assert not mask.decode(entry["segmentation"]).any()
    fill(CocoJson(tmp_path / "none.json"), 2, [None])
    assert json.loads((tmp_path / "none.json").read_text()) == []


def test_coco_without_its_package_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(InputError, match=r"install d3s-vot\[video\]"):
        CocoJson(tmp_path / "a.json")
    assert not list(tmp_path.iterdir())


# ---- all of them


def all_of(folder: Path, source: Source) -> Output:
    pytest.importorskip("av")
    pytest.importorskip("pycocotools")
    return open_outputs(
        source,
        overlay=folder / "a.mp4",
        masks=folder / "a.json",
        csv=folder / "a.csv",
        jsonl=folder / "a.jsonl",
        vot=folder / "a.txt",
    )


def counts(folder: Path) -> list[int]:
    """Frames in each of the text files."""
    rows = [len((folder / f"a.{ending}").read_text().splitlines()) for ending in ("csv", "jsonl", "txt")]
    return [rows[0] - 1, *rows[1:], len(json.loads((folder / "a.json").read_text()))]


@pytest.mark.parametrize("error", [None, KeyboardInterrupt, RuntimeError, D3SError])
def test_all_are_whole_however_a_run_ends(tmp_path: Path, error: type[BaseException] | None) -> None:
    source = Made([k / 25 for k in range(6)])
    (tmp_path / "a.csv").write_text("of an earlier run")
    try:
        with all_of(tmp_path, source) as outputs:
            for frame in source:
                outputs.write(frame, [answer()])
                assert (tmp_path / "a.csv").read_text() == "of an earlier run"
            if error is not None:
                raise error
    except BaseException as raised:
        assert type(raised) is error
    assert counts(tmp_path) == [6] * 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.json", "a.jsonl", "a.mp4", "a.txt"]
    outputs.close()  # a second time


def test_full_disk_is_one_sentence_and_costs_only_the_video(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    outputs = all_of(tmp_path, Made([0]))
    frames = 0
    message = r"a\.mp4 cannot be written any more .*; make room"
    with pytest.raises(D3SError, match=message), outputs, little_room(100_000):
        for frames in range(200):
            outputs.write(Frame(frames, frames / 25, rng.integers(0, 255, (48, 64, 3), np.uint8)), [answer()])
    assert counts(tmp_path) == [frames + 1] * 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.json", "a.jsonl", "a.txt"]


@pytest.mark.parametrize("kind", [CsvTable, JsonLines, VotText, CocoJson])
def test_what_does_not_fit_into_a_text_is_taken_back(tmp_path: Path, kind: type) -> None:
    pytest.importorskip("pycocotools")
    output = kind(tmp_path / "a")
    with pytest.raises(D3SError, match="cannot be written any more"), output, little_room(1000):
        for frame in Made([k / 25 for k in range(100)]):
            output.write(frame, [answer()])
    text = (tmp_path / "a").read_text()
    assert 800 < len(text) <= 1003 and text.endswith("\n")
    if kind is CocoJson:
        assert [entry["image_id"] for entry in json.loads(text)] == list(range(len(json.loads(text))))


def test_full_disk_among_masks(tmp_path: Path) -> None:
    masks = MaskFolder(tmp_path, SIZE)
    with pytest.raises(D3SError, match=r"00000000\.png cannot be written"), masks, little_room(10):
        masks.write(Frame(0, 0, None), [answer()])
    assert not list(tmp_path.iterdir())


def test_outputs_that_cannot_be_leave_everything_as_it_was(tmp_path: Path) -> None:
    source = Made([0])
    source.name = str(tmp_path / "video.mp4")
    for wishes, message in (
        ({"overlay": tmp_path / "x" / ".." / "video.mp4"}, "is the source"),
        ({"csv": tmp_path / "a", "jsonl": tmp_path / "a"}, "asked for twice"),
        ({"csv": tmp_path / "a.csv", "overlay": tmp_path / "a.gif"}, "must be a video"),
        ({"csv": tmp_path}, "is a folder"),
        ({"csv": Path("/dev/null")}, "is no ordinary file"),
        ({"csv": tmp_path / "a.csv" / "b.csv"}, "cannot be written"),
        ({"csv": tmp_path / ("a" * 300)}, "cannot be written"),
    ):
        (tmp_path / "a.csv").write_text("of an earlier run")
        with pytest.raises(InputError, match=message):
            open_outputs(source, **wishes)
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    assert (tmp_path / "a.csv").read_text() == "of an earlier run"


def test_run_without_a_frame_leaves_nothing(tmp_path: Path) -> None:
    with all_of(tmp_path / "new" / "folder", Made([0])):
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())
    with open_outputs(Made([0]), masks=tmp_path / "new" / "masks"):
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["csv", "jsonl", "vot", "overlay", "masks", "coco"])
def test_a_second_run_is_refused_and_costs_the_first_nothing(tmp_path: Path, kind: str) -> None:
    endings = {"overlay": "a.mp4", "coco": "a.json"}
    wish = {"masks" if kind == "coco" else kind: str(tmp_path / "out" / endings.get(kind, "a"))}
    source = Made([k / 25 for k in range(4)])
    with open_outputs(source, **wish) as outputs:
        for _ in range(2):  # before the first frame, and after it
            with pytest.raises(InputError, match=r"by another run|is not empty"):
                open_outputs(source, **wish, **({} if kind == "csv" else {"csv": tmp_path / "second" / "b.csv"}))
            outputs.write(next(iter(source)), [answer()])
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    with open_outputs(source, **wish) if kind != "masks" else nullcontext():  # the place is free again
        assert any((tmp_path / "out").iterdir())


def test_masks_and_a_table_in_one_new_folder(tmp_path: Path) -> None:
    source = Made([k / 25 for k in range(4)])
    with open_outputs(source, masks=tmp_path / "out", csv=tmp_path / "out" / "a.csv") as outputs:
        for frame in source:
            outputs.write(frame, [answer()])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [*(f"{k:08d}.png" for k in range(4)), "a.csv"]
    with pytest.raises(InputError, match=r"is not empty, it holds"):
        open_outputs(source, masks=tmp_path / "out")


def test_the_end_of_codes_has_room_on_a_full_disk(tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    codes, source = CocoJson(tmp_path / "a.json"), Made([k / 25 for k in range(5)])
    for frame in source:
        codes.write(frame, [answer()])
    (partial,) = tmp_path.iterdir()
    with pytest.raises(D3SError, match="cannot be written any more"), little_room(partial.stat().st_size + 1):
        codes.close()
    assert [entry["image_id"] for entry in json.loads((tmp_path / "a.json").read_text())] == [0, 1, 2, 3]
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_masks_ending_in_json_are_codes_and_others_pictures(tmp_path: Path) -> None:
    source = Made([0])
    with open_outputs(source, masks=tmp_path / "masks") as outputs:
        outputs.write(next(iter(source)), [answer()])
    assert [path.name for path in (tmp_path / "masks").iterdir()] == ["00000000.png"]
