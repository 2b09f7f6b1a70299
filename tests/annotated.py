"""Workspaces of masks, anchors and several objects: made of plain frames, with results by hand or by chance."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import toolkit
from waiting import PATIENCE

from d3s_vot.evaluation.vot.annotated import EMPTY
from d3s_vot.evaluation.vot.stored import Entry, as_binary, as_text
from d3s_vot.mask_codes import PlacedMask

WIDTH, HEIGHT = 64, 48
ANCHORS = """
title: anchors
experiments:
  baseline:
    type: multistart
    analyses:
      - {type: multistart_eao_score, low: 5, high: 40}
      - {type: multistart_eao_curve, high: 40}
      - {type: multistart_average_ar}
  unsupervised:
    type: unsupervised
    repetitions: 1
    analyses: [{type: average_accuracy, burnin: 1}]
"""
LONGTERM = """
  longterm:
    type: unsupervised
    repetitions: 1
    analyses: [{type: average_tpr}, {type: pr_curve}, {type: f_curve}]
"""
OBJECTS = """
title: objects
experiments:
  baseline:
    type: unsupervised
    repetitions: 1
    multiobject: True
    analyses:
      - {type: average_accuracy, burnin: 0, ignore_unknown: False, weighted: False}
      - {type: longterm_ar}
      - {type: average_quality_auxiliary}
"""


def square(x: int, y: int, side: int = 10) -> PlacedMask:
    return PlacedMask(x, y, np.ones((side, side), bool))


def workspace(root: Path, stack: str, trackers: Sequence[str] = ("SHIFT", "ORACLE")) -> Path:
    """One without sequences; its trackers cannot be run."""
    (root / "sequences").mkdir(parents=True)
    (root / "sequences" / "list.txt").write_text("")
    (root / "config.yaml").write_text(toolkit.CONFIG)
    (root / "stack.yaml").write_text(stack)
    sections = (f"[{name}]\nlabel = {name}\nprotocol = trax\ncommand = none\n" for name in trackers)
    (root / "trackers.ini").write_text("\n".join(sections))
    return root


def sequence(
    root: Path, name: str, truths: Mapping[str, Sequence[Entry]], anchors: Mapping[int, int] | None = None
) -> None:
    """Adds one: grey frames, the ground truth of each object ("": of the only one), and anchors."""
    count = len(next(iter(truths.values())))
    folder = root / "sequences" / name
    (folder / "color").mkdir(parents=True)
    _, data = cv2.imencode(".png", np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    for index in range(1, count + 1):
        (folder / "color" / f"{index:08d}.png").write_bytes(data.tobytes())
    facts = f"channels.color=color/%08d.png\nfps=30\nlength={count}\nwidth={WIDTH}\nheight={HEIGHT}\nname={name}\n"
    (folder / "sequence").write_text(facts)
    for object_, entries in truths.items():
        (folder / (f"groundtruth_{object_}.txt" if object_ else "groundtruth.txt")).write_text(as_text(entries))
    if anchors is not None:
        values = [str(anchors.get(index, 0)) for index in range(count)]
        (folder / "anchor.value").write_text("\n".join(values) + "\n")
    with (root / "sequences" / "list.txt").open("a") as file:
        file.write(f"{name}\n")


def result(
    root: Path,
    place: str,
    name: str,
    answers: Sequence[Entry],
    confidences: Sequence[float] | None = None,
    text: bool = False,
) -> None:
    """Adds a run: the answers with the code of a start in front, times of 10 ms, and confidences.

    Args:
        place: TRACKER/EXPERIMENT/SEQUENCE.
    """
    folder = root / "results" / place
    folder.mkdir(parents=True, exist_ok=True)
    entries = [1, *answers[1:]]
    if text:
        (folder / f"{name}.txt").write_text(as_text(entries))
    else:
        (folder / f"{name}.bin").write_bytes(as_binary(entries))
    (folder / f"{name}_time.value").write_text("0.01\n" * len(entries))
    sure = [0.5] * len(entries) if confidences is None else confidences
    lines = "".join(f"{value}\n" for value in sure[1:])
    (folder / f"{name}_confidence.value").write_text(f"\n{lines}")


def analyses(*roots: Path) -> list[dict[str, dict[str, list[Any]]]]:
    """Of each workspace the toolkit's analyses: EXPERIMENT -> TRACKER -> values of each analysis."""
    program = """
import sys
from vot.utilities.cli import main
for root, *trackers in (text.split(":") for text in sys.argv[1:]):
    sys.argv[1:] = ["analysis", "--workspace", root, "--name", "all", "--format", "json", *trackers]
    try:
        main()
    except SystemExit:
        pass
"""
    names = [sorted(path.name for path in (root / "results").iterdir()) for root in roots]
    arguments = [":".join([str(root), *trackers]) for root, trackers in zip(roots, names, strict=True)]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=toolkit.environment(),
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
    )
    found = []
    for root, trackers in zip(roots, names, strict=True):
        path = root / "analysis" / "all.json"
        assert path.is_file(), done.stdout + done.stderr
        experiments = json.loads(path.read_text())["results"]
        found.append(
            {
                name: {tracker: [values[place] for values in experiment["results"]]
                       for place, tracker in enumerate(trackers)}
                for name, experiment in experiments.items()
            }
        )  # fmt: skip
    return found


def moved(mask: Entry, by: int = 2) -> Entry:
    """A mask some pixels to the right; a code is an empty mask."""
    return PlacedMask(mask.x + by, mask.y, mask.array) if isinstance(mask, PlacedMask) else EMPTY


def anchored_example(root: Path) -> Path:
    """Two sequences with two anchors each; SHIFT lies two pixels to the right, and is lost in one of them."""
    workspace(root, ANCHORS)
    truths = {"a": [square(5 + i, 10) for i in range(30)], "b": [square(30, 5 + i) for i in range(24)]}
    anchors = {"a": {0: 1, 29: -1}, "b": {0: 1, 12: -1}}
    for name, truth in truths.items():
        sequence(root, name, {"": truth}, anchors[name])
        lost = [square(2, 35) if name == "a" and i >= 15 else moved(mask) for i, mask in enumerate(truth)]
        for tracker, answers in (("SHIFT", lost), ("ORACLE", truth)):
            for anchor, direction in anchors[name].items():
                run = answers[anchor:] if direction > 0 else answers[anchor::-1]
                result(root, f"{tracker}/baseline/{name}", f"{name}_{anchor:08d}", run)
            result(root, f"{tracker}/unsupervised/{name}", f"{name}_001", answers)
    return root


def objects_example(root: Path) -> Path:
    """Two sequences, three objects, one of which goes away; SHIFT lies two pixels to the right, and errs."""
    workspace(root, OBJECTS)
    one = [square(5 + i, 10) for i in range(30)]
    two: list[Entry] = [*[square(30, 5)] * 18, *[1] * 12]
    other = [square(20, 5 + i) for i in range(20)]
    sequence(root, "c", {"one": one, "two": two})
    sequence(root, "d", {"one": other})
    lost = [square(2, 35) if i >= 20 else moved(mask) for i, mask in enumerate(one)]
    errs = [*map(moved, two[:15]), *[EMPTY] * 3, *[square(0, 0, 5)] * 4, *[EMPTY] * 8]
    for tracker, first, second, third in (
        ("SHIFT", lost, errs, [moved(mask) for mask in other]),
        ("ORACLE", one, [moved(mask, 0) for mask in two], other),
    ):
        result(root, f"{tracker}/baseline/c", "c_one_001", first)
        result(root, f"{tracker}/baseline/c", "c_two_001", second)
        result(root, f"{tracker}/baseline/d", "d_001", third)
    return root


class Chance:
    """Truth and answers by chance: blobs that wander, frames without target or annotation, rectangles and polygons."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def blob(self, x: int, y: int) -> PlacedMask:
        size = self.random.integers(1, 16, 2)
        array = cv2.GaussianBlur(self.random.random(size).astype(np.float32), (0, 0), 1.5) > 0.45
        return PlacedMask(int(x), int(y), np.ascontiguousarray(array))

    def truth(self, count: int, masks: bool = True) -> list[Entry]:
        way = np.add((20, 16), np.cumsum(self.random.integers(-3, 4, (count, 2)), axis=0))
        kinds = self.random.choice(4, count, p=[0.7, 0.12, 0.1, 0.08])
        kinds[0] = 0
        entries: list[Entry] = []
        for (x, y), kind in zip(way.tolist(), kinds.tolist(), strict=True):
            box = np.array([x, y, *self.random.integers(4, 16, 2)], np.float64)
            corners = np.array([[x, y], [x + 11, y + 3], [x + 8, y + 12], [x - 2, y + 9]], np.float64)
            shape: Entry = square(x, y, 11) if masks else (box if kind == 0 else corners)
            entries.append([shape, 1, 0, self.blob(x, y) if masks else box][kind] if kind != 3 or masks else corners)
        return entries

    def answers(self, truth: Sequence[Entry]) -> list[Entry]:
        """Near the truth at first, far off for long stretches, empty at times."""
        way = np.cumsum(self.random.integers(-2, 3, (len(truth), 2)), axis=0)
        gone = self.random.random(len(truth)) < 0.15
        answers: list[Entry] = []
        last: Entry = square(20, 16)
        for entry, (dx, dy), off in zip(truth, way.tolist(), gone.tolist(), strict=True):
            last = last if isinstance(entry, int) else entry
            if off:
                answers.append(EMPTY if self.random.random() < 0.6 else self.blob(*self.random.integers(-4, 60, 2)))
            elif isinstance(last, PlacedMask):
                answers.append(PlacedMask(last.x + dx, last.y + dy, last.array))
            else:
                answers.append(np.asarray(last + ((dx, dy, 0, 0) if last.ndim == 1 else (dx, dy)), np.float64))
        return answers


def by_chance(root: Path, chance: Chance, stack: str, objects: bool) -> Path:
    """Sequences of all kinds of annotation with the results of one tracker, BLIND."""
    workspace(root, stack, ["BLIND"])
    for number, count in enumerate((31, 44, 12, 130)):
        name = f"s{number}"
        truths = {"": chance.truth(count, masks=objects or number != 1)}
        if objects and number != 2:
            truths = {key: chance.truth(count) for key in ("p", "q", "r")[: number + 1]}
        anchors = {0: 1, count // 2: -1, count // 3: 1, count - 1: -1}
        if not objects:
            for place in anchors:
                truths[""][place] = square(20, 16)
        sequence(root, name, truths, None if objects else anchors)
        for key in truths:
            if objects:
                stem = f"{name}_{key}_001" if len(truths) > 1 else f"{name}_001"
                result(root, f"BLIND/baseline/{name}", stem, chance.answers(truths[key]), text=number == 1)
                continue
            for anchor, direction in anchors.items():
                run = truths[key][anchor:] if direction > 0 else truths[key][anchor::-1]
                result(root, f"BLIND/baseline/{name}", f"{name}_{anchor:08d}", chance.answers(run))
            result(root, f"BLIND/unsupervised/{name}", f"{name}_001", chance.answers(truths[key]))
            sure = chance.random.random(count).round(3 if number else 1)
            result(root, f"BLIND/longterm/{name}", f"{name}_001", chance.answers(truths[key]), sure.tolist())
    return root
