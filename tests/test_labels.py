"""What the values of a picture of masks mean: numbers, void, shades, colours, transparency, depths."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from d3s_vot.errors import InputError
from d3s_vot.labels import VOID, objects_in, read_labels, voc_palette

INSIDE = np.hypot(*np.mgrid[-40:40, -60:60]) < 20  # H x W
BORDER = (np.hypot(*np.mgrid[-40:40, -60:60]) < 24) & ~INSIDE
ASIDE = np.zeros((80, 120), bool)
ASIDE[5:15, 5:25] = True


def saved(path: Path, array: np.ndarray, mode: str = "") -> Path:
    picture = Image.fromarray(array)
    if mode == "P":
        picture.putpalette(voc_palette())
    picture.save(path)
    return path


def made(number: int, kind: type = np.uint8) -> np.ndarray:
    return np.where(INSIDE, number, 0).astype(kind)


def numbered(first: int, second: int, void: int = 0) -> np.ndarray:
    values = made(first)
    values[ASIDE], values[BORDER] = second, void
    return values


@pytest.mark.parametrize("number", [1, 15, 128, 254, 255])
@pytest.mark.parametrize("mode", ["L", "P"])
def test_a_value_that_is_alone_is_one_object(tmp_path: Path, number: int, mode: str) -> None:
    labels = read_labels(saved(tmp_path / "a.png", made(number), mode))
    assert objects_in(labels) == [number] and np.array_equal(labels == number, INSIDE)


@pytest.mark.parametrize(("first", "second"), [(1, 2), (15, 15), (3, 7), (2, 1), (254, 90)])
@pytest.mark.parametrize("mode", ["L", "P"])
def test_white_beside_numbers_is_void(tmp_path: Path, first: int, second: int, mode: str) -> None:
    values = numbered(first, second, VOID)
    labels = read_labels(saved(tmp_path / "a.png", values, mode))
    assert np.array_equal(labels, values) and objects_in(labels) == sorted({first, second})


def test_tiny_objects_are_numbers_too(tmp_path: Path) -> None:
    values = np.zeros((20, 20), np.uint8)
    values[3:5, 3:5], values[9:11, 8:10] = 1, 2
    assert objects_in(read_labels(saved(tmp_path / "a.png", values))) == [1, 2]
    values *= 2
    with pytest.raises(InputError, match="holds the values 2, 4; number its targets"):
        read_labels(saved(tmp_path / "a.png", values))


def shades() -> dict[str, np.ndarray]:
    white = made(255)
    small = cv2.resize(white, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return {
        "soft": cv2.GaussianBlur(white, (0, 0), 1.5),
        "very soft": cv2.GaussianBlur(white, (0, 0), 10),
        "halved": cv2.resize(small, (120, 80), interpolation=cv2.INTER_NEAREST),
        "enlarged": cv2.resize(small, (120, 80), interpolation=cv2.INTER_CUBIC),
        **{f"jpeg {q}": cv2.imdecode(cv2.imencode(".jpg", white, [1, q])[1], 0) for q in (50, 75, 90, 95, 100)},
    }


@pytest.mark.parametrize("name", shades())
@pytest.mark.parametrize("form", ["grey", "rgb", "alpha", "deep"])
def test_a_soft_mask_is_one_object_at_half(tmp_path: Path, name: str, form: str) -> None:
    values = shades()[name]
    picture = {
        "grey": values,
        "rgb": np.dstack([values] * 3),
        "alpha": np.dstack([np.full((80, 120, 3), 30, np.uint8), values]),
        "deep": values.astype(np.uint16) * 257,
    }[form]
    labels = read_labels(saved(tmp_path / "a.png", picture))
    assert objects_in(labels) == [VOID] and np.array_equal(labels == VOID, values > 127)
    assert (labels > 0).sum() == pytest.approx(INSIDE.sum(), rel=0.3 if name == "very soft" else 0.06)


def test_what_is_transparent_is_background(tmp_path: Path) -> None:
    photo = np.random.default_rng(0).integers(0, 255, (80, 120, 3), np.uint8)
    hard = made(255)
    for colours in (photo, photo * 0, photo * 0 + (200, 10, 10), photo * 0 + 255):  # cut out, black, red, white
        labels = read_labels(saved(tmp_path / "a.png", np.dstack([colours.astype(np.uint8), hard])))
        assert np.array_equal(labels == VOID, INSIDE) and objects_in(labels) == [VOID]
    values = numbered(1, 2)
    seen = np.dstack([*[values] * 3, np.where(ASIDE | INSIDE, 255, 0).astype(np.uint8)])
    assert np.array_equal(read_labels(saved(tmp_path / "a.png", seen)), values)


def test_colours_of_davis_are_numbers(tmp_path: Path) -> None:
    values = numbered(1, 3, VOID)
    colours = np.array(voc_palette(), np.uint8).reshape(256, 3)[values]
    assert np.array_equal(read_labels(saved(tmp_path / "a.png", colours)), values)
    colours[0, 0] = (1, 2, 3)
    path = saved(tmp_path / "b.png", colours)
    with pytest.raises(InputError, match="is in colour"):
        read_labels(path)
    joined = (INSIDE | ASIDE | BORDER) * np.uint8(VOID)
    joined[0, 0] = VOID
    assert np.array_equal(read_labels(path, joined=True), joined)


def test_one_bit_and_sixteen(tmp_path: Path) -> None:
    assert np.array_equal(read_labels(saved(tmp_path / "a.png", INSIDE)), made(255))
    assert np.array_equal(read_labels(saved(tmp_path / "a.png", made(65535, kind=np.uint16))), made(255))
    deep = numbered(1, 2, VOID).astype(np.uint16)
    assert np.array_equal(read_labels(saved(tmp_path / "a.png", deep)), numbered(1, 2, VOID))
    deep[deep == VOID] = 65535
    assert np.array_equal(read_labels(saved(tmp_path / "a.png", deep)), numbered(1, 2, VOID))
    deep[ASIDE] = 300
    with pytest.raises(InputError, match="numbers above 254"):
        read_labels(saved(tmp_path / "a.png", deep))


def test_what_is_no_mask_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no mask"):
        read_labels(tmp_path / "none.png")
    pictures = [Image.fromarray(made(255)), Image.fromarray(made(9))]
    pictures[0].save(tmp_path / "a.tif", save_all=True, append_images=pictures[1:])
    with pytest.raises(InputError, match="holds 2 pictures"):
        read_labels(tmp_path / "a.tif")
    Image.fromarray(made(1, kind=np.float32)).save(tmp_path / "f.tif")
    with pytest.raises(InputError, match="has fractions"):
        read_labels(tmp_path / "f.tif")
    whole = saved(tmp_path / "a.png", shades()["soft"]).read_bytes()
    for cut in (0, 1, 20, len(whole) // 2):
        (tmp_path / "b.png").write_bytes(whole[:cut])
        with pytest.raises(InputError, match="cannot be read as a picture"):
            read_labels(tmp_path / "b.png")
