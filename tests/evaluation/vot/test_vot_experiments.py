"""`d3s-vot evaluate` against the toolkit's `vot evaluate`, after kills and failures, and on wrong workspaces."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest
import toolkit
from waiting import PATIENCE, alive, family, wait_until

from d3s_vot import cli
from d3s_vot.errors import D3SError, InputError
from d3s_vot.evaluation.runs.pools import Failure, Pool
from d3s_vot.evaluation.runs.store import Store
from d3s_vot.evaluation.vot import experiments as vot_experiments
from d3s_vot.evaluation.vot.experiments import Job, evaluate
from d3s_vot.evaluation.vot.toolkit import WholeResults
from d3s_vot.evaluation.vot.workspaces import Workspace

CONFIG = toolkit.CONFIG
DOWNLOAD = "dataset: http://127.0.0.1:9/description.json\n"  # where nobody answers


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One without results. Its processes get a stand-in for torch, which takes seconds to import."""
    light = tmp_path / "light"
    light.mkdir()
    (light / "torch.py").write_text(
        "def set_num_threads(count): pass\ndef get_num_threads(): return 0\nclass Tensor: pass\n"
    )
    monkeypatch.syspath_prepend(light)
    monkeypatch.delenv("D3S_VOT_THREADS", raising=False)
    monkeypatch.setenv("D3S_VOT_DEVICE", "cpu")
    root = toolkit.new_workspace(tmp_path / "workspace")
    (root / "trackers.ini").write_text(toolkit.REGISTRY.replace("paths = ", f"paths = {light}{os.pathsep}"))
    return root


def own_frames(root: Path, name: str) -> Path:
    """A copy of a sequence's folder in the place of the link to it."""
    folder = root / "sequences" / name
    folder.unlink()
    shutil.copytree(toolkit.sample() / name, folder)
    return folder


def results(root: Path) -> dict[str, bytes]:
    """All result files but the times."""
    files = (root / "results" / "StandIn").rglob("*")
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in files
        if path.is_file() and not path.name.endswith("_time.value")
    }


def times(root: Path) -> set[str]:
    """The names of the files of times."""
    return {str(path.relative_to(root)) for path in root.rglob("*_time.value")}


def test_the_files_of_the_toolkit(workspace: Path) -> None:
    """Two workers; what the toolkit cached of earlier results is gone, what it generated is not."""
    for folder in ("analysis", "transformer"):
        (workspace / "cache" / folder).mkdir(parents=True)
    said: list[str] = []
    evaluate(workspace, ["StandIn", "StandIn"], workers=2, threads=1, say=said.append)
    assert results(workspace) == results(toolkit.evaluated())
    assert times(workspace) == times(toolkit.evaluated())
    assert [path.name for path in (workspace / "cache").iterdir()] == ["transformer"]
    assert Workspace.load(workspace).trackers() == ["StandIn"]
    assert said[0] == "sequences to run: 6, finished before: 0" and "d3s-vot results" in said[-1]
    evaluate(workspace, ["StandIn"], say=said.append)
    assert said[-1] == "sequences to run: 0, finished before: 6"


def test_killed_and_resumed(workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """kill -9 amid two sequences: all processes end, and the next run adds what is missing and nothing else."""
    light = str(tmp_path / "light")
    command = [sys.executable, "-m", "d3s_vot.cli", "evaluate", str(workspace), "StandIn", "--workers", "2"]
    slow = toolkit.environment(STANDIN_PAUSE="0.01", PYTHONPATH=light)
    process = subprocess.Popen(
        command, env=slow, cwd=toolkit.TESTS.parent, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_until(lambda: len(list(workspace.glob("results/*/*/*/*.bin"))) >= 2, "two results", process)
    running = family(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(running) >= 2
    wait_until(lambda: not any(map(alive, running)), "all ended")
    before = {path: path.stat().st_mtime_ns for path in workspace.glob("results/*/*/*/*.bin")}
    expected = results(toolkit.evaluated())
    assert len(before) >= 2 and len(results(workspace)) < len(expected)
    monkeypatch.setenv("STANDIN_PAUSE", "0")
    evaluate(workspace, ["StandIn"])
    assert results(workspace) == expected
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert times(workspace) == times(toolkit.evaluated())


def test_a_sequence_that_fails(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The others are done; the reason comes at once and at the end; the next run does that sequence alone."""
    frame = own_frames(workspace, "cat") / "color" / "00000003.jpg"
    picture = frame.read_bytes()
    frame.write_bytes(b"no picture")
    arguments = ["evaluate", str(workspace), "StandIn", "--experiments", "unsupervised"]
    assert cli.main(arguments) == 1
    errors = capsys.readouterr().err.splitlines()
    assert errors[-1] == "d3s-vot: 1 of 3 sequences failed; the same command tries these again"
    reason = "StandIn unsupervised cat: Server terminated the session: image .*00000003.jpg cannot be decoded"
    log = workspace / "logs" / "StandIn_unsupervised_cat.log"
    assert re.search(reason, errors[-2])
    assert errors[-2].endswith(f"(all that the tracker printed: {log})") and "@@TRAX:initialize" in log.read_text()
    done = results(workspace)
    assert {name.split("/")[-2] for name in done} == {"cup", "shuttle"}
    frame.write_bytes(picture)
    assert cli.main(arguments) == 0
    assert "sequences to run: 1, finished before: 2" in capsys.readouterr().out
    expected = results(toolkit.evaluated())
    assert results(workspace) == {name: data for name, data in expected.items() if "unsupervised" in name}


def test_a_tracker_that_cannot_start(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its own last words are in the message."""
    (workspace / "sequences" / "list.txt").write_text("cup\n")
    with (workspace / "trackers.ini").open("a") as file:
        file.write("[Lost]\nprotocol = traxpython\ncommand = no_such_module\n")
    with pytest.raises(D3SError, match="1 of 1 sequences failed"):
        evaluate(workspace, ["Lost"], experiments=["unsupervised"])
    assert "Unable to connect to tracker: " in (errors := capsys.readouterr().err)
    assert "No module named no_such_module (all that the tracker printed" in errors


Batch = tuple[list[Job], Pool, dict[str, str]]


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[Batch]:
    """What is handed out; nothing is run."""
    handed: list[Batch] = []

    def pretend(start: partial[object], jobs: Sequence[Job], pool: Pool) -> Iterator[tuple[Job, Failure | None]]:
        handed.append((list(jobs), pool, start.args[1]))
        yield from ((job, None) for job in jobs)

    monkeypatch.setattr(vot_experiments, "run_jobs", pretend)
    monkeypatch.setattr(vot_experiments, "_processors", lambda: 8)
    return handed


def add_realtime(root: Path) -> None:
    extra = "  realtime:\n    type: supervised\n    realtime:\n      grace: 3\n    repetitions: 1\n"
    stack = toolkit.STACK.replace("  unsupervised:", extra + "  unsupervised:")
    (root / "stack.yaml").write_text(stack)


def test_long_ones_first_and_realtime_alone(workspace: Path, batches: list[Batch]) -> None:
    add_realtime(workspace)
    said: list[str] = []
    evaluate(workspace, ["StandIn"], workers=2, say=said.append)
    assert [len(jobs) for jobs, *_ in batches] == [6, 1, 1, 1]
    jobs, pool, settings = batches[0]
    assert [(job.experiment, job.sequence, job.frames) for job in jobs[:4]] == [
        ("baseline", "cup", 162),
        ("baseline", "cat", 150),
        ("baseline", "shuttle", 150),
        ("unsupervised", "cup", 54),
    ]
    assert pool == Pool(workers=2, threads=4, device="cpu") and settings["D3S_VOT_THREADS"] == "4"
    for jobs, pool, settings in batches[1:]:
        assert jobs[0].experiment == "realtime" and jobs[0].realtime
        assert pool.workers == 1 and "D3S_VOT_THREADS" not in settings
    assert said[1].startswith("threads of each tracker: 4 ") and said[2].startswith("realtime: after the others")


@pytest.mark.parametrize(
    ("environment", "workers", "threads", "ray", "expected"),
    [
        (None, 1, None, None, None),
        (None, 1, 3, None, "3"),
        ("2", 1, None, None, "2"),
        ("2", 2, None, None, "2"),
        ("2", 2, 3, None, "3"),
        (None, 99, None, None, "1"),
        (None, 1, None, "auto", "1"),
    ],
)
def test_threads(
    environment: str | None,
    workers: int,
    threads: int | None,
    ray: str | None,
    expected: str | None,
    workspace: Path,
    batches: list[Batch],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if environment:
        monkeypatch.setenv("D3S_VOT_THREADS", environment)
    add_realtime(workspace)
    evaluate(workspace, ["StandIn"], workers=workers, threads=threads, ray=ray)
    _, pool, settings = batches[0]
    assert settings.get("D3S_VOT_THREADS") == expected
    assert (pool.workers, pool.threads, pool.ray) == (workers, int(expected or 1), ray)
    assert [pool.ray for _, pool, _ in batches] == [ray] * 4


def test_anchors_count_for_the_time_left(workspace: Path, batches: list[Batch]) -> None:
    """A multistart experiment tracks from each anchor to the end, forward or backward."""
    (workspace / "sequences" / "list.txt").write_text("cup\n")
    (workspace / "stack.yaml").write_text("experiments:\n  starts:\n    type: multistart\n")
    folder = own_frames(workspace, "cup")
    (folder / "anchor.value").write_text("\n".join(["1", *["0"] * 52, "-1"]) + "\n")
    evaluate(workspace, ["StandIn"])
    assert [job.frames for job in batches[0][0]] == [54 + 54]
    (folder / "anchor.value").unlink()
    with pytest.raises(InputError, match=r"cup: it has no anchors \(anchor\.value\), where runs start"):
        evaluate(workspace, ["StandIn"])


def test_a_repetition_appears_whole(tmp_path: Path) -> None:
    """In the toolkit's order of calls: trajectory, values, then the question for the next."""
    written = WholeResults(tmp_path, "T/e/cat")
    with written.write("cat_001.bin") as file:
        file.write(b"\x01\x00")
    with written.write("cat_001_time.value") as file:
        file.writelines(["0.5\n", "0.25\n"])
    assert written.find("*") == [] and not (tmp_path / "results").exists()
    assert not written.exists("cat_002.bin") and written.exists("cat_001.bin")
    assert written.find("cat_001*") == ["cat_001.bin", "cat_001_time.value"]
    with written.read("cat_001.bin") as file:
        assert file.read() == b"\x01\x00"
    with written.read("cat_001_time.value") as file:
        assert list(file) == ["0.5\n", "0.25\n"]
    folder = tmp_path / "results" / "T" / "e" / "cat"
    trajectory, values = (folder / name for name in written.find("*"))
    assert trajectory.stat().st_mtime_ns >= values.stat().st_mtime_ns


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    written = WholeResults(tmp_path, "T/e/cat")
    with written.write("cat_001.bin") as file:
        file.write(b"\x01\x00")
    (tmp_path / "results").write_text("a file")
    with pytest.raises(D3SError, match="cannot be written"):
        written.flush()


def test_two_runs_at_once(workspace: Path) -> None:
    with Store(workspace / "results").locked(), pytest.raises(InputError, match="another run is writing to"):
        evaluate(workspace, ["StandIn"])


def gap(root: Path) -> None:
    """4 frames are missing; the toolkit would end the sequence there."""
    folder = own_frames(root, "cat")
    for number in (7, 8, 20, 30):
        (folder / "color" / f"{number:08d}.jpg").unlink()
    facts = (folder / "sequence").read_text().splitlines()
    (folder / "sequence").write_text("\n".join(line for line in facts if not line.startswith("length")))


def other_truth(text: str, root: Path) -> None:
    (own_frames(root, "cat") / "groundtruth.txt").write_text(text)


def no_list(root: Path) -> None:
    (root / "sequences" / "list.txt").unlink()
    (root / "stack.yaml").write_text(DOWNLOAD + toolkit.STACK)


def damaged(root: Path) -> None:
    folder = root / "results" / "StandIn" / "baseline" / "cat"
    folder.mkdir(parents=True)
    (folder / "cat_001.bin").write_bytes(b"\x01\x00\x32\x00\x00\x00\x01")


def of_other_length(root: Path) -> None:
    folder = root / "results" / "StandIn" / "unsupervised" / "cat"
    folder.mkdir(parents=True)
    (folder / "cat_001.txt").write_text("1\n1,2,3,4\n")


def file(name: str, text: str) -> Callable[[Path], object]:
    return lambda root: (root / name).write_text(text)


MISTAKES: list[tuple[Callable[[Path], object], str]] = [
    (lambda root: (root / "config.yaml").unlink(), "is no VOT workspace: there is no config.yaml"),
    (file("config.yaml", "a: [b"), "see its config.yaml: while parsing a flow sequence"),
    (file("config.yaml", "- a\n"), "see its config.yaml: .* must be a mapping"),
    (file("config.yaml", "stack: ./stack.yaml\n"), "see its config.yaml: Missing arguments: registry"),
    (file("config.yaml", CONFIG.replace("./stack.yaml", "vot1999")), "Experiment stack does not exist"),
    (file("stack.yaml", "experiments: {}\n"), "has no experiments"),
    (file("stack.yaml", "experiments: {a: {type: dance}}\n"), "'dance' not found"),
    (file("stack.yaml", toolkit.STACK.replace("unsupervised:", "free:")), "no experiment unsupervised; known: .*free"),
    (file("stack.yaml", toolkit.STACK.replace("15", str(10**30))), "more than 10000 repetitions in baseline"),
    (file("trackers.ini", ""), "has no tracker 'StandIn'; known: none"),
    (file("trackers.ini", "[Other]\ncommand = x\n"), "has no tracker 'StandIn'; known: Other"),
    (file("trackers.ini", "command = x\n"), "no section headers"),
    (file("trackers.ini", "[StandIn]\ncommand = x\nprotocol = trax\nspeed = 3\n"), "StandIn cannot be run .* 'speed'"),
    (file("trackers.ini", "[StandIn]\ncommand = x\nprotocol = talk\n"), "protocol 'talk' not available"),
    (file("trackers.ini", "[StandIn]\ncommand = x\nprotocol = trax\nstorage = y\n"), "a `storage` of its own"),
    (lambda root: (root / "sequences" / "list.txt").unlink(), "Unable to locate sequences in"),
    (no_list, "no list of sequences, and they cannot be downloaded"),
    (file("sequences/list.txt", "cat\ndog\n"), "unsupported sequence: .*dog"),
    (gap, "1 sequence.* cat: 4 of 50 frames are missing or empty, such as .*00000007.jpg"),
    (lambda root: (own_frames(root, "cat") / "color" / "00000009.jpg").write_text(""), "cat: 1 of 50 frames"),
    (lambda root: shutil.rmtree(own_frames(root, "cat") / "color"), "cat: 50 of 50 frames are missing"),
    (partial(other_truth, "1,2,3,4\n"), "cat: 50 frames, but .*groundtruth.txt has 1 regions"),
    (partial(other_truth, "a,b\n"), "cat: check its `sequence`, ground truth and first frame .could not convert"),
    (lambda root: (own_frames(root, "cat") / "color" / "00000001.jpg").write_text("x"), "cat: check its `sequence`"),
    (damaged, r"cat_001\.bin is damaged \(.*\); remove it"),
    (of_other_length, r"cat_001\.txt has 2 frames and the sequence 50; remove it"),
    (file("results", ""), "results cannot be used"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "words"), MISTAKES, ids=[words for _, words in MISTAKES])
def test_mistakes(spoil: Callable[[Path], object], words: str, workspace: Path, batches: list[Batch]) -> None:
    """One sentence each, before anything runs."""
    spoil(workspace)
    with pytest.raises(InputError, match=words) as caught:
        evaluate(workspace, ["StandIn"], experiments=["unsupervised", "baseline"])
    assert "\n" not in str(caught.value) and not batches


def test_paths_that_trax_cannot_send(tmp_path: Path, batches: list[Batch]) -> None:
    root = toolkit.new_workspace(tmp_path / "100% Größe")
    with pytest.raises(InputError, match="only paths of ASCII characters without '%'"):
        evaluate(root, ["StandIn"])
    assert not batches


def test_wrong_numbers(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for numbers in ({"workers": 0}, {"threads": 0}, {"workers": 2, "ray": "auto"}):
        with pytest.raises(InputError, match="workers"):
            evaluate(workspace, ["StandIn"], **numbers)  # type: ignore[arg-type]
    monkeypatch.setenv("D3S_VOT_THREADS", "many")
    with pytest.raises(InputError, match="D3S_VOT_THREADS is 'many'"):
        evaluate(workspace, ["StandIn"])


def test_without_the_toolkit(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vot", None)
    with pytest.raises(InputError, match=r"pip install d3s-vot\[vot\]"):
        evaluate(workspace, ["StandIn"])


def test_an_absent_target(workspace: Path, batches: list[Batch]) -> None:
    """It is told before the first frame where a tracker would be started again; without resets it does no harm."""
    folder = own_frames(workspace, "cup")
    lines = (folder / "groundtruth.txt").read_text().splitlines()
    for absent in ("NaN,NaN,NaN,NaN", "0,0,0,0", "0"):
        lines[6] = lines[8] = absent
        (folder / "groundtruth.txt").write_text("\n".join(lines) + "\n")
        with pytest.raises(InputError, match="cup: its target is absent in frame 7, 9, where baseline would count"):
            evaluate(workspace, ["StandIn"])
        assert not batches
        evaluate(workspace, ["StandIn"], experiments=["unsupervised"])
        assert len(batches.pop()[0]) == 3
    lines[0] = "NaN,NaN,NaN,NaN"
    (folder / "groundtruth.txt").write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match=r"cup: .*groundtruth\.txt gives no target in the first frame"):
        evaluate(workspace, ["StandIn"], experiments=["unsupervised"])


def test_a_length_that_no_sequence_has(workspace: Path, batches: list[Batch]) -> None:
    folder = own_frames(workspace, "cup")
    (folder / "sequence").write_text("length=99999999999999\n")
    with pytest.raises(InputError, match="cup: `sequence` says that there are 99999999999999 frames"):
        evaluate(workspace, ["StandIn"])
    assert not batches


def test_text_in_the_place_of_a_path_and_of_lists(workspace: Path, batches: list[Batch]) -> None:
    evaluate(str(workspace), "StandIn", experiments="unsupervised")  # type: ignore[arg-type]
    assert [job.tracker for job in batches[0][0]] == ["StandIn"] * 3


def test_results_of_other_data_or_settings(
    workspace: Path, batches: list[Batch], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """They are not gone on with; the sentence says what differs. Sequences without results may change."""
    shutil.copytree(toolkit.evaluated() / "results" / "StandIn", workspace / "results" / "StandIn")
    shutil.rmtree(workspace / "results" / "StandIn" / "baseline" / "cat")
    weights = tmp_path / "mine.safetensors"
    weights.write_bytes(b"1")
    monkeypatch.setenv("D3S_VOT_WEIGHTS", str(weights))
    evaluate(workspace, ["StandIn"])  # of `vot evaluate` nothing is known
    known = (workspace / "results" / ".StandIn.baseline.json").read_bytes()
    evaluate(workspace, ["StandIn"])

    def refused(words: str) -> None:
        batches.clear()
        with pytest.raises(InputError, match=words):
            evaluate(workspace, ["StandIn"])
        assert not batches and (workspace / "results" / ".StandIn.baseline.json").read_bytes() == known

    weights.write_bytes(b"2")
    refused(r"other settings \(content of D3S_VOT_WEIGHTS was .*; remove .*results/StandIn/baseline to run all again")
    weights.write_bytes(b"1")
    monkeypatch.setenv("D3S_VOT_RULES", "published")
    refused("D3S_VOT_RULES was None, is published")
    monkeypatch.delenv("D3S_VOT_RULES")
    stack = (workspace / "stack.yaml").read_text()
    (workspace / "stack.yaml").write_text(stack.replace("skip_initialize: 5", "skip_initialize: 3"))
    refused("experiment skip_initialize was 5, is 3")
    (workspace / "stack.yaml").write_text(stack)
    folder = own_frames(workspace, "cup")
    lines = (folder / "groundtruth.txt").read_text().splitlines()
    (folder / "groundtruth.txt").write_text("\n".join([*lines[:-1], lines[0]]) + "\n")
    refused("holds results of other data .ground truth of cup was .*; remove those of these sequences, or remove ")
    for experiment in ("baseline", "unsupervised"):
        shutil.rmtree(workspace / "results" / "StandIn" / experiment / "cup")
    batches.clear()
    evaluate(workspace, ["StandIn"])
    assert {(job.experiment, job.sequence) for job in batches[0][0]} == {
        ("baseline", "cat"),
        ("baseline", "cup"),
        ("unsupervised", "cup"),
    }
    assert Workspace.load(workspace).trackers() == ["StandIn"]


@pytest.mark.parametrize(("kind", "workers"), [(signal.SIGTERM, "2"), (signal.SIGHUP, "1")])
def test_told_to_end_and_resumed(workspace: Path, tmp_path: Path, kind: signal.Signals, workers: str) -> None:
    """Trackers end with the workers; whole repetitions stay, and the next run adds the others."""
    command = [sys.executable, "-m", "d3s_vot.cli", "evaluate", str(workspace), "StandIn", "--workers", workers]
    slow = toolkit.environment(STANDIN_PAUSE="0.01", PYTHONPATH=str(tmp_path / "light"))
    with subprocess.Popen(
        command, env=slow, cwd=toolkit.TESTS.parent, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_until(lambda: len(list(workspace.glob("results/*/*/*/*.bin"))) >= 2, "two repetitions", process)
        started = family(process.pid)
        process.send_signal(kind)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1 and said.splitlines()[-1] == "d3s-vot: interrupted"
    wait_until(lambda: not any(map(alive, started)), "all ended")
    assert not list(workspace.rglob("*.part"))
    before = results(workspace)
    evaluate(workspace, ["StandIn"])
    assert results(workspace) == results(toolkit.evaluated()) and before.items() < results(workspace).items()
    assert times(workspace) == times(toolkit.evaluated())
