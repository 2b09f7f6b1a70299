"""What every tracker keeps, whatever it does."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import cv2
import ncc
import numpy as np
import pytest
import torch
from models import EVERY, checkpoint_of
from scenes import resized, scene

from d3s_vot import Box, InputError, Mask, Prediction, Tracker, track_together, zoo
from d3s_vot.compute.arithmetic import exact
from d3s_vot.constants import Constants
from d3s_vot.errors import CheckpointError
from d3s_vot.model import Model
from d3s_vot.regions import Region, box_iou
from d3s_vot.zoo import Choice, load_checkpoint, save_checkpoint

FRAMES = 4


@pytest.fixture(scope="module", autouse=True)
def with_the_documented_one() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zoo, "family", ncc.family_with_it)
        yield


@pytest.fixture(scope="module", params=EVERY)
def tracker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tracker:
    """Loaded from a file, as users do."""
    path = tmp_path_factory.mktemp("weights") / f"{request.param}.safetensors"
    save_checkpoint(path, checkpoint_of(request.param))
    return Choice(path, "cpu").load_tracker()


def disc_mask() -> Mask:
    return Mask(cv2.circle(np.zeros((120, 160), np.uint8), (40, 50), 15, 1, -1))


def follow(tracker: Tracker, region: Region, frames: int = FRAMES) -> list[Prediction]:
    tracker.initialize(scene(0)[0], region)
    return [tracker.track(scene(t)[0]) for t in range(1, frames + 1)]


def same(a: Prediction, b: Prediction) -> bool:
    return a.shape == b.shape and a.confidence == b.confidence and np.array_equal(a.mask, b.mask)


def test_answers_are_well_formed(tracker: Tracker) -> None:
    for region in (scene(0)[1], scene(0)[1].polygon, disc_mask()):
        for answer in follow(tracker.fork(), region):
            assert 0 <= answer.confidence <= 1 and isinstance(answer.visible, bool)
            assert answer.image_size == (120, 160) == answer.mask.shape
            assert np.isfinite(tuple(answer.box)).all()
            if not tracker.model.gives_masks:
                assert answer.patch is None and isinstance(answer.region, Box)


def test_a_plain_target_is_followed(tracker: Tracker) -> None:
    if tracker.model.name not in ("D3S", "NCC"):
        pytest.skip("random weights follow nothing")
    answers = follow(tracker.fork(), scene(0)[1])
    assert all(box_iou(answer.box, scene(t)[1]) > 0.6 for t, answer in enumerate(answers, start=1))


def test_forks_share_the_networks_and_nothing_else(tracker: Tracker) -> None:
    expected = follow(tracker.fork(), scene(0)[1])
    a, b = tracker.fork(), tracker.fork()
    assert a.model is b.model is tracker.model and a.target is None
    a.initialize(*scene(0))
    b.initialize(scene(0)[0], Box(90, 70, 30, 30))
    for t, answer in enumerate(expected, start=1):
        b.track(scene(t)[0])
        assert same(a.track(scene(t)[0]), answer)


def test_a_copy_of_the_state_goes_its_own_way(tracker: Tracker) -> None:
    first = tracker.fork()
    first.initialize(*scene(0))
    second = copy.deepcopy(first)
    expected = [first.track(scene(t)[0]) for t in (1, 2)]
    assert all(same(second.track(scene(t)[0]), answer) for t, answer in zip((1, 2), expected, strict=True))


def test_targets_together_are_as_each_alone(tracker: Tracker) -> None:
    regions = [scene(0)[1], Box(90, 70, 30, 30), scene(0)[1].polygon]
    alone, joint = ([tracker.fork() for _ in regions] for _ in range(2))
    for one, region in zip([*alone, *joint], [*regions, *regions], strict=True):
        one.initialize(scene(0)[0], region)
    for t in range(1, FRAMES):
        answers = track_together(joint, scene(t)[0])
        if tracker.model.joins_masks:
            assert sum(answer.mask.astype(int) for answer in answers).max() <= 1
            continue
        for together, by_itself in zip(answers, alone, strict=True):
            answer = by_itself.track(scene(t)[0])
            assert np.abs(np.subtract(tuple(together.box), tuple(answer.box))).max() < 0.01
            assert together.confidence == pytest.approx(answer.confidence, abs=1e-4)


def test_what_is_refused_changes_nothing(tracker: Tracker) -> None:
    ours, expected = tracker.fork(), follow(tracker.fork(), scene(0)[1], 2)
    with pytest.raises(InputError, match="no target yet"):
        ours.track(scene(0)[0])
    ours.initialize(*scene(0))
    assert same(ours.track(scene(1)[0]), expected[0])
    for wrong in (lambda: ours.track(scene(2)[0][:100]), lambda: ours.initialize(scene(0)[0], Box(500, 0, 9, 9)),
                  lambda: ours.initialize(scene(0)[0], None)):  # fmt: skip
        with pytest.raises(InputError):
            wrong()
    assert same(ours.track(scene(2)[0]), expected[1])


def test_a_learning_that_fails_leaves_the_target_of_before(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, expected = tracker.fork(), follow(tracker.fork(), scene(0)[1], 2)
    ours.initialize(*scene(0))
    ours.track(scene(1)[0])

    def fail(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(type(ours.model), "begin", fail)
        ours.initialize(scene(0, 240, 320)[0], Box(90, 70, 30, 30))
    assert same(ours.track(scene(2)[0]), expected[1])


def test_the_same_view_at_another_size(tracker: Tracker) -> None:
    ours = tracker.fork()
    ours.initialize(*scene(0))
    ours.track(scene(1)[0])
    image, _ = resized(*scene(2), 1.5)
    assert ours.track(image).image_size == (180, 240)


def test_networks_are_functions_of_tensors(tracker: Tracker) -> None:
    model: Model = tracker.model
    with exact():
        examples = model.examples()
        assert examples.keys() == model.networks.keys()
        for name, inputs in examples.items():
            found = [model.networks[name](*inputs) for _ in range(2)]
            first, again = ([x] if isinstance(x, torch.Tensor) else list(x) for x in found)
            assert first and all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_rules_are_by_name(tracker: Tracker) -> None:
    checkpoint = checkpoint_of(tracker.model.name)
    kind = type(tracker.model)
    assert kind.configure(checkpoint) == kind.constants(checkpoint) == tracker.config
    for name, rules in kind.rules.items():
        assert isinstance(rules, Constants) and type(kind.configure(checkpoint, name)) is type(tracker.config)
    with pytest.raises(InputError, match="no rules 'mine'"):
        kind.configure(checkpoint, "mine")


def test_a_checkpoint_says_what_it_is_of(tracker: Tracker, tmp_path: Path) -> None:
    saved = checkpoint_of(tracker.model.name)
    save_checkpoint(tmp_path / "w.safetensors", saved)
    loaded = load_checkpoint(tmp_path / "w.safetensors")
    assert (loaded.tracker, loaded.config, loaded.checksum) == (tracker.model.name, saved.config, saved.checksum)
    with pytest.raises(CheckpointError, match="colour"):
        type(tracker.model).check(type(saved).create(saved.tensors, saved.tracker, {**saved.config, "colour": 1}),
                                  "w", "mend it")  # fmt: skip
