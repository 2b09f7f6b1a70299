"""Reports: the toolkit's figures, ours beside them, the files, and the refusal to measure what is not there."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from layouts import shared_videos, write_layout

from d3s_vot.errors import D3SError, InputError
from d3s_vot.evaluation.boxes.boxsets import open_boxset
from d3s_vot.evaluation.boxes.layouts import LAYOUTS, format_boxes, format_times, write_file
from d3s_vot.evaluation.boxes.reports import MEASURES, report
from d3s_vot.evaluation.boxes.scores import got10k_overlaps, got10k_scores, overlaps
from d3s_vot.evaluation.boxes.sequences import Sequence

pytest.importorskip("got10k.experiments", reason="needs d3s-vot[got10k]")
OTB_LIKE = ("otb50", "otb100", "uav123", "nfs30", "tcolor128", "dtb70")
LOCAL = ("got10k-val", "trackingnet", "lasot", *OTB_LIKE)  # where the truth can be at hand
SECONDS = np.array([0.5] + [0.05] * 39)


def make(name: str, lengths: tuple[int, ...] = (40, 40, 40)) -> list[Sequence]:
    """Sequences, of the pictures the names alone."""
    sequences = []
    for number, length in enumerate(lengths):
        random = np.random.default_rng(number)
        truth = np.concatenate([random.integers(1, 120, (length, 2)), random.integers(20, 60, (length, 2))], axis=1)
        cover = random.integers(0, 9, length) if name == "got10k-val" else None
        frames = tuple(Path(f"{index:08d}.jpg") for index in range(length))
        size = (160, 140) if name == "got10k-val" else None
        sequences.append(Sequence(f"video-{number}", frames, truth.astype(float), cover=cover, size=size))
    return sequences


def track(
    name: str, sequences: list[Sequence], results: Path, noise: float = 8, tracker: str = "D3S"
) -> dict[str, np.ndarray]:
    """Write the truth, shaken, as a tracker's results; returns what is in the files."""
    boxes = {}
    for sequence in sequences:
        shift = np.random.default_rng(9).normal(0, noise, (len(sequence), 4)) * (np.arange(len(sequence)) > 0)[:, None]
        moved = np.nan_to_num(sequence.truth, nan=50) + shift
        moved[:, 2:] = moved[:, 2:].clip(1)
        boxes[sequence.name] = moved.round(LAYOUTS[name].decimals)
        text = format_boxes(moved, LAYOUTS[name].decimals)
        seconds = np.resize(SECONDS, len(sequence))
        write_file(LAYOUTS[name].boxes(results, tracker, sequence.name), text.encode())
        write_file(LAYOUTS[name].times(results, tracker, sequence.name), format_times(seconds).encode())
    return boxes


def run(name: str, folder: Path, sequences: list[Sequence] | None = None, noise: float = 8) -> dict:
    """Track and report; returns performance.json."""
    sequences = make(name) if sequences is None else sequences
    track(name, sequences, folder / "results", noise)
    report(name, "D3S", sequences, folder / "results", folder / "report")
    return json.loads((folder / "report" / "performance.json").read_text())


def test_got10k_of_real_sequences(shared: Path, tmp_path: Path) -> None:
    write_layout("got10k-val", tmp_path, shared_videos(shared, frames=30))
    sequences = open_boxset("got10k-val", tmp_path)
    performance = run("got10k-val", tmp_path, sequences)
    boxes = track("got10k-val", sequences, tmp_path / "results")
    counted = [got10k_overlaps(boxes[s.name], s.truth, s.cover, s.size) for s in sequences]
    assert performance["sequences"] == len(sequences) == 8
    assert performance["overall"]["AO"] == pytest.approx(100 * np.concatenate(counted).mean(), abs=1e-6)


def test_got10k_scores_are_ours(tmp_path: Path) -> None:
    sequences = make("got10k-val", (40, 25))
    performance = run("got10k-val", tmp_path, sequences)
    boxes = track("got10k-val", sequences, tmp_path / "results")
    counted = {s.name: got10k_overlaps(boxes[s.name], s.truth, s.cover, s.size) for s in sequences}
    for found, part in (
        (performance["overall"], np.concatenate(list(counted.values()))),
        (performance["per_sequence"]["video-0"], counted["video-0"]),
        (performance["per_sequence"]["video-1"], counted["video-1"]),
    ):
        expected = got10k_scores(part)
        assert {key: found[key] for key in expected} == pytest.approx(expected, abs=1e-6)
    toolkit = json.loads((tmp_path / "report" / "toolkit.json").read_text())["D3S"]["overall"]
    assert 100 * toolkit["ao"] == performance["overall"]["AO"]
    assert toolkit["speed_fps"] == pytest.approx(performance["overall"]["frames/s, mean"])


@pytest.mark.parametrize("name", OTB_LIKE)
def test_otb_and_its_like(name: str, tmp_path: Path) -> None:
    sequences = make(name)
    sequences[1].truth[7:20] = np.nan  # not annotated: does not count
    performance = run(name, tmp_path, sequences)
    boxes = track(name, sequences, tmp_path / "results")
    success, precision = [], []
    for s in sequences:
        counts = ~np.isnan(s.truth[:, 0])
        found, truth = boxes[s.name][counts], s.truth[counts]
        found[0] = truth[0]
        success.append((overlaps(found, truth)[:, None] > np.linspace(0, 1, 21)).mean())
        shift = found[:, :2] + found[:, 2:] / 2 - truth[:, :2] - truth[:, 2:] / 2
        precision.append((np.linalg.norm(shift, axis=1) <= 20).mean())
    assert performance["overall"]["success"] == pytest.approx(100 * np.mean(success), abs=1e-9)
    assert performance["overall"]["precision"] == pytest.approx(100 * np.mean(precision), abs=1e-9)
    assert performance["per_sequence"]["video-1"]["success"] == pytest.approx(100 * success[1], abs=1e-9)


@pytest.mark.parametrize(("name", "success"), [("trackingnet", 100), ("lasot", 100 * 20 / 21)])
def test_truth_against_itself(name: str, success: float, tmp_path: Path) -> None:
    overall = run(name, tmp_path, noise=0)["overall"]
    assert (overall["success"], overall["precision"], overall["normalised precision"]) == (
        pytest.approx(success),
        100,
        100,
    )


@pytest.mark.parametrize("name", LOCAL)
def test_files(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run [1]*"  # the toolkit takes such characters for patterns
    performance = run(name, folder)
    assert capsys.readouterr() == ("", "")
    assert list(performance["overall"]) == [*MEASURES, "frames/s", "frames/s, mean", "frames/s, median"]
    assert list(performance["per_sequence"]["video-2"]) == ["frames", *performance["overall"]]
    assert (performance["sequences"], performance["frames"]) == (3, 120)
    assert performance["overall"]["frames/s"] == pytest.approx(40 / SECONDS.sum())
    assert performance["overall"]["frames/s, mean"] == pytest.approx((1 / SECONDS).mean())
    assert performance["overall"]["frames/s, median"] == pytest.approx(20)
    with (folder / "report" / "per_sequence.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["sequence"] for row in rows] == ["video-0", "video-1", "video-2"]
    plots = sorted(path.stem for path in (folder / "report").glob("*.png"))
    assert plots == sorted(title.replace(" ", "_") for title in performance["curves"])
    for plot in plots:
        assert cv2.imread(str(folder / "report" / f"{plot}.png")).std() > 5
    assert not list(folder.rglob("*.part"))


def test_table(tmp_path: Path) -> None:
    sequences = make("got10k-val")
    track("got10k-val", sequences, tmp_path / "results", noise=0, tracker="mine")
    table = report("got10k-val", "mine", sequences, tmp_path / "results", tmp_path / "report")
    assert table.splitlines() == [
        "got10k-val: 3 sequences, 120 frames; scores in percent",
        "                               AO    SR.5   SR.75  frames/s",
        "mine                        100.0   100.0   100.0      16.3",
        "D3S (paper, GOT-10k test)    59.7    67.6    46.2         -",
    ]
    assert (tmp_path / "report" / "table.txt").read_text() == table + "\n"


def test_twice_the_same(tmp_path: Path) -> None:
    assert run("lasot", tmp_path / "a") == run("lasot", tmp_path / "b")
    for path in sorted((tmp_path / "a" / "report").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / "report" / path.name).read_bytes()


def test_sequence_without_a_frame_that_counts(tmp_path: Path) -> None:
    sequences = make("got10k-val")
    sequences[0] = replace(sequences[0], cover=np.zeros(40, np.int64))
    performance = run("got10k-val", tmp_path, sequences)
    assert performance["per_sequence"]["video-0"]["AO"] is None
    assert performance["overall"]["AO"] > 0


@pytest.mark.parametrize("name", LOCAL)
def test_missing_times(name: str, tmp_path: Path) -> None:
    """The toolkit would take those of the sequence before."""
    sequences = make(name)
    track(name, sequences, tmp_path)
    LAYOUTS[name].times(tmp_path, "D3S", "video-1").unlink()
    with pytest.raises(InputError, match=r"video-1_time\.txt is missing"):
        report(name, "D3S", sequences, tmp_path, tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_damaged_boxes(tmp_path: Path) -> None:
    sequences = make("otb100")
    track("otb100", sequences, tmp_path)
    path = LAYOUTS["otb100"].boxes(tmp_path, "D3S", "video-2")
    path.write_text(path.read_text()[:-30])
    with pytest.raises(InputError, match=r"video-2\.txt"):
        report("otb100", "D3S", sequences, tmp_path, tmp_path / "report")


def test_truth_kept_by_a_server(tmp_path: Path) -> None:
    sequences = [replace(sequence, truth=sequence.truth[:1]) for sequence in make("trackingnet")]
    for name in ("got10k-test", "trackingnet"):
        with pytest.raises(InputError, match="keeps the ground truth"):
            report(name, "D3S", sequences, tmp_path, tmp_path / "report")


def test_nothing_to_measure(tmp_path: Path) -> None:
    single = make("otb100", (1,))
    unlike = [replace(sequence, truth=sequence.truth[:30]) for sequence in make("otb100")]
    for sequences, reason in ((single, "video-0 cannot be measured"), (unlike, "40 frames, but 30 lines")):
        with pytest.raises(InputError, match=reason):
            report("otb100", "D3S", sequences, tmp_path, tmp_path / "report")


def test_unwritable(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("a file in its place")
    track("otb50", make("otb50"), tmp_path)
    with pytest.raises(D3SError, match="cannot be written"):
        report("otb50", "D3S", make("otb50"), tmp_path, tmp_path / "report")
