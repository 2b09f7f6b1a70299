"""Good files of every kind that the package reads, and ways to spoil them; for `malformed.py`."""

from __future__ import annotations

import json
import random
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]  # for `train`, and for layouts and videos of the tests

NUMBERS = [
    *("nan", "inf", "-inf", "-1", "0", "1e308", "-1e308", "1e-320", "99999999999999999999", "2147483648", "0x10"),
    *("1,5", "", " ", "\u0663", "None", "true", "1_0", "1e", "--1", "1" * 5000),
]
ODD_NAMES = [
    *("with space{}", "-dash{}", "a:b{}", "100%{}", "[x]*?{}", "new\nline{}", "\u00e4\u4e16\U0001f600{}", "'\"{}"),
    *("tab\t{}", ".hidden{}", "a" * 200 + "{}", "$(echo){}", "\udcff\udcfe{}", "#1{}", "~{}", "{}.bak"),
]
YAML = ("a: [", "- x", "? : ?", "!!python/object:os.system {}", "&a [*a, *a]", "{}")
CODECS = {"mp4": "libx264", "mkv": "libx264", "avi": "mjpeg", "ts": "libx264", "webm": "libvpx"}
FACTS = "name=cat\nlength=6\nwidth=80\nheight=60\nchannels.color=color/%08d.jpg\nfps=25\n"


def make_good(root: Path) -> None:
    """Write a small good one of each kind of file."""
    from layouts import moving_disc, write_layout
    from videos import disc_video

    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 256, (60, 80, 3), np.uint8), (0, 0), 2)
    pictures, masks, videos = root / "picture", root / "mask", root / "video"
    for folder in (pictures, masks, videos):
        folder.mkdir(parents=True)
    for ending in ("png", "jpg", "tif", "bmp", "webp", "jp2", "ppm", "pgm"):
        cv2.imwrite(str(pictures / f"a.{ending}"), image if ending != "pgm" else image[..., 0])
    cv2.imwrite(str(pictures / "deep.png"), image.astype(np.uint16) * 257)
    cv2.imwrite(str(pictures / "deep.tif"), image.astype(np.uint16) * 257)
    cv2.imwrite(str(pictures / "float.tif"), image.astype(np.float32))
    frames = [Image.fromarray(np.roll(image, 3 * k, axis=1)) for k in range(4)]
    for ending in ("gif", "webp", "png", "tif"):
        frames[0].save(pictures / f"several.{ending}", save_all=True, append_images=frames[1:])
    labels = np.zeros((60, 80), np.uint8)
    labels[10:30, 10:40], labels[35:50, 45:70], labels[8:10, 10:40] = 1, 2, 255
    for name, array in {
        "labels": labels,
        "white": (labels == 1) * np.uint8(255),
        "soft": cv2.GaussianBlur((labels == 1) * np.uint8(255), (0, 0), 1.5),
        "bits": labels == 1,
        "deep": labels.astype(np.uint16),
        "alpha": np.dstack([image, (labels == 1) * np.uint8(255)]),
    }.items():
        Image.fromarray(array).save(masks / f"{name}.png")
    indexed = Image.fromarray(labels)
    indexed.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    indexed.save(masks / "indexed.png")
    for ending, codec in CODECS.items():
        disc_video(videos / f"a.{ending}", 12, codec=codec)
    write_layout("got10k-val", root / "got10k", [moving_disc("a", 4), moving_disc("b", 4)])
    _make_workspace(root / "workspace", image)
    _make_davis(root / "davis", image, indexed)
    _make_stills(root / "stills", image, indexed)


def _make_workspace(root: Path, image: np.ndarray) -> None:
    """A VOT workspace with one sequence and a tracker's results."""
    sequence = root / "sequences" / "cat"
    (sequence / "color").mkdir(parents=True)
    truth = [f"{10 + k},12,30,20" for k in range(6)]
    for k in range(1, 7):
        cv2.imwrite(str(sequence / "color" / f"{k:08d}.jpg"), image)
    (sequence / "groundtruth.txt").write_text("\n".join(truth) + "\n")
    (sequence / "sequence").write_text(FACTS)
    (root / "sequences" / "list.txt").write_text("cat\n")
    (root / "config.yaml").write_text("registry: [./trackers.ini]\nstack: ./stack.yaml\nsequences: ./sequences\n")
    (root / "stack.yaml").write_text(
        "title: small\nexperiments:\n  baseline:\n    type: supervised\n    repetitions: 3\n    analyses:\n"
        "      - type: supervised_eao_score\n        low: 2\n        high: 6\n"
        "  unsupervised:\n    type: unsupervised\n    repetitions: 1\n"
    )
    for experiment in ("baseline", "unsupervised"):
        folder = root / "results" / "T" / experiment / "cat"
        folder.mkdir(parents=True)
        for number in range(1, 4 if experiment == "baseline" else 2):
            (folder / f"cat_{number:03d}.txt").write_text("\n".join(["1", *truth[1:]]) + "\n")
        (folder / "cat_001_time.value").write_text("0.03\n" * 6)


def _make_davis(root: Path, image: np.ndarray, mask: Image.Image) -> None:
    for kind in ("JPEGImages", "Annotations"):
        (root / kind / "480p" / "cat").mkdir(parents=True)
    (root / "ImageSets" / "2017").mkdir(parents=True)
    (root / "ImageSets" / "2017" / "val.txt").write_text("cat\n")
    for k in range(4):
        cv2.imwrite(str(root / "JPEGImages/480p/cat" / f"{k:05d}.jpg"), image)
        mask.save(root / "Annotations/480p/cat" / f"{k:05d}.png")


def _make_stills(root: Path, image: np.ndarray, mask: Image.Image) -> None:
    for k in range(4):
        for kind in ("images", "masks"):
            (root / "set" / kind).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / "set" / "images" / f"{k}.jpg"), cv2.resize(image, (320, 240)))
        mask.resize((320, 240), Image.Resampling.NEAREST).save(root / "set" / "masks" / f"{k}.png")


def spoil(data: bytes, chance: random.Random) -> tuple[bytes, str]:
    """Bytes of a file, and in a word what was done to them."""
    ways: dict[str, Callable[[], bytes]] = {
        "empty": lambda: b"",
        "cut": lambda: data[: chance.randrange(len(data) + 1)],
        "cut early": lambda: data[: chance.randrange(min(len(data), 64) + 1)],
        "end only": lambda: data[chance.randrange(len(data) + 1) :],
        "bits": lambda: _flipped(data, chance, chance.choice((1, 3, 20, 200)), len(data)),
        "head": lambda: _flipped(data, chance, chance.choice((1, 4, 12)), 100),
        "zeros": lambda: _filled(data, chance, b"\0"),
        "ones": lambda: _filled(data, chance, b"\xff"),
        "noise": lambda: chance.randbytes(chance.randrange(1, 5000)),
        "text": lambda: b"this is no such file\n" * chance.randrange(1, 50),
        "page": lambda: b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
        "pointer": lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        "twice": lambda: data * 2,
        "inserted": lambda: _inserted(data, chance),
        "numbers": lambda: _numbered(data, chance),
    }
    name = chance.choice(list(ways))
    return ways[name](), name


def spoil_text(text: str, chance: random.Random) -> tuple[bytes, str]:
    """The same for a text of numbers or settings."""
    lines = text.splitlines()
    place = chance.randrange(len(lines)) if lines else 0
    separator = next((letter for letter in ",\t =:" if lines and letter in lines[place]), ",")
    fields = lines[place].split(separator) if lines else [""]

    def line(new: str) -> bytes:
        return "\n".join([*lines[:place], new, *lines[place + 1 :]]).encode("utf-8", "surrogateescape")

    odd = chance.choice(NUMBERS)
    ways: dict[str, Callable[[], bytes]] = {
        "a number": lambda: line(separator.join(_replaced(fields, odd, chance))),
        "all numbers": lambda: line(separator.join([odd] * len(fields))),
        "fewer": lambda: line(separator.join(fields[:-1])),
        "more": lambda: line(separator.join([*fields, *fields])),
        "no line": lambda: line(""),
        "one line less": lambda: "\n".join(lines[:place] + lines[place + 1 :]).encode(),
        "one line more": lambda: "\n".join([*lines, *lines[-1:]]).encode(),
        "other separator": lambda: text.replace(separator, chance.choice(";|/ \t")).encode(),
        "BOM": lambda: text.encode("utf-8-sig"),
        "UTF-16": lambda: text.encode("utf-16"),
        "latin": lambda: line(f"\u00e4{lines[place] if lines else ''}").decode().encode("latin-1"),
        "CRLF": lambda: text.replace("\n", "\r\n").encode(),
        "NUL": lambda: line("\0" + (lines[place] if lines else "")),
        "long": lambda: line("1," * 100_000),
        "yaml": lambda: line(chance.choice(YAML)),
        "bytes": lambda: spoil(text.encode(), chance)[0],
    }
    name = chance.choice(list(ways))
    return ways[name](), name


def spoil_checkpoint(data: bytes, chance: random.Random) -> tuple[bytes, str]:
    """The same for safetensors, also with a header that is JSON but wrong."""
    if chance.random() < 0.4:
        return spoil(data, chance)
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    key = chance.choice(list(header))
    odd = chance.choice([None, 1, -1, "x", [], {}, float("nan"), 10**30, True, [1, 2, 3], {"dtype": "F64"}])
    way = chance.randrange(4)
    if way == 0:
        header[key] = odd
    elif way == 1:
        del header[key]
    elif isinstance(header[key], dict) and header[key]:
        inner = chance.choice(list(header[key]))
        value = header[key][inner]
        if way == 2 or not isinstance(value, str):
            header[key][inner] = odd
        else:
            header[key][inner] = spoil_text(value, chance)[0].decode("utf-8", "replace")
    new = json.dumps(header).encode()
    return struct.pack("<Q", len(new)) + new + data[8 + length :], f"header, {key}"


def _flipped(data: bytes, chance: random.Random, count: int, end: int) -> bytes:
    array = bytearray(data)
    for _ in range(count if data else 0):
        array[chance.randrange(min(end, len(array)))] ^= 1 << chance.randrange(8)
    return bytes(array)


def _filled(data: bytes, chance: random.Random, value: bytes) -> bytes:
    begin = chance.randrange(len(data) + 1)
    end = min(len(data), begin + chance.randrange(1, 2000))
    return data[:begin] + value * (end - begin) + data[end:]


def _inserted(data: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(data) + 1)
    return data[:place] + chance.randbytes(chance.randrange(1, 100)) + data[place:]


def _numbered(data: bytes, chance: random.Random) -> bytes:
    """A huge or negative number somewhere among the first bytes: sizes and lengths are there."""
    place = chance.randrange(min(len(data), 200) + 1)
    number = chance.choice((b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\x00\xff", b"\x00" * 8))
    return data[:place] + number + data[place + len(number) :]


def _replaced(fields: list[str], new: str, chance: random.Random) -> list[str]:
    place = chance.randrange(len(fields))
    return [*fields[:place], new, *fields[place + 1 :]]
