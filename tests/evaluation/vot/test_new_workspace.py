"""Workspaces of videos with masks: DAVIS, YouTube-VOS and one's own, and what is refused before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from d3s_vot.cli import main
from d3s_vot.errors import InputError
from d3s_vot.evaluation.vot.annotated import Annotated
from d3s_vot.evaluation.vot.new_workspace import anchors_of, make_workspace
from d3s_vot.evaluation.vot.stacks import AnchorStack, LongtermStack, ObjectStack
from d3s_vot.evaluation.vot.workspaces import AnnotatedWorkspace, open_workspace
from d3s_vot.labels import voc_palette
from d3s_vot.mask_codes import PlacedMask

SIZE = (48, 64)  # height, width


def labels(*boxes: tuple[int, int, int, int, int]) -> np.ndarray:
    """H x W: each a number at x, y, w, h."""
    array = np.zeros(SIZE, np.uint8)
    for number, x, y, w, h in boxes:
        array[y : y + h, x : x + w] = number
    return array


def write(frames: Path, masks: Path, annotations: list[np.ndarray | None], name: str = "{:05d}", step: int = 1) -> None:
    """A video with a grey picture a frame, and indexed masks."""
    frames.mkdir(parents=True)
    masks.mkdir(parents=True)
    for index, array in enumerate(annotations):
        stem = name.format(step * index)
        cv2.imwrite(str(frames / f"{stem}.jpg"), np.full((*SIZE, 3), 60 + index, np.uint8))
        if array is not None:
            picture = Image.fromarray(array)
            picture.putpalette(voc_palette())
            picture.save(masks / f"{stem}.png")


def davis(root: Path) -> Path:
    """Two videos: one object that goes away, and two, the second of which appears later; void pixels."""
    going = [labels((1, 5 + i, 10, 12, 10)) if i < 6 else labels() for i in range(60)]
    second, void = (2, 40, 20, 9, 7), (255, 0, 0, 3, 48)
    two = [labels((1, 20, 10 + i, 8, 8), void, *([second] if i >= 3 else [])) for i in range(8)]
    for name, masks in (("bear", going), ("dogs", two)):
        write(root / "JPEGImages" / "480p" / name, root / "Annotations" / "480p" / name, masks)
    return root


def annotated(root: Path) -> dict[str, Annotated]:
    workspace = open_workspace(root)
    assert isinstance(workspace, AnnotatedWorkspace)
    return {sequence.name: sequence for sequence in workspace.sequences}


def test_davis_with_anchors(tmp_path: Path) -> None:
    """A sequence an object, from its first frame on; anchors where it is to be seen; absence does not count."""
    told: list[str] = []
    root = make_workspace(davis(tmp_path / "DAVIS"), tmp_path / "vot", say=told.append)
    found = annotated(root)
    assert list(found) == ["bear", "dogs-1", "dogs-2"] and told == [f"{root}: 3 sequences, 73 frames, 3 runs"]
    bear, later = found["bear"], found["dogs-2"]
    (truth,) = bear.objects.values()
    assert truth[2] == PlacedMask(7, 10, np.ones((10, 12), bool)) and truth[6] == 0
    assert bear.anchors is not None and [i for i, v in enumerate(bear.anchors) if v] == [0]
    assert len(later) == 5 and later.objects["object"] == [PlacedMask(40, 20, np.ones((7, 9), bool))] * 5
    assert (bear.frames.width, bear.frames.height) == (64, 48)
    first = later.frames.path(0)
    assert first.is_symlink() and first.read_bytes() == (
        tmp_path / "DAVIS" / "JPEGImages" / "480p" / "dogs" / "00003.jpg"
    ).read_bytes()
    workspace = open_workspace(root)
    assert workspace.stack == AnchorStack(window=(6, 34))


def test_davis_with_several_objects(tmp_path: Path) -> None:
    """A file an object, and the void pixels; what appears later has a sequence of its own."""
    root = make_workspace(davis(tmp_path / "DAVIS"), tmp_path / "vot", kind="objects", copy=True, fps=12.5)
    found = annotated(root)
    assert list(found) == ["bear", "dogs", "dogs-from-3"]
    assert open_workspace(root).stack == ObjectStack()
    names = sorted(path.name for path in (root / "sequences" / "dogs").glob("*.txt"))
    assert names == ["groundtruth_001.txt", "groundtruth__ignore.txt"] and found["dogs"].ignored is not None
    assert found["dogs"].ignored[0] == PlacedMask(0, 0, np.ones((48, 3), bool))
    assert (root / "sequences" / "bear" / "groundtruth.txt").read_text().splitlines()[6] == "m0,0,0,0,0"
    assert not found["bear"].frames.path(0).is_symlink()
    assert "fps=12.5\n" in (root / "sequences" / "bear" / "sequence").read_text()
    assert "env_D3S_VOT_UNSEEN = empty" in (root / "trackers.ini").read_text()


def test_youtube_vos(tmp_path: Path) -> None:
    """Masks on every fifth frame: anchors go over those alone, several objects over all."""
    data = tmp_path / "valid"
    masks = [labels((1, 10, 10 + i, 9, 9), (2, 30, 5, 9, 9)) if i % 5 == 0 else None for i in range(16)]
    write(data / "JPEGImages" / "0a1b", data / "Annotations" / "0a1b", masks)
    anchored = annotated(make_workspace(data, tmp_path / "one", kind="anchors"))
    assert {name: len(sequence) for name, sequence in anchored.items()} == {"0a1b-1": 4, "0a1b-2": 4}
    (both,) = annotated(make_workspace(data, tmp_path / "two", kind="objects")).values()
    assert len(both) == 16 and list(both.objects) == ["001", "002"] and both.objects["001"][1:5] == [0] * 4
    assert anchored["0a1b-1"].frames.path(1).resolve().name == "00005.jpg"


def test_a_single_video_and_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "mine"
    write(data / "frames", data / "masks", [labels((255, 5, 5 + i, 9, 9)) for i in range(4)], name="f{:d}")
    arguments = [str(data), "--output", str(tmp_path / "w"), "--kind", "longterm", "--tracker", "D3S", "--tracker",
                 "my-weights.safetensors"]  # fmt: skip
    assert main(["workspace", *arguments]) == 0
    assert "1 sequences, 4 frames" in capsys.readouterr().out
    assert open_workspace(tmp_path / "w").stack == LongtermStack()
    registry = (tmp_path / "w" / "trackers.ini").read_text()
    assert "[my-weights]" in registry and "env_D3S_VOT_TRACKER = my-weights.safetensors" in registry
    assert "env_D3S_VOT_UNSEEN = doubt" in registry
    assert main(["workspace", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_videos_of_a_list(tmp_path: Path) -> None:
    data = davis(tmp_path / "DAVIS")
    (tmp_path / "list.txt").write_text("dogs\n\n")
    arguments = ["--output", str(tmp_path / "w"), "--list", str(tmp_path / "list.txt"), "--window", "2,5"]
    assert main(["workspace", str(data), *arguments]) == 0
    assert list(annotated(tmp_path / "w")) == ["dogs-1", "dogs-2"]
    assert open_workspace(tmp_path / "w").stack == AnchorStack(window=(2, 5))
    (tmp_path / "list.txt").write_text("cats\n")
    with pytest.raises(InputError, match="has no video cats"):
        make_workspace(data, tmp_path / "v", names=["cats"])


def test_anchors() -> None:
    def places(shown: list[bool]) -> dict[int, int]:
        return {frame: value for frame, value in enumerate(anchors_of(shown)) if value}

    assert places([True] * 40) == {0: 1}
    assert places([True] * 101) == {0: 1, 50: 1, 100: -1}
    assert places([True] * 100) == {0: 1, 50: -1}
    hidden = [not 45 <= frame < 60 for frame in range(150)]
    assert places(hidden) == {0: 1, 44: 1, 100: -1}
    assert places([True] * 10 + [False] * 90) == {0: 1}


def test_objects_that_the_toolkit_cannot_see(tmp_path: Path) -> None:
    """One pixel wide is none to it: such frames do not count, an object that is never wider is left out."""
    data = tmp_path / "mine"
    thin = [labels((1, 5, 5, 1 if i in (0, 3) else 6, 8), (2, 30, 5, 1, 9)) for i in range(6)]
    write(data / "images" / "v", data / "masks" / "v", thin)
    told: list[str] = []
    (sequence,) = annotated(make_workspace(data, tmp_path / "w", say=told.append)).values()
    assert "object 2 is left out" in told[0] and sequence.name == "v-1" and len(sequence) == 5
    (truth,) = sequence.objects.values()
    assert truth[2] == 0 and [isinstance(entry, PlacedMask) for entry in truth] == [True, True, False, True, True]


def gap(data: Path) -> None:
    (data / "JPEGImages" / "480p" / "dogs" / "00004.jpg").unlink()


def cut(data: Path) -> None:
    path = data / "JPEGImages" / "480p" / "dogs" / "00004.jpg"
    path.write_bytes(path.read_bytes()[:-20])


def sized(data: Path) -> None:
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(data / "Annotations" / "480p" / "dogs" / "00004.png")


def blank(data: Path) -> None:
    for path in (data / "Annotations" / "480p" / "dogs").iterdir():
        Image.fromarray(np.zeros(SIZE, np.uint8)).save(path)


MISTAKES: list[tuple[Callable[[Path], object], dict[str, object], str]] = [
    (gap, {}, r"has masks of frames that .* has not: 00004"),
    (cut, {}, r"dogs: in .*00004\.jpg is cut off"),
    (sized, {}, r"00004\.png is 8 x 8 pixels, the first frame 64 x 48"),
    (blank, {}, "dogs: its masks show no object"),
    (lambda data: (data / "Annotations").rename(data / "Masks"), {}, "has no folders JPEGImages/480p and"),
    (lambda data: None, {"kind": "several"}, "no kind of workspace 'several'"),
    (lambda data: None, {"fps": 0}, "0 frames a second are none"),
    (lambda data: None, {"window": (5, 5)}, "the window 5,5 is none"),
]


@pytest.mark.parametrize(("spoil", "options", "words"), MISTAKES, ids=[words for _, _, words in MISTAKES])
def test_mistakes(spoil: Callable[[Path], object], options: dict, words: str, tmp_path: Path) -> None:
    """One sentence each, and nothing is left."""
    data = davis(tmp_path / "DAVIS")
    spoil(data)
    with pytest.raises(InputError, match=words) as caught:
        make_workspace(data, tmp_path / "w", **options)
    assert "\n" not in str(caught.value) and sorted(path.name for path in tmp_path.iterdir()) == ["DAVIS"]


def test_places_that_cannot_be_used(tmp_path: Path) -> None:
    data = davis(tmp_path / "DAVIS")
    for name, words in (("100%", "only paths of ASCII characters"), ("Gr\u00f6\u00dfe", "ASCII")):
        with pytest.raises(InputError, match=words):
            make_workspace(data, tmp_path / name)
    with pytest.raises(InputError, match="is there already"):
        make_workspace(data, data)
    with pytest.raises(InputError, match="there is no folder"):
        make_workspace(tmp_path / "nowhere", tmp_path / "w")
