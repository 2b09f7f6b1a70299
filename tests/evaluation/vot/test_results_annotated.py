"""Measures of anchors, long runs and several objects: the toolkit's own, on an example and on results by chance."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import annotated
import numpy as np
import pytest
import toolkit
from annotated import ANCHORS, LONGTERM, OBJECTS, Chance, anchored_example, by_chance, objects_example

from d3s_vot.errors import InputError
from d3s_vot.evaluation.vot import multistart
from d3s_vot.evaluation.vot.annotated import Annotated
from d3s_vot.evaluation.vot.multistart import AnchorRun
from d3s_vot.evaluation.vot.results import Row, table
from d3s_vot.evaluation.vot.results_annotated import AnchorRow, LongtermRow, ObjectsRow
from d3s_vot.evaluation.vot.results_page import write_page
from d3s_vot.evaluation.vot.results_table import as_text
from d3s_vot.evaluation.vot.stacks import (
    STACKS,
    AnchorStack,
    LongtermStack,
    ObjectStack,
    Stack,
    find_stack,
    read_yaml,
)
from d3s_vot.evaluation.vot.workspaces import AnnotatedWorkspace, Workspace, open_workspace


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Path], dict[str, Any]]:
    """The workspaces by their names, and what the toolkit says of each."""
    folder = tmp_path_factory.mktemp("annotated")
    roots = {
        "anchors": anchored_example(folder / "anchors"),
        "objects": objects_example(folder / "objects"),
        "chance": by_chance(folder / "chance", Chance(1), ANCHORS + LONGTERM, objects=False),
        "several": by_chance(folder / "several", Chance(2), OBJECTS, objects=True),
    }
    return roots, dict(zip(roots, annotated.analyses(*roots.values()), strict=True))


def test_the_example_of_anchors(made: tuple[dict[str, Path], dict[str, Any]]) -> None:
    """The values that the task's notes give, the toolkit's and ours."""
    roots, theirs = made
    oracle, shift = table(roots["anchors"], [])
    assert isinstance(shift, AnchorRow) and isinstance(oracle, AnchorRow)
    assert [shift.a, shift.r, shift.eao] == pytest.approx([0.628205, 0.583333, 0.310147], abs=1e-6)
    assert [oracle.a, oracle.r, oracle.eao, oracle.ao] == pytest.approx([0.958763, 1, 0.714286, 1], abs=1e-6)
    assert shift.ao == pytest.approx(0.475096, abs=1e-6)
    for row in (shift, oracle):
        (eao,), (curve,), (a, r, *_) = theirs["anchors"]["baseline"][row.tracker]
        assert [row.a, row.r, row.eao] == pytest.approx([a, r, eao], abs=1e-12)
        assert row.ao == pytest.approx(theirs["anchors"]["unsupervised"][row.tracker][0][0], abs=1e-12)
        if row is shift:
            assert [curve[13], curve[35]] == pytest.approx([0.444444, 0.137255], abs=1e-6)
    assert row.fps == pytest.approx(100) and row.runs == 4


def test_the_example_of_objects(made: tuple[dict[str, Path], dict[str, Any]]) -> None:
    roots, theirs = made
    oracle, shift = table(roots["objects"], [])
    expected = {
        "SHIFT": [0.566667, 0.630556, 0.827778, 0.088889, 0.083333, 0.666667],
        "ORACLE": [0.958333, 0.952778, 0.952778, 0.047222, 0, 1],
    }
    for row in (shift, oracle):
        assert isinstance(row, ObjectsRow)
        ours = [row.q, row.a, row.r, row.nre, row.dre, row.adq]
        assert ours == pytest.approx(expected[row.tracker], abs=1e-6)
        (q,), (a, r, _), rest = theirs["objects"]["baseline"][row.tracker]
        assert ours == pytest.approx([q, a, r, *rest], abs=1e-12)
        assert row.fps == pytest.approx(100) and row.objects == 3


def test_results_by_chance(made: tuple[dict[str, Path], dict[str, Any]]) -> None:
    """Masks, thin ones and none, rectangles, polygons, frames that are not annotated."""
    roots, theirs = made
    (row,) = table(roots["chance"], [])
    assert isinstance(row, AnchorRow)
    (eao,), _, (a, r, *_) = theirs["chance"]["baseline"]["BLIND"]
    ao = theirs["chance"]["unsupervised"]["BLIND"][0][0]
    assert [row.a, row.r, row.eao, row.ao] == pytest.approx([a, r, eao, ao], abs=1e-9)
    assert 0.1 < row.r < 0.9 and 0.05 < row.eao < 0.9

    (several,) = table(roots["several"], [])
    assert isinstance(several, ObjectsRow)
    (q,), (a, r, _), rest = theirs["several"]["baseline"]["BLIND"]
    ours = [several.q, several.a, several.r, several.nre, several.dre, several.adq]
    assert ours == pytest.approx([q, a, r, *rest], abs=1e-9)
    assert all(value is not None and 0.01 < value < 0.99 for value in ours)


def test_long_runs_by_chance(made: tuple[dict[str, Path], dict[str, Any]], tmp_path: Path) -> None:
    """More confidences than thresholds, equal ones, and those of the first frames, which are not stored."""
    roots, theirs = made
    root = tmp_path / "longterm"
    shutil.copytree(roots["chance"], root)
    (root / "stack.yaml").write_text(f"experiments:{LONGTERM}")
    (row,) = table(root, [])
    assert isinstance(row, LongtermRow)
    precision, recall, f = theirs["chance"]["longterm"]["BLIND"][0]
    assert [row.precision, row.recall, row.f] == pytest.approx([precision, recall, f], abs=1e-9)
    assert "Pr" in as_text([row]) and row.fps == pytest.approx(100)


def test_the_end_of_a_run() -> None:
    """Ten bad frames in a row; the first frame counts, an absent target does not, nine at the end are no failure."""

    def end(text: str) -> int:
        overlaps = np.array([int(letter) / 10 if letter.isdigit() else 0.0 for letter in text])
        return AnchorRun(overlaps, np.array([letter == "-" for letter in text])).end

    assert end("0" * 10) == 0 and end("0" * 9) == 9
    assert end("09" + "0" * 9) == 11 and end("09" + "1" * 10) == 2
    assert end("09" + "0" * 9 + "2" + "0" * 10) == 12
    assert end("09" + "0" * 5 + "-" + "0" * 9) == 17 and end("09" + "0" * 5 + "-" + "0" * 10) == 8
    assert multistart.accuracy([[AnchorRun(np.zeros(12), np.zeros(12, bool))]]) == 0


def test_the_first_frame_alone() -> None:
    """An anchor in the last frame gives a run of one frame, which says nothing."""
    run = AnchorRun(np.zeros(1), np.zeros(1, bool))
    assert multistart.eao_curve([[run]], 5).tolist() == [0] * 5


def test_stacks_of_the_toolkit() -> None:
    assert isinstance(STACKS["vot2020/shortterm"], AnchorStack) and STACKS["vot2022/shortterm"].window == (115, 755)
    assert STACKS["vot2020/longterm"] == LongtermStack("longterm", 100)
    assert STACKS["vots2025/main"] == ObjectStack() and STACKS["vots2024/votstval"].tag == "evaluation"


def test_stacks_are_the_toolkits() -> None:
    """Every stack whose name is known is read from the toolkit's own file as the table has it."""
    from vot.stack import resolve_stack

    for name, known in STACKS.items():
        path = Path(resolve_stack(name))
        if isinstance(known, Stack):  # which have published figures, too
            continue
        if name == "vot2020/rgbtir":  # in real time alone
            continue
        assert find_stack(path.parent, path.name) == known, name


def object_file(root: Path) -> Path:
    return root / "results" / "SHIFT" / "baseline" / "c" / "c_two_001.bin"


DAMAGES: list[tuple[str, Callable[[Path], object], str]] = [
    ("objects", lambda root: object_file(root).unlink(), "c_two_001 of baseline is missing"),
    ("objects", lambda root: object_file(root).write_bytes(object_file(root).read_bytes()[:-1]), "is cut off"),
    ("objects", lambda root: (root / "sequences" / "c" / "groundtruth_two.txt").write_text("m1,2,3,4,99\n"),
     "cover 99 pixels of a box of 3 x 4"),
    ("objects", lambda root: (root / "sequences" / "c" / "groundtruth_two.txt").write_text("1\n" * 30),
     "shows its object in no frame"),
    ("objects", lambda root: (root / "sequences" / "c" / "groundtruth_two.txt").write_text("0\nm1,2,3,4,2,3\n"),
     "groundtruth_two.txt has 2 frames and groundtruth_one.txt 30"),
    ("objects", lambda root: (root / "stack.yaml").write_text(OBJECTS.replace("{type: longterm_ar}",
     "{type: longterm_ar, filter_tag: evaluation}")), r"evaluation\.tag cannot be read"),
    ("anchors", lambda root: (root / "sequences" / "a" / "anchor.value").unlink(), "has no anchors"),
    ("anchors", lambda root: (root / "sequences" / "a" / "anchor.value").write_text("1\n" * 31), "has 31 lines"),
    ("anchors", lambda root: (root / "sequences" / "a" / "anchor.value").write_text("one\n"), "no number"),
    ("anchors", lambda root: (root / "results" / "SHIFT" / "baseline" / "a" / "a_00000029.bin").unlink(),
     "a_00000029 of baseline is missing"),
    ("anchors", lambda root: (root / "sequences" / "a" / "groundtruth_b.txt").write_text("0\n" * 29 + "1,2,3,4\n")
     and (root / "sequences" / "a" / "groundtruth.txt").rename(root / "sequences" / "a" / "groundtruth_a.txt"),
     "has 2 objects, and the experiments of this stack take one"),
    ("anchors", lambda root: (root / "stack.yaml").write_text(f"experiments:{LONGTERM}"),
     "a_001 of longterm is missing"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "damage", "words"), DAMAGES, ids=[words for _, _, words in DAMAGES])
def test_what_cannot_be_measured(kind: str, damage: Callable[[Path], object], words: str, tmp_path: Path) -> None:
    root = {"objects": objects_example, "anchors": anchored_example}[kind](tmp_path / "workspace")
    damage(root)
    with pytest.raises(InputError, match=words) as caught:
        table(root, ["SHIFT"])
    assert "\n" not in str(caught.value)


def test_runs_without_anchors_may_be_missing(tmp_path: Path) -> None:
    root = anchored_example(tmp_path / "workspace")
    shutil.rmtree(root / "results" / "SHIFT" / "unsupervised")
    oracle, shift = table(root, [])
    assert isinstance(shift, AnchorRow) and shift.ao is None and shift.a is not None
    assert isinstance(oracle, AnchorRow) and oracle.ao == 1
    with pytest.raises(InputError, match=r"Nobody has no results in this workspace \(there are: ORACLE, SHIFT\)"):
        table(root, ["Nobody"])


def test_the_page_is_of_other_stacks(tmp_path: Path) -> None:
    root = objects_example(tmp_path / "workspace")
    assert isinstance(open_workspace(root), AnnotatedWorkspace)
    with pytest.raises(InputError, match="has no such page"):
        Workspace.load(root)


def test_a_tag_says_which_frames_count(tmp_path: Path) -> None:
    root = objects_example(tmp_path / "workspace")
    for name, count in (("c", 30), ("d", 20)):
        folder = root / "sequences" / name
        (folder / "evaluation.tag").write_text("1\n" * 15 + "0\n" * (count - 15))
        (folder / "groundtruth__ignore.txt").write_text("0\n" * count)
    (root / "stack.yaml").write_text(OBJECTS.replace("burnin: 0", "filter_tag: evaluation, burnin: 0"))
    assert Annotated.load(root / "sequences" / "c").tag("evaluation") == [True] * 15 + [False] * 15
    oracle, shift = table(root, [])
    assert isinstance(shift, ObjectsRow) and isinstance(oracle, ObjectsRow)
    assert shift.r == oracle.q == pytest.approx(14 / 15) and shift.adq is None


def test_pixels_that_do_not_count(tmp_path: Path) -> None:
    """Of two squares two pixels apart the columns that only one has are ignored."""
    root = objects_example(tmp_path / "workspace")
    (root / "sequences" / "list.txt").write_text("d\n")
    columns = "".join(f"m20,{5 + i},12,10,{','.join(['0,2,8,2'] * 10)}\n" for i in range(20))
    (root / "sequences" / "d" / "groundtruth__ignore.txt").write_text(columns)
    oracle, shift = table(root, [])
    assert isinstance(shift, ObjectsRow) and isinstance(oracle, ObjectsRow)
    assert shift.q == oracle.q == pytest.approx(19 / 20) and shift.objects == 1


def test_masks_without_anchors(tmp_path: Path) -> None:
    """A stack of plain runs has the table and the page of old, with the outlines of the masks."""
    root = anchored_example(tmp_path / "workspace")
    (root / "stack.yaml").write_text("experiments:\n  unsupervised: {type: unsupervised, repetitions: 1}\n")
    oracle, shift = table(root, [])
    assert isinstance(oracle, Row) and isinstance(shift, Row)
    assert oracle.ao == 1 and shift.ao == pytest.approx(0.475096, abs=1e-6)
    write_page(root, [], root / "page.html")
    page = (root / "page.html").read_text("utf-8")
    assert page.count("<polygon") >= 8 and "data:image/jpeg" in page


def test_the_workspaces_of_the_repository() -> None:
    """Their stacks are known, and the registries say what is answered where a target is not seen."""
    kinds = {
        "vot2020": AnchorStack(),
        "vot2022": AnchorStack(),
        "vot2020-sample": AnchorStack(window=(20, 50)),
        "vots2025": ObjectStack(),
        "vots-sample": ObjectStack(),
    }
    for name, expected in kinds.items():
        folder = toolkit.TESTS.parent / "workspace" / name
        config = read_yaml(folder / "config.yaml")
        assert find_stack(folder, config["stack"]) == expected, name
        (registry,) = config["registry"]
        text = (folder / registry).read_text()
        assert "[D3S]" in text and ("env_D3S_VOT_UNSEEN = empty" in text) == isinstance(expected, ObjectStack)
