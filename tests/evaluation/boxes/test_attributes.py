"""Attributes of sequences: the benchmarks' files, a table of one's own, GOT-10k's labels; what is wrong is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from layouts import moving_disc, write_layout, write_text

from d3s_vot.errors import InputError
from d3s_vot.evaluation.boxes.attributes import LASOT, OTB, UAV123, read_attributes
from d3s_vot.evaluation.boxes.boxsets import open_boxset
from d3s_vot.evaluation.boxes.sequences import Sequence

SEQUENCES = [Sequence(name, (Path("0.jpg"),), None) for name in ("cat", "dog", "Jogging.2")]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "place", "order"),
    [("otb100", "anno/att", OTB), ("uav123", "anno/UAV123/att", UAV123), ("lasot", "att", LASOT)],
)
def test_files_of_the_benchmarks(name: str, place: str, order: tuple[str, ...], tmp_path: Path) -> None:
    assert read_attributes(name, tmp_path, SEQUENCES) == {}
    flags = ["0"] * len(order)
    flags[1] = flags[-1] = "1"
    write_text(tmp_path / place / "cat.txt", [",".join(flags)])
    write_text(tmp_path / place / "Jogging-2.txt", ["\t".join("0" * len(order))])
    found = read_attributes(name, tmp_path, SEQUENCES)
    assert found == {"cat": (order[1], order[-1]), "Jogging.2": ()}
    assert len(set(order)) == len(order)
    write_text(tmp_path / place / "dog.txt", ["0,1,2"])
    with pytest.raises(InputError, match=rf"dog\.txt must have {len(order)} values 0 or 1"):
        read_attributes(name, tmp_path, SEQUENCES)


def test_tables_and_names_of_ones_own(tmp_path: Path) -> None:
    table = tmp_path / "own.csv"
    write_text(table, ["sequence,blur,night", "cat,1,1", "dog,0,1", "other,1,0"])
    assert read_attributes("dtb70", tmp_path, SEQUENCES, table) == {"cat": ("blur", "night"), "dog": ("night",)}
    write_text(tmp_path / "flags" / "cat.txt", ["1 0"])
    with pytest.raises(InputError, match=r"have no names; write them into .*names\.txt"):
        read_attributes("dtb70", tmp_path, SEQUENCES, tmp_path / "flags")
    write_text(tmp_path / "flags" / "names.txt", ["blur", "night"])
    assert read_attributes("dtb70", tmp_path, SEQUENCES, tmp_path / "flags") == {"cat": ("blur",)}
    for lines, said in (
        (["blur,night"], "must begin with a row such as"),
        (["sequence,blur", "cat,yes"], "line 2 must be a sequence and 1 values 0 or 1"),
        (["sequence,blur", "other,1"], "has the attributes of no sequence of dtb70; cat is one"),
    ):
        write_text(table, lines)
        with pytest.raises(InputError, match=said):
            read_attributes("dtb70", tmp_path, SEQUENCES, table)
    with pytest.raises(InputError, match=r"there is no .*none; give the folder or the table"):
        read_attributes("dtb70", tmp_path, SEQUENCES, tmp_path / "none")


def test_labels_of_got10k(tmp_path: Path) -> None:
    write_layout("got10k-val", tmp_path, [moving_disc("a", 3), moving_disc("b", 3)])
    write_text(tmp_path / "val" / "a" / "absence.label", ["0", "1", "0"])
    with (tmp_path / "val" / "b" / "meta_info.ini").open("a") as file:
        file.write("root_class: object\nmotion_class: drift\n")
    found = read_attributes("got10k-val", tmp_path, open_boxset("got10k-val", tmp_path))
    assert found == {"a": ("absent at times",), "b": ("root class: object", "motion class: drift")}
