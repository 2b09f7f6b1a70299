"""The index of the training data: what is broken in it, what is kept of it, and how its files are read."""

import gzip
import logging
import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from train_data import HEIGHT, LEFT, RIGHT, WIDTH, draw_mask, draw_stills, find, write_image, write_mask

from train.data import layouts
from train.data.index import index
from train.data.items import Source, read_ids, read_image, read_masks, read_object
from train.errors import DataError


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_stills(tmp_path_factory.mktemp("drawn"))


# --- sources


@pytest.mark.parametrize(
    ("text", "layout", "root", "weight"),
    [
        ("stills=a/b", "stills", "a/b", 1.0),
        ("davis=a:0.5", "davis", "a", 0.5),
        ("coco=a:2", "coco", "a", 2.0),
        ("stills=a:b", "stills", "a:b", 1.0),
        ("stills=a:b:3", "stills", "a:b", 3.0),
        ("stills=a=b:", "stills", "a=b:", 1.0),
    ],
)
def test_a_source_is_understood(text: str, layout: str, root: str, weight: float) -> None:
    assert Source.parse(text) == Source(layout, Path(root), weight)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a/b", "is not NAME=DIR"),
        ("stills=", "is not NAME=DIR"),
        ("vos=a", "no layout 'vos'.*youtube-vos, davis, stills, coco"),
        ("stills=a:0", "weight 0 of .* above 0"),
        ("stills=a:-1", "above 0"),
        ("stills=a:nan", "finite"),
        ("stills=a:inf", "finite"),
    ],
)
def test_a_wrong_source_is_named(text: str, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        Source.parse(text)


def test_a_home_folder_is_found() -> None:
    assert Source.parse("stills=~/a:2").root == Path("~/a").expanduser()


# --- what is broken


def test_what_is_broken_is_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = tmp_path / "stills"
    for name in "abcdefghijk":
        write_image(root / f"set/images/{name}.jpg")
        write_mask(root / f"set/masks/{name}.png", draw_mask({1: LEFT}))
    whole = (root / "set/images/b.jpg").read_bytes()
    (root / "set/images/b.jpg").write_bytes(whole[: len(whole) * 3 // 4])
    (root / "set/masks/c.png").unlink()
    (root / "set/images/d.jpg").unlink()
    (root / "set/masks/e.png").write_bytes(b"no picture")
    write_image(root / "set/images/f.jpg", HEIGHT - 8)
    write_mask(root / "set/masks/g.png", draw_mask({1: LEFT, 2: (40, 0, 10, 10)}))
    write_mask(root / "set/masks/h.png", draw_mask({}))
    whole = (root / "set/masks/i.png").read_bytes()
    (root / "set/masks/i.png").write_bytes(whole[: len(whole) // 2])
    Image.fromarray(np.arange(HEIGHT * WIDTH * 3, dtype=np.uint8).reshape(HEIGHT, WIDTH, 3)).save(
        root / "set/masks/j.png"
    )
    (root / "set/images/k.jpg").write_bytes(b"")
    (root / "set/images/._a.jpg").write_bytes(b"left by a Mac")
    frames = [Image.fromarray(np.full((HEIGHT, WIDTH, 3), level, np.uint8)) for level in (0, 99)]
    frames[0].save(root / "set/images/l.png", save_all=True, append_images=frames[1:])
    write_mask(root / "set/masks/l.png", draw_mask({1: LEFT}))
    with caplog.at_level(logging.WARNING, "train"):
        found = index([Source("stills", root)], cache=None, workers=0)
    assert [i.image.stem for i in found.items] == ["a", "g"]
    assert found.skipped == {
        "picture that cannot be decoded": 2,
        "picture without a mask": 1,
        "mask without a picture": 1,
        "mask that cannot be decoded": 3,
        "mask of another size than its picture": 1,
        "file of several pictures": 1,
        "object under 300 pixels": 1,
        "mask without an object": 1,
    }
    assert {Path(path).stem for path in found.examples.values()} == set("bcdefghl")
    for reason, count in found.skipped.items():
        assert f"left out: {count} x {reason}, the first at {found.examples[reason]}" in caplog.messages


def test_nothing_usable_says_why(tmp_path: Path) -> None:
    write_image(tmp_path / "set/images/a.jpg")
    write_mask(tmp_path / "set/masks/a.png", draw_mask({1: (0, 0, 9, 9)}))
    with pytest.raises(DataError, match=r"nothing in .*\(1 x object under 300 pixels"):
        find("stills", tmp_path)


def test_several_processes_find_the_same(drawn: Path) -> None:
    assert find("stills", drawn, workers=2) == find("stills", drawn)


def test_sources_of_one_layout_are_told_apart(drawn: Path) -> None:
    found = index([Source("stills", drawn), Source("stills", drawn, 0.5)], cache=None, workers=0)
    assert Counter(i.source for i in found.items) == {"stills": 86, "stills-2": 86}


def test_a_process_that_is_killed_is_no_hang(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.data.index.check_picture", lambda path: os._exit(9))
    with pytest.raises(DataError, match=r"was killed; use fewer workers"):
        find("stills", drawn, workers=2)


# --- reading


def test_reading_names_what_is_broken(drawn: Path, tmp_path: Path) -> None:
    shutil.copytree(drawn, tmp_path, dirs_exist_ok=True)
    item = find("stills", tmp_path)[0][0]
    write_image(item.image)
    with pytest.raises(DataError, match=r"has 160 x 120 pixels, its picture .* 64 x 48"):
        read_object(item)
    item.image.write_bytes(b"")
    with pytest.raises(DataError, match=r"000\.jpg cannot be read"):
        read_object(item)
    item.mask.unlink()
    with pytest.raises(DataError, match=r"no mask .*000\.png"):
        read_masks(item)
    Image.fromarray(np.arange(256, 260, dtype=np.uint16).repeat(64).reshape(16, 16)).save(item.mask)
    with pytest.raises(DataError, match=r"mask .*000\.png has numbers above 254"):
        read_masks(item)


def test_pixels_are_taken_as_stored_though_a_tag_turns_the_picture(tmp_path: Path) -> None:
    picture = Image.fromarray(np.full((HEIGHT, WIDTH, 3), (200, 100, 0), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    picture.save(tmp_path / "a.jpg", exif=exif)
    image = read_image(tmp_path / "a.jpg")
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(image.astype(int) - (200, 100, 0)).max() < 8  # RGB


def test_pictures_of_sixteen_bits_and_of_grey_are_pictures(tmp_path: Path) -> None:
    grey = np.linspace(0, 255, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint8)
    for name, picture in (("grey", grey), ("deep", grey.astype(np.uint16) * 257)):
        path = tmp_path / f"set/images/{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
        write_mask(tmp_path / f"set/masks/{name}.png", draw_mask({1: LEFT}))
    items, skipped = find("stills", tmp_path)
    assert len(items) == 2 and not skipped
    for item in items:
        image = read_object(item)[0]
        assert np.abs(image.astype(int) - grey[..., None]).max() <= 1


def test_grey_masks_of_other_modes_are_ids(tmp_path: Path) -> None:
    mask = draw_mask({1: LEFT, 3: RIGHT})
    for name, picture in (
        ("rgb", Image.fromarray(np.stack([mask] * 3, axis=2))),
        ("rgba", Image.fromarray(np.stack([mask] * 3 + [mask * 0 + 255], axis=2))),
        ("deep", Image.fromarray(mask.astype(np.uint16))),
    ):
        picture.save(tmp_path / f"{name}.png")
        assert np.array_equal(read_ids(tmp_path / f"{name}.png"), mask), name


# --- the cache


@pytest.fixture
def kept(drawn: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A data set and the folder that keeps its index."""
    root, cache = tmp_path / "data", tmp_path / "deep" / "cache"
    shutil.copytree(drawn, root)
    (root / "shapes/masks/003.png").unlink()
    find("stills", root, cache=cache)
    assert len(list(cache.iterdir())) == 1
    return root, cache


def test_what_is_kept_is_taken_without_decoding(kept: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    root, cache = kept
    fresh = find("stills", root)
    assert fresh[1] == {layouts.NO_MASK: 1}

    def decode(*_: object, **__: object) -> None:
        raise AssertionError("a picture is decoded")

    with monkeypatch.context() as patch:
        for name in ("PIL.Image.open", "cv2.imread", "train.data.index.look"):
            patch.setattr(name, decode)
        assert find("stills", root, cache=cache) == fresh
        (root.parent / "link").symlink_to(root)
        linked = find("stills", root.parent / "link", cache=cache)[0]
    assert linked[0].image == root.parent / "link/shapes/images/000.jpg"
    assert [i.box for i in linked] == [i.box for i in fresh[0]]


@pytest.mark.parametrize("change", ["picture", "mask", "added", "removed", "rules"])
def test_what_is_kept_is_outdated_by_a_change(
    kept: tuple[Path, Path], change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, cache = kept
    before = find("stills", root, cache=cache)[0]
    if change == "picture":
        (root / "shapes/images/000.jpg").write_bytes(b"")
    elif change == "mask":
        write_mask(root / "shapes/masks/000.png", np.zeros((120, 160), np.uint8))
    elif change == "added":
        shutil.copy(root / "shapes/masks/002.png", root / "shapes/masks/003.png")
    elif change == "removed":
        (root / "shapes/images/000.jpg").unlink()
    else:
        monkeypatch.setattr("train.data.cache.VERSION", 0)
        monkeypatch.setattr("train.data.layouts.MIN_AREA", 10**6)
        with pytest.raises(DataError, match="nothing in"):
            find("stills", root, cache=cache)
        return
    after = find("stills", root, cache=cache)[0]
    assert len(after) == len(before) + (2 if change == "added" else -2)
    assert find("stills", root, cache=cache)[0] == after


@pytest.mark.parametrize("damage", ["empty", "truncated", "flipped", "text", "shape", "short"])
def test_a_damaged_file_is_made_anew(kept: tuple[Path, Path], damage: str, caplog: pytest.LogCaptureFixture) -> None:
    root, cache = kept
    fresh = find("stills", root)
    (path,) = cache.iterdir()
    whole = path.read_bytes()
    lines = gzip.decompress(whole).splitlines(keepends=True)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 255
    path.write_bytes(
        {
            "empty": b"",
            "truncated": whole[: len(whole) // 2],
            "flipped": bytes(flipped),
            "text": b"no gzip",
            "shape": gzip.compress(b"{}\n"),
            "short": gzip.compress(b"".join(lines[:-1])),
        }[damage]
    )
    with caplog.at_level(logging.WARNING, "train"):
        assert find("stills", root, cache=cache) == fresh
    assert any(f"{path} is damaged and made anew" in m for m in caplog.messages)
    assert path.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_a_warning(
    drawn: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    with caplog.at_level(logging.WARNING, "train"):
        items, _ = find("stills", drawn, cache=tmp_path / "file" / "cache")
    assert len(items) == 86
    assert any("cannot be kept" in m and "file/cache" in m for m in caplog.messages)


def test_a_file_that_could_not_be_opened_is_not_kept_as_broken(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Image.open

    def refuse(path: Path) -> Image.Image:
        if path.name in ("000.jpg", "001.png"):
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path)

    with monkeypatch.context() as patch:
        patch.setattr("PIL.Image.open", refuse)
        items, skipped = find("stills", drawn, cache=tmp_path / "cache")
    assert skipped == {"file that could not be opened": 2} and len(items) == 82
    assert not (tmp_path / "cache").exists()
    assert len(find("stills", drawn, cache=tmp_path / "cache")[0]) == 86
