"""The table of a workspace's results, and every way in which results can be incomplete."""

from __future__ import annotations

import csv
import io
import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import toolkit
import yaml

from d3s_vot.errors import InputError
from d3s_vot.evaluation.vot.results import Row, table
from d3s_vot.evaluation.vot.results_table import as_csv, as_json, as_markdown, as_text
from d3s_vot.evaluation.vot.stacks import STACKS
from d3s_vot.evaluation.vot.stored import Sequence, parse_text, read_trajectory
from d3s_vot.evaluation.vot.workspaces import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return toolkit.copy_of_evaluated(tmp_path / "workspace")


def test_row_of_a_workspace() -> None:
    (row,) = table(toolkit.evaluated(), [])
    assert row.tracker == "StandIn" and row.repetitions == 3
    for name in ("a", "eao", "a_toolkit", "eao_toolkit", "ao", "ao_toolkit"):
        assert 0 < getattr(row, name) < 1, name
    assert row.failures and row.r100 == pytest.approx(100 * row.failures / 154)
    assert row.fps and row.fps > 0


def test_frames_are_not_needed(workspace: Path) -> None:
    for name in toolkit.SEQUENCES:
        folder = workspace / "sequences" / name
        folder.unlink()
        folder.mkdir()
        for file in ("groundtruth.txt", "sequence"):
            shutil.copy(toolkit.sample() / name / file, folder)
    assert table(workspace, ["StandIn"]) == table(toolkit.evaluated(), ["StandIn"])


def test_size_from_the_first_frame(tmp_path: Path) -> None:
    folder = tmp_path / "cat"
    shutil.copytree(toolkit.sample() / "cat", folder)
    whole = Sequence.load(folder)
    (folder / "sequence").unlink()
    alone = Sequence.load(folder)
    assert (alone.width, alone.height, len(alone.truth)) == (whole.width, whole.height, 50)
    shutil.rmtree(folder / "color")
    with pytest.raises(InputError, match=r"00000001\.jpg"):
        Sequence.load(folder)


def test_text_results(workspace: Path) -> None:
    """The older text format gives the same numbers."""
    expected = table(workspace, [])[0]
    for path in (workspace / "results").rglob("*.bin"):
        lines = [
            str(entry) if isinstance(entry, int) else ",".join(f"{value:.17g}" for value in entry.ravel())
            for entry in read_trajectory(path)
        ]
        path.with_suffix(".txt").write_text("\n".join(lines) + "\n")
        path.unlink()
    row = table(workspace, [])[0]
    assert row == expected


def test_published_row(workspace: Path) -> None:
    config = workspace / "config.yaml"
    config.write_text(config.read_text().replace("./stack.yaml", "vot2018/shortterm"))
    row, published = table(workspace, [])
    assert row.eao != row.eao  # NaN: no sample sequence is 100 frames long
    assert published == Row("D3S (paper, VOT2018)", a=0.64, r100=0.15, eao=0.489)
    assert "NaN" in as_text([row])
    assert json.loads(as_json([row]))[0]["eao"] is None
    assert STACKS["vot2016/rgb"].published == ("VOT2016", 0.66, 0.131, 0.493)


def test_formats() -> None:
    rows = table(toolkit.evaluated(), [])
    exact = json.loads(as_json(rows))[0]
    assert exact["eao"] == rows[0].eao and exact["tracker"] == "StandIn"
    (line,) = csv.DictReader(io.StringIO(as_csv(rows)))
    assert float(line["a_toolkit"]) == rows[0].a_toolkit
    assert as_markdown(rows).splitlines()[2].startswith("| StandIn | 0.")
    text = as_text(rows)
    assert "R100" in text and "failures per 100 frames" in text and f"{rows[0].eao:.3f}" in text


def test_experiment_that_was_not_run(workspace: Path, caplog: pytest.LogCaptureFixture) -> None:
    shutil.rmtree(workspace / "results" / "StandIn" / "unsupervised")
    row = table(workspace, [])[0]
    assert row.ao is None and row.fps and row.eao
    assert "StandIn has no unsupervised results" in caplog.text


def result(root: Path, name: str = "cat", number: int = 1, experiment: str = "baseline") -> Path:
    return root / "results" / "StandIn" / experiment / name / f"{name}_{number:03d}.bin"


def cut_off(root: Path) -> None:
    path = result(root)
    path.write_bytes(path.read_bytes()[:-7])


def emptied(root: Path) -> None:
    result(root).write_bytes(b"")


def prolonged(root: Path) -> None:
    path = result(root)
    path.write_bytes(path.read_bytes() + b"1234")


def other_version(root: Path) -> None:
    path = result(root)
    path.write_bytes(struct.pack("<H", 9) + path.read_bytes()[2:])


def frames_dropped(root: Path) -> None:
    source = read_trajectory(result(root, "cup"))[:-3]
    result(root, "cup").unlink()
    lines = [str(e) if isinstance(e, int) else ",".join(map(str, e)) for e in source]
    result(root, "cup").with_suffix(".txt").write_text("\n".join(lines) + "\n")


def not_a_number(root: Path) -> None:
    path = result(root, "cup")
    data = bytearray(path.read_bytes())
    data[-4:] = struct.pack("<f", float("nan"))
    path.write_bytes(data)


def repetitions_differ(root: Path) -> None:
    path = result(root, "cup", 3)
    data = bytearray(path.read_bytes())
    x, y, w, h = struct.unpack("<4f", data[-16:])
    data[-16:] = struct.pack("<4f", x + 1, y, w, h)
    path.write_bytes(data)


def stack(root: Path, old: str, new: str) -> None:
    path = root / "stack.yaml"
    path.write_text(path.read_text().replace(old, new))


DAMAGES: list[tuple[Callable[[Path], object], str]] = [
    (lambda root: shutil.rmtree(result(root).parent), "sequence cat of baseline is missing"),
    (lambda root: shutil.rmtree(result(root).parents[1]), "cat of baseline is missing.*shuttle.*cup"),
    (lambda root: result(root, experiment="unsupervised").unlink(), "cat of unsupervised is missing"),
    (lambda root: result(root, number=3).unlink(), "cat of baseline has 2 repetitions of 15"),
    (lambda root: result(root, number=2).unlink(), "cat of baseline has 1 repetitions of 15"),
    (repetitions_differ, "cup of baseline has 3 repetitions of 15"),
    (cut_off, r"cat_001\.bin is cut off"),
    (emptied, r"cat_001\.bin is cut off"),
    (prolonged, r"cat_001\.bin is no trajectory: 4 bytes follow"),
    (other_version, r"cat_001\.bin is no trajectory: version 9"),
    (frames_dropped, r"cup_001\.txt has 51 frames instead of 54"),
    (not_a_number, r"cup_001\.bin holds a value that is not finite in frame 54"),
    (lambda root: shutil.rmtree(root / "results"), "holds no results"),
    (lambda root: (root / "config.yaml").unlink(), "config.yaml cannot be read"),
    (lambda root: (root / "config.yaml").write_text("- a\n- b"), "no table of settings"),
    (lambda root: (root / "config.yaml").write_text("a: [b"), "no valid YAML"),
    (lambda root: (root / "config.yaml").write_text("stack: vot1999"), "names the stack 'vot1999'"),
    (lambda root: (root / "stack.yaml").write_text("experiments: {}"), "no experiment of type 'supervised'"),
    (lambda root: stack(root, "repetitions: 15", "repetitions: -1"), "an experiment of -1 repetitions; it takes 1"),
    (lambda root: stack(root, "repetitions: 15", "repetitions: many"), "is no stack of the VOT toolkit"),
    (lambda root: stack(root, "low: 10", "low: []"), "is no stack of the VOT toolkit"),
    (lambda root: (root / "sequences" / "list.txt").unlink(), "no list of sequences"),
    (lambda root: (root / "sequences" / "list.txt").write_bytes(b"cat\xff"), "cannot be read as a list of sequences"),
    (lambda root: (root / "sequences" / "list.txt").write_text("cat\ndog\n"), r"dog.groundtruth\.txt"),
]


@pytest.mark.parametrize(("damage", "words"), DAMAGES, ids=[words for _, words in DAMAGES])
def test_incomplete_results(workspace: Path, damage: Callable[[Path], object], words: str) -> None:
    damage(workspace)
    with pytest.raises(InputError, match=words) as caught:
        table(workspace, [])
    assert "\n" not in str(caught.value)


def test_damaged_times(workspace: Path) -> None:
    times = result(workspace, experiment="unsupervised").with_name("cat_001_time.value")
    times.write_text("0.1\nsoon\n")
    with pytest.raises(InputError, match=r"cat_001_time\.value holds a line that is no time"):
        table(workspace, [])
    times.unlink()
    assert table(workspace, [])[0].fps is None


def test_unknown_tracker(workspace: Path) -> None:
    with pytest.raises(InputError, match=r"Nobody has no results .* \(there are: StandIn\)"):
        table(workspace, ["Nobody"])


def test_fifteen_different_repetitions(workspace: Path) -> None:
    """Repetitions that differ are fine when all are there; the row says how many."""
    for name in toolkit.SEQUENCES:
        for number in range(4, 16):
            shutil.copy(result(workspace, name), result(workspace, name, number))
    repetitions_differ(workspace)
    assert table(workspace, [])[0].repetitions == 15


def test_annotation_must_agree(tmp_path: Path) -> None:
    folder = tmp_path / "cat"
    folder.mkdir()
    shutil.copy(toolkit.sample() / "cat" / "groundtruth.txt", folder)
    (folder / "sequence").write_text("length=49\nwidth=400\nheight=300\n")
    with pytest.raises(InputError, match=r"`sequence` says 49 frames, groundtruth\.txt has 50"):
        Sequence.load(folder)
    (folder / "groundtruth.txt").write_text("1,2,3,nan\n")
    with pytest.raises(InputError, match="not finite in frame 1"):
        Sequence.load(folder)
    (folder / "groundtruth.txt").write_text("")
    with pytest.raises(InputError, match="empty"):
        Sequence.load(folder)


def test_parse_text() -> None:
    code, box, corners = parse_text("1\n1,2,3,4\n0,0,1,0,1,1\n")
    assert code == 1 and isinstance(box, np.ndarray) and isinstance(corners, np.ndarray)
    assert box.tolist() == [1, 2, 3, 4] and corners.shape == (3, 2)
    for bad in ("1,2\n", "m3,4\n", "1,2,3,4,5\n"):
        with pytest.raises(ValueError):
            parse_text(bad)


def test_the_stack_of_the_repository() -> None:
    """The workspaces that are shipped name stacks that the table knows."""
    folder = toolkit.TESTS.parent / "workspace"
    for name, window in (("vot2016", (108, 371)), ("vot2018", (100, 356))):
        text = (folder / name / "config.yaml").read_text()
        stack = next(line.split()[-1] for line in text.splitlines() if line.startswith("stack:"))
        assert STACKS[stack].window == window
    experiments = yaml.safe_load((folder / "stack.yaml").read_text())["experiments"]
    assert set(experiments) == {"baseline", "realtime", "unsupervised"}


def test_workspace_lists_its_trackers() -> None:
    assert Workspace.load(toolkit.evaluated()).trackers() == ["StandIn"]


def test_folders_that_are_no_trackers(workspace: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What Jupyter leaves, what people put aside, what a run has only begun."""
    expected = table(workspace, [])
    folder = workspace / "results"
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / "__MACOSX" / "baseline" / "cat").mkdir(parents=True)
    shutil.copytree(folder / "StandIn", folder / "old" / "StandIn")
    (folder / "Begun" / "baseline" / "cat").mkdir(parents=True)
    (folder / "Begun" / "baseline" / "cat" / ".cat_001.bin.0123abcd.part").write_bytes(b"half")
    (folder / "notes.txt").write_text("by hand")
    assert table(workspace, []) == expected
    (text,) = {record.getMessage() for record in caplog.records}
    assert text == "left out, without results of this workspace's experiments: Begun, old"
    with pytest.raises(InputError, match="the results of Begun are incomplete"):
        table(workspace, ["Begun"])


def test_a_stack_without_resets(workspace: Path) -> None:
    """Long videos are run without: the AO is what there is."""
    with_resets = table(workspace, [])[0]
    (workspace / "stack.yaml").write_text("experiments:\n  unsupervised: {type: unsupervised, repetitions: 1}\n")
    shutil.rmtree(workspace / "results" / "StandIn" / "baseline")
    row = table(workspace, [])[0]
    same = {name: getattr(with_resets, name) for name in ("ao", "ao_toolkit", "fps")}
    assert row == Row("StandIn", repetitions=1, **same)


def test_an_absent_target_does_not_count(workspace: Path) -> None:
    """The AO of the other frames is as before; nothing of it is a failure."""
    folder = workspace / "sequences" / "cup"
    folder.unlink()
    shutil.copytree(toolkit.sample() / "cup", folder)
    whole = Workspace.load(workspace)
    expected = table(workspace, [])[0]
    lines = (folder / "groundtruth.txt").read_text().splitlines()
    lines[20] = lines[21] = ",".join(["NaN"] * lines[0].count(",")) + ",NaN"
    (folder / "groundtruth.txt").write_text("\n".join(lines) + "\n")
    absent = [region is None for region in Workspace.load(workspace).sequences[2].truth]
    assert np.flatnonzero(absent).tolist() == [20, 21] and len(whole.sequences[2].truth) == len(absent)
    row = table(workspace, [])[0]
    assert row.failures == expected.failures and row.a is not None and expected.a is not None
    assert row.ao != expected.ao and abs(row.a - expected.a) < 0.05


def test_text_in_the_place_of_a_path(workspace: Path) -> None:
    assert table(str(workspace), []) == table(workspace, ["StandIn", "StandIn"])  # type: ignore[arg-type]
