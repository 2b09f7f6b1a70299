"""The published file of ECO's features: read whole, refused where anything differs; and what needs no file."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest
import torch
from eco_golden import published_state, quick_checkpoint

from d3s_vot.cli import main
from d3s_vot.errors import CheckpointError, InputError
from d3s_vot.trackers.eco import weights
from d3s_vot.trackers.eco.config import CORRECTED, PUBLISHED, RULES, ECOConfig
from d3s_vot.trackers.eco.convert import read_published
from d3s_vot.trackers.eco.model import ECOModel, sample_sizes
from d3s_vot.trackers.names import published
from d3s_vot.weights.checkpoint import Checkpoint
from d3s_vot.weights.find import find_weights, packaged
from d3s_vot.zoo import Choice, load_checkpoint


@pytest.mark.parametrize("zipped", [True, False])
def test_the_published_file_is_converted(zipped, tmp_path, capsys):
    state = published_state()
    torch.save(state, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    target = tmp_path / "ECO-default.safetensors"
    assert main(["convert", str(tmp_path / "a.pth"), str(target)]) == 0
    read = load_checkpoint(target)
    assert (read.tracker, read.config) == ("ECO", {"trunk": "resnet18", "shallow": "vggconv1"})
    assert ECOModel.constants(read) == PUBLISHED and read.provenance == {"source": "a.pth"}
    assert torch.equal(read.tensors["shallow.vggmconv1.weight"], state["vggmconv1.weight"])
    kept = {k for k in state if not k.startswith(("layer4.", "fc.")) and not k.endswith("num_batches_tracked")}
    assert {k.partition(".")[2] for k in read.tensors} == kept
    model = Choice(target, "cpu").load_model()
    shallow, deep = model.networks["sample 208"](torch.zeros(1, 3, 208, 208))
    assert shallow.shape == (1, 96, 52, 52) and deep.shape == (1, 256, 13, 13)
    assert main(["convert", str(tmp_path / "a.pth"), str(target), "--gem-trunk", "b.pth"]) == 2
    assert "leave out the file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("vggmconv1.bias"), "vggmconv1.bias is missing"),
        (lambda s: s.pop("layer3.1.bn2.running_var"), "layer3.1.bn2.running_var is missing"),
        (lambda s: [s.pop(name) for name in list(s) if not name.startswith("vgg")], "is missing"),
        (lambda s: s.update(surplus=torch.zeros(1)), "surplus' is unknown"),
        (lambda s: s.update({"conv1.weight": torch.zeros(64, 3, 3, 3)}), "conv1.weight is"),
        (lambda s: s.update({"bn1.bias": torch.zeros(64, dtype=torch.float64)}), "float64"),
    ],
)
def test_other_weights_are_refused(change, message, tmp_path):
    state = published_state()
    change(state)
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=message):
        read_published(tmp_path / "a.pth")


class _Evil:
    def __reduce__(self):
        return eval, ("1/0",)


def test_nothing_in_a_file_is_executed(tmp_path):
    torch.save(published_state() | {"evil": _Evil()}, tmp_path / "evil.pth")
    for name in ("evil.pth", "missing.pth"):
        with pytest.raises(CheckpointError):
            read_published(tmp_path / name)


def test_what_needs_no_weights_is_packaged():
    for one in published("ECO"):
        assert bool(one.file) != (one.name in packaged())
    card = load_checkpoint(find_weights("ECO-resnet18"))
    assert not card.tensors and card.config == {"trunk": "resnet18", "shallow": "conv1", "corrected": 1}
    assert ECOModel.configure(card) == CORRECTED and ECOModel.configure(card, "published") == PUBLISHED


def test_resnet18_is_taken_from_a_file(shared):
    trunk = shared / "weights" / "resnet18_trunk.safetensors"
    model = Choice("ECO-resnet18", "cpu", trunk=trunk).load_model()
    shallow, deep = model.networks["sample 240"](torch.zeros(1, 3, 240, 240))
    assert shallow.shape == (1, 64, 60, 60) and deep.shape == (1, 256, 15, 15)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"trunk": "vgg19"}, "needs the trunk 'vgg19'"),
        ({"shallow": "conv9"}, "features of 'conv9'"),
        ({"deep_channels": 200}, "deep_channels to 200"),
        ({"scales": 4}, "odd number"),
        ({"shallow": "vggconv1"}, "is missing"),
    ],
)
def test_checkpoints_that_make_no_sense_are_refused(config, message):
    card = quick_checkpoint()
    with pytest.raises(CheckpointError, match=message):
        weights.check(Checkpoint.create({}, "ECO", card.config | config), "w", "mend it")


@pytest.mark.parametrize(
    ("constant", "value"),
    [("scales", 2), ("scale_step", 0.5), ("memory_size", 31.5), ("min_sample_size", 300), ("dropout_samples", 64),
     ("shallow_weight", float("nan")), ("corrected", 2)],
)  # fmt: skip
def test_constants_that_make_no_sense_are_refused(constant, value):
    if constant == "dropout_samples":
        with pytest.raises(InputError, match="memory_size"):
            ECOConfig(dropout_samples=value, memory_size=40)
        return
    with pytest.raises(InputError, match=constant):
        ECOConfig(**{constant: value})


def test_constants_of_a_block():
    shallow, deep = (PUBLISHED.of_block(block) for block in ("shallow", "deep"))
    assert (shallow.channels, shallow.learning_rate, shallow.penalty_edge) == (16, 0.025, 0.01)
    assert (deep.channels, deep.learning_rate, deep.label_sigma_factor) == (64, 0.0075, 0.25)
    assert (shallow.self_adjoint, CORRECTED.of_block("deep").self_adjoint) == (0, 1)
    assert ECOConfig(update_cg_iterations=3).of_block("deep").update_cg_iterations == 3
    assert sample_sizes(PUBLISHED) == [208, 240]
    assert set(RULES) >= {"published", "corrected"}


def test_the_registry_has_every_configuration():
    registry = configparser.ConfigParser()
    registry.read(Path(__file__).parents[3] / "trackers.ini")
    for one in published("ECO"):
        assert registry[one.name]["env_D3S_VOT_TRACKER"] == registry[one.name]["label"] == one.name
