"""The toolkit's codes of masks: the same as its own, there and back, and what would stop it."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from d3s_vot.evaluation.vot.stored import as_binary, as_text, parse_binary, parse_text
from d3s_vot.mask_codes import (
    LONGEST_RUN,
    MOST_RUNS,
    PlacedMask,
    array_of,
    count_runs,
    from_code,
    runs_of,
    storable,
    to_bytes,
    to_code,
)


def random_masks(count: int, seed: int) -> Iterator[PlacedMask]:
    """Blobs, noise, stripes, thin and full ones, none at all; at any place, some left of the image."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        h, w = random.integers(1, 40, 2)
        kind = random.integers(6)
        if kind == 0:
            array = random.random((h, w)) < random.random()
        elif kind == 1:
            array = cv2.GaussianBlur(random.random((h, w)).astype(np.float32), (0, 0), 2) > 0.5
        elif kind == 2:
            array = np.broadcast_to(random.random(w) < 0.5, (h, w))
        elif kind == 3:
            array = np.zeros((h, w), bool)
            array[random.integers(h) :, random.integers(w)] = True
        else:
            array = np.full((h, w), kind == 4)
        x, y = random.integers(-30, 60, 2)
        yield PlacedMask(int(x), int(y), np.ascontiguousarray(array, bool))


def test_codes_are_the_toolkits() -> None:
    """10,000 masks to text and back: the same text, the same pixels."""
    from vot.region import Mask
    from vot.region.io import parse_region

    for mask in random_masks(10_000, 0):
        code = to_code(mask)
        if mask.bounds is None:
            assert code == "m0,0,0,0,0"
            continue
        back, read = from_code(code), parse_region(code)
        if back.array.shape[1] > 1:  # of a mask one pixel wide the toolkit makes nothing
            assert read.offset == (back.x, back.y) and np.array_equal(read.mask, back.array)
        assert str(Mask(back.array.astype(np.uint8), (back.x, back.y))) == code
        assert to_code(back) == code
        assert np.array_equal(back.window(mask.x, mask.y, *mask.array.shape[::-1]), mask.array)


def test_binary_files_are_the_toolkits() -> None:
    from vot.region import Mask
    from vot.region.io import read_trajectory, write_trajectory

    masks = list(random_masks(400, 1))
    buffer = io.BytesIO()
    write_trajectory(buffer, [Mask(mask.array.astype(np.uint8), (mask.x, mask.y)) for mask in masks])
    assert as_binary(masks) == buffer.getvalue()
    assert parse_binary(buffer.getvalue()) == masks
    buffer.seek(0)
    for read, mask in zip(read_trajectory(buffer), masks, strict=True):
        assert read.offset == (mask.x, mask.y) and np.array_equal(read.mask, mask.array)


def test_long_runs_are_split() -> None:
    from vot.region import Mask
    from vot.region.io import write_trajectory

    for length in (LONGEST_RUN, LONGEST_RUN + 1, 2 * LONGEST_RUN, 300_000):
        array = np.zeros((30, length // 25), bool)
        array.ravel()[length:] = True
        mask = PlacedMask(3, 4, array)
        buffer = io.BytesIO()
        write_trajectory(buffer, [Mask(array.astype(np.uint8), (3, 4))])
        assert as_binary([mask]) == buffer.getvalue() and parse_binary(buffer.getvalue()) == [mask]
        assert count_runs(array) == struct.unpack_from("<H", buffer.getvalue(), 15)[0]


def test_entries_of_all_kinds() -> None:
    entries = [1, np.array([1.5, 2, 3, 4]), np.array([[0, 0], [4, 0], [4, 5.25]]), PlacedMask(-1, 2, np.eye(3) > 0), 0]
    for read in (parse_binary(as_binary(entries)), parse_text(as_text(entries))):
        assert [type(entry) for entry in read] == [type(entry) for entry in entries]
        assert all(np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b
                   for a, b in zip(read, entries, strict=True))  # fmt: skip


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("m1,2,3", "3 numbers are no mask"),
        ("m1,2,3,a", "invalid literal"),
        ("m1,2,-3,4,1", "box is -3 x 4"),
        ("m1,2,900000,900000,1", "box is 900000 x 900000"),
        ("m1,2,3,4,10,3", "cover 13 pixels of a box of 3 x 4"),
        ("m1,2,3,4,5,-1,2", "has a run of -1"),
    ],
)
def test_codes_that_are_wrong(code: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        from_code(code)
    with pytest.raises(ValueError, match=words):
        parse_text(f"1\n{code}\n")


def test_runs_that_are_missing_are_zeros() -> None:
    assert from_code("m0,0,4,2,1,2").array.tolist() == [[False, True, True, False], [False] * 4]


def test_binary_sums_are_checked() -> None:
    data = bytearray(as_binary([PlacedMask(0, 0, np.eye(4) > 0)]))
    data[-2:] = struct.pack("<H", 40)
    with pytest.raises(ValueError, match="cover 55 pixels of a box of 4 x 4"):
        parse_binary(bytes(data))


def test_runs_there_and_back() -> None:
    for mask in random_masks(200, 2):
        assert np.array_equal(array_of(runs_of(mask.array), *mask.array.shape[::-1]), mask.array)
    assert runs_of(np.zeros((0, 0), bool)) == [0]


def test_too_many_runs() -> None:
    """Specks and holes go first; the large piece stays as it is."""
    random = np.random.default_rng(0)
    array = random.random((500, 700)) < 0.5
    array[150:350, 200:500] = True
    array[200, 210:290:2] = False  # holes
    assert count_runs(array) > MOST_RUNS
    with pytest.raises(ValueError, match="does not fit the file"):
        to_bytes(PlacedMask(0, 0, array))
    kept = storable(PlacedMask(7, 8, array))
    assert (kept.x, kept.y) == (7, 8) and count_runs(kept.array) <= MOST_RUNS
    assert kept.array[150:350, 200:500].mean() > 0.99
    assert parse_binary(as_binary([kept])) == [kept]


def test_one_piece_with_too_many_runs() -> None:
    comb = np.zeros((400, 700), bool)
    comb[:, ::2] = True
    comb[-1] = True
    kept = storable(PlacedMask(0, 0, comb))
    assert count_runs(kept.array) <= MOST_RUNS and kept.array[comb].mean() > 0.95
    chess = np.indices((600, 600)).sum(axis=0) % 2 == 0
    assert 0 < count_runs(storable(PlacedMask(0, 0, chess)).array) <= MOST_RUNS


def test_offsets_that_are_too_large() -> None:
    far = PlacedMask(40_000, 3, np.ones((4, 5), bool))
    kept = storable(far)
    assert (kept.x, kept.y) == (32767, 3) and kept.bounds == (32767, 40_004, 3, 6) and kept.array.sum() == 21
    assert np.array_equal(kept.window(39_990, 0, 30, 10), far.window(39_990, 0, 30, 10))
    assert parse_binary(as_binary([kept])) == [kept]
    low = storable(PlacedMask(2, 40_000, np.ones((4, 5), bool)))
    assert low.bounds == (2, 6, 32767, 40_003)
    with pytest.raises(ValueError, match="does not fit the file"):
        storable(PlacedMask(200_000, 3, np.ones((4, 5), bool)))


def test_masks_that_fit_stay_as_they_are() -> None:
    for mask in random_masks(50, 3):
        assert storable(mask) == mask


def test_the_mask_of_an_image() -> None:
    image = np.zeros((20, 30), bool)
    assert PlacedMask.of(image).bounds is None and to_code(PlacedMask.of(image)) == "m0,0,0,0,0"
    image[3:7, 5:6] = True
    mask = PlacedMask.of(image)
    assert mask.bounds == (5, 5, 3, 6) and to_code(mask) == "m5,3,1,4,0,4"
    assert np.array_equal(mask.window(0, 0, 30, 20), image)
