"""Folders and globs of pictures, what a name stands for, and where to start."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("av")
from videos import disc_video, lost, read, small_frames, write_video

from d3s_vot.errors import InputError
from d3s_vot.video.sources import open_source, parse_start


def write_pictures(folder: Path, names: list[str]) -> list[np.ndarray]:
    """Pictures whose grey values tell their place."""
    folder.mkdir(parents=True, exist_ok=True)
    images = [np.full((30, 40, 3), 20 * (i + 1), np.uint8) for i in range(len(names))]
    for name, image in zip(names, images, strict=True):
        cv2.imwrite(str(folder / name), image)
    return images


def test_a_folder_in_natural_order(tmp_path: Path) -> None:
    images = write_pictures(tmp_path / "f", ["im1.png", "im2.jpg", "im9.bmp", "im10.tif", "IM11.PNG", "im100.webp"])
    write_pictures(tmp_path / "f", [".im3.png"])
    (tmp_path / "f" / "notes.txt").write_text("no picture")
    (tmp_path / "f" / "im5.png").mkdir()
    source, frames = read(tmp_path / "f")
    assert (source.fps, source.count, source.size, source.live) == (25, 6, (40, 30), False)
    assert [frame.image.mean() for frame in frames] == pytest.approx([image.mean() for image in images], abs=2)
    assert [frame.time for frame in frames] == pytest.approx(np.arange(6) / 25)
    assert len(read(str(tmp_path / "f" / "im?.*"))[1]) == 3
    assert len(read(str(tmp_path / "**" / "*.png"))[1]) == 1
    assert len(read(tmp_path / "f" / "im2.jpg")[1]) == 1


def test_a_damaged_picture_and_another_size(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_pictures(tmp_path, ["1.png", "2.png", "3.png", "4.png"])
    (tmp_path / "2.png").write_bytes(b"no picture")
    cv2.imwrite(str(tmp_path / "3.png"), np.full((60, 80, 3), 99, np.uint8))
    _, frames = read(tmp_path)
    assert lost(frames) == [1] and (frames[2].image == 99).all()
    assert ["2.png" in caplog.messages[0], "frame 2 is 80 x 60 pixels" in caplog.messages[1]] == [True, True]
    assert len(caplog.messages) == 2
    (tmp_path / "1.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"1\.png cannot be decoded"):
        open_source(tmp_path)


def test_no_pictures(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no pictures"):
        open_source(tmp_path)
    with pytest.raises(InputError, match=r"no pictures match .*\*\.png"):
        open_source(str(tmp_path / "*.png"))


def test_a_file_comes_before_a_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pictures(tmp_path / "0", ["a.png"])
    monkeypatch.chdir(tmp_path)
    assert open_source("0").count == 1


def test_start(tmp_path: Path) -> None:
    times = [0, 0.5, 1.0, 1.5, 62.5, 3723.0]
    with open_source(write_video(tmp_path / "v.mkv", small_frames(6), times=times)) as source:
        frames = list(source)

        def first(text: str) -> int | None:
            start = parse_start(text, source)
            return next((frame.index for frame in frames if start.reached(frame)), None)

        cases = {"0": 0, "3": 3, " 4 ": 4, "0s": 0, "0.5s": 1, "0.6s": 2, "1:02.5": 4, "00:01:02.4": 4}
        cases |= {"1:2:3": 5, "62.5s": 4, "0:01": 2, "9999s": None, "99": None}
        assert {text: first(text) for text in cases} == cases
        for text in ("", "-1", "1.5", "12.5 s", "1:75", "1:2:3:4", "soon", "nan", "\u0663", "0x10", "s", ":5"):
            with pytest.raises(InputError, match=r"write 120 for a frame, 12\.5s or 1:02\.5 for a time"):
                parse_start(text, source)
    words = r"no frame 5 in .*v\.mp4; its frames are 0 to 4"
    with open_source(disc_video(tmp_path / "v.mp4", 5)[0]) as source, pytest.raises(InputError, match=words):
        parse_start("5", source)


def test_iterating_again_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with open_source(disc_video(tmp_path / "v.mp4", 5)[0]) as source:
        assert [next(iter(source)).index, *(frame.index for frame in source)] == [0, 1, 2, 3, 4]
    assert caplog.messages == []
