"""The published files: read whole, refused where anything differs; and the published configurations."""

from __future__ import annotations

import configparser
import hashlib
import pickle
from pathlib import Path

import pytest
import torch
from siamfcpp_golden import KINDS, make_network

from d3s_vot import load_tracker
from d3s_vot.cli import main
from d3s_vot.errors import CheckpointError, InputError
from d3s_vot.trackers.names import by_name
from d3s_vot.trackers.siamfcpp.config import SiamFCppConfig
from d3s_vot.trackers.siamfcpp.convert import convert_published, read_published
from d3s_vot.trackers.siamfcpp.model import SiamFCppModel
from d3s_vot.trackers.siamfcpp.network import SiamFCppNetwork
from d3s_vot.trackers.siamfcpp.published import CONFIGURATIONS, FILES, PUBLISHED
from d3s_vot.zoo import load_checkpoint


def state_of(kind="tinyconv", **changes):
    return SiamFCppNetwork(kind, SiamFCppConfig.of_trunk(kind, **changes)).state_dict()


@pytest.mark.parametrize("kind", KINDS)
def test_every_trunk_is_read_in_the_format_of_its_time(kind, tmp_path):
    state = state_of(kind)
    torch.save(state, tmp_path / "a.pkl", _use_new_zipfile_serialization=False)
    read = convert_published(tmp_path / "a.pkl", tmp_path / "a.safetensors")
    assert read.config.pop("trunk") == kind
    assert SiamFCppConfig.with_changes(read.config) == SiamFCppConfig.of_trunk(kind)
    assert read.provenance["source"] == "a.pkl"
    kept = {name for name in state if not name.endswith("num_batches_tracked")}
    again = load_checkpoint(tmp_path / "a.safetensors")
    assert again.tensors.keys() == kept
    assert all(torch.equal(again.tensors[name], state[name]) for name in kept)


def test_the_state_of_a_training_is_read_without_its_optimiser(tmp_path):
    network = make_network("tinyconv")
    optimiser = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9)
    network.score(torch.rand(1, 64, 31, 31), torch.rand(1, 64, 9, 9)).sum().backward()
    optimiser.step()
    content = {"epoch": 19, "model_state_dict": network.state_dict(), "optimizer_state_dict": optimiser.state_dict()}
    torch.save(content, tmp_path / "a.pkl", _use_new_zipfile_serialization=False)
    read = read_published(tmp_path / "a.pkl").tensors
    state = network.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in read.items())


def test_counts_may_be_missing_and_two_numbers_be_lists(tmp_path):
    state = {name: tensor for name, tensor in state_of().items() if not name.endswith("num_batches_tracked")}
    state["head.si"], state["head.bi"] = torch.tensor([0.5]), torch.tensor([0.25])
    torch.save(state, tmp_path / "a.pkl")
    read = read_published(tmp_path / "a.pkl").tensors
    assert read["head.si"].shape == () and read["head.si"] == 0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("head.si"), "head.si is missing"),
        (lambda s: s.pop("c_x.bn.running_mean"), "c_x.bn.running_mean is missing"),
        (lambda s: s.update(surplus=torch.zeros(1)), "'surplus' is unknown"),
        (lambda s: s.update({"c_x.conv.bias": torch.zeros(65)}), r"c_x.conv.bias is \(65,\)"),
        (lambda s: s.update({"c_x.conv.bias": torch.full((64,), float("nan"))}), "not finite"),
        (lambda s: s.update({"c_x.conv.bias": torch.zeros(64, dtype=torch.int32)}), "int32"),
        (lambda s: [s.pop(name) for name in list(s) if name.startswith("basemodel")], "none of the trunks"),
        (lambda s: [s.pop(name) for name in list(s) if "p5_conv" in name], "is missing"),
        (lambda s: s.update(epoch=3), "no state dict"),
    ],
)
def test_other_weights_are_refused(change, message, tmp_path):
    state = dict(state_of())
    change(state)
    torch.save(state, tmp_path / "a.pkl")
    with pytest.raises(CheckpointError, match=message):
        convert_published(tmp_path / "a.pkl", tmp_path / "a.safetensors")
    assert not (tmp_path / "a.safetensors").exists()


def test_the_name_of_a_file_says_what_it_holds(tmp_path):
    torch.save(state_of(), tmp_path / "a.pkl", _use_new_zipfile_serialization=False)
    md5 = hashlib.md5((tmp_path / "a.pkl").read_bytes()).hexdigest()
    right = (tmp_path / "a.pkl").rename(tmp_path / f"siamfcpp-tinyconv-vot-md5_{md5}.pkl")
    assert read_published(right).provenance["source_md5"] == md5
    wrong = right.rename(tmp_path / f"siamfcpp-tinyconv-vot-md5_{'0' * 32}.pkl")
    with pytest.raises(CheckpointError, match="MD5"):
        read_published(wrong)


class _Evil:
    def __reduce__(self):
        return eval, ("1/0",)


def test_nothing_in_a_file_is_executed(tmp_path):
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(_Evil()))
    torch.save(dict(state_of()) | {"evil": _Evil()}, tmp_path / "beside.pkl")
    for name in ("evil.pkl", "beside.pkl", "missing.pkl"):
        with pytest.raises(CheckpointError):
            read_published(tmp_path / name)


def test_a_configuration_belongs_to_its_network(tmp_path):
    torch.save(state_of("alexnet"), tmp_path / "a.pkl")
    read = read_published(tmp_path / "a.pkl", "SiamFCpp-otb-alexnet")
    assert SiamFCppModel.constants(read) == CONFIGURATIONS["SiamFCpp-otb-alexnet"].config
    assert read.provenance["configuration"] == "SiamFCpp-otb-alexnet"
    with pytest.raises(InputError, match="alexnet"):
        read_published(tmp_path / "a.pkl", "SiamFCpp-otb-googlenet")
    with pytest.raises(InputError, match="no configuration"):
        read_published(tmp_path / "a.pkl", "SiamFCpp-otb")


def test_the_name_of_the_target_chooses_the_rules(tmp_path):
    torch.save(state_of("alexnet"), tmp_path / "a.pkl")
    read = convert_published(tmp_path / "a.pkl", tmp_path / "SiamFCpp-vot-alexnet.safetensors")
    assert SiamFCppModel.constants(read) == CONFIGURATIONS["SiamFCpp-vot-alexnet"].config
    with pytest.raises(InputError, match="one of another"):
        convert_published(tmp_path / "a.pkl", tmp_path / "SiamFCpp-vot-tinyconv.safetensors")


def test_the_command_converts_whichever_tracker_it_is(tmp_path, capsys):
    torch.save(state_of(), tmp_path / "a.pkl", _use_new_zipfile_serialization=False)
    target = tmp_path / "a.safetensors"
    assert main(["convert", str(tmp_path / "a.pkl"), str(target)]) == 0
    assert load_checkpoint(target).tracker == "SiamFCpp"
    assert main(["convert", str(tmp_path / "a.pkl"), str(target), "--gem-trunk", "b.pth"]) == 2
    assert "one trunk" in capsys.readouterr().err
    torch.save({"some.weight": torch.zeros(3)}, tmp_path / "other.pkl")
    assert main(["convert", str(tmp_path / "other.pkl"), str(target)]) == 2


def test_weights_that_are_not_here_are_said_where_to_get(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        CheckpointError, match=r"siamfcpp-googlenet-lasot.*`d3s-vot convert .*SiamFCpp-lasot-googlenet\."
    ):
        load_tracker("SiamFCpp-lasot-googlenet")
    with pytest.raises(CheckpointError, match="no weights 'SiamFCpp-lasot'"):
        load_tracker("SiamFCpp-lasot")


def test_converted_weights_are_found_by_their_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(state_of(), tmp_path / "a.pkl")
    convert_published(tmp_path / "a.pkl", "SiamFCpp-vot-tinyconv-multi_temp.safetensors")
    tracker = load_tracker("SiamFCpp-vot-tinyconv-multi_temp", "cpu")
    assert tracker.config == CONFIGURATIONS["SiamFCpp-vot-tinyconv-multi_temp"].config


def test_every_configuration_is_published():
    assert [one.name for one in PUBLISHED] == list(CONFIGURATIONS)
    one = by_name("SiamFCpp-vot-googlenet")
    assert one.results == {"VOT2018": "A .581, R .169, EAO .428"}
    assert one.convert == f"d3s-vot convert {one.file} SiamFCpp-vot-googlenet.safetensors"
    assert not one.gives_masks


def test_the_registry_has_every_configuration():
    registry = configparser.ConfigParser()
    registry.read(Path(__file__).parents[3] / "trackers.ini")
    assert set(CONFIGURATIONS) < set(registry)
    for name in CONFIGURATIONS:
        assert registry[name]["env_D3S_VOT_TRACKER"] == registry[name]["label"] == name


def test_published_configurations_have_a_file_and_their_rules():
    assert {entry.digits for entry in CONFIGURATIONS.values()} == set(FILES)
    for digits, (name, trunk) in FILES.items():
        assert name.rpartition("_")[2][:6] == digits and len(name.rpartition("_")[2]) == 36
        assert f"siamfcpp-{trunk}" in name or digits == "d63a5e"
    multi = CONFIGURATIONS["SiamFCpp-vot-googlenet-multi_temp"].config
    assert (multi.memory_step, multi.memory_size, multi.memory_weight) == (5, 4, 0.4)
    assert (multi.size_rate, multi.window_influence, multi.penalty) == (0.52, 0.21, 0.04)
    assert CONFIGURATIONS["SiamFCpp-lasot-googlenet-399"].config.score_size == 31
    assert CONFIGURATIONS["SiamFCpp-googlenet_bn"].config.head_batch_norm
    assert CONFIGURATIONS["SiamFCpp-vot-googlenet"].figures["VOT2018"]["EAO"] == 0.428
    assert len(CONFIGURATIONS) == 23


@pytest.mark.parametrize(
    ("constant", "value"),
    [
        ("head_batch_norm", 2),
        ("head_convolutions", 0),
        ("head_convolutions", True),
        ("search_size", 304),
        ("search_size", 127),
        ("search_size", 303.5),
        ("window_influence", 1.5),
        ("penalty", "much"),
        ("size_rate", float("nan")),
        ("memory_size", 0),
        ("memory_step", True),
    ],
)
def test_constants_that_make_no_sense_are_refused(constant, value):
    with pytest.raises(InputError, match=constant):
        SiamFCppConfig(**{constant: value})


def test_other_rules_leave_what_the_weights_were_trained_for():
    own = SiamFCppConfig.of_trunk("googlenet")
    changed = own.with_rules(SiamFCppConfig(size_rate=0.3, search_size=399))
    assert (changed.head_convolutions, changed.head_batch_norm) == (2, 0)
    assert (changed.size_rate, changed.search_size) == (0.3, 399)
    assert changed.changes() == {
        "head_convolutions": 2,
        "head_batch_norm": 0,
        "size_rate": 0.3,
        "search_size": 399,
    }
