"""Several trackers measured: by hand, as the got10k toolkit does, and the same from every form of result files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from d3s_vot.evaluation.boxes.entries import Entry, read_entry
from d3s_vot.evaluation.boxes.layouts import LAYOUTS, format_boxes, format_times, write_file
from d3s_vot.evaluation.boxes.measuring import measure
from d3s_vot.evaluation.boxes.sequences import Sequence
from d3s_vot.evaluation.boxes.standings import Standing, main_score, stand, thresholds

SCORES = ("SR.5", "SR.75", "precision", "normalised precision")


def made(name: str, lengths: tuple[int, ...] = (30, 50)) -> list[Sequence]:
    """Sequences without pictures."""
    sequences = []
    for number, length in enumerate(lengths):
        random = np.random.default_rng(number)
        truth = np.concatenate([random.integers(1, 90, (length, 2)), random.integers(20, 50, (length, 2))], axis=1)
        cover = random.integers(0, 9, length) if name == "got10k-val" else None
        size = (160, 140) if name == "got10k-val" else None
        frames = tuple(Path(f"{k}.jpg") for k in range(length))
        sequences.append(Sequence(f"video-{number}", frames, truth.astype(float), cover=cover, size=size))
    return sequences


def shaken(sequence: Sequence, noise: float, seed: int = 3) -> np.ndarray:
    boxes = sequence.truth + np.random.default_rng(seed).normal(0, noise, sequence.truth.shape)
    boxes[:, 2:] = boxes[:, 2:].clip(1)
    boxes[0] = sequence.truth[0]
    return boxes.round(2)


def entry(tracker: str, sequences: list[Sequence], *noises: float) -> Entry:
    runs = {s.name: [shaken(s, noise, seed) for seed, noise in enumerate(noises)] for s in sequences}
    return Entry(tracker, runs, {s.name: [np.full(len(s), 0.05)] for s in sequences})


def test_by_hand() -> None:
    """A target of 40 x 20 that the answer leaves by 10 pixels a frame to the right: overlaps 1, 3/5, 1/3 and 1/7."""
    truth = np.array([[10.0, 10, 40, 20]] * 4)
    boxes = truth + np.array([[0.0, 0, 0, 0], [10, 0, 0, 0], [20, 0, 0, 0], [30, 0, 0, 0]])
    sequence = Sequence("a", tuple(map(Path, "0123")), truth)
    (standing,) = stand("otb100", [Entry("right", {"a": [boxes]})], [sequence], {"a": ["blur"]})
    # of the thresholds 0, .05 ... 1 are below 1: 20; below 3/5: 12; below 1/3: 7; below 1/7: 3
    assert standing.overall == pytest.approx(
        {
            "success": 100 * (20 + 12 + 7 + 3) / 21 / 4,
            "SR.5": 50,
            "SR.75": 25,
            "precision": 75,
            # errors of 0, 1/4, 1/2 and 3/4 widths at the thresholds 0, .01 ... .5
            "normalised precision": 100 * (51 + 26 + 1) / 51 / 4,
        }
    )
    assert standing.attributes == {"blur": standing.overall} == {"blur": standing.sequences["a"]}
    assert (standing.rank, standing.mean_rank, standing.frames_per_second) == (1, 1, None)


@pytest.mark.parametrize("name", ["otb100", "uav123", "nfs240", "dtb70", "got10k-val", "avist", "trackingnet-train"])
def test_the_figures_are_those_of_the_report(name: str, tmp_path: Path) -> None:
    """Which the got10k toolkit makes for most of the sets."""
    pytest.importorskip("got10k.experiments", reason="needs d3s-vot[got10k]")
    sequences = made(name)
    if name != "got10k-val":
        sequences[0].truth[5:9] = np.nan  # not annotated
    boxes = {s.name: np.nan_to_num(shaken(s, 6), nan=50) for s in sequences}
    for s in sequences:
        write_file(LAYOUTS[name].boxes(tmp_path, "D3S", s.name), format_boxes(boxes[s.name], 2).encode())
        write_file(LAYOUTS[name].times(tmp_path, "D3S", s.name), format_times(np.full(len(s), 0.05)).encode())
    expected = measure(name, "D3S", sequences, tmp_path, boxes)
    folder = tmp_path / LAYOUTS[name].folder / "D3S"
    (standing,) = stand(name, [read_entry(name, "D3S", [folder], sequences)], sequences, {})
    assert {key: standing.overall[key] for key in expected.overall} == pytest.approx(expected.overall, abs=1e-9)
    for key, scores in expected.sequences.items():
        assert {one: standing.sequences[key][one] for one in scores} == pytest.approx(scores, abs=1e-9)
    for key, curve in expected.curves.items():
        np.testing.assert_allclose(standing.curves[key], curve.shares, atol=1e-12)
        np.testing.assert_array_equal(thresholds(name)[key], curve.thresholds)
    assert set(standing.overall) == {main_score(name), *SCORES}
    assert standing.frames_per_second == pytest.approx(20)


def test_whole_numbers_with_tabs_give_the_same(tmp_path: Path) -> None:
    sequences = made("lasot")
    for s in sequences:
        boxes = np.trunc(shaken(s, 5))
        write_file(tmp_path / "ours" / f"{s.name}.txt", format_boxes(boxes, 3).encode())
        text = "".join("\t".join(str(int(value)) for value in row) + "\n" for row in boxes)
        write_file(tmp_path / "pytracking" / f"{s.name}.txt", text.encode())
    entries = [read_entry("lasot", one, [tmp_path / one], sequences) for one in ("ours", "pytracking")]
    ours, theirs = stand("lasot", entries, sequences, {"video-0": ["blur"]})
    assert ours.overall == theirs.overall and ours.sequences == theirs.sequences
    assert ours.attributes == theirs.attributes
    assert ours.rank == theirs.rank == 1 and ours.mean_rank == theirs.mean_rank == 1.5


def test_ranks_attributes_and_runs() -> None:
    sequences = made("otb100", (20, 30, 40))
    entries = [entry("bad", sequences, 25), entry("good", sequences, 2), entry("fair", sequences, 6, 7)]
    attributes = {"video-0": ["blur"], "video-1": ["night", "blur"]}
    bad, good, fair = standings = stand("otb100", entries, sequences, attributes)
    assert [standing.rank for standing in standings] == [3, 1, 2]
    assert good.mean_rank == 1 and bad.mean_rank == 3
    assert (good.runs, fair.runs) == (1, 2)
    assert list(good.attributes) == ["blur", "night"]
    assert good.attributes["night"] == pytest.approx(good.sequences["video-1"])
    mean = np.mean([good.sequences[key]["success"] for key in ("video-0", "video-1")])
    assert good.attributes["blur"]["success"] == pytest.approx(mean)
    alone: list[Standing] = []
    for k in range(2):
        once = Entry("once", {key: [runs[k]] for key, runs in entries[2].runs.items()})
        alone += stand("otb100", [once], sequences, {})
    assert fair.overall["success"] == pytest.approx(np.mean([one.overall["success"] for one in alone]))


def test_got10k_pools_frames_and_skips_what_nobody_sees() -> None:
    sequences = made("got10k-val", (10, 40, 12))
    hidden = sequences[2].cover
    assert hidden is not None
    hidden[:] = 0
    (standing,) = stand("got10k-val", [entry("one", sequences, 5)], sequences, {"video-2": ["absent"]})
    assert np.isnan(standing.sequences["video-2"]["AO"]) and np.isnan(standing.attributes["absent"]["AO"])
    counts = [int((s.cover[1:] > 0).sum()) for s in sequences if s.cover is not None]
    expected = np.average([standing.sequences[f"video-{k}"]["AO"] for k in range(2)], weights=counts[:2])
    assert standing.overall["AO"] == pytest.approx(expected)
