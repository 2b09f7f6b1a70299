"""The examples, as a user runs them, with the packaged weights."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("av")
pytest.importorskip("pycocotools")
from videos import disc_video, packet_count
from waiting import PATIENCE

from d3s_vot.regions import Box, box_iou, mask_iou, rasterize

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
FRAMES = 4


def run(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=PATIENCE)


def text(box: Box) -> str:
    return ",".join(f"{value:g}" for value in box)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Box]]:
    return disc_video(tmp_path_factory.mktemp("video") / "disc.mp4", FRAMES)


def test_track_video_prints_a_line_a_frame(video: tuple[Path, list[Box]], tmp_path: Path) -> None:
    path, truth = video
    before = sorted(path.parent.iterdir())
    done = run("track_video.py", path, text(truth[0]))
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split()[1] for line in lines] == [str(index) for index in range(1, FRAMES)]
    for line, box in zip(lines, truth[1:], strict=True):
        found = re.search(r"box ([-\d.]+) ([-\d.]+) ([-\d.]+) ([-\d.]+)  confidence (\d\.\d\d)$", line)
        assert found is not None, line
        assert box_iou(Box(*map(float, found.groups()[:4])), box) > 0.6
        assert float(found[5]) > 0.5
    assert sorted(path.parent.iterdir()) == before


def test_several_targets_draws_both(video: tuple[Path, list[Box]], tmp_path: Path) -> None:
    path, truth = video
    done = run("several_targets.py", path, text(truth[0]), "100,20,30,30", tmp_path / "both.mp4")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == f"target 1: visible in {FRAMES} of {FRAMES} frames"
    assert re.fullmatch(rf"target 2: visible in \d of {FRAMES} frames", lines[1])
    assert packet_count(tmp_path / "both.mp4") == FRAMES


def test_masks_for_editing_writes_pictures_with_transparency(video: tuple[Path, list[Box]], tmp_path: Path) -> None:
    path, truth = video
    size = (120, 160)
    Image.fromarray(rasterize(truth[0], *size)).save(tmp_path / "first.png")
    done = run("masks_for_editing.py", path, tmp_path / "first.png", tmp_path / "cutout")
    assert (done.returncode, done.stderr) == (0, "")
    pictures = sorted((tmp_path / "cutout").iterdir())
    assert [picture.name for picture in pictures] == [f"{index:08d}.png" for index in range(FRAMES)]
    for picture, box in zip(pictures, truth, strict=True):
        image = Image.open(picture)
        assert (image.mode, image.size) == ("RGBA", size[::-1])
        alpha = np.asarray(image)[..., 3]
        assert mask_iou(alpha > 127, rasterize(box, *size)) > 0.5
        assert np.any((alpha > 20) & (alpha < 230))  # a soft edge


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_each_is_short_and_says_how_to_run_it(name: str) -> None:
    source = (EXAMPLES / name).read_text()
    assert f"\n    python examples/{name} " in source
    assert len(source.splitlines()) <= 60


def test_what_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    done = run("track_video.py", tmp_path / "missing.mp4", "1,2,3,4")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "error: there is no video or folder" in done.stderr
