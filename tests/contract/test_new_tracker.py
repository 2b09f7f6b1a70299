"""The tracker of docs/new_tracker.md through every adapter, with nothing changed elsewhere."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import ncc
import pytest
import toolkit
from layouts import moving_disc, write_layout
from videos import disc_video

from d3s_vot import got10k_run, zoo
from d3s_vot.cli import main
from d3s_vot.regions import Box, box_iou
from d3s_vot.zoo import save_checkpoint

REGISTRY = toolkit.REGISTRY.replace("StandIn", "NCC").replace("command = standin", "command = ncc").replace(
    f"paths = {toolkit.TESTS}", f"paths = {toolkit.TESTS}{os.pathsep}{toolkit.TESTS.parent}"
)
STACK = "title: one run\nexperiments:\n  unsupervised:\n    type: unsupervised\n    repetitions: 1\n"


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "family", ncc.family_with_it)


@pytest.fixture
def weights(tmp_path: Path) -> str:
    path = tmp_path / "NCC.safetensors"
    save_checkpoint(path, ncc.checkpoint(reach=20))
    return str(path)


def test_track_with_an_overlay(weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, boxes = disc_video(tmp_path / "v.mp4", 8)
    target = ",".join(map(str, boxes[0]))
    files = ["--overlay", str(tmp_path / "o.mp4"), "--csv", str(tmp_path / "v.csv")]
    assert main(["track", str(path), f"--box={target}", "--tracker", weights, "--device", "cpu", *files]) == 0
    with (tmp_path / "v.csv").open(newline="") as file:
        found = [Box(*(float(row[key]) for key in "xywh")) for row in csv.DictReader(file)]
    assert len(found) == 8 and all(box_iou(a, b) > 0.7 for a, b in zip(found, boxes, strict=True))
    assert (tmp_path / "o.mp4").stat().st_size > 0
    capsys.readouterr()
    for masks in (["--masks", str(tmp_path / "m")], ["--coco", str(tmp_path / "m.json")]):
        assert main(["track", str(path), f"--box={target}", "--tracker", weights, *masks]) == 2
        said = capsys.readouterr().err
        assert said == "d3s-vot: --masks takes masks, and NCC gives boxes alone; leave it out, and --coco too\n"
    assert not (tmp_path / "m").exists() and not (tmp_path / "m.json").exists()


def test_bench(weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(toolkit.sample() / "cat"), "--tracker", weights, "--frames", "5", "--device", "cpu"]) == 0
    assert capsys.readouterr().out.startswith("NCC, no network, preset exact")


def test_a_data_set_of_boxes(weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (name,) = write_layout("otb50", tmp_path / "OTB", [moving_disc()])
    command = ["--dataset", "otb50", "--root", str(tmp_path / "OTB"), "--output", str(tmp_path / "runs")]
    options = ["--tracker", weights, "--name", "NCC", "--device", "cpu", "--sequences", name]
    assert got10k_run.main([*command, *options]) == 0, capsys.readouterr().err
    (found,) = (tmp_path / "runs").rglob(f"{name}.txt")
    assert len(found.read_text().splitlines()) == 6


def test_davis_is_refused_in_a_sentence(
    weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--dataset", "davis17-val", "--root", str(tmp_path), "--output", str(tmp_path / "runs")]
    assert got10k_run.main([*command, "--tracker", weights]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "davis17-val takes masks, and NCC gives boxes alone; choose" in said
    assert not (tmp_path / "runs").exists()


def test_the_vot_toolkit(weights: str, tmp_path: Path) -> None:
    root = toolkit.new_workspace(tmp_path / "workspace")
    (root / "trackers.ini").write_text(REGISTRY)
    (root / "stack.yaml").write_text(STACK)
    (root / "sequences" / "list.txt").write_text("cup\n")  # of rectangles; that of the test is of polygons
    settings = {"D3S_VOT_TRACKER": weights, "D3S_VOT_DEVICE": "cpu"}
    sequence = ["--sequence", str(toolkit.sample() / "cat")]
    printed = toolkit.vot("--registry", str(root), "test", *sequence, "NCC", **settings)
    assert "Test concluded successfuly" in printed, printed
    printed = toolkit.vot("evaluate", "--workspace", str(root), "NCC", **settings)
    (found,) = (root / "results" / "NCC" / "unsupervised" / "cup").glob("cup_001.[bt]*")
    assert found.stat().st_size > 0, printed
