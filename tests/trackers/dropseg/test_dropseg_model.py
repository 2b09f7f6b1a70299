"""DropSeg as a whole, with random weights: masks of one object and of several, frames of all sizes, conversion."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from dropseg_golden import TINY, random_checkpoint, random_network

from d3s_vot import Box, InputError, Mask, Polygon, load_tracker, track_together
from d3s_vot.cli import main
from d3s_vot.errors import CheckpointError
from d3s_vot.online.rivals import against_rivals
from d3s_vot.trackers.dropseg.config import DropSegConfig
from d3s_vot.trackers.dropseg.convert import UNUSED, convert_published
from d3s_vot.trackers.dropseg.model import DropSegModel
from d3s_vot.trackers.dropseg.views import View, aggregate
from d3s_vot.trackers.dropseg.weights import shapes
from d3s_vot.zoo import load_checkpoint, save_checkpoint

SIZE = (70, 110)  # no multiples of 16
IMAGE = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8), (0, 0), 2)
MASK = cv2.circle(np.zeros(SIZE, np.uint8), (50, 30), 15, 1, -1).astype(bool)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "DropSeg.safetensors"
    save_checkpoint(path, random_checkpoint())
    return path


def moved(k):
    return np.roll(IMAGE, (k, 2 * k), axis=(0, 1))


def test_a_mask_is_followed_and_frames_come_in_any_order(weights):
    tracker = load_tracker(weights, "cpu")
    tracker.initialize(IMAGE, mask=MASK)
    forth = {k: tracker.track(moved(k)) for k in (1, 2, 3)}
    back = {k: tracker.track(moved(k)) for k in (3, 2, 1)}
    for k, answer in forth.items():
        assert np.array_equal(answer.mask, back[k].mask) and answer.confidence == back[k].confidence
        assert answer.mask.shape == SIZE and 0 < answer.mask.mean() < 1
        assert answer.visible and answer.confidence > 0.5
        assert isinstance(answer.region, Mask) and answer.box == Mask(answer.mask).box
        inside = answer.patch.in_image(*SIZE)
        assert answer.confidence == pytest.approx(inside[answer.mask].mean(), abs=1e-5)


def test_the_mask_says_what_the_object_is(weights):
    tracker = load_tracker(weights, "cpu")
    answers = []
    for mask in (MASK, ~MASK):
        tracker.initialize(IMAGE, mask=mask)
        answers.append(tracker.track(moved(1)).patch.in_image(*SIZE))
    assert np.abs(answers[0] - answers[1]).max() > 0.01


def test_boxes_and_polygons_stand_for_what_they_enclose(weights):
    tracker = load_tracker(weights, "cpu")
    box = Box(30, 20, 30, 24)
    filled = np.zeros(SIZE, bool)
    filled[20:44, 30:60] = True
    tracker.initialize(IMAGE, mask=filled)
    expected = tracker.track(moved(1))
    tracker.initialize(IMAGE, box)
    answer = tracker.track(moved(1))
    assert np.array_equal(answer.mask, expected.mask) and answer.region == Mask(expected.mask).box
    tracker.initialize(IMAGE, Polygon([30, 30, 50, 20, 60, 40, 40, 50]))
    assert isinstance(tracker.track(moved(1)).region, Polygon)


def test_a_single_object_is_where_it_is_more_likely_than_not(weights):
    tracker = load_tracker(weights, "cpu")
    tracker.initialize(IMAGE, mask=MASK)
    alone, segment = [], tracker.model.segment

    tracker.model.segment = lambda questions: alone.append(segment(questions)) or alone[-1]
    answer = tracker.track(moved(1))
    view = View.of(SIZE, TINY["shorter_side"])
    assert np.array_equal(answer.mask, view.back(alone[0][0][None], SIZE)[0].numpy() > 0.5)


def test_several_objects_share_the_pixels(weights):
    trackers = [load_tracker(weights, "cpu")]
    trackers += [trackers[0].fork(), trackers[0].fork()]
    other = np.zeros(SIZE, bool)
    other[40:, 80:] = True
    for tracker, mask in zip(trackers, (MASK, other, MASK), strict=True):
        tracker.initialize(IMAGE, mask=mask)
    answers = track_together(trackers, moved(1))
    assert sum(answer.mask.astype(int) for answer in answers).max() == 1
    assert not answers[2].mask.any() and not answers[2].visible and answers[2].confidence <= 0.5
    assert answers[2].box == Mask(MASK).box  # as it was


def test_shares_are_those_of_the_aggregated_maps():
    alone = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(0))
    maps = aggregate(alone)
    assert torch.allclose(maps.sum(dim=0), torch.ones(4, 5))
    shares, labels = against_rivals(maps), maps.argmax(dim=0).numpy()
    for number, share in enumerate(shares, start=1):
        assert np.array_equal(share > 0.5, labels == number)
    single, p = against_rivals(aggregate(alone[:1]))[0], alone[0].numpy()
    assert np.abs(single - p**2 / (p**2 + (1 - p) ** 2)).max() < 1e-5
    certain = aggregate(torch.tensor([[0.0, 1.0, 1.0], [0.0, 0.0, 1.0]]))
    assert certain.isfinite().all() and against_rivals(certain)[0].tolist()[1] > 0.99
    assert certain.argmax(dim=0).tolist() == [0, 1, 1]


@pytest.mark.parametrize("image_hw", [(48, 64), (70, 110), (200, 97), (16, 16), (1, 1), (301, 500)])
def test_a_view_of_any_size_there_and_back(image_hw):
    view = View.of(image_hw, 96)
    assert min(view.size_hw) <= 96
    looked = view.image(torch.ones(1, 3, *image_hw))
    assert tuple(looked.shape[2:]) == tuple(16 * n for n in view.grid_hw)
    assert looked.sum() == pytest.approx(3 * view.size_hw[0] * view.size_hw[1], rel=1e-5)
    back = view.back(looked[0], image_hw)
    assert tuple(back.shape[1:]) == image_hw and torch.allclose(back, torch.ones(()), atol=1e-5)


def test_large_frames_are_made_smaller_and_answered_in_their_own_pixels(weights):
    tracker = load_tracker(weights, "cpu")
    large = cv2.resize(IMAGE, (330, 210))
    tracker.initialize(large, mask=cv2.resize(MASK.astype(np.uint8), (330, 210)) > 0)
    answer = tracker.track(large)
    assert answer.mask.shape == (210, 330) and tracker.target.view.size_hw == (96, 150)
    again = tracker.track(cv2.resize(large, (165, 105)))
    assert again.mask.shape == (105, 165)


def test_objects_of_one_frame_that_began_in_frames_of_two_sizes(weights):
    first = load_tracker(weights, "cpu")
    second = first.fork()
    first.initialize(IMAGE, mask=MASK)
    larger = cv2.resize(IMAGE, (220, 140))
    second.initialize(larger, mask=cv2.resize(MASK.astype(np.uint8), (220, 140)) > 0)
    answers = track_together([first, second], larger)
    assert [answer.mask.shape for answer in answers] == [(140, 220)] * 2
    assert not (answers[0].mask & answers[1].mask).any()


def test_the_preset_fast_takes_frames_of_every_size(weights):
    try:
        fast = load_tracker(weights, "cpu", preset="fast")
    except InputError as error:
        if "the preset fast" not in str(error):
            raise
        pytest.skip(str(error))
    exact = load_tracker(weights, "cpu")
    for size in ((96, 170), (70, 110)):  # compiled for, and not
        image = cv2.resize(IMAGE, size[::-1])
        mask = cv2.resize(MASK.astype(np.uint8), size[::-1]) > 0
        for tracker in (fast, exact):
            tracker.initialize(image, mask=mask)
        quick, slow = fast.track(image), exact.track(image)
        assert (quick.mask != slow.mask).mean() < 0.02
        assert quick.confidence == pytest.approx(slow.confidence, abs=0.02)


def published_state():
    state = dict(random_network().state_dict())
    state |= {name: torch.zeros(1, 1, 64) for name in UNUSED}
    return state


@pytest.mark.parametrize("training", [False, True])
def test_the_published_file_is_read(training, tmp_path, capsys):
    state = published_state()
    content = {"it": 210_000, "network": state, "optimizer": {"state": {}}, "scheduler": {}} if training else state
    torch.save(content, tmp_path / "a.pth")
    assert main(["convert", str(tmp_path / "a.pth"), str(tmp_path / "DropSeg.safetensors")]) == 0
    read = load_checkpoint(tmp_path / "DropSeg.safetensors")
    assert read.tracker == "DropSeg" and read.tensors.keys() == state.keys() - set(UNUSED)
    assert DropSegModel.constants(read) == DropSegConfig(width=64, depth=2, decoder_width=8)
    assert all(torch.equal(tensor, state[name]) for name, tensor in read.tensors.items())
    assert main(["convert", str(tmp_path / "a.pth"), str(tmp_path / "b.safetensors"), "--gem-trunk", "c.pth"]) == 2
    assert "one trunk" in capsys.readouterr().err


class Trap:
    def __reduce__(self):
        return eval, ("1/0",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("fpn1.1.ln.weight"), "fpn1.1.ln.weight is missing"),
        (lambda s: s.pop("pos_embed_two_frame"), "pos_embed_two_frame is missing"),
        (lambda s: s.update({"key_proj.weight": torch.zeros(3)}), "'key_proj.weight' is unknown"),
        (lambda s: s.update({"norm.bias": torch.zeros(65)}), r"norm.bias is \(65,\)"),
        (lambda s: s.update({"norm.bias": torch.zeros(64, dtype=torch.int32)}), "int32"),
        (lambda s: s.update({"norm.bias": torch.full((64,), float("inf"))}), "not finite"),
        (lambda s: s.update(trap=Trap()), "no state dict"),
    ],
)
def test_other_weights_are_refused(change, message, tmp_path):
    state = published_state()
    change(state)
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=message):
        convert_published(tmp_path / "a.pth", tmp_path / "a.safetensors")
    assert not (tmp_path / "a.safetensors").exists()


def test_the_published_names_are_those_of_the_golden_file(golden):
    lines = [str(line).partition(" ") for line in golden("dropseg_eval.npz")["names"]]
    theirs = {name: tuple(int(n) for n in shape.split("x")) for name, _, shape in lines}
    assert {name: shape for name, shape in theirs.items() if name not in UNUSED} == shapes(DropSegConfig())
    assert len(theirs) == 190


@pytest.mark.parametrize(("constant", "value"), [("width", 100), ("depth", 0), ("shorter_side", 10), ("width", "wide")])
def test_constants_that_make_no_sense_are_refused(constant, value):
    with pytest.raises(InputError, match=constant):
        DropSegConfig(**{constant: value})
