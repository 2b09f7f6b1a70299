"""Several targets at once: the answers of each by itself, for the work that is counted here."""

from __future__ import annotations

import copy
import pickle
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import ncc
import numpy as np
import pytest
import torch
from matching import Matching, matching
from scenes import resized, scene
from simple import simple
from small import save_small

from d3s_vot import Box, D3STracker, InputError, Mask, Prediction, load_tracker, track_together, zoo
from d3s_vot.regions import Region, box_iou
from d3s_vot.together import TargetError
from d3s_vot.trackers.d3s import model
from d3s_vot.trackers.d3s.network import SegmentationNetwork
from d3s_vot.trunks.trunk import Trunk
from d3s_vot.video.follow import Follower
from d3s_vot.video.sources import open_source
from d3s_vot.zoo import save_checkpoint

FRAMES, HIDDEN = 8, 6  # in the hidden frame two of the targets are lost
HEIGHT, WIDTH = 120, 160


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> D3STracker:
    """Those that are judged: trackers/d3s/test_judged.py."""
    return load_tracker(save_small(tmp_path_factory.mktemp("small") / "D3S.safetensors", judgement=0), device="cpu")


@pytest.fixture(scope="module")
def begun(calibrated: D3STracker) -> list[D3STracker]:
    """On the first frame of the scene, for `targets`; make `copies` of them."""
    return forks(calibrated, targets())


@pytest.fixture(params=[1, 27])
def crops_at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """As on a CPU and as on a GPU."""
    monkeypatch.setitem(model.CROP_CHUNK, "cpu", request.param)
    return int(request.param)


def targets() -> list[Region]:
    """Of each kind, on and beside the disc; four, so that there is more than one chunk of patches."""
    disc = cv2.circle(np.zeros((HEIGHT, WIDTH), np.uint8), (40, 50), 15, 1, -1)
    return [scene(0)[1], Box(90, 70, 30, 30), scene(0)[1].polygon, Mask(disc > 0)]


def other_ground() -> np.ndarray:
    """A frame with nothing of the scene in it."""
    noise = np.random.default_rng(5).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2)


def forks(tracker: D3STracker, regions: list[Region]) -> list[D3STracker]:
    begun = [tracker.fork() for _ in regions]
    for fork, region in zip(begun, regions, strict=True):
        fork.initialize(scene(0)[0], region)
    return begun


def copies(trackers: list[D3STracker]) -> list[D3STracker]:
    """The same states again, on the same model: initialisation takes as long as many frames."""
    return [copy.deepcopy(tracker) for tracker in trackers]


def assert_same(together: Prediction, alone: Prediction) -> None:
    assert np.abs(np.subtract(together.polygon.points, alone.polygon.points)).max() < 0.01
    assert (together.mask ^ alone.mask).sum() <= 2
    assert together.confidence == pytest.approx(alone.confidence, abs=1e-4)
    assert (together.visible, type(together.region)) == (alone.visible, type(alone.region))


def test_answers_are_those_of_each_by_itself(begun: list[D3STracker], crops_at_once: int) -> None:
    """With a mask and without one: in the hidden frame the disc is far below a tenth of its usual score, at which
    there is no mask any more, and what stands beside it far above, so that no rounding decides."""
    alone, joint = copies(begun), copies(begun)
    for t in range(1, FRAMES):
        image = scene(t)[0] if t != HIDDEN else other_ground()
        answers = track_together(joint, image)
        for together, tracker in zip(answers, alone, strict=True):
            assert_same(together, tracker.track(image))
        assert box_iou(answers[0].box, scene(t)[1]) > 0.6 or t >= HIDDEN
        if t == HIDDEN:
            shares = [-np.log(1 - answer.confidence) / 2 for answer in answers]  # of the usual score
            assert max(shares[0], shares[2]) < 0.07 and shares[1] > 0.2
            assert [answer.patch is None for answer in answers] == [True, False, True, False]  # the last has a mask


def test_two_trackers_and_three_targets_in_one_video(
    begun: list[D3STracker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each answers as alone, and the video is read once for all of them."""
    pytest.importorskip("av")
    from videos import disc_video  # which needs it

    path, boxes = disc_video(tmp_path / "disc.mp4", FRAMES)
    monkeypatch.setattr(zoo, "family", ncc.family_with_it)
    save_checkpoint(tmp_path / "NCC.safetensors", ncc.checkpoint(reach=20))
    other = load_tracker(str(tmp_path / "NCC.safetensors"), device="cpu")
    trackers, regions = [begun[0].fork(), other, begun[0].fork()], [boxes[0], boxes[0], Box(90, 70, 30, 30)]
    reads: list[int] = []
    with open_source(path) as source:
        for frame in source:
            reads.append(frame.index)
            if frame.index == 0:
                for tracker, region in zip(trackers, regions, strict=True):
                    tracker.initialize(frame.image, region)
                alone = [copy.deepcopy(each) for each in trackers]
                continue
            answers = track_together(trackers, frame.image)
            for together, tracker in zip(answers, alone, strict=True):
                assert_same(together, tracker.track(frame.image))
            assert all(box_iou(answer.box, boxes[frame.index]) > 0.6 for answer in answers[:2])
    assert reads == list(range(FRAMES))


def test_answers_of_the_preset_fast(fast_preset: D3STracker) -> None:
    alone = forks(fast_preset, targets())
    joint = copies(alone)
    for t in range(1, 4):
        for together, tracker in zip(track_together(joint, scene(t)[0]), alone, strict=True):
            assert_same(together, tracker.track(scene(t)[0]))


def test_uploads_and_passes_are_counted(
    begun: list[D3STracker], crops_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The frame goes to the device once; three targets go through each network as one batch, if that is fast."""
    counts: Counter[str] = Counter()
    upload = torch.from_numpy

    def counted_upload(array: np.ndarray) -> torch.Tensor:
        counts["uploads"] += array.shape[-3:] == (HEIGHT, WIDTH, 3)
        return upload(array)

    def count(owner: type[torch.nn.Module], label: Callable[[Any], str]) -> None:
        forward = owner.forward

        def counted(module: torch.nn.Module, x: Any, *more: Any) -> Any:
            counts[label(x)] += 1
            return forward(module, x, *more)

        monkeypatch.setattr(owner, "forward", counted)

    monkeypatch.setattr(torch, "from_numpy", counted_upload)
    count(Trunk, lambda images: f"trunk {len(images)} x {images.shape[-1]}")
    count(SegmentationNetwork, lambda features: f"network {len(features[16])}")
    three = copies(begun[:3])
    crops = {"trunk 1 x 384": 3} if crops_at_once == 1 else {"trunk 3 x 384": 1}
    for t in range(1, 4):
        counts.clear()
        track_together(three, scene(t)[0])
        assert counts == {"uploads": 1, "trunk 3 x 128": 1, "network 3": 1, **crops}
    counts.clear()
    track_together(copies(begun), scene(1)[0])
    assert (counts["uploads"], counts["trunk 3 x 128"], counts["trunk 1 x 128"]) == (1, 1, 1)
    assert (counts["network 3"], counts["network 1"]) == (1, 1)


def test_no_target_and_trackers_of_other_kinds(begun: list[D3STracker]) -> None:
    assert track_together([], scene(0)[0]) == []
    single, same = copies(begun[:1]), copies(begun[:1])
    assert track_together(single[0], scene(1)[0])[0].box == track_together(iter(same), scene(1)[0])[0].box
    model = begun[0].model
    (first,), second, other = copies(begun[:1]), copy.deepcopy(begun[0], {id(model): copy.copy(model)}), matching()
    assert first.model is not second.model
    other.initialize(*scene(0))
    answers = track_together([other, first, second], scene(1)[0])
    assert all(box_iou(answer.box, scene(1)[1]) > 0.6 for answer in answers)
    assert_same(answers[1], answers[2])


def test_a_refused_frame_leaves_all_as_they_are(begun: list[D3STracker]) -> None:
    alone, joint = copies(begun[:2]), copies(begun[:2])
    for wrong, image, message in (
        (joint, scene(1)[0][:100], "keep their size"),
        (joint, scene(1)[0][..., 0], "grey"),
        ([*joint, joint[0].fork()], scene(1)[0], "no target yet"),
        ([*joint, joint[0]], scene(1)[0], "given twice"),
        ([*joint, None], scene(1)[0], "NoneType"),
        (None, scene(1)[0], "NoneType"),
    ):
        with pytest.raises(InputError, match=message):
            track_together(wrong, image)
    for together, tracker in zip(track_together(joint, scene(1)[0]), alone, strict=True):
        assert_same(together, tracker.track(scene(1)[0]))


def test_frames_that_change_their_size(begun: list[D3STracker]) -> None:
    """Targets that saw other frames last come to the new one from their own sizes."""
    alone, joint = copies(begun[:3]), copies(begun[:3])
    for group in (alone, joint):
        group[0].track(resized(*scene(1), 0.75)[0])
    frame, truth = resized(*scene(2), 1.5)
    for together, tracker in zip(track_together(joint, frame), alone, strict=True):
        assert_same(together, tracker.track(frame))
        assert together.image_size == frame.shape[:2]
    assert box_iou(track_together(joint, frame)[0].box, truth) > 0.6


def test_a_target_that_fails_does_not_take_the_others_along(
    begun: list[D3STracker], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, good, bad = (copies([begun[k]])[0] for k in (0, 0, 1))

    def fail(*_: object) -> None:
        raise ArithmeticError("no scale")

    for t, part in enumerate(("_look", "_judge", "_locate", "_segment", "_conclude", "_learn"), start=1):
        with monkeypatch.context() as patch, pytest.raises(TargetError) as caught:
            patch.setattr(bad.target, part, fail)
            track_together([bad, good], scene(t)[0])
        error = pickle.loads(pickle.dumps(caught.value))  # as from a process of workers
        assert str(error) == "target 1 of 2 could not be tracked, initialise it anew: ArithmeticError: no scale"
        assert list(error.errors) == [0] and error.answers[0] is None
        assert_same(error.answers[1], alone.track(scene(t)[0]))
    bad.initialize(*scene(6))
    answers = track_together([bad, good], scene(7)[0])
    assert box_iou(answers[0].box, scene(7)[1]) > 0.6
    assert_same(answers[1], alone.track(scene(7)[0]))


def test_a_follower_goes_on_with_the_others() -> None:
    class Once(Matching):
        def track(self, image: np.ndarray) -> Prediction:
            if self._finder.region.box.w > 40:
                raise ArithmeticError("too wide")
            return super().track(image)

    follower = Follower(simple(Once))
    image, box = scene(0)
    first = [follower.set_target(k, image, region) for k, region in enumerate((Box(60, 20, 50, 30), box))]
    with pytest.raises(ArithmeticError, match="too wide"):
        follower.track(scene(1)[0])
    assert follower.answers[0] is first[0] and follower.answers[1] is not first[1]
    follower.set_target(0, scene(1)[0], scene(1)[1])
    assert all(answer and box_iou(answer.box, scene(2)[1]) > 0.8 for answer in follower.track(scene(2)[0]))
