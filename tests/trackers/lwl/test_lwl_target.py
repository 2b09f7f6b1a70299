"""LWL frame by frame: the golden traces, and the weights of its memory."""

from __future__ import annotations

import json
import runpy
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from d3s_vot.errors import InputError
from d3s_vot.images import read_image
from d3s_vot.trackers.lwl.config import BOX_START, MASK_START, LWLConfig
from d3s_vot.trackers.lwl.memory import Memory
from d3s_vot.trackers.lwl.merge import certain, merge
from d3s_vot.trackers.lwl.network import LWLNetwork
from d3s_vot.trackers.lwl.target import Learnt, begin_with_box


@pytest.mark.parametrize(("name", "config"), [("lwl_ytvos", MASK_START), ("lwl_boxinit", BOX_START)])
def test_golden_memory(name, config, golden):
    parts = golden("lwl_parts.npz")
    sample = [torch.zeros(1, 1, 1)] * 3
    memory, seen = Memory(config, *sample), []
    for slot in parts[f"{name}_mem_slot"]:
        assert memory.add(*sample) == slot
        seen.append(memory.weights.clone())
    for number, expected in zip((0, 1, 5, 12, 29, 30, 31, 44), parts[f"{name}_mem_weights"], strict=True):
        assert np.abs(seen[number].numpy() - expected).max() < 1e-5


def test_a_memory_gives_what_was_put_into_it():
    memory = Memory(LWLConfig(memory_size=2), *(torch.full((1, 2, 2), float(k)) for k in range(3)))
    memory.add(*(torch.full((1, 2, 2), 10.0 + k) for k in range(3)))
    assert memory.add(*(torch.full((1, 2, 2), 20.0 + k) for k in range(3))) == 1 and memory.filled == 2
    features, labels, weights = memory.problem()
    assert features[:, 0, 0, 0].tolist() == [0, 20] and labels[:, 0, 0, 0].tolist() == [1, 21]
    assert torch.allclose(weights[:, 0, 0, 0], memory.weights * torch.tensor([2.0, 22.0]))


def made(recipe: str, shared) -> LWLNetwork:
    """The network of a trace: channel 0 carries the mask through encoder and decoder."""
    network = LWLNetwork(boxes=True)
    fill = runpy.run_path(str(shared / "golden" / "fill.py"))["fill"]
    state = fill({name: tuple(tensor.shape) for name, tensor in network.state_dict().items()})
    state = {name: torch.from_numpy(value) for name, value in state.items()}
    trunk = load_file(shared / "weights" / "resnet50_caffe_trunk.safetensors")
    std = 255 * torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    for name, tensor in trunk.items():
        value = (tensor.float() / std).flip(1) if name == "conv1.weight" else tensor
        if not name.endswith("num_batches_tracked"):
            state[f"feature_extractor.{name}"] = value.float()
    for entry in json.loads(recipe):
        tensor = state[entry["name"]] * entry.get("scale", 1) + entry.get("add", 0)
        if "zero_row" in entry and not entry.get("keep"):
            tensor[entry["zero_row"]] = 0
        if "set" in entry:
            row, column, value, kind = entry["set"]
            if kind == "centre":
                middle = tensor.shape[-1] // 2
                tensor[row, column, middle, middle] = value
            else:
                tensor[row, column] = value / 9
        state[entry["name"]] = tensor
    network.load_state_dict(state)
    return network.eval().requires_grad_(False)


def frames(folder, count):
    for path in sorted(folder.glob("*.jpg"))[:count]:
        yield torch.from_numpy(read_image(path)).permute(2, 0, 1)[None]


def follow(trace, targets, images, *, pixels, overlap):
    """Every frame of a trace: the windows within so many pixels, the masks as alike as this; objects are merged."""
    bits = trace.get("segmentation_bits")
    for number, image in enumerate(images):
        merged = merge(torch.stack([target.look(image) for target in targets]))
        labels = merged.argmax(dim=0).numpy()
        for k, target in enumerate(targets, start=1):
            y, x, h, w, scale, *window, at_y, at_x, sample_scale, mass, stored, share, norm = trace[f"rows_{k}"][number]
            target.told(merged[k])
            found = *target.sample.first_yx, *target.sample.end_yx
            assert np.abs(np.subtract([v * target.sample.step for v in found], window)).max() <= pixels
            assert (*target.position_yx, *target.size_hw) == pytest.approx((y, x, h, w), abs=max(0.01, 2 * pixels))
            assert np.abs(np.subtract(target.box_xywh, trace[f"boxes_{k}"][number])).max() < max(0.05, 2 * pixels)
            assert (target.memory.filled, target.memory.weights[0]) == pytest.approx((stored, share), abs=1e-5)
            if not pixels:
                assert (*target.sample.position_yx, target.sample.scale, target.scale) == pytest.approx(
                    (at_y, at_x, sample_scale, scale), abs=1e-4
                )
                assert float(merged[k].sum()) == pytest.approx(mass, rel=1e-3)
                assert float(target.filter.norm()) == pytest.approx(norm, rel=1e-3)
                if number + 2 in trace["prob_frames"]:
                    place = trace["prob_frames"].tolist().index(number + 2)
                    expected = trace[f"prob_{k}"][place].astype(np.float32)
                    assert np.abs(merged[k][::4, ::4].numpy() - expected).max() < 2e-3
            if bits is not None:
                own = np.unpackbits(bits[number])[: labels.size].reshape(labels.shape) > 0
            else:
                own = trace["segmentation"][number] == k
            ours = labels == k
            assert (own & ours).sum() / max((own | ours).sum(), 1) >= overlap


def began_as(trace, k, target):
    assert np.abs(target.filter[:, ::32].numpy() - trace[f"init_filter0_{k}"].astype(np.float32)).max() < 2e-3
    assert np.abs(target.first.cut_mask(target.probability)[::4, ::4].numpy() - trace[f"init_mask0_{k}"]).max() < 2e-3
    assert target.scale == pytest.approx(float(trace[f"init_scale0_{k}"]), rel=1e-5)


def test_golden_trace_of_a_box(golden, shared):
    trace = golden("lwl_trace_car.npz")
    network = made(str(trace["recipe"]), shared)
    images = frames(shared / "data" / "sequences" / "vot-car" / "color", 8)  # of 24; each takes a second
    config, image, box = replace(BOX_START, sample_height=240, sample_width=416), next(images), trace["init_box_1"]
    logits = begin_with_box(network, image, box.tolist())
    target = Learnt(network, config, image, torch.sigmoid(logits), tuple(box.tolist()))
    began_as(trace, 1, target)
    (_, first) = merge(logits[None])
    assert np.abs(first[::2, ::2].numpy() - trace["init_init_logits_prob"].astype(np.float32)).max() < 2e-3
    target.told(first)
    follow(trace, [target], images, pixels=0, overlap=0.999)


def test_golden_trace_of_two(golden, shared):
    trace = golden("lwl_trace_two.npz")
    network = made(str(trace["recipe"]), shared)
    images = frames(shared / "data" / "sequences" / "otb-Jumping" / "color", 9)
    config, image = replace(MASK_START, sample_height=240, sample_width=416), next(images)
    targets, masks = [], []
    for k in (1, 2):
        x, y, w, h = trace[f"init_box_{k}"].tolist()
        mask = torch.zeros(image.shape[2:])
        mask[int(y) : int(y + h), int(x) : int(x + w)] = 1
        targets.append(Learnt(network, config, image, mask, (x, y, w, h)))
        began_as(trace, k, targets[-1])
        masks.append(certain(mask))
    for target, probability in zip(targets, merge(torch.stack(masks))[1:], strict=True):
        target.told(probability)
    follow(trace, targets, images, pixels=0, overlap=0.999)


def test_golden_trace_in_the_whole_image(golden, shared):
    trace = golden("lwl_trace_bear.npz")
    network = made(str(trace["recipe"]), shared)
    clip = shared / "data" / "train" / "video_clips"
    images = frames(clip / "images" / "davis_bear", 9)
    mask_file = min((clip / "masks" / "davis_bear").glob("*.png"))
    mask = torch.from_numpy((cv2.imread(str(mask_file), cv2.IMREAD_UNCHANGED) == 1).astype(np.float32))
    target = Learnt(network, MASK_START, next(images), mask, tuple(trace["init_box_1"].tolist()))
    began_as(trace, 1, target)
    target.told(merge(certain(mask)[None])[1])
    follow(trace, [target], images, pixels=1, overlap=0.97)


@pytest.mark.parametrize(("constant", "value"), [("sample_height", 200), ("memory_size", 1), ("first_share", 1.0)])
def test_constants_that_make_no_sense_are_refused(constant, value):
    with pytest.raises(InputError, match=constant):
        LWLConfig(**{constant: value})
