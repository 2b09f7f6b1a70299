"""Networks from checkpoints: one trunk or two, carried or found, and devices."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from scenes import scene
from synthetic import fill_state

from d3s_vot import Box, CheckpointError, D3STracker, InputError
from d3s_vot.compute.device import choose_device
from d3s_vot.trackers.d3s import weights
from d3s_vot.trackers.d3s.config import RULES, D3SConfig
from d3s_vot.trackers.d3s.model import D3SModel
from d3s_vot.trackers.d3s.network import SegmentationNetwork
from d3s_vot.trunks.create import create_trunk
from d3s_vot.trunks.trunk import CHANNELS
from d3s_vot.weights.checkpoint import Checkpoint
from d3s_vot.weights.find import find_weights
from d3s_vot.zoo import load_checkpoint, load_model, save_checkpoint

CPU = torch.device("cpu")


def head(trunk: str) -> dict[str, torch.Tensor]:
    state = SegmentationNetwork(CHANNELS[trunk]).state_dict()
    return {f"segm_predictor.{k}": v for k, v in fill_state(state, "segm_predictor.").items()}


def resnet18(prefix: str) -> dict[str, torch.Tensor]:
    state = torchvision.models.resnet18(weights=None).state_dict()
    kept = {k: v for k, v in state.items() if not k.startswith(("layer4.", "fc."))}
    return fill_state(kept, prefix)


def built(checkpoint: Checkpoint, rules: str = "weights", trunk: Path | None = None) -> D3SModel:
    return D3SModel.from_checkpoint(checkpoint, CPU, D3SModel.configure(checkpoint, rules), trunk)


def test_shipped_weights_say_where_they_come_from():
    provenance = load_checkpoint(find_weights("D3S")).provenance
    assert provenance["commit"] != "unknown"
    assert provenance["objects"]["train"] > 0 and 0 < provenance["validation_iou"] < 1


def test_one_trunk_serves_both():
    model = load_model("D3S", "cpu")
    assert model.gem_trunk is model.trunk


def test_two_carried_trunks_track(tmp_path):
    tensors = head("resnet18")
    for name in ("feature_extractor.", "gem_extractor."):
        tensors |= {name + k: v for k, v in resnet18(name).items()}
    save_checkpoint(tmp_path / "two.safetensors", weights.create(tensors, "resnet18", gem_trunk="resnet18"))
    model = load_model(tmp_path / "two.safetensors", "cpu")
    patch = torch.full((1, 3, 256, 256), 90.0)
    own = create_trunk("resnet18", state=resnet18("gem_extractor."))(patch)[16]
    assert torch.allclose(model.gem_trunk(patch)[16], own)
    assert not torch.allclose(model.trunk(patch)[16], own)
    tracker = D3STracker(model)
    tracker.initialize(*scene(0))
    assert np.isfinite(tuple(tracker.track(scene(1)[0]).box)).all()


def test_a_trunk_file_goes_to_the_trunk_that_needs_one(tmp_path):
    torch.save(resnet18("x."), tmp_path / "r18.pth")
    checkpoint = weights.create(head("efficientnet_lite0"), "efficientnet_lite0", gem_trunk="resnet18")
    model = built(checkpoint, trunk=tmp_path / "r18.pth")
    assert (model.trunk.name, model.gem_trunk.name) == ("efficientnet_lite0", "resnet18")
    with pytest.raises(CheckpointError, match="no trunk file"):
        built(checkpoint, trunk=tmp_path / "absent.pth")


def test_configuration_of_the_checkpoint_is_used():
    config = {"similarity_top_k": 5, "scale_step": 0.07}
    model = built(weights.create(head("efficientnet_lite0"), "efficientnet_lite0", config=config))
    assert model.network.top_k == 5 and model.config.scale_step == 0.07


@pytest.mark.parametrize("rules", ["published", "calibrated"])
def test_rules_leave_what_belongs_to_the_weights(rules):
    config = {"similarity_top_k": 5, "segm_search_area_scale": 3.0, "segm_crop_size": 320, "scale_step": 0.07}
    checkpoint = weights.create(head("efficientnet_lite0"), "efficientnet_lite0", config=config)
    model = built(checkpoint, rules=rules)
    assert model.network.top_k == model.config.similarity_top_k == 5
    assert (model.config.segm_search_area_scale, model.config.segm_crop_size) == (3.0, 320)
    assert model.config.scale_step == 0.05 and model.config.box_calibration == RULES[rules].box_calibration


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("projection_channels", 0),
        ("memory_size", 2.5),
        ("memory_size", True),
        ("scale_step", -0.1),
        ("min_scale", float("nan")),
        ("segm_crop_size", 383),
        ("gem_window_size", 256),
        ("fit_alpha", None),
        ("fit_alpha", "a"),
    ],
)
def test_constants_that_cannot_be_are_refused(name, value):
    with pytest.raises(InputError, match=name):
        D3SConfig(**{name: value})


def test_constants_take_numbers_of_every_kind():
    config = D3SConfig(memory_size=np.int64(50), scale_step=np.float32(0.5), min_scale=1)
    assert config.changes() == {"memory_size": 50, "scale_step": 0.5, "min_scale": 1.0}
    assert [type(value) for value in config.changes().values()] == [int, float, float]


def test_rules_and_devices_of_odd_types_are_refused():
    for wrong in ({"rules": ["published"]}, {"rules": None}, {"preset": ["fast"]}, {"device": None}, {"device": [1]}):
        with pytest.raises(InputError):
            load_model("D3S", **{"device": "cpu", **wrong})
    with pytest.raises(InputError, match="load_tracker"):
        D3STracker("D3S")


@pytest.mark.parametrize("name", ["meta", "mps", "gpu", "cuda:99"])
def test_devices_that_are_not_there(name):
    with pytest.raises(InputError):
        choose_device(name)


def test_auto_is_a_device_that_is_there():
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_follows_like_the_cpu():
    boxes = []
    for device in ("cpu", "cuda"):
        tracker = D3STracker(load_model("D3S", device))
        tracker.initialize(*scene(0))
        boxes.append([tuple(tracker.track(scene(t)[0]).box) for t in range(1, 4)])
    assert np.allclose(*boxes, atol=3)


def test_caller_may_be_in_inference_mode():
    tracker = D3STracker(load_model("D3S", "cpu"))
    with torch.inference_mode():
        tracker.initialize(*scene(0))
    inside = tracker.track(scene(1)[0]).region
    tracker.initialize(scene(0)[0], Box(*scene(0)[1]))
    assert tracker.track(scene(1)[0]).region == inside
