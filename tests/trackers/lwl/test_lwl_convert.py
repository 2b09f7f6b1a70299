"""The published files of LWL: read whole, refused where anything differs; and the published configurations."""

from __future__ import annotations

import configparser
from functools import cache
from pathlib import Path

import pytest
import torch
from lwl_golden import random_network

from d3s_vot.cli import main
from d3s_vot.errors import CheckpointError, InputError
from d3s_vot.trackers.convert import convert_published
from d3s_vot.trackers.lwl.config import LWLConfig
from d3s_vot.trackers.lwl.model import LWLModel
from d3s_vot.trackers.lwl.network import LWLNetwork
from d3s_vot.trackers.lwl.published import PUBLISHED
from d3s_vot.trackers.names import by_name
from d3s_vot.zoo import load_checkpoint


class NetConstructor:
    """Stands in the published files for how a network was built."""

    def __init__(self):
        self.fun_name, self.kwds = "steepest_descent_resnet50", {"num_filters": 16}


class Trap:
    """What would be executed by a reader that trusts its file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@cache
def random_net(box_start: int) -> dict[str, torch.Tensor]:
    return dict(random_network(box_start=box_start).state_dict())


def published_file(path, box_start=1, change=lambda net: None, zipped=False):
    """A file as training writes it, with foreign objects pickled beside the network."""
    net = dict(random_net(box_start))
    change(net)
    content = {
        "epoch": 100, "actor_type": "LWLActor", "net_type": "LWTLNet", "net": net, "constructor": NetConstructor(),
        "stats": {"Loss": [1.0]}, "settings": Trap(path.with_suffix(".trap")),
    }  # fmt: skip
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


@pytest.mark.parametrize(("name", "box_start", "zipped"), [("LWL-ytvos", 0, False), ("LWL-boxinit", 1, True)])
def test_a_published_file_is_read_and_nothing_in_it_executed(tmp_path, name, box_start, zipped):
    source = published_file(tmp_path / "a.pth", box_start, zipped=zipped)
    assert main(["convert", str(source), str(tmp_path / f"{name}.safetensors")]) == 0
    assert not source.with_suffix(".trap").exists()
    again = load_checkpoint(tmp_path / f"{name}.safetensors")
    assert again.tracker == "LWL" and again.provenance["source"] == "a.pth"
    widths = {"trunk_depth": 14, "trunk_width": 4, "target_channels": 8, "decoder_width": 4}
    assert LWLModel.constants(again) == LWLConfig(**widths, box_start=box_start)
    kept = {k: v for k, v in random_net(box_start).items() if not k.endswith("num_batches_tracked")}
    assert again.tensors.keys() == kept.keys() and all(torch.equal(again.tensors[k], v) for k, v in kept.items())


def test_the_published_networks_have_as_many_tensors_as_their_files():
    with torch.device("meta"):
        sizes = [len(LWLNetwork(LWLConfig(box_start=boxes)).state_dict()) for boxes in (0, 1)]
    assert sizes == [480, 490]


def test_a_file_for_masks_alone_makes_no_weights_for_boxes(tmp_path):
    source = published_file(tmp_path / "lwl_stage2.pth", 0)
    with pytest.raises(InputError, match=r"no encoder of boxes, and LWL-boxinit is of lwl_boxinit\.pth"):
        convert_published(source, tmp_path / "LWL-boxinit.safetensors")
    assert not (tmp_path / "LWL-boxinit.safetensors").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda n: n.pop("decoder.CAB.layer2.convreluconv.0.bias"), r"CAB\.layer2\.convreluconv\.0\.bias is missing"),
        (lambda n: n.pop("target_model.feature_extractor.0.weight"), r"feature_extractor\.0\.weight is missing"),
        (lambda n: n.update({"label_encoder.surplus": torch.zeros(1)}), "'label_encoder.surplus' is unknown"),
        (lambda n: n.update({"label_encoder.samp_w_pred.bias": torch.zeros(2)}), r"samp_w_pred\.bias is \(2,\)"),
        (lambda n: n.update({"label_encoder.samp_w_pred.bias": torch.zeros(16, dtype=torch.int32)}), "int32"),
        (lambda n: n.update(trap=NetConstructor()), "no state dict of named tensors"),
    ],
)  # fmt: skip
def test_other_weights_are_refused(tmp_path, change, message):
    source = published_file(tmp_path / "lwl_boxinit.pth", change=change)
    with pytest.raises(CheckpointError, match=message):
        convert_published(source, tmp_path / "a.safetensors")
    assert not (tmp_path / "a.safetensors").exists()


def test_what_is_published():
    assert [one.name for one in PUBLISHED] == ["LWL-ytvos", "LWL-boxinit"] and all(one.gives_masks for one in PUBLISHED)
    assert by_name("LWL-ytvos").convert == "d3s-vot convert lwl_stage2.pth LWL-ytvos.safetensors"
    assert by_name("LWL-boxinit").results["DAVIS 2017 val"] == "J&F 70.8"
    registry = configparser.ConfigParser()
    registry.read(Path(__file__).parents[3] / "trackers.ini")
    for one in PUBLISHED:
        assert registry[one.name]["env_D3S_VOT_TRACKER"] == registry[one.name]["label"] == one.name


def test_the_published_constants():
    config = LWLConfig()
    assert config.size_hw == (480, 832) and config.search_area_scale == 5
    names = ("learning_rate", "first_share", "equal_start", "update_interval", "first_steps", "update_steps")
    rows = [[getattr(config.learning(box=box), name) for name in names] for box in (False, True)]
    assert rows == [[0.1, 0.25, False, 1, 20, 3], [0.2, 0, True, 5, 20, 5]]
    assert config.learning(box=True).memory_size == 32
