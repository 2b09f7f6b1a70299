"""Frames as they come from files and callers."""

import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from scenes import scene

from d3s_vot import load_tracker
from d3s_vot.errors import InputError
from d3s_vot.images import as_image, check_image, read_image

RGB = np.random.default_rng(1).integers(0, 256, (6, 8, 3), np.uint8)


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
        (np.zeros((3, 4, 5), np.uint8), "transpose"),
        ([[1, 2]], "list"),
    ],
)
def test_images_that_cannot_be_used(image, word):
    with pytest.raises(InputError, match=word):
        check_image(image)
    with pytest.raises(InputError, match=word):
        as_image(image)


@pytest.mark.parametrize(
    "image",
    [
        torch.from_numpy(RGB),
        torch.from_numpy(RGB).permute(2, 0, 1),
        torch.from_numpy(RGB).permute(2, 0, 1).contiguous(),
        Image.fromarray(RGB),
        Image.fromarray(np.dstack([RGB, RGB[..., :1]])),
    ],
    ids=["H x W x 3", "3 x H x W", "3 x H x W, whole", "PIL", "PIL with alpha"],
)
def test_pil_images_and_tensors_are_the_same_picture(image):
    found = as_image(image)
    assert isinstance(found, np.ndarray) and found.dtype == np.uint8
    assert np.array_equal(found, RGB)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_tensors_may_lie_on_a_gpu():
    assert np.array_equal(as_image(torch.from_numpy(RGB).permute(2, 0, 1).cuda()), RGB)


def test_arrays_are_taken_as_they_are():
    for image in (RGB, RGB[::-1, ::2], np.zeros((3, 5, 3), np.uint8)):
        assert as_image(image) is image


def test_a_tensor_of_3_x_h_x_3_has_torchs_own_order():
    tensor = torch.arange(45, dtype=torch.uint8).reshape(3, 5, 3)
    assert as_image(tensor)[4, 2].tolist() == tensor[:, 4, 2].tolist()


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "PA", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV"])
def test_pil_images_of_every_mode_become_rgb(mode):
    white = Image.new("RGB", (8, 6), "white")
    picture = white.convert("L").convert(mode) if mode in ("1", "LA", "PA") else white.convert(mode)
    image = as_image(picture)
    assert image.shape == (6, 8, 3) and image.dtype == np.uint8
    assert (image >= 253).all()


@pytest.mark.parametrize("mode", ["I;16", "I;16B"])
def test_pil_images_of_16_bits_keep_their_greys(mode):
    stored = np.array([[0, 100 * 257, 65535]], ">u2" if mode.endswith("B") else "<u2")
    picture = Image.frombytes(mode, (3, 1), stored.tobytes())
    assert as_image(picture)[0].tolist() == [[0] * 3, [100] * 3, [255] * 3]


@pytest.mark.parametrize(
    ("image", "word"),
    [
        (torch.zeros(3, 6, 8), "float32; .* multiply by 255 and convert to uint8"),
        (torch.zeros(3, 6, 8, dtype=torch.bfloat16), "multiply by 255 and convert to uint8"),
        (np.zeros((6, 8, 3), np.float16), "multiply by 255 and convert to uint8"),
        (torch.zeros(3, 6, 8, dtype=torch.int64), "int64"),
        (torch.zeros(1, 3, 6, 8, dtype=torch.uint8), "one image at a time"),
        (torch.zeros(6, 8, dtype=torch.uint8), r"\(6, 8\)"),
        (torch.zeros(1, 6, 8, dtype=torch.uint8), r"\(1, 6, 8\)"),
        (torch.zeros(4, 6, 8, dtype=torch.uint8), r"\(4, 6, 8\)"),
        (torch.zeros(3, 0, 8, dtype=torch.uint8), "no pixels"),
        (torch.zeros(3, 6, 8, dtype=torch.uint8, device="meta"), "cannot be read"),
        (torch.zeros(3, 6, 8, dtype=torch.uint8).to_sparse(), "cannot be read"),
        (Image.new("I", (8, 6)), "mode I"),
        (Image.new("F", (8, 6)), "mode F"),
        (Image.new("La", (8, 6)), "La"),
        (Image.new("RGB", (0, 6)), "no pixels"),
    ],
)
def test_pil_images_and_tensors_that_cannot_be_used(image, word):
    with pytest.raises(InputError, match=word):
        as_image(image)


def test_a_pil_image_of_half_a_file_is_refused(tmp_path):
    path = tmp_path / "half.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    with Image.open(path) as picture, pytest.raises(InputError, match="decoded"):
        as_image(picture)


def test_neither_pil_nor_torch_is_imported_to_tell_images_apart():
    code = (
        "import sys, numpy; from d3s_vot.images import as_image; as_image(numpy.zeros((2, 2, 3), numpy.uint8));"
        "print([name for name in ('PIL', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_tracker_answers_the_same_whatever_the_kind_of_image(small_weights):
    first, second = (scene(t)[0] for t in (0, 1))
    box = scene(0)[1]
    tracker = load_tracker(small_weights, device="cpu")
    kinds = [lambda array: array, Image.fromarray, lambda array: torch.from_numpy(array).permute(2, 0, 1)]
    answers = []
    for kind in kinds:
        tracker.initialize(kind(first), box)
        answers.append(tracker.track(kind(second)))
    for answer in answers[1:]:
        assert answer.shape == answers[0].shape and answer.confidence == answers[0].confidence
        assert np.array_equal(answer.mask, answers[0].mask)


@pytest.mark.parametrize(
    ("name", "array", "sentence"),
    [
        ("a.tif", np.zeros((6, 5), np.float32), "fractions for values"),
        ("a.tif", np.zeros((6, 5), np.int32), "values of 32 bits"),
        ("a.tif", np.zeros((6, 5), np.int16), "values below 0"),
        ("a.hdr", np.zeros((6, 5, 3), np.float32), "high dynamic range"),
        ("a.pfm", np.zeros((6, 5), np.float32), "high dynamic range"),
    ],
)
def test_values_that_bytes_cannot_show_are_refused(tmp_path, name, array, sentence):
    assert cv2.imwrite(str(tmp_path / name), array)
    with pytest.raises(InputError, match=f"{name} has {sentence}; convert it"):
        read_image(tmp_path / name)


@pytest.mark.parametrize("white", [1, 15, 255, 1023, 4095, 65535])
@pytest.mark.parametrize("comment", [b"\n", b"\n# made by hand\n"])
def test_white_is_white_whatever_number_stands_for_it(tmp_path, white, comment):
    values = np.array([[0, white // 2, white]], ">u2" if white > 255 else np.uint8)
    (tmp_path / "a.pgm").write_bytes(b"P5" + comment + b"3 1\n%d\n" % white + values.tobytes())
    image = read_image(tmp_path / "a.pgm")
    assert np.abs(image[0, :, 0] - np.array([0, white // 2 / white * 255, 255])).max() <= 1


@pytest.mark.parametrize("name", ["s.gif", "s.png", "s.webp", "s.tif"])
def test_several_pictures_in_one_file_are_refused(tmp_path, name):
    frames = [Image.fromarray(np.full((6, 8, 3), 90 * k, np.uint8)) for k in range(3)]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match="holds 3 pictures"):
        read_image(tmp_path / name)
    frames[0].save(tmp_path / name)
    assert read_image(tmp_path / name).shape == (6, 8, 3)


def test_half_a_picture_is_refused(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    for end in ("png", "jpg"):
        path = tmp_path / f"half.{end}"
        cv2.imwrite(str(path), noise)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 40])
        with pytest.raises(InputError, match="half"):
            read_image(path)
