"""Submissions: written as the servers want them, the same bytes twice, and every wrong one refused by name."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from d3s_vot.errors import InputError
from d3s_vot.evaluation.boxes.layouts import LAYOUTS, format_boxes, format_times, write_file
from d3s_vot.evaluation.boxes.sequences import Sequence
from d3s_vot.evaluation.boxes.submission import SERVERS, check_submission, write_submission

Members = dict[str, bytes]


def make(name: str, results: Path, names: tuple[str, ...] = ("cat", "dog", "owl")) -> list[Sequence]:
    """Sequences of a test set with results of a tracker."""
    sequences = []
    for number, sequence in enumerate(names):
        count = 5 + number
        boxes = np.random.default_rng(number).uniform(10, 60, (count, 4))
        frames = tuple(Path(f"{index}.jpg") for index in range(count))
        sequences.append(Sequence(sequence, frames, boxes[:1]))
        text = format_boxes(boxes, LAYOUTS[name].decimals)
        write_file(LAYOUTS[name].boxes(results, "D3S", sequence), text.encode())
        write_file(LAYOUTS[name].times(results, "D3S", sequence), format_times(np.full(count, 0.04)).encode())
    return sequences


def members(path: Path) -> Members:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(path: Path, content: Members) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize("name", SERVERS)
def test_right_one(name: str, tmp_path: Path) -> None:
    sequences = make(name, tmp_path)
    make(name, tmp_path, ("GOT-10k_Val_000001",))  # in the same folder, as the toolkit leaves results of both sets
    for target in ("a.zip", "b.zip"):
        write_submission(name, "D3S", sequences, tmp_path, tmp_path / target)
    nested = [f"{s}/{s}_{kind}.txt" for s in ("cat", "dog", "owl") for kind in ("001", "time")]
    assert list(members(tmp_path / "a.zip")) == (nested if name == "got10k-test" else ["cat.txt", "dog.txt", "owl.txt"])
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert check_submission(name, tmp_path / "a.zip", sequences) == []


def test_as_the_toolkit_packs(tmp_path: Path) -> None:
    sequences = make("got10k-test", tmp_path)
    write_submission("got10k-test", "D3S", sequences, tmp_path, tmp_path / "ours.zip")
    theirs = Path(shutil.make_archive(str(tmp_path / "theirs"), "zip", tmp_path / "GOT-10k" / "D3S"))
    files = {name: data for name, data in members(theirs).items() if not name.endswith("/")}
    assert files == members(tmp_path / "ours.zip")
    assert check_submission("got10k-test", theirs, sequences) == []


def test_repetitions(tmp_path: Path) -> None:
    """The toolkit tracks three times unless told that a tracker is deterministic."""
    sequences = make("got10k-test", tmp_path, ("cat",))
    boxes = LAYOUTS["got10k-test"].boxes(tmp_path, "D3S", "cat").read_bytes()
    content = {f"cat/cat_{i:03d}.txt": boxes for i in (1, 2, 3)} | {"cat/cat_time.txt": b"0.1,0.2,0.3\n" * 5}
    assert check_submission("got10k-test", pack(tmp_path / "a.zip", content), sequences) == []
    content["cat/cat_time.txt"] = b"0.1\n" * 5
    assert check_submission("got10k-test", pack(tmp_path / "a.zip", content), sequences) == [
        "cat/cat_time.txt: line 1 is not 3 numbers parted by commas: '0.1'"
    ]


def put(name: str, change: Callable[[bytes], bytes]) -> Callable[[Members], Members]:
    """A change of one file."""
    return lambda content: content | {name: change(content[name])}


def lines(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[bytes], bytes]:
    """A change of a file's lines."""
    return lambda data: b"".join(line + b"\n" for line in change(data.splitlines()))


WRONG = {
    "a sequence is missing": (
        lambda content: {name: data for name, data in content.items() if name != "dog.txt"},
        ["these files are missing, 1 of 3: dog.txt"],
    ),
    "one is too many": (
        lambda content: content | {"GOT-10k_Val_000001.txt": b"", "readme.md": b""},
        ["these files belong to no sequence of trackingnet, leave them out: GOT-10k_Val_000001.txt, readme.md"],
    ),
    "nested": (
        lambda content: {"D3S/": b""} | {f"D3S/{name}": data for name, data in content.items()},
        [
            "these folders should not be there, leave them out: D3S/",
            "these files lie in a wrong place, the first should be cat.txt: D3S/cat.txt, D3S/dog.txt, D3S/owl.txt",
        ],
    ),
    "a Mac's": (
        lambda content: content | {"__MACOSX/._cat.txt": b"", ".DS_Store": b""},
        ["these files are hidden or a Mac's, leave them out: __MACOSX/._cat.txt, .DS_Store"],
    ),
    "backslashes": (
        lambda content: {f"D3S\\{name}" if name == "cat.txt" else name: data for name, data in content.items()},
        ["these names have backslashes, where / parts folders: D3S\\cat.txt"],
    ),
    "a line is missing": (put("dog.txt", lines(lambda rows: rows[1:])), ["dog.txt: it has 5 lines for 6 frames"]),
    "a line too many": (put("dog.txt", lambda data: data + b"1,2,3,4\n"), ["dog.txt: it has 7 lines for 6 frames"]),
    "empty": (put("cat.txt", lambda data: b""), ["cat.txt: it has 0 lines for 5 frames"]),
    "three numbers": (
        put("cat.txt", lines(lambda rows: [*rows[:-1], b"1,2,3"])),
        ["cat.txt: line 5 is not 4 numbers parted by commas: '1,2,3'"],
    ),
    "a word": (
        put("cat.txt", lines(lambda rows: [rows[0], b"1,2,3,four", *rows[2:]])),
        ["cat.txt: line 2 is not 4 numbers parted by commas: '1,2,3,four'"],
    ),
    "tabs": (
        put("cat.txt", lambda data: b"1\t2\t3\t4\n" * 5),
        ["cat.txt: line 1 is not 4 numbers parted by commas: '1\\t2\\t3\\t4'"],
    ),
    "NaN": (
        put("cat.txt", lines(lambda rows: [*rows[:-1], b"nan,2,3,4"])),
        ["cat.txt: line 5 has a number that is not finite: 'nan,2,3,4'"],
    ),
    "infinite": (
        put("cat.txt", lines(lambda rows: [*rows[:-1], b"1,2,inf,4"])),
        ["cat.txt: line 5 has a number that is not finite: '1,2,inf,4'"],
    ),
    "no width": (
        put("cat.txt", lines(lambda rows: [*rows[:-1], b"1,2,0,4"])),
        ["cat.txt: line 5 has a size that is not positive"],
    ),
    "binary": (put("cat.txt", lambda data: b"\xff\xd8\xff"), ["cat.txt: it is not plain text"]),
    "huge": (put("cat.txt", lambda data: b"0" * 50_000_000), ["cat.txt: it is longer than 5 lines of numbers"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_ones(case: str, tmp_path: Path) -> None:
    sequences = make("trackingnet", tmp_path)
    write_submission("trackingnet", "D3S", sequences, tmp_path, tmp_path / "right.zip")
    change, sentences = WRONG[case]
    wrong = pack(tmp_path / "wrong.zip", change(members(tmp_path / "right.zip")))
    assert check_submission("trackingnet", wrong, sequences) == sentences


def test_first_box(tmp_path: Path) -> None:
    """Rounded is right, counted from another origin is not."""
    sequences = make("trackingnet", tmp_path)
    write_submission("trackingnet", "D3S", sequences, tmp_path, tmp_path / "a.zip")
    given = sequences[0].truth[0]
    others = [replace(sequences[0], truth=given[None] + (shift, shift, 0, 0)) for shift in (0.5, 1)]
    near, off = (check_submission("trackingnet", tmp_path / "a.zip", [other, *sequences[1:]]) for other in others)
    assert near == []
    assert off == [f"cat.txt: its first line is not the given box, {','.join(f'{v:g}' for v in others[1].truth[0])}"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda content: {name: data for name, data in content.items() if name != "dog/dog_time.txt"},
            "these files are missing, 1 of 6: dog/dog_time.txt",
        ),
        (
            put("dog/dog_time.txt", lambda data: b"0.1\n0\n" * 3),
            "dog/dog_time.txt: line 2 has a time that is not positive",
        ),
        (put("dog/dog_time.txt", lambda data: b"0.1\n"), "dog/dog_time.txt: it has 1 lines for 6 frames"),
        (
            put("dog/dog_time.txt", lambda data: b"0.1,0.2\n" * 6),
            "dog/dog_time.txt: line 1 is not one number: '0.1,0.2'",
        ),
        (
            lambda content: content | {"GOT-10k_Val_000001/GOT-10k_Val_000001_001.txt": b""},
            "these files belong to no sequence of got10k-test, leave them out: "
            "GOT-10k_Val_000001/GOT-10k_Val_000001_001.txt",
        ),
        (
            lambda content: {name.rpartition("/")[2]: data for name, data in content.items()},
            "these files lie in a wrong place, the first should be cat/cat_001.txt: "
            "cat_001.txt, cat_time.txt, dog_001.txt, dog_time.txt, owl_001.txt and 1 more",
        ),
    ],
)
def test_wrong_got10k(change: Callable[[Members], Members], sentence: str, tmp_path: Path) -> None:
    sequences = make("got10k-test", tmp_path)
    write_submission("got10k-test", "D3S", sequences, tmp_path, tmp_path / "right.zip")
    wrong = pack(tmp_path / "wrong.zip", change(members(tmp_path / "right.zip")))
    assert check_submission("got10k-test", wrong, sequences) == [sentence]


def test_no_zip(tmp_path: Path) -> None:
    sequences = make("trackingnet", tmp_path)
    write_submission("trackingnet", "D3S", sequences, tmp_path, tmp_path / "right.zip")
    right = (tmp_path / "right.zip").read_bytes()
    for content in (b"", b"no zip", right[:-40], right[: len(right) // 2]):
        (tmp_path / "wrong.zip").write_bytes(content)
        (problem,) = check_submission("trackingnet", tmp_path / "wrong.zip", sequences)
        assert "not a zip, or cut off" in problem
    for path in (tmp_path / "none.zip", tmp_path):
        (problem,) = check_submission("trackingnet", path, sequences)
        assert "cannot be read" in problem


def test_damaged_encrypted_and_doubled(tmp_path: Path) -> None:
    sequences = make("trackingnet", tmp_path)
    write_submission("trackingnet", "D3S", sequences, tmp_path, tmp_path / "right.zip")
    right = (tmp_path / "right.zip").read_bytes()
    wrong = tmp_path / "wrong.zip"

    start = right.index(b"cat.txt") + len("cat.txt")
    wrong.write_bytes(right[:start] + bytes(20) + right[start + 20 :])
    (problem,) = check_submission("trackingnet", wrong, sequences)
    assert problem.startswith("cat.txt: it is damaged")

    flag = right.index(b"PK\x01\x02") + 8  # in the list at the end
    wrong.write_bytes(right[:flag] + b"\x01" + right[flag + 1 :])
    assert check_submission("trackingnet", wrong, sequences) == ["cat.txt: it is encrypted"]

    with zipfile.ZipFile(wrong, "w", zipfile.ZIP_LZMA) as archive:
        for name, data in members(tmp_path / "right.zip").items():
            archive.writestr(name, data)
    assert len(check_submission("trackingnet", wrong, sequences)) == 3

    twice = io.BytesIO(right)
    with zipfile.ZipFile(twice, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("cat.txt", members(tmp_path / "right.zip")["cat.txt"])
    wrong.write_bytes(twice.getvalue())
    assert check_submission("trackingnet", wrong, sequences) == ["these files are there twice: cat.txt"]


def test_many_problems(tmp_path: Path) -> None:
    sequences = make("trackingnet", tmp_path, tuple(f"video{number}" for number in range(30)))
    wrong = pack(tmp_path / "wrong.zip", {f"video{number}.txt": b"" for number in range(30)})
    problems = check_submission("trackingnet", wrong, sequences)
    assert len(problems) == 21
    assert problems[-1] == "there is more; mend these first"


def test_not_written(tmp_path: Path) -> None:
    sequences = make("got10k-test", tmp_path)
    target = tmp_path / "a.zip"
    validation = [replace(sequences[0], cover=np.full(5, 8))]
    moved = [replace(sequences[0], truth=sequences[0].truth + 3)]
    for name, which, reason in (
        ("otb100", sequences, "otb100 has no server"),
        ("got10k-test", validation, "cat has its ground truth"),
        ("got10k-test", moved, "would refuse the submission: cat/cat_001.txt: its first line"),
    ):
        with pytest.raises(InputError, match=reason):
            write_submission(name, "D3S", which, tmp_path, target)
    LAYOUTS["got10k-test"].times(tmp_path, "D3S", "owl").unlink()
    with pytest.raises(InputError, match=r"owl_time\.txt is missing"):
        write_submission("got10k-test", "D3S", sequences, tmp_path, target)
    with pytest.raises(InputError, match="otb100 has no server"):
        check_submission("otb100", target, sequences)
    assert not target.exists()
