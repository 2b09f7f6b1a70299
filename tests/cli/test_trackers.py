"""`d3s-vot trackers`, and what is said where weights are not at hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from d3s_vot.cli import main
from d3s_vot.errors import CheckpointError
from d3s_vot.trackers.names import NAMES, family, published
from d3s_vot.weights.find import MODELS, packaged
from d3s_vot.zoo import find


def test_the_list_for_people(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["trackers"]) == 0
    page = capsys.readouterr().out
    first, second, *_ = page.split("\n\n")
    assert first.startswith("D3S: masks\n") and str(MODELS / "D3S.safetensors") in first and "CVPR 2020" in first
    assert "not at hand: get SegmNet.pth.tar" in second and "d3s-vot convert SegmNet.pth.tar" in second
    assert "VOT2018: EAO .489" in second


def test_the_list_for_programs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "D3S-ResNet50.safetensors").touch()
    assert main(["trackers", "--json"]) == 0
    found = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert found["D3S"]["weights"] == str(packaged()["D3S"]) and found["D3S"]["gives_masks"] is True
    assert found["D3S-ResNet50"]["weights"] == "D3S-ResNet50.safetensors"


def test_names_are_told_apart_and_agree_with_the_models() -> None:
    every = [one for tracker in NAMES for one in published(tracker)]
    assert len({one.name for one in every}) == len(every)
    for one in every:
        assert one.gives_masks == family(one.tracker).gives_masks
        assert bool(one.file) == bool(one.source) == bool(one.convert)
        assert bool(one.file) or one.name in packaged()


def test_published_weights_that_are_not_at_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=r"get SegmNet\.pth\.tar from .*`d3s-vot convert SegmNet\.pth\.tar"):
        find("D3S-ResNet50")
    assert main(["bench", "--tracker", "D3S-ResNet50"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    (tmp_path / "D3S-ResNet50.safetensors").touch()
    assert find("D3S-ResNet50") == Path("D3S-ResNet50.safetensors")
    with pytest.raises(CheckpointError, match="packaged name"):
        find("nobody")
