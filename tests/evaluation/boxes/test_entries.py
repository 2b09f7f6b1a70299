"""Result files of several trackers: every form is read to the same numbers, and what is wrong is said of whom."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from d3s_vot.errors import InputError
from d3s_vot.evaluation.boxes.entries import Entry, find_entries, read_entry, shared_sequences
from d3s_vot.evaluation.boxes.sequences import Sequence

LENGTHS = {"cat": 5, "dog.1": 3}


@pytest.fixture
def sequences() -> list[Sequence]:
    return [
        Sequence(name, tuple(Path(f"{k}.jpg") for k in range(count)), np.full((count, 4), 9.0))
        for name, count in LENGTHS.items()
    ]


def boxes_of(name: str, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 99, (LENGTHS[name], 4)).astype(float)


def put(folder: Path, inner: str, rows: np.ndarray, comma: str = ",", style: str = "{:.3f}") -> Path:
    path = folder / inner
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(comma.join(style.format(value) for value in np.atleast_1d(row)) + "\n" for row in rows))
    return path


def test_every_form_gives_the_same_numbers(tmp_path: Path, sequences: list[Sequence]) -> None:
    for name, count in LENGTHS.items():
        boxes, seconds = boxes_of(name), np.full(count, 0.25)
        put(tmp_path, f"ours/{name}.txt", boxes)
        put(tmp_path, f"ours/times/{name}_time.txt", seconds)
        stem = name.replace(".", "_")  # PyTracking counts targets so
        put(tmp_path, f"py/{stem}.txt", boxes, "\t", "{:.0f}")
        put(tmp_path, f"py/{stem}_time.txt", seconds)
        put(tmp_path, f"toolkit/{name}/{name}_001.txt", boxes)
        put(tmp_path, f"toolkit/{name}/{name}_002.txt", boxes + 1)
        put(tmp_path, f"toolkit/{name}/{name}_time.txt", np.stack([seconds, 3 * seconds], axis=1))
        put(tmp_path, f"spaces/{name}.txt", boxes, "  ")
    found = find_entries("otb100", [str(tmp_path)], sequences)
    assert list(found) == ["ours", "py", "spaces", "toolkit"]
    entries = {key: read_entry("otb100", key, folders, sequences) for key, folders in found.items()}
    for name in LENGTHS:
        for entry in entries.values():
            np.testing.assert_array_equal(entry.runs[name][0], boxes_of(name))
        np.testing.assert_array_equal(entries["toolkit"].runs[name][1], boxes_of(name) + 1)
    assert [len(entry.runs["cat"]) for entry in entries.values()] == [1, 1, 1, 2]
    assert [entry.frames_per_second for entry in entries.values()] == [4, 4, None, 2]


def test_folders_as_users_give_them(tmp_path: Path, sequences: list[Sequence]) -> None:
    put(tmp_path, "run/results/OTBtb100/D3S/cat.txt", boxes_of("cat"))
    put(tmp_path, "dimp/dimp50_000/cat.txt", boxes_of("cat", 1), "\t")
    put(tmp_path, "dimp/dimp50_001/cat.txt", boxes_of("cat", 2), "\t")
    runs = [f"DiMP={tmp_path / 'dimp' / run}" for run in ("dimp50_000", "dimp50_001")]
    found = find_entries("otb100", [str(tmp_path / "run"), *runs], sequences)
    assert {key: len(folders) for key, folders in found.items()} == {"D3S": 1, "DiMP": 2}
    entry = read_entry("otb100", "DiMP", found["DiMP"], sequences)
    assert [run.tolist() for run in entry.runs["cat"]] == [boxes_of("cat", k).tolist() for k in (1, 2)]
    put(tmp_path, "uav/uav_cat.txt", boxes_of("cat"))
    assert list(find_entries("uav123", [str(tmp_path / "uav")], sequences)) == ["uav"]
    for given, said in (
        ([str(tmp_path / "none")], "there is no folder"),
        ([str(tmp_path / "run" / "results" / "OTBtb100" / "D3S")] * 2, "two trackers are called D3S"),
        ([f"DiMP={tmp_path / 'dimp'}"], "holds 2 trackers"),
    ):
        with pytest.raises(InputError, match=said):
            find_entries("otb100", given, sequences)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"holds no results of otb100; .* such as cat\.txt"):
        find_entries("otb100", [str(tmp_path / "empty")], sequences)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"1\t2\t3\t4\n" * 4, "has 4 lines for 5 frames"),
        (b"", "has 0 lines for 5 frames"),
        (b"1\t2\t3\t4\n" * 4 + b"1\t2\tnan\t4\n", "line 5 has a number that is not finite"),
        (b"1\t2\t3\t4\n" * 4 + b"1\t2\t3\n", "line 5 is not 4 numbers parted by commas, tabs or spaces"),
        (b"1\t2\t3\t-4\n" * 5, "line 1 has a negative size"),
        (b"\xff\xd8\xff", "is not a text file"),
    ],
)
def test_damaged_files_are_named_with_their_tracker(
    content: bytes, said: str, tmp_path: Path, sequences: list[Sequence]
) -> None:
    (tmp_path / "cat.txt").write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        read_entry("otb100", "DiMP", [tmp_path], sequences)
    assert f"{tmp_path / 'cat.txt'} of DiMP" in str(caught.value)


def test_damaged_times(tmp_path: Path, sequences: list[Sequence]) -> None:
    put(tmp_path, "cat.txt", boxes_of("cat"))
    put(tmp_path, "cat_time.txt", np.array([1, 1, -1, 1, 1]))
    with pytest.raises(InputError, match=r"cat_time\.txt of DiMP: line 3 has a negative time"):
        read_entry("otb100", "DiMP", [tmp_path], sequences)


def test_sequences_that_all_have(sequences: list[Sequence]) -> None:
    whole = Entry("whole", {name: [boxes_of(name)] for name in LENGTHS})
    part = Entry("part", {"cat": [boxes_of("cat")]})
    both, lacking = shared_sequences([whole, part], sequences)
    assert [sequence.name for sequence in both] == ["cat"] and lacking == {"dog.1": ["part"]}
    with pytest.raises(InputError, match="no sequence that all trackers have; of 2 there are of whole 2, none 0"):
        shared_sequences([whole, Entry("none")], sequences)
