"""The command line of the training, on a small data set that the tests draw."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from dimp_models import random_atom
from train_data import draw_stills

import train.report
from d3s_vot.errors import CheckpointError
from d3s_vot.locks import locked
from d3s_vot.zoo import load_checkpoint, save_checkpoint
from train.__main__ import _config, _parse, main
from train.config import SCHEDULES, PairConfig
from train.tasks.d3s import Segmentation
from train.tasks.names import SCHEDULES_OF

SMALL = dataclasses.replace(
    SCHEDULES["quick"], iterations=4, epoch=100, batch=2, workers=0, log_every=1, validation_pairs=6, warmup=1,
    precision="float32", pairs=PairConfig(size=96),
)  # fmt: skip


@pytest.fixture(scope="module")
def stills(tmp_path_factory) -> Path:
    return draw_stills(tmp_path_factory.mktemp("stills"))


@pytest.fixture
def command(stills, tmp_path, monkeypatch):
    """Runs `main` in this process with a small schedule, and returns the exit code."""
    monkeypatch.setitem(SCHEDULES, "quick", SMALL)
    base = ["--data", f"stills={stills}", "--output", str(tmp_path / "run"), "--cache", str(tmp_path / "cache"),
            "--device", "cpu"]  # fmt: skip
    return lambda *more: main([*base, *more])


def test_command_line_trains_and_validates(command, tmp_path, capsys):
    assert command("--iterations", "2", "--seed", "3") == 0
    path = tmp_path / "run" / "head.safetensors"
    facts = load_checkpoint(path).provenance
    assert facts["iterations"] == 2 and facts["config"]["seed"] == 3 and facts["schedule"] == "quick"
    assert command("--iterations", "2", "--seed", "3") == 2
    assert "holds a run already" in capsys.readouterr().err
    assert command("--validate-only", str(path)) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[-1].split()[:2] == ["all", "6"]
    assert float(table[-1].split()[2]) == pytest.approx(facts["validation_iou"], abs=1e-3)
    rows_of_sets = table[table.index("collection  pairs    IoU") + 1 : -1]
    assert {line.split()[0] for line in rows_of_sets} <= {"shapes", "video_clips"} and rows_of_sets
    assert (tmp_path / "run" / "validation.png").stat().st_size > 1000


@pytest.mark.parametrize("more", [[], ["--resume"]])
def test_a_second_run_on_one_folder_is_refused(command, tmp_path, capsys, more):
    assert command("--iterations", "1") == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    with locked(tmp_path / "run"):  # as by another run
        assert command("--iterations", "1", *more) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == f"train: another run is writing to {tmp_path / 'run'}; wait for it, or choose another folder"
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before
    assert command("--iterations", "1", "--resume") == 0


def test_command_line_refuses_in_one_sentence(command, tmp_path, capsys):
    for more, text in (
        (["--data", f"stills={tmp_path / 'absent'}"], "absent"),
        (["--data", "pictures=x"], "pictures"),
        (["--resume"], "to resume from"),
        (["--start-from", "absent.safetensors"], "absent.safetensors"),
        (["--validate-only", "absent.safetensors"], "absent.safetensors"),
        (["--device", "tpu"], "tpu"),
        (["--trunk", "resnet18", "--trunk-weights", str(tmp_path / "absent.pt")], "absent.pt"),
    ):
        assert command(*more) == 2
        *before, said = capsys.readouterr().err.splitlines()
        assert said.startswith("train: ") and text in said, said
        assert all(" pictures/s" in line for line in before)  # progress of the check of the data
    for more, text in (
        (["--iterations", "0"], "1 or more"),
        (["--learning-rate", "nan"], "above 0"),
        (["--checkpoint-minutes", "-1"], "0 or more"),
        (["--workers", "few"], "whole number"),
    ):
        with pytest.raises(SystemExit) as exit_:
            command(*more)
        assert exit_.value.code == 2 and text in capsys.readouterr().err


def test_each_schedule_is_of_one_tracker_and_of_another_it_is_refused(command, capsys):
    assert sorted(name for own in SCHEDULES_OF.values() for name in own) == sorted(SCHEDULES)
    with pytest.raises(SystemExit) as exit_:
        command("--schedule", "atom")
    assert exit_.value.code == 2
    assert "atom is no schedule of D3S; choose quick or published" in capsys.readouterr().err
    with pytest.raises(CheckpointError, match="of another tracker than D3S"):
        Segmentation.create(dataclasses.replace(SMALL, rules="ATOM"), torch.device("cpu"), None, 1)
    assert command("--tracker", "LWL") == 2  # by the schedule of its name
    assert "the trunk of LWL comes from no package" in capsys.readouterr().err


def test_weights_of_another_tracker_are_refused(command, tmp_path, capsys):
    path = tmp_path / "other.safetensors"
    save_checkpoint(path, random_atom())
    for option in ("--start-from", "--validate-only"):
        assert command(option, str(path)) == 2
        assert "are of ATOM, not of D3S; choose others" in capsys.readouterr().err.splitlines()[-1]


def test_an_augmentation_keeps_the_crops_that_the_network_asks_for():
    options = _parse(["--data", "stills=x", "--output", "y", "--tracker", "SiamFCpp",
                                     "--augmentation", "full"])  # fmt: skip
    pairs, own = _config(options).pairs, SCHEDULES["siamfcpp"].pairs
    assert (pairs.size, pairs.area_scale) == (own.size, own.area_scale) and pairs.bend != own.bend


def test_a_full_disk_is_named(command, capsys, monkeypatch):
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(train.report, "write_whole", full)
    assert command() == 2
    assert "No space left on device" in capsys.readouterr().err
