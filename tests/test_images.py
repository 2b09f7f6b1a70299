"""Frames as they come from files and callers."""

import cv2
import numpy as np
import pytest

from d3s_vot.errors import InputError
from d3s_vot.images import check_image, read_image


@pytest.mark.parametrize(
    "stored",
    [
        np.full((6, 5), 200, np.uint8),
        np.full((6, 5), 200 * 257, np.uint16),
        np.full((6, 5, 4), 200, np.uint8),
        np.full((6, 5, 3), 200, np.uint8),
        np.full((6, 1, 3), 200, np.uint8),
    ],
    ids=["grey", "16-bit", "rgba", "rgb", "1-pixel-wide"],
)
def test_files_of_every_kind_become_rgb(tmp_path, stored):
    cv2.imwrite(str(tmp_path / "a.png"), stored)
    image = read_image(tmp_path / "a.png")
    assert image.dtype == np.uint8 and image.shape == (*stored.shape[:2], 3)
    assert (image == 200).all()


def test_colours_are_rgb(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((2, 2, 3), (255, 0, 0), np.uint8))  # blue, as OpenCV writes it
    assert read_image(tmp_path / "a.png")[0, 0].tolist() == [0, 0, 255]


@pytest.mark.parametrize("content", [None, b"", b"no picture", b"\xff\xd8\xff\xe0 truncated"])
def test_unreadable_files_are_named(tmp_path, content):
    path = tmp_path / "frame.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"frame\.jpg"):
        read_image(path)


@pytest.mark.parametrize(
    ("image", "word"),
    [
        (np.zeros((4, 4), np.uint8), "grey"),
        (np.zeros((4, 4, 1), np.uint8), "grey"),
        (np.zeros((4, 4, 4), np.uint8), "alpha"),
        (np.zeros((4, 4, 3), np.uint16), "uint16"),
        (np.zeros((4, 4, 3), np.float32), "float32"),
        (np.zeros((0, 4, 3), np.uint8), "no pixels"),
        (np.zeros((4, 4, 5), np.uint8), "shape"),
        ([[1, 2]], "list"),
    ],
)
def test_images_that_cannot_be_used(image, word):
    with pytest.raises(InputError, match=word):
        check_image(image)


def test_half_a_picture_is_refused(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    for end in ("png", "jpg"):
        path = tmp_path / f"half.{end}"
        cv2.imwrite(str(path), noise)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 40])
        with pytest.raises(InputError, match="half"):
            read_image(path)
