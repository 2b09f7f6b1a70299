"""Checkpoints of our own, and the reader of foreign pickles."""

from __future__ import annotations

import io
import json
import os
import pickle
import sys
import types
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any, cast

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import load_file, save_file
from scenes import scene
from torch import Tensor

from d3s_vot import load_tracker
from d3s_vot.cli import main
from d3s_vot.errors import CheckpointError
from d3s_vot.trackers.d3s.convert import convert_published
from d3s_vot.trackers.d3s.weights import create, head_shapes
from d3s_vot.trunks.create import create_trunk
from d3s_vot.weights import checkpoint as weights
from d3s_vot.weights import find
from d3s_vot.weights.checkpoint import Checkpoint, tensor_checksum
from d3s_vot.weights.find import find_weights
from d3s_vot.weights.foreign import Placeholder, read_foreign_pickle
from d3s_vot.zoo import load_checkpoint, save_checkpoint

CONTAINERS = ("zip", "legacy")


def head(trunk: str = "resnet18", dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """A segmentation network of random weights."""
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.tensor(7)
        if name.endswith("tracked")
        else torch.rand(shape, generator=generator).to(dtype)
        for name, shape in head_shapes(trunk).items()
    }


def write(path: Path, checkpoint: Checkpoint, **metadata: str) -> Path:
    """A file as `save_checkpoint` writes it, unverified, with some metadata replaced."""
    own = {key: json.dumps(getattr(checkpoint, key)) for key in ("tracker", "config", "provenance")}
    own |= {"format": weights.FORMAT, "checksum": checkpoint.checksum}
    save_file(checkpoint.tensors, path, own | metadata)
    return path


def write_former(path: Path, checkpoint: Checkpoint, **metadata: str) -> Path:
    """A file of the first format, which knew D3S alone."""
    config = dict(checkpoint.config)
    own = {name: json.dumps(config.pop(name)) for name in ("trunk", "gem_trunk")}
    own |= {"config": json.dumps(config), "provenance": json.dumps(checkpoint.provenance)}
    own |= {"format": "d3s_vot/1", "checksum": checkpoint.checksum}
    save_file(checkpoint.tensors, path, own | metadata)
    return path


def one_sentence(error: pytest.ExceptionInfo[CheckpointError], path: Path) -> None:
    text = str(error.value)
    assert str(path) in text and ";" in text and "\n" not in text, text
    assert len(text) < 300 + 2 * len(str(path)), text


def refused(action: Callable[[Path], Any], path: Path, match: str | None = None) -> None:
    with pytest.raises(CheckpointError, match=match) as error:
        action(path)
    one_sentence(error, path)


# --- our own format ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_what_is_saved_comes_back(tmp_path: Path, dtype: torch.dtype) -> None:
    tensors = head(dtype=dtype) | {"feature_extractor.conv1.weight": torch.rand(2, 3)}
    tensors["gem_extractor.conv1.weight"] = torch.rand(4, 4).t()  # not contiguous
    saved = create(
        tensors, "resnet18", {"commit": "abc", "loss": 0.25}, gem_trunk="resnet50", config={"memory_size": 50}
    )
    path = tmp_path / "w.safetensors"
    save_checkpoint(path, saved)
    loaded = load_checkpoint(path)
    config = {"trunk": "resnet18", "gem_trunk": "resnet50", "memory_size": 50}
    assert (loaded.tracker, loaded.config) == ("D3S", config)
    assert loaded.provenance == {"commit": "abc", "loss": 0.25} and loaded.checksum == saved.checksum
    assert loaded.tensors.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert loaded.tensors[name].dtype == tensor.dtype and torch.equal(loaded.tensors[name], tensor)
    assert os.listdir(tmp_path) == [path.name]


def test_a_checkpoint_does_not_share_memory_with_what_it_was_made_of() -> None:
    tensors = head()
    checkpoint = create(tensors, "resnet18")
    tensors["segm_predictor.f0.0.bias"] += 1
    assert tensor_checksum(checkpoint.tensors) == checkpoint.checksum


def test_the_checksum_knows_names_dtypes_shapes_and_bytes() -> None:
    plain = {"a": torch.zeros(2, 3), "b": torch.ones(1)}
    others: list[dict[str, Tensor]] = [
        {"a": torch.zeros(2, 3), "c": torch.ones(1)},
        {"a": torch.zeros(3, 2), "b": torch.ones(1)},
        {"a": torch.zeros(2, 3, dtype=torch.int32), "b": torch.ones(1)},
        {"a": torch.zeros(2, 3), "b": torch.ones(1) * 2},
        {"a": torch.ones(2, 3), "b": torch.zeros(1)},
    ]
    sums = [tensor_checksum(t) for t in (plain, *others)]
    assert len(set(sums)) == len(sums)
    assert tensor_checksum(dict(reversed(plain.items()))) == sums[0]


def test_provenance_that_json_does_not_know_is_saved_as_text(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_checkpoint(path, create(head(), "resnet18", {"data": Path("x/y"), "loss": float("nan")}))
    assert load_checkpoint(path).provenance["data"] == str(Path("x/y"))


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "w.safetensors"
    save_checkpoint(path, create(head(), "resnet18"))
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    new = create(head(dtype=torch.float16), "resnet18")
    refused(lambda p: save_checkpoint(p, new), path, "No space left")
    assert path.read_bytes() == before and os.listdir(tmp_path) == [path.name]
    monkeypatch.undo()
    refused(lambda p: save_checkpoint(p, new), tmp_path / "absent" / "w.safetensors", "cannot be written")


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        ({"segm_predictor.f0.0.bias": torch.tensor([0, 0, float("nan"), 0])}, "not finite"),
        ({"segm_predictor.f0.0.bias": torch.tensor([0, 0, float("inf"), 0])}, "not finite"),
        ({"feature_extractor.x": torch.tensor(float("nan"))}, "not finite"),
        ({"segm_predictor.f0.0.bias": torch.zeros(4, dtype=torch.float64)}, "float64"),
        ({"segm_predictor.f0.0.bias": torch.zeros(5)}, "another network"),
        ({"segm_predictor.f9.0.bias": torch.zeros(5)}, "another network"),
        ({"backbone.x": torch.zeros(5)}, "another network"),
        ({"gem_extractor.x": torch.zeros(5)}, "another network"),  # there is no second trunk
        ({"segm_predictor.f0.0.bias": None}, "is missing"),
    ],
)
def test_bad_weights_are_neither_saved_nor_loaded(
    tmp_path: Path, damage: dict[str, Tensor | None], match: str
) -> None:
    tensors = {k: v for k, v in (head() | damage).items() if v is not None}
    checkpoint = create(tensors, "resnet18")
    path = tmp_path / "w.safetensors"
    refused(lambda p: save_checkpoint(p, checkpoint), path, match)
    assert not path.exists()
    refused(load_checkpoint, write(path, checkpoint), match)


def test_the_checkpoint_of_another_trunk_is_refused(tmp_path: Path) -> None:
    checkpoint = replace(create(head("resnet50"), "resnet50"), config={"trunk": "resnet18", "gem_trunk": None})
    refused(load_checkpoint, write(tmp_path / "w.safetensors", checkpoint), "another network")


@pytest.mark.parametrize(
    ("metadata", "match"),
    [
        ({"format": "d3s_vot/3"}, "d3s_vot/2"),
        ({"checksum": "0" * 64}, "checksum"),
        ({"trunk": '"vgg"'}, "unknown"),
        ({"trunk": "null"}, "unknown"),
        ({"trunk": '["resnet18"]'}, "unknown"),
        ({"gem_trunk": '"vgg"'}, "unknown"),
        ({"config": '{"colour": 1}'}, "colour"),
        ({"config": '{"memory_size": 2.5}'}, "memory_size"),
        ({"config": '{"learning_rate": NaN}'}, "learning_rate"),
        ({"config": '{"learning_rate": "0.1"}'}, "learning_rate"),
        ({"config": '{"learning_rate": true}'}, "learning_rate"),
        ({"config": '{"projection_channels": 0}'}, "projection_channels"),
        ({"config": '{"projection_channels": 300}'}, "projection_channels"),  # more than the trunk has
        ({"config": '{"memory_size": 27}'}, "memory_size"),  # the first frame fills it
        ({"config": '{"segm_crop_size": -384}'}, "segm_crop_size"),
        ({"config": '{"segm_crop_size": 100}'}, "multiple of 16"),
        ({"config": '{"segm_crop_size": 64, "similarity_top_k": 17}'}, "similarity_top_k"),
        ({"config": '{"gem_patch_size": 10000000}'}, "gem_patch_size"),
        ({"config": '{"gem_patch_size": 512}'}, "gem_window_size"),
        ({"config": '{"filter_size": 3}'}, "filter_size"),
        ({"config": '{"mask_threshold": 1e300}'}, "mask_threshold"),
        ({"config": '{"min_scale": -Infinity}'}, "min_scale"),
        ({"config": "[1]"}, "metadata"),
        ({"config": "["}, "metadata"),
        ({"provenance": "3"}, "metadata"),
        ({"provenance": "[" * 100_000}, "metadata"),
    ],
)
def test_bad_metadata_are_refused(tmp_path: Path, metadata: dict[str, str], match: str) -> None:
    checkpoint = create(head(), "resnet18")
    path = write_former(tmp_path / "w.safetensors", checkpoint, **metadata)
    refused(load_checkpoint, path, match)


@pytest.mark.parametrize(
    ("metadata", "match"),
    [
        ({"tracker": '"Nobody"'}, "no tracker 'Nobody'"),
        ({"tracker": "null"}, "metadata"),
        ({"tracker": "["}, "metadata"),
        ({"config": '{"trunk": "vgg"}'}, "unknown"),
        ({"config": "{}"}, "unknown"),
        ({"config": '{"trunk": "resnet18", "colour": 1}'}, "colour"),
        ({"config": '["trunk"]'}, "metadata"),
        ({"provenance": "3"}, "metadata"),
    ],
)
def test_bad_metadata_of_the_present_format_are_refused(tmp_path: Path, metadata: dict[str, str], match: str) -> None:
    path = write(tmp_path / "w.safetensors", create(head(), "resnet18"), **metadata)
    refused(load_checkpoint, path, match)


def test_a_file_of_the_first_format_is_read_as_d3s(tmp_path: Path) -> None:
    saved = create(head(), "resnet18", {"commit": "abc"}, gem_trunk="resnet50", config={"memory_size": 50})
    loaded = load_checkpoint(write_former(tmp_path / "w.safetensors", saved))
    assert (loaded.tracker, loaded.config, loaded.provenance) == ("D3S", saved.config, {"commit": "abc"})
    assert loaded.checksum == saved.checksum


def test_a_changed_bit_is_found(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_checkpoint(path, create(head(), "resnet18"))
    data = bytearray(path.read_bytes())
    data[-1000] ^= 1
    path.write_bytes(data)
    refused(load_checkpoint, path, "checksum")


@pytest.mark.parametrize("container", ["zip", "legacy"])
@pytest.mark.parametrize("name", ["SegmNet.pth.tar", "best model.pth", "weights.safetensors"])
def test_files_of_training_programs_are_said_to_be_converted(tmp_path: Path, container: str, name: str) -> None:
    """As they come: whoever has the published file gives it as the weights first."""
    path = save_foreign(tmp_path / name, {"epoch": 40, "net": head("resnet50")}, container)
    refused(load_checkpoint, path, f"d3s-vot convert .*{name}")
    refused(load_tracker, path, "d3s-vot convert")


@pytest.mark.parametrize("keep", [0, 4, 8, 500, -1])
def test_a_truncated_file_is_refused(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "w.safetensors"
    save_checkpoint(path, create(head(), "resnet18"))
    path.write_bytes(path.read_bytes()[:keep])
    refused(load_checkpoint, path, "damaged")


def test_weights_outlive_a_change_of_their_file(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_checkpoint(path, create(head(), "resnet18"))
    loaded = load_checkpoint(path)
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
    assert tensor_checksum(loaded.tensors) == loaded.checksum


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "notes.safetensors"
    text.write_text("these are not weights, " * 100)
    refused(load_checkpoint, text, "not a safetensors file")
    refused(load_checkpoint, tmp_path, "folder")
    refused(load_checkpoint, tmp_path / "absent.safetensors", "does not exist")
    foreign = tmp_path / "foreign.safetensors"
    save_file(head(), foreign)
    refused(load_checkpoint, foreign, "d3s-vot convert")


def test_weights_are_found_by_name_and_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "MODELS", tmp_path / "models")
    monkeypatch.chdir(tmp_path)
    refused(find_weights, Path("D3S"), "none")  # no folder at all
    (tmp_path / "models").mkdir()
    packaged, own = tmp_path / "models" / "D3S.safetensors", tmp_path / "own.safetensors"
    packaged.touch()
    own.touch()
    assert find_weights("D3S") == packaged
    assert find_weights(str(own)) == find_weights(own) == own
    for name in ("D3", "own", str(tmp_path), ""):
        with pytest.raises(CheckpointError, match="D3S"):
            find_weights(name)


def test_names_and_shapes_are_those_of_the_reference_network(shared: Path) -> None:
    reference = load_file(shared / "golden" / "head_resnet18.safetensors")
    assert head_shapes("resnet18") == {name: tuple(tensor.shape) for name, tensor in reference.items()}


# --- foreign pickles --------------------------------------------------------------------------------------


def save_foreign(path: Path, content: object, container: str) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=container == "zip")
    return path


@pytest.fixture
def published(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file in the layout of the published one: a state dict beside objects of lost classes."""

    def make(container: str, change: Callable[[dict[str, Tensor]], object] = lambda net: None) -> Path:
        torch.manual_seed(0)
        trunk = torchvision.models.resnet50().state_dict()
        net = OrderedDict(head("resnet50"))
        net.update((f"feature_extractor.{name}", tensor) for name, tensor in trunk.items())
        change(net)
        module = types.ModuleType("foreign_library")
        source = (
            "class Constructor:\n    def __init__(self): self.fun, self.kwds = Settings, {'a': True}\n"
            "class Settings:\n    def __setstate__(self, state): raise AssertionError('executed')\n"
            "    def __getstate__(self): return {'use_gpu': True}\n"
            "class Meter(list):\n    pass\n"
            "class Table(dict):\n    pass\n"
        )
        exec(source, module.__dict__)
        sys.modules["foreign_library"] = module
        try:
            meter, table = module.Meter([1.0, 2.0]), module.Table(a=1)  # type: ignore[attr-defined]
            meter.extend([torch.ones(2), meter])
            content = {
                "epoch": 40,
                "net_type": "SegmNet",
                "net": net,
                "constructor": module.Constructor(),  # type: ignore[attr-defined]
                "settings": module.Settings(),  # type: ignore[attr-defined]
                "stats": OrderedDict(train=meter, val=[table, {1, 2}, torch.Size([3]), torch.float32, b"x"]),
                "path": Path("a"),
            }
            return save_foreign(tmp_path / "SegmNet.pth.tar", content, container)
        finally:
            del sys.modules["foreign_library"]

    return make


@pytest.mark.parametrize("container", CONTAINERS)
def test_the_published_layout_is_read_without_its_classes(published, container: str) -> None:
    path = published(container)
    with pytest.raises(ModuleNotFoundError):
        torch.load(path, weights_only=False)
    content = read_foreign_pickle(path)
    assert (content["epoch"], content["net_type"]) == (40, "SegmNet")
    expected = head("resnet50")
    for name, tensor in expected.items():
        assert content["net"][name].dtype == tensor.dtype and torch.equal(content["net"][name], tensor)
    for key in ("constructor", "settings", "path"):
        assert type(content[key]) is Placeholder
    assert type(content["stats"]["train"]) is Placeholder
    table, group, size, dtype, data = content["stats"]["val"]
    assert (size, data) == ((3,), b"x") or type(data) is Placeholder  # bytes are a call at protocol 2
    assert {type(table), type(group), type(dtype)} == {Placeholder}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("protocol", range(1, 6))  # torch itself cannot read back protocol 0
def test_every_pickle_protocol_is_read(tmp_path: Path, container: str, protocol: int) -> None:
    shared = [1, -(2**70), 1.5, None, True, False, "é\n", ("a",), (), (1, 2, 3, 4), {}, {"k": [2]}]
    base = torch.arange(24.0)
    content = {
        "plain": shared,
        "again": shared,
        "view": base.view(2, 3, 4).transpose(0, 2)[1:, :2],
        "base": base,
        "scalar": torch.tensor(3, dtype=torch.int64),
        "empty": torch.zeros(0, 3),
        "half": torch.ones(3, dtype=torch.bfloat16),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "nested": OrderedDict(a=OrderedDict(b=(torch.ones(1, dtype=torch.bool),))),
    }
    path = tmp_path / "x.pth"
    torch.save(content, path, pickle_protocol=protocol, _use_new_zipfile_serialization=container == "zip")
    found = read_foreign_pickle(path)
    assert found["plain"] == shared and found["plain"] is found["again"]
    for name in ("view", "base", "scalar", "empty", "half", "parameter"):
        assert torch.equal(found[name], content[name]) and found[name].dtype == content[name].dtype  # type: ignore
    assert found["nested"]["a"]["b"][0].item() is True
    assert found["view"].data_ptr() != base.data_ptr()


class Hostile:
    """Pickles as a call of any function with any arguments."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def tensor_pickle(*tensors: tuple[object, ...]) -> bytes:
    """A pickle that rebuilds tensors from (persistent id, arguments after the storage) of one's own."""

    class Pickler(pickle._Pickler):
        def persistent_id(self, value: object) -> object:
            return value.identifier if isinstance(value, Storage) else None

    class Storage:
        def __init__(self, identifier: object) -> None:
            self.identifier = identifier

    file = io.BytesIO()
    calls = [Hostile(torch._utils._rebuild_tensor_v2, Storage(i), *rest, False, None) for i, *rest in tensors]
    Pickler(file, 2).dump(calls)
    return file.getvalue()


def in_zip(path: Path, pickled: bytes, compression: int = zipfile.ZIP_STORED, **storages: bytes) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled)
        for key, data in storages.items():
            archive.writestr(f"archive/data/{key}", data)
    return path


def legacy_head(little_endian: bool = True) -> bytes:
    parts = (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": little_endian})
    return b"".join(pickle.dumps(part, 2) for part in parts)


def in_legacy(path: Path, pickled: bytes, storages: bytes = pickle.dumps([], 2)) -> Path:
    path.write_bytes(legacy_head() + pickled + storages)
    return path


@pytest.mark.parametrize("container", [in_zip, in_legacy])
@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("wrapped", [False, True])
def test_hostile_calls_do_nothing(tmp_path: Path, container, protocol: int, wrapped: bool) -> None:
    marker = tmp_path / "marker"
    touch = f"open({str(marker)!r}, 'w').close()"
    calls = [
        Hostile(os.system, f"touch '{marker}'"),
        Hostile(eval, touch),
        Hostile(exec, touch),
        Hostile(getattr, Hostile(__import__, "os"), "system"),
        Hostile(Path.touch, marker),
        Hostile(map, eval, [touch]),
        Hostile(torch.hub.load_state_dict_from_url, "http://localhost"),
        Hostile(OrderedDict, [("a", Hostile(eval, touch))]),
    ]
    content = [{"net": call} for call in calls] if wrapped else calls
    path = container(tmp_path / "x.pth", pickle.dumps(content, protocol))
    found = read_foreign_pickle(path)
    values = [entry["net"] for entry in found] if wrapped else found
    assert [type(value) for value in values] == [Placeholder] * len(calls)
    assert not marker.exists()
    refused(lambda p: convert_published(p, tmp_path / "out.safetensors"), path)
    assert not marker.exists() and not (tmp_path / "out.safetensors").exists()


GADGETS = {  # the first five do harm to pickle.loads
    "a call by INST": b"(S'touch MARKER'\nios\nsystem\n.",
    "a call by OBJ": b"(cos\nsystem\nS'touch MARKER'\no.",
    "a function changed by BUILD": b"ctorch._utils\n_rebuild_tensor_v2\nN}(S'__defaults__'\n)u\x86b.",
    "a call by a changed class": b"cpathlib\nPurePath\nN}(S'__setstate__'\ncos\nsystem\nu\x86b)\x81"
    b"S'touch MARKER'\nb.",
    "a dotted name": b"\x80\x04\x8c\x05torch\x8c\x10_utils.os.system\x93S'touch MARKER'\n\x85R.",
    "a call by NEWOBJ": b"\x80\x02cos\nsystem\n(S'touch MARKER'\nt\x81.",
    "an extension": b"\x80\x02\x82\x01)R.",
    "a call of a string": b"\x80\x02U\x06systemU\x05touch\x85R.",
}


@pytest.mark.parametrize("name", GADGETS)
def test_gadgets_do_nothing(tmp_path: Path, name: str) -> None:
    marker = tmp_path / "marker"
    pickled = GADGETS[name].replace(b"MARKER", str(marker).encode())
    defaults = torch._utils._rebuild_tensor_v2.__defaults__
    for path in (in_zip(tmp_path / "z.pth", pickled), in_legacy(tmp_path / "l.pth", pickled)):
        assert type(read_foreign_pickle(path)) is Placeholder
    assert not marker.exists()
    assert torch._utils._rebuild_tensor_v2.__defaults__ == defaults
    assert "__setstate__" not in vars(PurePath)


FLOATS = torch.FloatStorage
EIGHT = ("storage", FLOATS, "k", "cpu", 8)
EIGHT_ZEROS = pickle.dumps(["k"], 2) + (8).to_bytes(8, "little") + bytes(32)


def tensors_refused(tmp_path: Path, pickled: bytes, match: str) -> None:
    refused(read_foreign_pickle, in_zip(tmp_path / "z.pth", pickled, k=bytes(32)), match)
    refused(read_foreign_pickle, in_legacy(tmp_path / "l.pth", pickled, EIGHT_ZEROS), match)


@pytest.mark.parametrize(
    ("offset", "size", "stride", "match"),
    [
        (0, (9,), (1,), "larger than its storage"),
        (1, (8,), (1,), "larger than its storage"),
        (0, (2, 2), (7, 1), "larger than its storage"),
        (0, (1000, 1000), (0, 0), "larger than its storage"),
        (-1, (8,), (1,), "impossible shape"),
        (0, (2**80,), (1,), "impossible shape"),
        (0, (-2, -4), (1, 1), "impossible shape"),
        (0, (2,), (-1,), "impossible shape"),
        (0, (2, 2), (1,), "impossible shape"),
        (0, (1,) * 50, (1,) * 50, "impossible shape"),
        (None, (8,), (1,), "impossible shape"),
        (0, (8.0,), (1,), "impossible shape"),
        (0, "8", "1", "does not write"),
    ],
)
def test_silly_views_are_refused(tmp_path: Path, offset: Any, size: Any, stride: Any, match: str) -> None:
    tensors_refused(tmp_path, tensor_pickle((EIGHT, offset, size, stride)), match)


@pytest.mark.parametrize(
    ("identifier", "match"),
    [
        (("storage", FLOATS, "k", "cpu", -8), "larger than the file"),
        (("storage", FLOATS, "k", "cpu", 2**60), "larger than the file"),
        (("storage", FLOATS, "k", "cpu", 10**9), "larger than the file"),
        (("storage", FLOATS, "k", "cpu", 9), "damaged"),
        (("storage", FLOATS, "k", "cpu", 7), "damaged"),
        (("storage", FLOATS, "absent", "cpu", 8), "damaged"),
        (("storage", FLOATS, "../data.pkl", "cpu", 8), "damaged"),
        (("storage", FLOATS, ["k"], "cpu", 8), "does not write"),
        (("storage", FLOATS, "k", "cpu", 8, ("view", 0, 4)), "does not write"),
        (("storage", "torch.FloatStorage", "k", "cpu", 8), "does not write"),
        (("storage", os.system, "k", "cpu", 8), "unknown type"),
        (("storage",), "does not write"),
        (("file", "x"), "does not write"),
        ((), "does not write"),
        ("storage", "does not write"),
        (7, "does not write"),
        (("module", FLOATS, "file", "source"), "does not write"),  # an instance, where a storage should be
    ],
)
def test_silly_storages_are_refused(tmp_path: Path, identifier: object, match: str) -> None:
    tensors_refused(tmp_path, tensor_pickle((identifier, 0, (7,), (1,))), match)


def test_a_storage_has_one_type_and_one_size(tmp_path: Path) -> None:
    whole = tensor_pickle((EIGHT, 0, (8,), (1,)))
    for length in (0, 1, 31, 33):
        refused(read_foreign_pickle, in_zip(tmp_path / "z.pth", whole, k=bytes(length)), "too long")
    for other in (("storage", torch.IntStorage, "k", "cpu", 8), ("storage", FLOATS, "k", "cpu", 7)):
        pickled = tensor_pickle((EIGHT, 0, (8,), (1,)), (other, 0, (7,), (1,)))
        tensors_refused(tmp_path, pickled, "two sizes")


def test_the_same_with_sane_arguments_is_a_tensor(tmp_path: Path) -> None:
    pickled = tensor_pickle((EIGHT, 2, (2, 3), (3, 1)), (EIGHT, 0, (), ()), (EIGHT, 0, (0, 4), (9, 9)))
    numbers = torch.arange(8.0).numpy().tobytes()
    keys = pickle.dumps(["k"], 2) + (8).to_bytes(8, "little")
    zipped, legacy = tmp_path / "z.pth", tmp_path / "l.pth"
    for path in (in_zip(zipped, pickled, k=numbers), in_legacy(legacy, pickled, keys + numbers)):
        view, scalar, empty = read_foreign_pickle(path)
        assert torch.equal(view, torch.arange(2.0, 8.0).view(2, 3))
        assert scalar.shape == () and empty.shape == (0, 4)
    for wrong in ([], ["k", "l"], ["l"], [7], 7):
        data = pickle.dumps(wrong, 2) + (8).to_bytes(8, "little") + numbers
        refused(read_foreign_pickle, in_legacy(legacy, pickled, data))
    refused(read_foreign_pickle, in_legacy(legacy, pickled, keys[:-8] + bytes(8) + numbers), "two sizes")


def test_numbers_of_the_other_byte_order_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    with zipfile.ZipFile(in_zip(path, b"\x80\x02}."), "a") as archive:
        archive.writestr("archive/byteorder", "big")
    refused(read_foreign_pickle, path, "big-endian")
    path.write_bytes(legacy_head(little_endian=False) + b"\x80\x02}." + pickle.dumps([], 2))
    refused(read_foreign_pickle, path, "big-endian")


BROKEN = {
    "empty": b"",
    "no end": b"\x80\x02}",
    "an empty stack": b"\x80\x02.",
    "a missing mark": b"\x80\x02t.",
    "a missing memo": b"\x80\x02h\x07.",
    "too few operands": b"\x80\x02K\x01R.",
    "an unknown operation": b"\x80\x02\xff.",
    "a huge string": b"\x80\x04\x8d" + (2**62).to_bytes(8, "little") + b"x.",
    "huge bytes": b"\x80\x04\x8e" + (2**62).to_bytes(8, "little") + b"x.",
    "a huge number": b"\x80\x02\x8b" + (2**31 - 1).to_bytes(4, "little") + b"x.",
    "a negative length": b"\x80\x02\x8b" + b"\xff" * 4 + b"x.",
    "a huge memo index": b"\x80\x02}r\xff\xff\xff\xffj\xff\xff\xff\xfe.",
    "an odd dictionary": b"\x80\x02}(K\x01u.",
    "a list as key": b"\x80\x02}]K\x01s.",
    "a tuple of depth 200,000 as key": b"\x80\x02})" + b"\x85" * 200_000 + b"K\x01s.",
    "a textual persistent id": b"P0\n.",
    "a name that is a number": b"\x80\x04K\x01K\x02\x93.",
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_pickles_are_refused(tmp_path: Path, name: str) -> None:
    match = "runs empty" if name in ("an empty stack", "too few operands") else None
    refused(read_foreign_pickle, in_zip(tmp_path / "z.pth", BROKEN[name]), match)
    refused(read_foreign_pickle, in_legacy(tmp_path / "l.pth", BROKEN[name]), match)


def test_deep_and_self_containing_objects_are_read(tmp_path: Path) -> None:
    deep = b"]" * 10**5 + b"a" * (10**5 - 1) + b"."
    assert type(read_foreign_pickle(in_zip(tmp_path / "z.pth", deep))) is list
    ring: list[Any] = []
    ring.append(ring)
    found = read_foreign_pickle(in_legacy(tmp_path / "l.pth", pickle.dumps(ring, 2)))
    assert found[0] is found


@pytest.mark.parametrize("container", CONTAINERS)
def test_truncated_foreign_files_are_refused(tmp_path: Path, container: str) -> None:
    path = save_foreign(tmp_path / "x.pth", {"net": {"a": torch.rand(100), "b": torch.rand(50)}}, container)
    data = path.read_bytes()
    for keep in (*range(0, len(data), 41), len(data) - 1):
        path.write_bytes(data[:keep])
        refused(read_foreign_pickle, path)


@pytest.mark.parametrize("container", CONTAINERS)
def test_damage_anywhere_raises_nothing_but_our_error(tmp_path: Path, container: str) -> None:
    content = {"net": OrderedDict(a=torch.rand(4), b=(1, "x")), "n": [1.5, None]}
    path = save_foreign(tmp_path / "x.pth", content, container)
    data = path.read_bytes()
    generator = torch.Generator().manual_seed(0)
    for _ in range(400):
        place, value = (int(torch.randint(n, (), generator=generator)) for n in (len(data), 256))
        path.write_bytes(data[:place] + bytes([value]) + data[place + 1 :])
        try:
            read_foreign_pickle(path)
        except CheckpointError as error:
            assert str(path) in str(error)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    path.write_text("these are not weights\n" * 50)
    refused(read_foreign_pickle, path)
    path.write_bytes(pickle.dumps({"net": 1}))
    refused(read_foreign_pickle, path, "magic")
    refused(read_foreign_pickle, tmp_path, "folder")
    refused(read_foreign_pickle, tmp_path / "absent.pth", "does not exist")
    bomb = in_zip(path, pickle.dumps({}, 2), zipfile.ZIP_DEFLATED, k=bytes(10**6))
    refused(read_foreign_pickle, bomb, "compressed")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "no pickle")
    refused(read_foreign_pickle, path, "data.pkl")


# --- conversion -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("container", CONTAINERS)
def test_the_published_file_is_converted(tmp_path: Path, published, container: str) -> None:
    target = tmp_path / "D3S.safetensors"
    converted = convert_published(published(container), target)
    loaded = load_checkpoint(target)
    assert loaded.checksum == converted.checksum
    assert loaded.config == {"trunk": "resnet50", "gem_trunk": "resnet50"}
    assert loaded.provenance["source"] == "SegmNet.pth.tar" and len(loaded.provenance["source_sha256"]) == 64
    for name, tensor in head("resnet50").items():
        assert torch.equal(loaded.tensors[name], tensor)
    assert not any(
        name.startswith(("gem_extractor.", "feature_extractor.layer4.")) for name in loaded.tensors
    )
    state = {k[18:]: v for k, v in loaded.tensors.items() if k.startswith("feature_extractor.")}
    create_trunk("resnet50", state=state)  # refuses whatever is missing or unknown


def test_the_command_converts_and_the_result_tracks(tmp_path: Path, published) -> None:
    torch.manual_seed(1)
    torch.save(torchvision.models.resnet50().state_dict(), tmp_path / "resnet50.pth")
    source, target = published("legacy"), tmp_path / "converted.safetensors"
    assert main(["convert", str(source), str(target), "--gem-trunk", str(tmp_path / "resnet50.pth")]) == 0
    tracker = load_tracker(target, device="cpu")
    assert tracker.model.gem_trunk is not tracker.model.trunk
    tracker.initialize(*scene(0))
    assert np.isfinite(tuple(tracker.track(scene(1)[0]).box)).all()


@pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy"])
def test_a_separate_trunk_is_carried(tmp_path: Path, published, kind: str) -> None:
    torch.manual_seed(1)
    state = torchvision.models.resnet50().state_dict()
    source = tmp_path / ("gem.safetensors" if kind == "safetensors" else "gem.pth")
    if kind == "safetensors":
        save_file(state, source)
    else:
        save_foreign(source, state, kind)
    loaded = convert_published(published("legacy"), tmp_path / "D3S.safetensors", source)
    assert loaded.provenance["gem_trunk_source"] == source.name
    assert torch.equal(loaded.tensors["gem_extractor.conv1.weight"], state["conv1.weight"])
    assert not torch.equal(loaded.tensors["feature_extractor.conv1.weight"], state["conv1.weight"])


def test_old_files_without_batch_counts_are_converted(tmp_path: Path, published) -> None:
    def change(net: dict[str, Tensor]) -> None:
        for name in [n for n in net if n.endswith("num_batches_tracked")]:
            del net[name]

    convert_published(published("legacy", change), tmp_path / "D3S.safetensors")
    load_checkpoint(tmp_path / "D3S.safetensors")


@pytest.mark.parametrize("layout", ["bare", "state_dict", "model", "several GPUs"])
def test_other_layouts_of_the_same_network_are_converted(tmp_path: Path, published, layout: str) -> None:
    net = read_foreign_pickle(published("legacy"))["net"]
    if layout == "several GPUs":
        net = {f"module.{name}": tensor for name, tensor in net.items()}
    content = {"bare": net, "several GPUs": {"net": net}}.get(layout, {"epoch": 3, layout: net})
    source = save_foreign(tmp_path / "other.pth.tar", content, "zip")
    converted = convert_published(source, tmp_path / "D3S.safetensors")
    assert converted.checksum == convert_published(published("zip"), tmp_path / "same.safetensors").checksum


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a missing weight": (lambda net: net.pop("segm_predictor.f1.0.weight"), "f1.0.weight is missing"),
    "a wrong shape": (
        lambda net: net.update({"segm_predictor.f0.0.weight": torch.rand(4, 9, 3, 3)}),
        "f0.0.weight",
    ),
    "an unknown layer": (lambda net: net.update({"segm_predictor.f7.0.bias": torch.rand(4)}), "f7.0.bias"),
    "an unknown part": (lambda net: net.update({"bb_regressor.x": torch.rand(4)}), "bb_regressor"),
    "a trunk without a layer": (
        lambda net: net.pop("feature_extractor.layer3.2.bn1.bias"),
        "layer3.2.bn1.bias",
    ),
    "a smaller trunk": (
        lambda net: net.update({"feature_extractor.conv1.weight": torch.rand(64, 3, 3, 3)}),
        "conv1",
    ),
    "no trunk": (
        lambda net: [net.pop(n) for n in list(net) if n.startswith("feature_ex")],
        "feature_extractor",
    ),
    "NaN": (lambda net: net["segm_predictor.s0.1.bias"].fill_(float("nan")), "not finite"),
    "NaN in the trunk": (lambda net: net["feature_extractor.bn1.bias"].fill_(float("nan")), "not finite"),
    "no tensor": (lambda net: net.update({"segm_predictor.s0.1.bias": [1.0]}), "state dict"),
    "a number as name": (lambda net: net.update(dict.fromkeys(cast(Any, [7]), torch.rand(1))), "state dict"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_other_networks_are_not_converted(tmp_path: Path, published, name: str) -> None:
    change, match = CHANGES[name]
    target = tmp_path / "D3S.safetensors"
    source = published("legacy", change)
    with pytest.raises(CheckpointError, match=match):
        convert_published(source, target)
    assert not target.exists()


def test_a_file_without_a_network_and_a_bad_trunk_are_not_converted(tmp_path: Path, published) -> None:
    target, bad = tmp_path / "D3S.safetensors", tmp_path / "bad.safetensors"
    for content in ({"state": 1}, [1], {"net": [1]}, torch.rand(3)):
        refused(lambda p: convert_published(p, target), save_foreign(tmp_path / "x.pth", content, "zip"))
    source = published("legacy")
    refused(lambda p: convert_published(source, target, p), bad, "missing")
    save_file(torchvision.models.resnet18().state_dict(), bad)
    refused(lambda p: convert_published(source, target, p), bad, "another network")
    assert not target.exists()
