"""The tracker as a whole, with random weights: what goes in, what comes out, what must stay the same."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from ostrack_golden import random_checkpoint
from torch.nn.attention import SDPBackend, sdpa_kernel

from d3s_vot import Box, InputError, Polygon, load_tracker
from d3s_vot.compute.half import Half
from d3s_vot.errors import CheckpointError
from d3s_vot.trackers.ostrack.published import CONFIGURATIONS
from d3s_vot.zoo import Choice, configuration, save_checkpoint

IMAGE = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (180, 240, 3), np.uint8), (0, 0), 1)
START = Box(90, 60, 40, 30)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_checkpoint(path, random_checkpoint())
    return path


def moved(k):
    """The image, scrolled by 2 k pixels."""
    return np.roll(IMAGE, (k, 2 * k), axis=(0, 1))


def numbers(prediction):
    return [*prediction.box, prediction.confidence]


def run(tracker, frames=4):
    tracker.initialize(IMAGE, START)
    return [tracker.track(moved(k + 1)) for k in range(frames)]


def test_a_run_gives_boxes_and_the_same_again(weights):
    tracker = load_tracker(weights, "cpu")
    first, again = run(tracker), run(tracker.fork())
    assert [numbers(p) for p in first] == [numbers(p) for p in again]
    for prediction in first:
        assert prediction.region == prediction.box and prediction.patch is None
        assert 1e-4 <= prediction.confidence <= 1 - 1e-4
        assert prediction.visible == (prediction.confidence >= tracker.config.visible_confidence)
        assert prediction.box.w >= 10 and prediction.box.h >= 10
    assert tracker.model.architecture == "vit 64 x 10" and not tracker.model.gives_masks


def test_visible_changes_no_answer(weights, tmp_path):
    answers = []
    for bound in (0.0, 1.0):
        save_checkpoint(tmp_path / "w.safetensors", random_checkpoint(visible_confidence=bound))
        answers.append(run(load_tracker(tmp_path / "w.safetensors", "cpu")))
    assert [numbers(p) for p in answers[0]] == [numbers(p) for p in answers[1]]
    assert all(p.visible for p in answers[0]) and not any(p.visible for p in answers[1])


def test_the_template_passes_its_layers_once(weights):
    tracker = load_tracker(weights, "cpu")
    passes = []
    tracker.model.networks["template"].register_forward_hook(lambda *_: passes.append("template"))
    tracker.model.networks["search"].register_forward_hook(lambda *_: passes.append("search"))
    run(tracker, 3)
    assert passes == ["template", "search", "search", "search"]


def test_a_polygon_and_a_mask_are_followed_as_the_box_around_them(weights):
    tracker = load_tracker(weights, "cpu")
    mask = np.zeros((180, 240), bool)
    mask[60:90, 90:130] = True
    tracker.initialize(IMAGE, mask=mask)
    by_mask = numbers(tracker.track(moved(1)))
    tracker.initialize(IMAGE, Polygon([90, 60, 130, 60, 130, 90, 90, 90]))
    by_polygon = numbers(tracker.track(moved(1)))
    assert by_mask == by_polygon == numbers(run(tracker, 1)[0])


def test_a_frame_of_twice_the_size_shows_the_same_target(weights):
    smooth = cv2.GaussianBlur(IMAGE, (0, 0), 4)
    large = cv2.resize(smooth, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    tracker, crops = load_tracker(weights, "cpu"), []
    tracker.model.networks["search"].register_forward_hook(lambda _, inputs, __: crops.append(inputs[0]))
    for image in (smooth, large):
        tracker.initialize(smooth, START)
        answer = tracker.track(image)
        assert answer.image_size == image.shape[:2]
    assert (crops[0] - crops[1]).abs().mean() < 2


def test_the_order_of_colours_matters(weights):
    tracker = load_tracker(weights, "cpu")
    tracker.initialize(IMAGE, START)
    rgb = tracker.target.template
    tracker.initialize(IMAGE[..., ::-1], START)
    assert not torch.allclose(rgb, tracker.target.template)


def test_a_target_at_the_edge_and_one_that_fills_the_picture(weights):
    tracker = load_tracker(weights, "cpu")
    for box in (Box(-30, -20, 40, 30), Box(235, 175, 40, 40), Box(0, 0, 240, 180), Box(100, 100, 0.6, 0.6)):
        tracker.initialize(IMAGE, box)
        for k in range(2):
            x, y, w, h = tracker.track(moved(k)).box
            assert 0 <= x <= 230 and 0 <= y <= 170 and x + w <= 240 and y + h <= 180 and min(w, h) >= 10


def test_rules_change_all_but_the_network():
    checkpoint = random_checkpoint()
    chosen = configuration(checkpoint, "OSTrack-vitb_384_mae_32x4_ep300")
    assert (chosen.search_factor, chosen.keep_ratio) == (5, 1)
    assert (chosen.search_size, chosen.width) == (128, 64)
    assert set(CONFIGURATIONS) == {
        "OSTrack-vitb_256_mae_ce_32x4_ep300", "OSTrack-vitb_256_mae_ce_32x4_got10k_ep100",
        "OSTrack-vitb_256_mae_32x4_ep300", "OSTrack-vitb_384_mae_ce_32x4_ep300",
        "OSTrack-vitb_384_mae_ce_32x4_got10k_ep100", "OSTrack-vitb_384_mae_32x4_ep300",
        "DropTrack-vitb_384_mae_ce_32x4_ep300", "DropTrack-vitb_384_mae_ce_32x4_got10k_ep100",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "another network"),
        ({"temporal": 1}, "temporal_pos_embed_x is missing"),
        ({"depth": 9}, "unknown"),
        ({"search_size": 100}, "search_size"),
        ({"speed": 3}, "no constant 'speed'"),
    ],
)
def test_checkpoints_of_another_network_are_refused(config, message, tmp_path):
    checkpoint = random_checkpoint()
    kept = dict(checkpoint.config) if config else {}
    checkpoint.config.clear()
    checkpoint.config.update({**kept, **config})
    with pytest.raises(CheckpointError, match=message):
        save_checkpoint(tmp_path / "a.safetensors", checkpoint)


def test_the_preset_fast_follows_nearly_alike(tmp_path):
    weights = tmp_path / "w.safetensors"
    save_checkpoint(weights, random_checkpoint(depth=4))  # with one elimination: compiling takes its time
    try:
        fast = load_tracker(weights, "cpu", preset="fast")
    except InputError as error:
        if "the preset fast" not in str(error):
            raise
        pytest.skip(str(error))
    exact = load_tracker(weights, "cpu")
    differences = [np.abs(looked(fast.model, seed) - looked(exact.model, seed)).mean() for seed in range(5)]
    # The processor's half precision may eliminate another candidate, which moves a map of random weights by more.
    assert np.median(differences) < 0.01 and max(differences) < 0.2
    assert [numbers(p) for p in run(fast, 3)] == [numbers(p) for p in run(fast, 3)]


def looked(model, seed):
    """The maps of a random search crop, against a template out of it."""
    size, inner = model.config.search_size, model.config.template_size
    noise = np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8)
    crop = cv2.GaussianBlur(noise, (0, 0), 3)
    with torch.inference_mode():
        return model.look([(crop, model.encode([crop[:inner, :inner]])[0])])[0]


def test_half_precision_in_torch_as_on_a_gpu(weights):
    exact, half = load_tracker(weights, "cpu"), load_tracker(weights, "cpu")
    half.model.networks = {n: Half(network, half.model.device) for n, network in half.model.networks.items()}
    with sdpa_kernel(SDPBackend.MATH):  # torch's fused one ends in an error with AMX, but without AVX-512
        quick, slow = run(half, 1)[0], run(exact, 1)[0]
    assert quick.confidence == pytest.approx(slow.confidence, abs=0.05)
    assert quick.confidence != slow.confidence


def test_a_choice_of_boxes_gives_no_masks(weights):
    with pytest.raises(InputError, match="gives boxes alone"):
        Choice(weights).demand_masks("--masks", "leave it out")
