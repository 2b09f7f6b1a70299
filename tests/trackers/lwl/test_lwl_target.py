"""LWL frame by frame: the golden traces, through the tracker's own steps, and the weights of its memory."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from lwl_golden import BOTH, traced_network, with_changes

from d3s_vot import Box, Mask, Tracker, track_together
from d3s_vot.images import read_image
from d3s_vot.trackers.lwl.config import LWLConfig
from d3s_vot.trackers.lwl.filter import EncodingFilter, Example
from d3s_vot.trackers.lwl.learner import descend, objective
from d3s_vot.trackers.lwl.model import LWLModel

SMALL = with_changes(BOTH, sample_height=240, sample_width=416)


@pytest.mark.parametrize(("name", "box"), [("lwl_ytvos", False), ("lwl_boxinit", True)])
def test_golden_memory(name, box, golden):
    parts = golden("lwl_parts.npz")
    example = Example(*(torch.zeros(depth, 1, 1) for depth in (1, 16, 16)))
    kept, seen = EncodingFilter(LWLConfig().learning(box=box), torch.ones(1), example), []
    for slot in parts[f"{name}_mem_slot"]:
        assert kept.add(example) == slot
        seen.append(kept.sample_weights.clone())
    for number, expected in zip((0, 1, 5, 12, 29, 30, 31, 44), parts[f"{name}_mem_weights"], strict=True):
        assert np.abs(seen[number].numpy() - expected).max() < 1e-5


def test_an_update_learns_what_the_memory_holds():
    """The third example takes the second one's slot."""
    generator = torch.Generator().manual_seed(0)
    learning = LWLConfig(memory_size=2, first_steps=4).learning(box=False)
    features, labels, certainties = (torch.randn(3, depth, 5, 5, generator=generator) for depth in (8, 16, 16))
    regularization = torch.tensor([0.1])
    first, *later = (Example(*parts) for parts in zip(features, labels, certainties, strict=True))
    kept = EncodingFilter(learning, regularization, first)
    before = kept.filter
    assert [kept.add(example) for example in later] == [1, 1] and kept.filled == 2
    kept.update(3)
    weights = kept.sample_weights.view(2, 1, 1, 1) * certainties[::2]
    expected = descend(before, features[::2], objective(labels[::2], weights, regularization), steps=3)
    assert torch.allclose(kept.filter, expected, atol=1e-5) and not torch.allclose(kept.filter, before, atol=1e-2)


def frames(folder, count):
    return [read_image(path) for path in sorted(folder.glob("*.jpg"))[:count]]


def follow(trace, trackers, images, *, pixels, overlap):
    """Every frame of a trace: the windows within so many pixels, the masks as alike as this."""
    bits = trace.get("segmentation_bits")
    for number, image in enumerate(images):
        assert image.shape[:2] == tuple(trace["image_size"])
        answers = track_together(trackers, image)
        for k, (tracker, answer) in enumerate(zip(trackers, answers, strict=True), start=1):
            target = tracker.target
            y, x, h, w, scale, *window, at_y, at_x, sample_scale, mass, stored, share, norm = trace[f"rows_{k}"][number]
            found = *target.sample.first_yx, *target.sample.end_yx
            assert np.abs(np.subtract([v * target.sample.step for v in found], window)).max() <= pixels
            place = (*target.state.position_yx, *target.state.size_hw)
            assert place == pytest.approx((y, x, h, w), abs=max(0.01, 2 * pixels))
            assert np.abs(np.subtract(tuple(answer.box), trace[f"boxes_{k}"][number])).max() < max(0.05, 2 * pixels)
            assert (target.filter.filled, target.filter.sample_weights[0]) == pytest.approx((stored, share), abs=1e-5)
            if not pixels:
                assert (*target.sample.position_yx, target.sample.scale, target.state.scale) == pytest.approx(
                    (at_y, at_x, sample_scale, scale), abs=1e-4
                )
                assert float(target.probability.sum()) == pytest.approx(mass, rel=1e-3)
                assert float(target.filter.filter.norm()) == pytest.approx(norm, rel=1e-3)
                if number + 2 in trace["prob_frames"]:
                    place = trace["prob_frames"].tolist().index(number + 2)
                    expected = trace[f"prob_{k}"][place].astype(np.float32)
                    assert np.abs(target.probability[::4, ::4].numpy() - expected).max() < 2e-3
            if bits is not None:
                own = np.unpackbits(bits[number])[: answer.mask.size].reshape(answer.mask.shape) > 0
            else:
                own = trace["segmentation"][number] == k
            assert (own & answer.mask).sum() / max((own | answer.mask).sum(), 1) >= overlap


def began_as(trace, k, target):
    kernel = trace[f"init_filter0_{k}"].astype(np.float32)
    assert np.abs(target.filter.filter[:, ::32].numpy() - kernel).max() < 2e-3
    mask = target.first.cut_mask(target.probability)[::4, ::4].numpy()
    assert np.abs(mask - trace[f"init_mask0_{k}"]).max() < 2e-3
    assert target.state.scale == pytest.approx(float(trace[f"init_scale0_{k}"]), rel=1e-5)


def model(trace, config, shared):
    return LWLModel(traced_network(str(trace["recipe"]), shared), config, torch.device("cpu"))


def test_golden_trace_of_a_box(golden, shared):
    """Seven of its 23 frames; the filter is learnt anew at the fifth."""
    trace = golden("lwl_trace_car.npz")
    tracker = Tracker(model(trace, SMALL, shared))
    first, *images = frames(shared / "data" / "sequences" / "vot-car" / "color", 8)
    tracker.initialize(first, Box(*trace["init_box_1"].tolist()))
    began_as(trace, 1, tracker.target)
    (probability,) = tracker.model.settle([tracker.target._claim])
    assert np.abs(probability[::2, ::2].numpy() - trace["init_init_logits_prob"].astype(np.float32)).max() < 2e-3
    follow(trace, [tracker], images, pixels=0, overlap=0.999)


def test_golden_trace_of_two(golden, shared):
    """Five of its eight frames."""
    trace = golden("lwl_trace_two.npz")
    tracker = Tracker(model(trace, SMALL, shared))
    trackers = [tracker, tracker.fork()]
    first, *images = frames(shared / "data" / "sequences" / "otb-Jumping" / "color", 6)
    for k, one in enumerate(trackers, start=1):
        x, y, w, h = (int(value) for value in trace[f"init_box_{k}"])
        mask = np.zeros(first.shape[:2], bool)
        mask[y : y + h, x : x + w] = True
        one.initialize(first, Mask(mask))
        began_as(trace, k, one.target)
    follow(trace, trackers, images, pixels=0, overlap=0.999)


def test_golden_trace_in_the_whole_image(golden, shared):
    """Three of its eight frames; each takes three seconds."""
    trace = golden("lwl_trace_bear.npz")
    tracker = Tracker(model(trace, BOTH, shared))
    clip = shared / "data" / "train" / "video_clips"
    first, *images = frames(clip / "images" / "davis_bear", 4)
    mask_file = min((clip / "masks" / "davis_bear").glob("*.png"))
    tracker.initialize(first, mask=cv2.imread(str(mask_file), cv2.IMREAD_UNCHANGED) == 1)
    began_as(trace, 1, tracker.target)
    follow(trace, [tracker], images, pixels=1, overlap=0.97)
