"""Sessions of the TraX protocol with a client in the same process: several targets, and targets that are not seen."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import trax
from trax.region import Mask as TraxMask
from trax.region import Rectangle as TraxRectangle

import d3s_vot
from d3s_vot import trax_session
from d3s_vot.errors import InputError
from d3s_vot.evaluation.vot.stored import as_binary
from d3s_vot.mask_codes import MOST_RUNS, PlacedMask, count_runs
from d3s_vot.prediction import MaskPatch, Prediction
from d3s_vot.regions import Box, Mask
from d3s_vot.trax_regions import mask_to_trax
from d3s_vot.trax_session import Session

SIZE = (90, 120)  # height, width
Request = namedtuple("Request", "type image objects")


class Client:
    """What a session takes for its server: it gives the requests, and keeps what is answered."""

    def __init__(self, objects: list[Any], frames: list[Path]) -> None:
        initialize, frame = trax.TraxStatus.INITIALIZE, trax.TraxStatus.FRAME
        given = [(region, {}) for region in objects]
        self.requests = [
            Request(initialize if number == 0 else frame, {"color": SimpleNamespace(path=lambda p=path: str(p))}, given)
            for number, path in enumerate(frames)
        ]
        self.answers: list[list[tuple[Any, dict[str, float]]]] = []

    def wait(self) -> Request:
        return self.requests.pop(0) if self.requests else Request(trax.TraxStatus.QUIT, {}, [])

    def status(self, objects: list[tuple[Any, dict[str, float]]]) -> None:
        self.answers.append(objects)


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three textured squares that move each their way."""
    folder = tmp_path_factory.mktemp("frames")
    random = np.random.default_rng(0)
    scene = cv2.GaussianBlur(random.integers(0, 120, (*SIZE, 3), np.uint8), (5, 5), 0)
    things = [random.integers(90, 255, (20, 20, 3), np.uint8) for _ in range(3)]
    paths = []
    for index in range(3):
        image = scene.copy()
        for thing, (x, y) in zip(things, corners(index), strict=True):
            image[y : y + 20, x : x + 20] = thing
        paths.append(folder / f"{index + 1:08d}.png")
        cv2.imwrite(str(paths[-1]), image)
    return paths


def corners(index: int) -> list[tuple[int, int]]:
    """Left and top of the squares in a frame."""
    return [(10 + 2 * index, 10), (60, 12 + 2 * index), (40 - 2 * index, 60)]


def given_masks() -> list[Any]:
    return [TraxMask.create(np.ones((20, 20), np.uint8), x=x, y=y) for x, y in corners(0)]


def array(region: Any) -> np.ndarray:
    full = np.zeros(SIZE, bool)
    found = np.atleast_2d(region.array(normalize=True)) > 0
    full[: found.shape[0], : found.shape[1]] = found[: SIZE[0], : SIZE[1]]
    return full


def play(tracker: Any, objects: list[Any], frames: list[Path], unseen: str | None = None) -> list[Any]:
    client = Client(objects, frames)
    Session(client, tracker, unseen).run()  # type: ignore[arg-type]
    return client.answers


def test_three_objects_in_one_session_and_in_three(
    frames: list[Path], small_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D3S: the same masks, up to pixels at the threshold; every frame is decoded once, and passed in batches."""
    tracker = d3s_vot.load_tracker(small_weights, device="cpu")
    read: list[str] = []
    original = trax_session.read_image

    def reading(path: str) -> np.ndarray:
        read.append(str(path))
        return original(path)

    monkeypatch.setattr(trax_session, "read_image", reading)
    passes: list[int] = []
    inspect = type(tracker.model).inspect

    def inspecting(self: Any, items: Any) -> Any:
        passes.append(len(items))
        return inspect(self, items)

    monkeypatch.setattr(type(tracker.model), "inspect", inspecting)
    masks = given_masks()
    together = play(tracker, masks, frames, "box")
    assert read == [str(path) for path in frames]
    assert max(passes) == 3
    alone = [play(tracker, [mask], frames, "box") for mask in masks]
    assert len(together) == 3 and all(len(answer) == 3 for answer in together)
    for index in range(1, 3):
        for number in range(3):
            (ours, facts), ((theirs, others),) = together[index][number], alone[number][index]
            assert np.count_nonzero(array(ours) ^ array(theirs)) <= 2
            assert facts["confidence"] == pytest.approx(others["confidence"], abs=1e-3)
            truth = np.zeros(SIZE, bool)
            x, y = corners(index)[number]
            truth[y : y + 20, x : x + 20] = True
            assert np.count_nonzero(array(ours) & truth) > 0.5 * np.count_nonzero(array(ours) | truth)


class Says:
    """A tracker with ready answers."""

    def __init__(self, *answers: Prediction) -> None:
        self.answers = list(answers)
        self.started = 0

    def fork(self) -> Says:
        return Says(*self.answers)

    def initialize(self, image: np.ndarray, region: Any) -> None:
        self.started += 1

    def track(self, image: np.ndarray) -> Prediction:
        return self.answers.pop(0)


def prediction(confidence: float, visible: bool) -> Prediction:
    mask = np.zeros(SIZE, bool)
    mask[20:30, 30:50] = True
    return Prediction(Box(30, 20, 20, 10), confidence, visible, SIZE, MaskPatch.full(mask) if visible else None, True)


@pytest.mark.parametrize(
    ("unseen", "pixels", "sure", "unsure"), [(None, 200, 0.6, 0.3), ("box", 200, 0.6, 0.3),
     ("empty", 0, 0.6, 0.3), ("doubt", 200, 0.64, 0.03)],
)  # fmt: skip
def test_a_target_that_is_not_seen(
    frames: list[Path], unseen: str | None, pixels: int, sure: float, unsure: float
) -> None:
    tracker = Says(prediction(0.6, True), prediction(0.3, False))
    _, ((seen, first),), ((lost, second),) = play(tracker, given_masks()[:1], frames[:3], unseen)
    assert array(seen).sum() == 200 and array(lost).sum() == pixels
    assert (first["confidence"], second["confidence"]) == (pytest.approx(sure), pytest.approx(unsure))


def test_rectangles_are_never_empty(frames: list[Path]) -> None:
    (_, ((region, _),)) = play(Says(prediction(0.3, False)), [TraxRectangle.create(1, 1, 9, 9)], frames[:2], "empty")
    assert region.type == "rectangle" and region.bounds() == (31, 21, 20, 10)


def test_several_targets_are_told_by_empty_masks(frames: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """By default; one of them that has no pixel from the start is answered by none, and the others go on."""
    monkeypatch.setattr(d3s_vot, "track_together", lambda trackers, image: [t.track(image) for t in trackers],
                        raising=False)  # fmt: skip
    masks = given_masks()
    masks[1] = TraxMask.create(np.zeros((0, 0), np.uint8))
    first, second = play(Says(prediction(0.3, False)), masks, frames[:2])
    assert [region.type for region, _ in first] == ["mask"] * 3
    assert [array(region).sum() for region, _ in second] == [0, 0, 0]
    assert [facts["confidence"] for _, facts in second] == [0.3, 0.0, 0.3]
    (alone, _), _, _ = play(Says(prediction(0.6, True)), masks, frames[:2])[1]
    assert array(alone).sum() == 200


def test_a_single_target_of_no_pixels(frames: list[Path]) -> None:
    """What the toolkit makes of a mask one pixel wide: the run goes on, and so do the others of its process."""
    tracker = Says()
    answers = play(tracker, [TraxMask.create(np.zeros((4, 1), np.uint8), x=3, y=4)], frames[:3])
    assert tracker.started == 0 and [array(region).sum() for ((region, _),) in answers[1:]] == [0, 0]


def test_no_target(frames: list[Path]) -> None:
    with pytest.raises(InputError, match="gave no target"):
        play(Says(), [], frames[:1])


def test_masks_that_no_file_can_hold() -> None:
    """Specks go until the runs fit; where an image is so wide that a mask begins too far off, it begins earlier."""
    random = np.random.default_rng(0)
    noise = random.random((600, 800)) < 0.5
    noise[200:400, 300:600] = True
    sent = np.atleast_2d(mask_to_trax(noise).array()) > 0
    part = PlacedMask.of(sent)
    assert count_runs(part.array) < MOST_RUNS < count_runs(noise) and sent[200:400, 300:600].all()
    assert as_binary([part])
    wide = np.zeros((5, 40_000), bool)
    wide[1:4, 39_000:39_010] = True
    part = PlacedMask.of(np.atleast_2d(mask_to_trax(wide).array()) > 0)
    assert part.x == 32767 and as_binary([part]) and part.array.sum() == 31
    assert Mask(wide).box.x == 39_000
