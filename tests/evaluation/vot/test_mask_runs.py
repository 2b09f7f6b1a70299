"""Runs of workspaces with masks: several objects in one session of the toolkit and one after the other, and anchors."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest
import toolkit
from annotated import ANCHORS, LONGTERM, OBJECTS

from d3s_vot.errors import InputError
from d3s_vot.evaluation.vot import experiments as vot_experiments
from d3s_vot.evaluation.vot.annotated import Annotated
from d3s_vot.evaluation.vot.experiments import evaluate
from d3s_vot.evaluation.vot.results import table
from d3s_vot.evaluation.vot.results_annotated import AnchorRow, ObjectsRow
from d3s_vot.evaluation.vot.stored import read_trajectory
from d3s_vot.mask_codes import PlacedMask, to_code
from d3s_vot.sample.scenes import OBJECT_SCENES, SCENES, Thing
from d3s_vot.sample.write import render


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("D3S_VOT_DEVICE", "cpu")
    for name in ("D3S_VOT_THREADS", "D3S_VOT_UNSEEN", "D3S_VOT_MULTIOBJECT"):
        monkeypatch.delenv(name, raising=False)


def workspace(root: Path, kind: str, length: int) -> Path:
    """The first frames of a sample sequence, for the stand-in."""
    whole = OBJECT_SCENES[2] if kind == "objects" else SCENES[4]
    part = (length - 1) / (whole.length - 1)

    def slower(thing: Thing) -> Thing:
        return dataclasses.replace(thing, way=lambda t: thing.way(t * part))

    target, *others = map(slower, (whole.target, *whole.others))
    scene = dataclasses.replace(
        whole,
        length=length,
        target=target,
        others=tuple(others),
        pan=lambda t: whole.pan(t * part),
        light=lambda t: whole.light(t * part),
    )
    folder = root / "sequences" / scene.name
    folder.mkdir(parents=True)
    render(scene, folder, kind)
    (root / "sequences" / "list.txt").write_text(f"{scene.name}\n")
    (root / "config.yaml").write_text(toolkit.CONFIG)
    (root / "stack.yaml").write_text(OBJECTS if kind == "objects" else ANCHORS)
    (root / "trackers.ini").write_text(toolkit.REGISTRY)
    return root


def results(root: Path) -> dict[str, bytes]:
    files = (root / "results").rglob("*")
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in files
        if path.is_file() and not path.name.endswith("_time.value") and not path.name.startswith(".")
    }


def test_several_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three in one session of `vot evaluate`, and one after the other in `d3s-vot evaluate`: the same files."""
    together, alone = (workspace(tmp_path / name, "objects", 5) for name in ("together", "alone"))
    log = tmp_path / "log"
    said = toolkit.vot("evaluate", "--workspace", str(together), "StandIn", D3S_VOT_LOG=str(log))
    monkeypatch.setenv("D3S_VOT_MULTIOBJECT", "0")
    evaluate(alone, ["StandIn"])
    found = results(together)
    stems = [f"yard_{name}_001" for name in ("astronaut", "motorcycle", "shuttle")]
    expected = {f"results/StandIn/baseline/yard/{stem}{end}" for stem in stems for end in (".bin", "_confidence.value")}
    assert set(found) == expected, said
    assert found == results(alone)
    entries = read_trajectory(together / "results/StandIn/baseline/yard/yard_motorcycle_001.bin")
    assert entries[0] == 1 and all(isinstance(entry, PlacedMask) for entry in entries[1:])
    (row,) = table(together, [])
    assert isinstance(row, ObjectsRow) and row.objects == 3 and row.q is not None and 0.5 < row.q < 1


def test_anchors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A forward run and one backward; finished ones are not run again; damaged masks are told of, not read."""
    root = workspace(tmp_path / "workspace", "anchors", 6)
    folder = root / "sequences" / "cup"
    (folder / "anchor.value").write_text("1\n0\n0\n0\n-1\n0\n")
    evaluate(root, ["StandIn"])
    runs = root / "results" / "StandIn" / "baseline" / "cup"
    backward = read_trajectory(runs / "cup_00000004.bin")
    assert len(read_trajectory(runs / "cup_00000000.bin")) == 6 and len(backward) == 5
    truth = Annotated.load(folder).objects["object"]
    assert Annotated.load(folder).overlap(backward[1], truth[3], 3) > 0.8  # backward, frame by frame
    assert Annotated.load(folder).overlap(backward[3], truth[1], 1) > 0.8
    (row,) = table(root, [])
    assert isinstance(row, AnchorRow) and row.runs == 2 and row.r is not None and row.r == 1
    capsys.readouterr()
    evaluate(root, ["StandIn"])
    assert "sequences to run: 0, finished before: 2" in capsys.readouterr().out
    data = bytearray((runs / "cup_00000004.bin").read_bytes())
    data[-2:] = b"\xff\xff"
    (runs / "cup_00000004.bin").write_bytes(data)
    with pytest.raises(InputError, match=r"cup_00000004\.bin is damaged .*cover \d+ pixels"):
        evaluate(root, ["StandIn"])


def test_what_is_told_before_anything_runs(tmp_path: Path) -> None:
    """Objects, masks and anchors with which the toolkit would end, or write past its memory."""
    root = workspace(tmp_path / "workspace", "objects", 3)
    folder = root / "sequences" / "yard"
    path = folder / "groundtruth_shuttle.txt"
    whole = path.read_text()
    lines = whole.splitlines()

    def refused(text: str, words: str) -> None:
        path.write_text(text)
        with pytest.raises(InputError, match=words) as caught:
            evaluate(root, ["StandIn"])
        assert "\n" not in str(caught.value) and not list(root.rglob("*.bin"))

    refused("\n".join(["0", *lines[1:]]), r"yard: .*groundtruth_shuttle\.txt gives no target in the first frame, where")
    thin = to_code(PlacedMask(3, 4, np.ones((1, 9), bool)))
    refused("\n".join([thin, *lines[1:]]), "gives no target in the first frame")
    refused("\n".join([lines[0], "m1,2,3,4,5,99", lines[2]]), "in line 2: the runs of a mask cover 104 pixels")
    refused("\n".join(lines[:2]), r"3 frames, but .*groundtruth_shuttle\.txt has 2 regions")
    (root / "stack.yaml").write_text(ANCHORS)
    refused(whole, "it has 3 objects, which baseline and unsupervised of vot-toolkit 0.7.4 cannot take")
    for name in ("shuttle", "astronaut"):
        (folder / f"groundtruth_{name}.txt").unlink()
    path = folder / "groundtruth__ignore.txt"
    refused("0\n" * 3, "it has pixels that do not count")
    path.unlink()
    path = folder / "anchor.value"
    refused("0\n0\n", "it has no anchors")
    truth = folder / "groundtruth_motorcycle.txt"
    first, _, last = truth.read_text().splitlines()
    truth.write_text(f"{first}\n{thin}\n{last}\n")
    refused("1\n1\n", "an anchor is in frame 2, which shows no target")


@pytest.mark.parametrize(
    ("stack", "given", "expected"),
    [(OBJECTS, None, "empty"), (OBJECTS, "box", "box"), (f"experiments:{LONGTERM}", None, "doubt"),
     (ANCHORS, None, None)],
)  # fmt: skip
def test_a_target_that_is_not_seen(
    stack: str, given: str | None, expected: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told as the stack wants it, unless the user says otherwise; what it was goes into the manifest."""
    if given is not None:
        monkeypatch.setenv("D3S_VOT_UNSEEN", given)
    root = workspace(tmp_path / "workspace", "anchors", 3)
    (root / "stack.yaml").write_text(stack)
    seen: list[str | None] = []
    monkeypatch.setattr(vot_experiments, "_execute", lambda *_: seen.append(os.environ.get("D3S_VOT_UNSEEN")))
    evaluate(root, ["StandIn"])
    assert set(seen) == {expected} and os.environ.get("D3S_VOT_UNSEEN") == given
    manifests = [json.loads(path.read_text()) for path in (root / "results").glob(".StandIn.*.json")]
    assert manifests and all(manifest["settings"].get("D3S_VOT_UNSEEN") == expected for manifest in manifests)
