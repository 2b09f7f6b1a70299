"""The published files: read whole, refused where anything differs; and the published configurations."""

from __future__ import annotations

import configparser
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from dimp_models import random_state

from d3s_vot.cli import main
from d3s_vot.errors import CheckpointError, InputError
from d3s_vot.trackers.dimp.config import DiMPConfig
from d3s_vot.trackers.dimp.convert import convert_published, read_published
from d3s_vot.trackers.dimp.model import DiMPModel
from d3s_vot.trackers.dimp.published import BENCHMARKS, CONFIGURATIONS, PUBLISHED
from d3s_vot.trackers.dimp.weights import shapes
from d3s_vot.trackers.names import by_name
from d3s_vot.zoo import load_checkpoint


class NetConstructor:
    """Stands in the published files for how a network was built."""

    def __init__(self) -> None:
        self.fun_name, self.kwds = "dimpnet18", {"gauss_sigma": 0.9}


@lru_cache
def random_net(name: str) -> dict[str, torch.Tensor]:
    return random_state(CONFIGURATIONS[name].config)


def published_file(path: Path, name: str = "DiMP-18", change=lambda net: None, zipped: bool = False) -> Path:
    """A file as training writes it, with random weights."""
    unused = {"feature_extractor.fc.bias": torch.zeros(1000), "feature_extractor.layer4.0.conv1.weight": torch.zeros(3)}
    net = random_net(name) | unused
    change(net)
    content = {"epoch": 50, "net_type": "DiMPnet", "net": net, "constructor": NetConstructor(), "stats": [1.0]}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


@pytest.mark.parametrize(
    ("file", "name", "zipped"), [("dimp18.pth", "DiMP-18", False), ("prdimp18.pth.tar", "PrDiMP-18", True)]
)
def test_a_file_is_told_by_its_network(tmp_path, file, name, zipped) -> None:
    source = published_file(tmp_path / file, name, zipped=zipped)
    target = tmp_path / "a.safetensors"
    read = convert_published(source, target)
    assert read.provenance["configuration"] == name and read.provenance["source"] == file
    again = load_checkpoint(target)
    assert again.tracker == "DiMP" and DiMPModel.constants(again) == CONFIGURATIONS[name].config
    expected = random_net(name)
    kept = {k for k in expected if not k.endswith("num_batches_tracked")}
    assert again.tensors.keys() == kept
    assert all(torch.equal(again.tensors[k], expected[k]) for k in kept)


def test_superdimp_is_told_by_its_files_name(tmp_path) -> None:
    wanted = shapes("resnet50", CONFIGURATIONS["DiMP-50"].config)
    net = {name: torch.zeros(shape, dtype=torch.float16) for name, shape in wanted.items()}
    torch.save({"net": net}, tmp_path / "dimp50.pth")
    (tmp_path / "super_dimp.pth.tar").hardlink_to(tmp_path / "dimp50.pth")
    for file, name in (("dimp50.pth", "DiMP-50"), ("super_dimp.pth.tar", "SuperDiMP")):
        read = read_published(tmp_path / file)
        assert read.provenance["configuration"] == name
        assert DiMPModel.constants(read) == CONFIGURATIONS[name].config


def test_the_name_of_the_target_chooses_the_rules(tmp_path) -> None:
    source = published_file(tmp_path / "dimp18.pth")
    read = convert_published(source, tmp_path / "DiMP-18-VOT18.safetensors")
    assert DiMPModel.constants(read) == CONFIGURATIONS["DiMP-18-VOT18"].config
    for other in ("DiMP-50", "PrDiMP-18"):
        with pytest.raises(InputError, match="another network"):
            convert_published(source, tmp_path / f"{other}.safetensors")
    with pytest.raises(InputError, match="no configuration 'DiMP'"):
        read_published(source, "DiMP")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda n: n.pop("classifier.filter_initializer.filter_conv.bias"), "filter_conv.bias is missing"),
        (lambda n: n.update({"classifier.surplus": torch.zeros(1)}), "'classifier.surplus' is unknown"),
        (lambda n: n.update({"bb_regressor.iou_predictor.bias": torch.zeros(2)}), r"iou_predictor.bias is \(2,\)"),
        (lambda n: n.update({"bb_regressor.iou_predictor.bias": torch.tensor([float("inf")])}), "not finite"),
        (lambda n: n.update({"bb_regressor.iou_predictor.bias": torch.zeros(1, dtype=torch.int32)}), "int32"),
        (lambda n: [n.pop(k) for k in list(n) if k.startswith("feature_extractor")], "feature_extractor"),
    ],
)
def test_other_weights_are_refused(tmp_path, change, message) -> None:
    source = published_file(tmp_path / "dimp18.pth", change=change)
    with pytest.raises(CheckpointError, match=message):
        convert_published(source, tmp_path / "a.safetensors")
    assert not (tmp_path / "a.safetensors").exists()


def test_the_command_converts_it(tmp_path, capsys) -> None:
    source, target = published_file(tmp_path / "dimp18.pth"), tmp_path / "DiMP-18.safetensors"
    assert main(["convert", str(source), str(target)]) == 0
    assert load_checkpoint(target).tracker == "DiMP"
    assert main(["convert", str(source), str(target), "--gem-trunk", "b.pth"]) == 2
    assert "one trunk" in capsys.readouterr().err


def test_every_configuration_is_published() -> None:
    assert [one.name for one in PUBLISHED] == list(CONFIGURATIONS)
    assert by_name("DiMP-50-VOT18").results == {"VOT2018": "EAO .440"}
    assert by_name("SuperDiMP").results.keys() == set(BENCHMARKS) - {"GOT-10k test"}
    assert by_name("PrDiMP-50").convert == "d3s-vot convert prdimp50.pth.tar PrDiMP-50.safetensors"


def test_the_registry_has_every_configuration() -> None:
    registry = configparser.ConfigParser()
    registry.read(Path(__file__).parents[3] / "trackers.ini")
    for name in CONFIGURATIONS:
        assert registry[name]["env_D3S_VOT_TRACKER"] == registry[name]["label"] == name


def test_the_published_constants() -> None:
    """A sample of every row of the table."""
    c = {name: entry.config for name, entry in CONFIGURATIONS.items()}
    columns = ["DiMP-18", "DiMP-18-VOT18", "DiMP-50-VOT19", "PrDiMP-18", "PrDiMP-50", "PrDiMP-50-VOT18", "SuperDiMP"]

    def row(*names: str) -> list:
        found = [tuple(getattr(c[column], name) for name in names) for column in columns]
        return [one[0] if len(names) == 1 else one for one in found]

    assert row("sample_size", "search_area_scale") == [
        (288, 5), (224, 4), (256, 4.5), (288, 5), (352, 6), (224, 4), (352, 6)
    ]  # fmt: skip
    assert row("inside_limit") == [0, 0, 0, 0, 1.5, 0, 1.5]
    assert row("memory_size") == [50, 250, 100, 50, 50, 250, 50]
    assert row("learning_rate", "first_frame_share") == [
        (0.01, 0.25), (0.0075, 0), (0.0075, 0), (0.01, 0.25), (0.01, 0.25), (0.01, 0), (0.01, 0.25)
    ]  # fmt: skip
    assert row("first_iterations", "update_iterations", "hard_negative_iterations") == [
        (10, 2, 1), (25, 3, 3), (15, 2, 2), (10, 2, 1), (10, 2, 1), (25, 1, 1), (10, 2, 1)
    ]  # fmt: skip
    assert row("update_interval") == [20, 10, 10, 20, 20, 1, 20]
    assert row("cosine_window") == [0, 1, 1, 0, 0, 1, 0] and row("softmax") == [0, 0, 0, 1, 1, 0, 0]
    assert row("not_found_score") == [0.25, 0, 0, 0.04, 0.04, 0, 0.25]
    assert row("distractor_threshold") == [0.8, 100, 100, 0.8, 0.8, 99999, 0.8]
    assert row("hard_negative_threshold") == [0.5, 0.45, 0.45, 0.5, 0.5, 999999, 0.5]
    assert row("displacement_scale") == [0.8, 0.7, 0.7, 0.8, 0.8, 0.7, 0.8]
    assert [one.first_samples.count for one in (c[column] for column in columns)] == [15, 30, 13, 15, 15, 30, 15]
    assert row("refinement_relative", "refinement_steps", "refinement_step") == [
        (0, 5, 1), (0, 5, 1), (0, 3, 1), (1, 10, 2.5e-3), (1, 10, 2.5e-3), (1, 10, 2.5e-3), (1, 10, 2.5e-3)
    ]  # fmt: skip
    assert row("density") == [0, 0, 0, 1, 1, 1, 0]
    assert c["DiMP-50"] == c["DiMP-18"] and c["DiMP-50-VOT18"] == c["DiMP-18-VOT18"]


@pytest.mark.parametrize(
    ("constant", "value"),
    [("sample_size", 280), ("memory_size", 15), ("augmentation", 3), ("density", True), ("update_interval", 0)],
)
def test_constants_that_make_no_sense_are_refused(constant, value) -> None:
    with pytest.raises(InputError, match=constant):
        DiMPConfig(**{constant: value})
