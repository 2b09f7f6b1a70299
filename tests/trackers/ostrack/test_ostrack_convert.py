"""Files as they are published, built here: read whole and without executing anything, refused where they differ."""

from __future__ import annotations

import argparse
import configparser
import sys
import types
from pathlib import Path

import pytest
import torch
from ostrack_golden import TINY, random_network

from d3s_vot import load_tracker
from d3s_vot.cli import main
from d3s_vot.errors import CheckpointError, InputError
from d3s_vot.trackers.names import by_name
from d3s_vot.trackers.ostrack.config import OSTrackConfig
from d3s_vot.trackers.ostrack.convert import convert_published, read_published
from d3s_vot.trackers.ostrack.model import OSTrackModel
from d3s_vot.trackers.ostrack.published import CONFIGURATIONS, PUBLISHED
from d3s_vot.trackers.ostrack.weights import read_architecture, shapes
from d3s_vot.trunks.vit import resize_positions
from d3s_vot.zoo import load_checkpoint

CLASSES = {"Settings": "settings", "AverageMeter": "stats", "StatValue": "stats", "EnvironmentSettings": "local"}


class Trap:
    """Leaves a file where its pickle is executed."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def published_state(**changes):
    """A state dict of the published names."""
    state = dict(random_network(**changes).state_dict())
    width = TINY["width"]
    return {
        "backbone.cls_token": torch.zeros(1, 1, width),
        "backbone.pos_embed": torch.zeros(1, 197, width),
        **state,
    }


def save_published(path, state, tmp_path, *, old=False):
    """A file as the published training writes it, with objects of classes that are nowhere to be found later."""
    admin = "lib.train.admin"
    names = ("lib", "lib.train", admin, *(f"{admin}.{module}" for module in set(CLASSES.values())))
    modules = {name: types.ModuleType(name) for name in names}
    made = {name: type(name, (), {"__module__": f"{admin}.{module}"}) for name, module in CLASSES.items()}
    for name, module in CLASSES.items():
        setattr(modules[f"{admin}.{module}"], name, made[name])
    settings, meter = made["Settings"](), made["AverageMeter"]()
    settings.env, settings.trap = made["EnvironmentSettings"](), Trap(tmp_path / "executed")
    meter.history = [made["StatValue"]()]
    weight = torch.nn.Parameter(torch.rand(3, 3))
    optimizer = torch.optim.AdamW([weight], lr=1e-4)
    weight.sum().backward()
    optimizer.step()
    content = {
        "epoch": 300, "actor_type": "OSTrackActor", "net_type": "OSTrack", "net": state, "net_info": None,
        "constructor": None, "optimizer": optimizer.state_dict(), "stats": {"train": {"Loss/total": meter}},
        "settings": settings,
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for name, module in modules.items():
            patch.setitem(sys.modules, name, module)
        path.parent.mkdir(exist_ok=True)
        torch.save(content, path, _use_new_zipfile_serialization=not old)
    return path


@pytest.mark.parametrize("temporal", [0, 1])
@pytest.mark.parametrize("old", [False, True])
def test_a_published_file_is_read_and_nothing_in_it_executed(temporal, old, tmp_path):
    state = published_state(temporal=temporal)
    source = save_published(tmp_path / "OSTrack_ep0300.pth.tar", state, tmp_path, old=old)
    read = convert_published(source, tmp_path / "a.safetensors")
    assert not (tmp_path / "executed").exists()
    assert OSTrackModel.constants(read) == OSTrackConfig(**TINY, temporal=temporal)
    again = load_checkpoint(tmp_path / "a.safetensors")
    left_out = {"backbone.cls_token", "backbone.pos_embed"}
    assert again.tensors.keys() == {n for n in state if not n.endswith("num_batches_tracked")} - left_out
    assert all(torch.equal(tensor, state[name]) for name, tensor in again.tensors.items())
    assert again.provenance == {"source": "OSTrack_ep0300.pth.tar"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("backbone.blocks.4.attn.qkv.bias"), "backbone.blocks.4.attn.qkv.bias is missing"),
        (lambda s: s.pop("backbone.pos_embed_x"), "backbone.pos_embed_x is missing"),
        (lambda s: s.pop("backbone.patch_embed.proj.weight"), "backbone.patch_embed.proj.weight is missing"),
        (lambda s: s.pop("box_head.conv3_size.1.running_var"), "box_head.conv3_size.1.running_var is missing"),
        (lambda s: s.update(surplus=torch.zeros(1)), "'surplus' is unknown"),
        (lambda s: s.update({"backbone.temporal_pos_embed_x": torch.zeros(1, 1, 64)}), "pos_embed_z is missing"),
        (lambda s: s.update({"backbone.norm.bias": torch.zeros(65)}), r"backbone.norm.bias is \(65,\)"),
        (lambda s: s.update({"backbone.norm.bias": torch.full((64,), float("nan"))}), "not finite"),
        (lambda s: s.update({"backbone.norm.bias": torch.zeros(64, dtype=torch.int32)}), "int32"),
        (lambda s: s.update({"backbone.pos_embed_x": torch.zeros(1, 65, 64)}), r"pos_embed_x is \(1, 65, 64\)"),
        (lambda s: s.update({"backbone.pos_embed_z": torch.zeros(64)}), r"pos_embed_z is \(64,\)"),
        (lambda s: s.update(epoch=3), "no state dict"),
    ],
)  # fmt: skip
def test_other_weights_are_refused_by_the_name_of_a_tensor(change, message, tmp_path, capsys):
    state = published_state()
    change(state)
    source = save_published(tmp_path / "a.pth.tar", state, tmp_path)
    with pytest.raises(CheckpointError, match=message):
        convert_published(source, tmp_path / "a.safetensors")
    assert main(["convert", str(source), str(tmp_path / "a.safetensors")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "a.safetensors").exists()


def test_the_published_names_are_those_of_the_goldens(golden):
    for file, temporal, size in (("net256", 0, 256), ("net384", 0, 384), ("droptrack384", 1, 384)):
        names = [str(line).partition(" ") for line in golden(f"ostrack_{file}.npz")["names"]]
        theirs = {name: tuple(int(n) for n in shape.split("x")) for name, _, shape in names if shape}
        unused = {"backbone.cls_token", "backbone.pos_embed"}
        found = {name: shape for name, shape in theirs.items() if name not in unused}
        config = OSTrackConfig(template_size=size // 2, search_size=size, temporal=temporal)
        assert found == shapes(config) and len(names) == 242 + 2 * temporal
        state = {name: torch.empty(shape, device="meta") for name, shape in theirs.items()}
        factor = {256: 4.0, 384: 5.0}[size]
        assert read_architecture(state, "a") == OSTrackConfig.with_changes(
            {**config.changes(), "search_factor": factor}
        )


def pretrained_state(*, drop):
    """A state dict of the names of MAE's or DropMAE's pre-training, encoder of `TINY`."""
    own = random_network(temporal=int(drop)).backbone.state_dict()
    state = {name: tensor for name, tensor in own.items() if name not in ("pos_embed_x", "pos_embed_z")}
    state["pos_embed"] = torch.rand(1, 197, TINY["width"])
    if drop:
        for name in ("mask_token", "decoder_pos_embed", "decoder_temporal_pos_embed_x", "decoder_pred.weight"):
            state[name] = torch.rand(3)
    else:
        state["cls_token"] = torch.zeros(1, 1, TINY["width"])
    return state


@pytest.mark.parametrize("drop", [False, True])
def test_a_pretraining_becomes_weights_to_begin_with(drop, tmp_path):
    state = pretrained_state(drop=drop)
    content = {"model": state, "epoch": 800, "args": argparse.Namespace(blr=1e-4), "trap": Trap(tmp_path / "executed")}
    torch.save(content, tmp_path / "pretrain.pth")
    assert main(["convert", str(tmp_path / "pretrain.pth"), str(tmp_path / "a.safetensors")]) == 0
    assert not (tmp_path / "executed").exists()
    read = load_checkpoint(tmp_path / "a.safetensors")
    assert read.provenance["head"].startswith("random")
    config = OSTrackModel.constants(read)
    assert (config.temporal, config.search_size, config.depth) == (int(drop), 256, TINY["depth"])
    expected = resize_positions(state["pos_embed"][:, 1:], (8, 8))
    assert torch.equal(read.tensors["backbone.pos_embed_z"], expected)
    assert torch.equal(read.tensors["backbone.blocks.3.attn.qkv.weight"], state["blocks.3.attn.qkv.weight"])
    again = read_published(tmp_path / "pretrain.pth")
    assert again.checksum == read.checksum  # the head is drawn, but the same


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("blocks.2.norm1.weight"), "blocks.2.norm1.weight is missing"),
        (lambda s: s.update({"head.weight": torch.zeros(3)}), "'head.weight' is unknown"),
        (lambda s: s.pop("pos_embed"), "pos_embed is missing"),
        (lambda s: s.update(pos_embed=torch.zeros(1, 50, 100)), "pos_embed is"),
        (lambda s: s.update(pos_embed=torch.zeros(1, 52, 64)), "pos_embed is"),
    ],
)
def test_other_pretrainings_are_refused(change, message, tmp_path):
    state = pretrained_state(drop=False)
    change(state)
    torch.save({"model": state}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=message):
        convert_published(tmp_path / "a.pth", tmp_path / "a.safetensors")


def test_names_choose_among_configurations(tmp_path, monkeypatch):
    ratios = {"OSTrack-ce": 0.7, "OSTrack-all": 1.0}
    sizes = {name: OSTrackConfig(**{**TINY, "keep_ratio": ratio}) for name, ratio in ratios.items()}
    entries = {
        name: type(next(iter(CONFIGURATIONS.values())))(name, f"{name}/OSTrack_ep0300.pth.tar", config)
        for name, config in sizes.items()
    }
    monkeypatch.setattr("d3s_vot.trackers.ostrack.convert.CONFIGURATIONS", entries)
    state = published_state()
    source = save_published(tmp_path / "OSTrack-all" / "OSTrack_ep0300.pth.tar", state, tmp_path)
    by_folder = convert_published(source, tmp_path / "a.safetensors")
    assert OSTrackModel.constants(by_folder).keep_ratio == 1
    assert by_folder.provenance["configuration"] == "OSTrack-all"
    by_target = convert_published(source, tmp_path / "OSTrack-ce.safetensors")
    assert OSTrackModel.constants(by_target).keep_ratio == 0.7
    temporal = save_published(tmp_path / "t.pth.tar", published_state(temporal=1), tmp_path)
    with pytest.raises(InputError, match="with temporal vectors; OSTrack-all is one of another"):
        convert_published(temporal, tmp_path / "OSTrack-all.safetensors")
    with pytest.raises(InputError, match="no configuration"):
        read_published(source, "OSTrack")


def test_other_files_are_none_of_ours(tmp_path, capsys):
    save_published(tmp_path / "a.pth.tar", published_state(), tmp_path)
    command = ["convert", str(tmp_path / "a.pth.tar"), str(tmp_path / "a.safetensors")]
    assert main([*command, "--gem-trunk", "b.pth"]) == 2
    assert "one trunk" in capsys.readouterr().err


def test_every_configuration_is_published_and_registered():
    assert [one.name for one in PUBLISHED] == list(CONFIGURATIONS)
    one = by_name("OSTrack-vitb_384_mae_ce_32x4_ep300")
    assert one.results == {"LaSOT": "AUC 71.1", "TrackingNet": "AUC 83.9", "UAV123": "AUC 70.7"}
    assert one.convert == f"d3s-vot convert {one.file} {one.name}.safetensors"
    registry = configparser.ConfigParser()
    registry.read(Path(__file__).parents[3] / "trackers.ini")
    for name in CONFIGURATIONS:
        assert registry[name]["env_D3S_VOT_TRACKER"] == registry[name]["label"] == name


def test_weights_that_are_not_here_are_said_where_to_get(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=r"OSTrack_alldata_300E.pth.tar.*`d3s-vot convert .*DropTrack-"):
        load_tracker("DropTrack-vitb_384_mae_ce_32x4_ep300")
