"""Folders and globs of pictures, what a name stands for, and where to start."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

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


def test_twins_are_refused_and_leftovers_ignored(tmp_path: Path) -> None:
    write_pictures(tmp_path / "f", ["0.jpg", "1.jpg", "2.jpg"])
    for leftover in ("._0.jpg", ".DS_Store", ".ipynb_checkpoints/0.jpg", "__MACOSX/0.jpg"):
        (tmp_path / "f" / leftover).parent.mkdir(exist_ok=True)
        (tmp_path / "f" / leftover).write_bytes(b"no picture")
    for name in (tmp_path / "f", str(tmp_path / "f" / "*"), str(tmp_path / "f" / "**" / "*.jpg")):
        assert len(read(name)[1]) == 3
    write_pictures(tmp_path / "f", ["0.png", "1.png", "2.png"])
    for name in (tmp_path / "f", str(tmp_path / "f" / "*")):
        with pytest.raises(InputError, match=r"0\.jpg and 0\.png lie side by side; name one kind, such as .*f/\*\.jpg"):
            open_source(name)
    assert len(read(str(tmp_path / "f" / "*.png"))[1]) == 3


@pytest.mark.parametrize("name", ["s.tif", "s.webp", "s.png", "s.gif"])
def test_a_file_of_several_pictures_is_a_video(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    images = [np.full((48, 64, 3), 40 * k, np.uint8) for k in range(5)]
    for k, image in enumerate(images):
        image[5, 5 * k] = 255  # no two alike: some formats merge equal ones
    first, *others = (Image.fromarray(image) for image in images)
    options = {"lossless": True} if name == "s.webp" else {}
    times = {} if name == "s.tif" else {"duration": 200}
    first.save(tmp_path / name, save_all=True, append_images=others, **times, **options)
    source, frames = read(tmp_path / name)
    assert source.count in (5, None) and source.size == (64, 48) and not caplog.messages
    assert all(np.abs(f.image.astype(int) - i).max() < 9 for f, i in zip(frames, images, strict=True))
    assert [frame.time for frame in frames] == pytest.approx(np.arange(5) * (0.04 if name == "s.tif" else 0.2))
    if name == "s.gif":
        return
    write_pictures(tmp_path / "f", ["0.png"])
    (tmp_path / name).rename(tmp_path / "f" / f"1{name[1:]}")
    assert lost(read(tmp_path / "f")[1]) == [1] and "holds 5 pictures" in caplog.messages[0]


@pytest.mark.parametrize(("deep", "options"), [(False, {}), (True, {}), (False, {"big_tiff": True})])
def test_stacks_of_every_kind_whatever_their_name(tmp_path: Path, deep: bool, options: dict) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff[*] \n.tif"))  # no UTF-8, which OpenCV cannot open
    kind, factor = (">u2", 257) if deep else (np.uint8, 1)
    pages = [Image.fromarray(np.full((30, 40), 60 * k * factor).astype(kind)) for k in range(4)]
    pages[0].save(path, save_all=True, append_images=pages[1:], **options)
    assert path.read_bytes()[:1] == (b"M" if deep else b"I")
    source, frames = read(path)
    assert (source.count, [frame.image.mean() for frame in frames]) == (4, [0, 60, 120, 180])


def test_deep_stacks_and_previews(tmp_path: Path) -> None:
    pages = [Image.fromarray(np.full((30, 40), 10000 * k, np.uint16)) for k in range(1, 4)]
    pages[0].save(tmp_path / "deep.tif", save_all=True, append_images=pages[1:])
    assert [frame.image.max() for frame in read(tmp_path / "deep.tif")[1]] == [39, 78, 117]
    preview = pages[1].resize((20, 15))
    preview.encoderinfo = {"tiffinfo": {254: 1}}
    pages[0].save(tmp_path / "one.tif", save_all=True, append_images=[preview])
    assert [frame.image.shape for frame in read(tmp_path / "one.tif")[1]] == [(30, 40, 3)]
    floats = [Image.fromarray(np.full((30, 40), k / 3, np.float32)) for k in range(3)]
    floats[0].save(tmp_path / "f.tif", save_all=True, append_images=floats[1:])
    with pytest.raises(InputError, match="fractions for values"):
        open_source(tmp_path / "f.tif")


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
