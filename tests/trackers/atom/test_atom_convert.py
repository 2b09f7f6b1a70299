"""The published files of ATOM: read whole, refused where anything differs; and the published configurations."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest
import torch

from d3s_vot.cli import main
from d3s_vot.errors import CheckpointError, InputError
from d3s_vot.trackers.atom.config import ATOMConfig
from d3s_vot.trackers.atom.convert import convert_published, read_published
from d3s_vot.trackers.atom.model import ATOMModel
from d3s_vot.trackers.atom.published import CONFIGURATIONS, PUBLISHED
from d3s_vot.trackers.atom.weights import shapes
from d3s_vot.trackers.names import by_name
from d3s_vot.zoo import load_checkpoint


class NetConstructor:
    """Stands in the published files for how a network was built."""


def published_file(path: Path, change=lambda net: None) -> Path:
    """A file as training writes it, in the format of its time."""
    net = {name: torch.full(shape, 0.5) for name, shape in shapes().items()}
    net |= {"feature_extractor.fc.bias": torch.zeros(9), "feature_extractor.bn1.num_batches_tracked": torch.tensor(3)}
    change(net)
    torch.save({"net": net, "constructor": NetConstructor()}, path, _use_new_zipfile_serialization=False)
    return path


def test_a_file_is_converted_and_the_targets_name_chooses_the_rules(tmp_path, capsys) -> None:
    source, target = published_file(tmp_path / "atom_default.pth"), tmp_path / "ATOM-VOT.safetensors"
    assert main(["convert", str(source), str(target)]) == 0
    read = load_checkpoint(target)
    assert read.tracker == "ATOM" and read.tensors.keys() == shapes().keys()
    assert ATOMModel.constants(read) == CONFIGURATIONS["ATOM-VOT"].config
    assert ATOMModel.constants(read_published(source)) == ATOMConfig()
    named = source.rename(tmp_path / "atom_prob_ml.pth")
    assert read_published(named).provenance["configuration"] == "ATOM-prob-ml"
    with pytest.raises(InputError, match="no configuration 'ATOM-2'"):
        read_published(named, "ATOM-2")
    assert main(["convert", str(named), str(target), "--gem-trunk", "b.pth"]) == 2
    assert "one trunk" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda n: n.pop("bb_regressor.fc3_rt.bn.weight"), "fc3_rt.bn.weight is missing"),
        (lambda n: n.update({"bb_regressor.surplus": torch.zeros(1)}), "'bb_regressor.surplus' is unknown"),
        (lambda n: n.update({"bb_regressor.iou_predictor.bias": torch.tensor([float("nan")])}), "not finite"),
        (lambda n: n.update({"bb_regressor.iou_predictor.bias": torch.zeros(1, dtype=torch.float64)}), "float64"),
    ],
)
def test_other_weights_are_refused(tmp_path, change, message) -> None:
    source = published_file(tmp_path / "atom_default.pth", change)
    with pytest.raises(CheckpointError, match=message):
        convert_published(source, tmp_path / "a.safetensors")
    assert not (tmp_path / "a.safetensors").exists()


def test_every_configuration_is_published_and_registered() -> None:
    assert [one.name for one in PUBLISHED] == list(CONFIGURATIONS)
    assert by_name("ATOM-VOT").results == {"VOT2018": "EAO .401"}
    registry = configparser.ConfigParser()
    registry.read(Path(__file__).parents[3] / "trackers.ini")
    for name in CONFIGURATIONS:
        assert registry[name]["env_D3S_VOT_TRACKER"] == registry[name]["label"] == name


def test_the_published_constants() -> None:
    default, vot, ml, gmm = (entry.config for entry in CONFIGURATIONS.values())
    assert (default.sample_size, default.search_area_scale, default.first_frame_share) == (288, 5, 0.25)
    assert (vot.sample_size, vot.search_area_scale, vot.first_frame_share, vot.learning_rate) == (224, 4, 0, 0.0075)
    names = ("not_found_score", "distractor_threshold", "hard_negative_threshold", "displacement_scale")
    assert [getattr(default, name) for name in names] == [0.25, 0.8, 0.5, 0.8]
    assert [getattr(vot, name) for name in names] == [-1, 100, 0.3, 0.7] and vot.cosine_window
    assert (default.refinement_steps, default.refinement_step, default.refinement_relative) == (5, 1, 0)
    assert (ml.refinement_steps, ml.refinement_step, ml.refinement_size_step) == (10, 2e-4, 1e-3)
    assert (gmm.refinement_relative, gmm.refinement_step, gmm.refinement_size_step) == (1, 1e-2, 5e-2)
    assert (default.memory_size, default.gauss_newton_steps, default.gauss_newton_cg_iterations) == (250, 6, 10)


@pytest.mark.parametrize(("constant", "value"), [("sample_size", 280), ("memory_size", 30), ("filter_size", 3)])
def test_constants_that_make_no_sense_are_refused(constant, value) -> None:
    with pytest.raises(InputError, match=constant):
        ATOMConfig(**{constant: value})
