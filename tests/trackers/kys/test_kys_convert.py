"""The published file: read whole, refused where anything differs, nothing in it executed; the configurations."""

from __future__ import annotations

import configparser
import os
import pickle
from pathlib import Path

import pytest
import torch
from kys_golden import random_net

from d3s_vot.cli import main
from d3s_vot.errors import CheckpointError, InputError
from d3s_vot.trackers.convert import convert_published
from d3s_vot.trackers.kys.config import KYSConfig
from d3s_vot.trackers.kys.convert import read_published
from d3s_vot.trackers.kys.model import KYSModel
from d3s_vot.trackers.kys.published import CONFIGURATIONS, PUBLISHED
from d3s_vot.trackers.kys.weights import published_shapes
from d3s_vot.trackers.names import by_name
from d3s_vot.zoo import load_checkpoint


class Constructor:
    """Stands in the published file for how the network was built; whoever executes the file leaves a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def published_file(path: Path, change=lambda net: None, zipped: bool = False) -> Path:
    """A file as training writes it, with random weights on ResNet-18."""
    trunk = "backbone_feature_extractor."
    unused = {trunk + "fc.bias": torch.zeros(1000), trunk + "layer4.0.conv1.weight": torch.zeros(3)}
    net = random_net() | unused
    change(net)
    constructor = Constructor(path.with_name("executed"))
    content = {"net": net, "constructor": constructor, "net_type": "KYSNet", "settings": constructor, "epoch": 40}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


@pytest.mark.parametrize(("zipped", "name"), [(False, "KYS"), (True, "KYS-VOT")])
def test_the_published_file_is_converted_and_not_executed(tmp_path, zipped, name, capsys) -> None:
    source, target = published_file(tmp_path / "kys.pth", zipped=zipped), tmp_path / f"{name}.safetensors"
    assert main(["convert", str(source), str(target)]) == 0
    assert not (tmp_path / "executed").exists()
    read = load_checkpoint(target)
    assert read.provenance["configuration"] == name and read.provenance["source"] == "kys.pth"
    assert read.tracker == "KYS" and KYSModel.constants(read) == CONFIGURATIONS[name].config
    expected = random_net()
    kept = {k for k in expected if not k.endswith("num_batches_tracked")}
    assert read.tensors.keys() == kept and all(torch.equal(read.tensors[k], expected[k]) for k in kept)
    assert main(["convert", str(source), str(target), "--gem-trunk", "b.pth"]) == 2
    assert "one trunk" in capsys.readouterr().err
    pickle.loads(pickle.dumps(Constructor(tmp_path / "executed")))
    assert (tmp_path / "executed").exists()  # so it would have left its mark


def test_the_layout_is_the_published_one() -> None:
    shapes = published_shapes("resnet50", KYSConfig())
    assert len(shapes) == 450
    part = "predictor.predictor."
    assert shapes[part + "representation_predictor.0.0.weight"] == (16, 10, 3, 3)
    assert shapes[part + "init_hidden_state_predictor.0.0.weight"] == (8, 1, 3, 3)
    assert part + "init_hidden_state_predictor.0.0.bias" not in shapes
    assert shapes[part + "state_predictor.conv_state_new.weight"] == (8, 12, 3, 3)
    assert shapes[part + "cost_volume_proc2.1.1.running_var"] == (1,)
    assert shapes[part + "is_target_predictor.1.0.weight"] == (1, 4, 3, 3)
    assert shapes["dimp_classifier.feature_extractor.0.weight"] == (512, 1024, 3, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda n: n.pop("predictor.predictor.state_predictor.conv_reset.bias"), "conv_reset.bias is missing"),
        (lambda n: n.update({"predictor.surplus": torch.zeros(1)}), "'predictor.surplus' is unknown"),
        (
            lambda n: n.update({"predictor.predictor.representation_predictor.0.0.weight": torch.zeros(64, 10, 3, 3)}),
            r"representation_predictor.0.0.weight is \(64, 10, 3, 3\), not \(16, 10, 3, 3\)",
        ),
        (lambda n: n.update({"bb_regressor.iou_predictor.bias": torch.tensor([float("inf")])}), "not finite"),
        (lambda n: n.update({"bb_regressor.iou_predictor.bias": torch.zeros(1, dtype=torch.int32)}), "int32"),
        (lambda n: [n.pop(k) for k in list(n) if k.startswith("dimp_classifier")], "dimp_classifier.* is missing"),
        (lambda n: [n.pop(k) for k in list(n) if k.startswith("predictor.")], "predictor.predictor.* is missing"),
    ],
)
def test_other_weights_are_refused(tmp_path, change, message) -> None:
    source = published_file(tmp_path / "kys.pth", change)
    with pytest.raises(CheckpointError, match=message):
        convert_published(source, tmp_path / "a.safetensors")
    assert {each.name for each in tmp_path.iterdir()} == {"kys.pth"}


def test_there_are_no_other_configurations(tmp_path) -> None:
    with pytest.raises(InputError, match="no configuration 'KYS-50'; use one of KYS, KYS-VOT"):
        read_published(tmp_path / "kys.pth", "KYS-50")


def test_every_configuration_is_published_and_registered() -> None:
    assert [one.name for one in PUBLISHED] == list(CONFIGURATIONS)
    assert by_name("KYS-VOT").results == {"VOT2018": "EAO .462"} and by_name("KYS").results["GOT-10k test"] == "AO 63.6"
    assert by_name("KYS-VOT").convert == "d3s-vot convert kys.pth KYS-VOT.safetensors"
    registry = configparser.ConfigParser()
    registry.read(Path(__file__).parents[3] / "trackers.ini")
    for name in CONFIGURATIONS:
        assert registry[name]["env_D3S_VOT_TRACKER"] == registry[name]["label"] == name


def test_the_published_constants() -> None:
    usual, vot = (CONFIGURATIONS[name].config for name in ("KYS", "KYS-VOT"))
    assert (usual.sample_size, usual.search_area_scale, usual.cells) == (288, 5, 18)
    assert (vot.sample_size, vot.search_area_scale, vot.cells) == (224, 4, 14)
    assert (usual.memory_size, usual.learning_rate, usual.first_frame_share) == (50, 0.01, 0.25)
    assert (vot.memory_size, vot.learning_rate, vot.first_frame_share) == (250, 0.0075, 0)
    assert (usual.first_iterations, usual.update_iterations, usual.update_interval) == (10, 2, 20)
    assert (vot.first_iterations, vot.update_iterations, vot.hard_negative_iterations, vot.update_interval) == (
        25, 3, 3, 10
    )  # fmt: skip
    assert usual.first_samples.count == 15 and vot.first_samples.count == 30
    assert (usual.hard_negatives, usual.lost_forgets) == (0, 0) and (vot.hard_negatives, vot.lost_forgets) == (1, 1)
    assert usual.not_found_score == vot.not_found_score == usual.score_threshold == 0.05


@pytest.mark.parametrize(
    ("constant", "value"), [("sample_size", 280), ("memory_size", 15), ("window_area", 4.0), ("reach", -1)]
)
def test_constants_that_make_no_sense_are_refused(constant, value) -> None:
    with pytest.raises(InputError, match=constant):
        KYSConfig(**{constant: value})
