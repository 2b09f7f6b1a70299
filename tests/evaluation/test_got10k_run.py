"""Runs of box benchmarks: through the toolkit, from the command line, killed and resumed, and with bad input."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from zipfile import ZipFile

import cv2
import numpy as np
import pytest
import torch
from got10k.experiments import ExperimentGOT10k
from layouts import Video, moving_disc, write_layout
from PIL import Image
from simple import SimpleTarget, simple
from waiting import PATIENCE, alive, family, wait_until

from d3s_vot import got10k_run
from d3s_vot.errors import D3SError, InputError
from d3s_vot.evaluation.boxes.tracking import BoxBenchmark, follow
from d3s_vot.evaluation.runs.pools import Pool
from d3s_vot.evaluation.runs.run import report, run
from d3s_vot.evaluation.runs.store import Store
from d3s_vot.given import Frame, Given
from d3s_vot.got10k_run import D3STracker, main
from d3s_vot.images import read_image
from d3s_vot.prediction import Prediction
from d3s_vot.regions import Box
from d3s_vot.tracker import Tracker
from d3s_vot.zoo import Choice

TESTS = Path(__file__).parents[1]
PATHS = os.pathsep.join(map(str, (TESTS, TESTS / "evaluation")))  # of what a program of these tests imports


class Drifter(SimpleTarget):
    """No network: the box drifts with the picture's brightness. Writes down whom it was given."""

    def __init__(self, frame: Frame, given: Given) -> None:
        image = frame.image
        if image[:4, :4].max() < 20:
            raise InputError("the target cannot be used")
        log = os.environ.get("DRIFTER_LOG")
        if log:
            with open(log, "a") as file:
                print(int(image.sum(dtype=np.int64)), file=file)
            if len(Path(log).read_text().split()) == int(os.environ.get("DRIFTER_HANGS", "0")):
                time.sleep(2 * PATIENCE)
        self._box = given.region

    def track(self, image):  # type: ignore[no-untyped-def]
        x, y, w, h = self._box
        self._box = Box(x + image.mean() / 100, y + image[..., 0].std() / 50, w, h)
        return Prediction(self._box, 1.0, True, image.shape[:2])


def drifter(choice: Choice) -> Tracker:
    return simple(Drifter)


def drift(root: Path, output: Path, **settings) -> None:  # type: ignore[no-untyped-def]
    """A run without a network."""
    run(BoxBenchmark("got10k-val", drifter), root, output, **settings)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """As in a run, so that the toolkit's own loop gives the same numbers."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def val(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """GOT-10k's validation set of three short sequences; the longest is not the first."""
    root = tmp_path_factory.mktemp("GOT-10k")
    write_layout("got10k-val", root, [moving_disc("a", 4), moving_disc("b", 6, 5), moving_disc("c", 5, 9)])
    return root


def results(output: Path, dataset: str = "got10k-val") -> dict[str, bytes]:
    """Every result file but the times."""
    folder = output / dataset / "results"
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith("_time.txt")
    }


# --- with the shipped network, on a smaller search patch


@pytest.fixture(scope="module")
def tracked(val: Path, small_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the command."""
    output = tmp_path_factory.mktemp("runs")
    command = ["--dataset", "got10k-val", "--root", str(val), "--output", str(output), "--tracker", str(small_weights)]
    assert main(command) == 0
    return output


def test_files_of_a_run(val: Path, tracked: Path) -> None:
    folder = tracked / "got10k-val"
    assert list(results(tracked)) == [f"GOT-10k/D3S/{name}/{name}_001.txt" for name in "abc"]
    for name, count in (("a", 4), ("b", 6), ("c", 5)):
        inner = folder / "results" / "GOT-10k" / "D3S" / name
        boxes = np.loadtxt(inner / f"{name}_001.txt", delimiter=",")
        truth = np.loadtxt(val / "val" / name / "groundtruth.txt", delimiter=",")
        assert boxes.shape == (count, 4) and (boxes[0] == truth[0]).all()
        assert np.abs(boxes - truth).max() < 8  # it is followed
        times = np.loadtxt(inner / f"{name}_time.txt")
        assert times.shape == (count,) and (times > 0).all()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["settings"]["threads"] == 1 and len(manifest["settings"]["weights"]) == 64
    assert manifest["settings"]["configuration"]["gem_patch_size"] == 128
    assert manifest["sequences"] == {"a": 4, "b": 6, "c": 5}
    assert list((folder / "report").glob("*.png"))


def test_same_files_and_figures_as_the_toolkit(val: Path, tracked: Path, small_weights: Path, tmp_path: Path) -> None:
    experiment = ExperimentGOT10k(str(val), "val", str(tmp_path / "results"), str(tmp_path / "reports"))
    experiment.run(D3STracker(weights=small_weights))
    theirs = {
        str(path.relative_to(tmp_path / "results")): path.read_bytes()
        for path in sorted((tmp_path / "results").rglob("*_001.txt"))
    }
    assert theirs == results(tracked)
    figures = experiment.report(["D3S"])["D3S"]["overall"]
    written = json.loads((tracked / "got10k-val" / "report" / "performance.json").read_text())
    assert written["overall"]["AO"] == pytest.approx(100 * figures["ao"], abs=1e-9)


def test_two_workers_give_the_same_files(val: Path, tracked: Path, small_weights: Path, tmp_path: Path) -> None:
    run(BoxBenchmark("got10k-val"), val, tmp_path, choice=Choice(small_weights), pool=Pool(workers=2))
    assert results(tmp_path) == results(tracked)


def test_report_of_a_finished_run(
    val: Path, tracked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the settings are now, and only where all is there."""
    command = ["--dataset", "got10k-val", "--root", str(val), "--output", str(tracked), "--report-only"]
    (tracked / "got10k-val" / "report" / "performance.json").unlink()
    assert main(command) == 0
    assert "D3S" in capsys.readouterr().out
    assert (tracked / "got10k-val" / "report" / "performance.json").exists()
    command[5] = str(tmp_path)
    assert main([*command, "--sequences", "b", "a"]) == 2
    said = capsys.readouterr().err
    assert "a: no results" in said and "2 of 2 sequences have no results of D3S" in said


def test_toolkit_tracker_takes_pil_and_arrays(val: Path, small_weights: Path) -> None:
    tracker = D3STracker("mine", small_weights)
    assert (tracker.name, tracker.is_deterministic) == ("mine", True)
    files = sorted((val / "val" / "a").glob("*.jpg"))
    box = np.loadtxt(val / "val" / "a" / "groundtruth.txt", delimiter=",")[0]
    tracker.init(Image.open(files[0]), box)
    lazy = tracker.update(Image.open(files[1]))
    tracker.init(np.asarray(Image.open(files[0])), box.tolist())
    assert (tracker.update(np.asarray(Image.open(files[1]))) == lazy).all() and lazy.shape == (4,)
    boxes, seconds = tracker.track([str(file) for file in files], box)
    assert boxes.shape == (4, 4) and np.abs(boxes[1] - lazy).max() < 0.5  # another JPEG decoder
    assert (seconds > 0).all()


# --- without one


def test_clock_and_origin(val: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading is outside the clock; boxes come back in the convention they were given in."""
    files = sorted((val / "val" / "a").glob("*.jpg"))
    now = 0.0

    def read(path: Path) -> np.ndarray:
        nonlocal now
        now += 10
        return read_image(path)

    class Quarter(Drifter):
        """Takes a quarter of a second."""

        def track(self, image):  # type: ignore[no-untyped-def]
            nonlocal now
            now += 0.25
            return super().track(image)

    monkeypatch.setattr("d3s_vot.evaluation.boxes.tracking.read_image", read)
    monkeypatch.setattr("d3s_vot.evaluation.boxes.tracking.time.perf_counter", lambda: now)
    seen: list[np.ndarray] = []
    one = follow(simple(Quarter), files, (10, 20, 30, 40), 1, lambda image, box: seen.append(box))
    zero = follow(simple(Drifter), files, (10, 20, 30, 40), 0)
    assert (one.boxes == zero.boxes).all() and (one.boxes[0] == (10, 20, 30, 40)).all()
    assert (np.array(seen) == one.boxes).all()
    assert one.seconds.tolist() == [0, 0.25, 0.25, 0.25]


def test_killed_run_goes_on(val: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """kill -9 in the middle of the second sequence."""
    monkeypatch.setenv("DRIFTER_LOG", str(tmp_path / "whole.log"))
    drift(val, tmp_path / "whole")
    log, output = tmp_path / "killed.log", tmp_path / "killed"
    text = f"import test_got10k_run as t; t.drift(t.Path({str(val)!r}), t.Path({str(output)!r}))"
    environment = {**os.environ, "DRIFTER_LOG": str(log), "DRIFTER_HANGS": "2", "PYTHONPATH": PATHS}
    with subprocess.Popen([sys.executable, "-c", text], env=environment, cwd=TESTS.parent) as process:
        wait_until(lambda: log.exists() and len(log.read_text().split()) == 2, "the second sequence", process)
        process.send_signal(signal.SIGKILL)
    finished = results(output)
    assert list(finished) == ["GOT-10k/D3S/b/b_001.txt"]  # the longest is the first
    stamp = (output / "got10k-val" / "results" / "GOT-10k" / "D3S" / "b" / "b_001.txt").stat().st_mtime_ns
    monkeypatch.setenv("DRIFTER_LOG", str(log))
    drift(val, output)
    assert results(output) == results(tmp_path / "whole")
    assert (output / "got10k-val" / "results" / "GOT-10k" / "D3S" / "b" / "b_001.txt").stat().st_mtime_ns == stamp
    b, c, a = (tmp_path / "whole.log").read_text().split()
    assert log.read_text().split() == [b, c, c, a]  # only the interrupted one is done again
    drift(val, output)
    assert len(log.read_text().split()) == 4


def test_other_settings_are_refused_and_restart_begins_again(val: Path, tmp_path: Path) -> None:
    drift(val, tmp_path, names=["a"])
    with pytest.raises(InputError, match=r"threads was 1, is 2.*--restart"):
        drift(val, tmp_path, pool=Pool(threads=2))
    with pytest.raises(InputError, match="tracker was D3S, is other"):
        drift(val, tmp_path, tracker="other")
    drift(val, tmp_path, pool=Pool(threads=2), restart=True)
    assert len(results(tmp_path)) == 3
    with pytest.raises(InputError, match="no name for a folder"):
        drift(val, tmp_path, tracker="../D3S")


def test_other_weights_are_refused(val: Path, tmp_path: Path) -> None:
    """The file counts, not its name."""
    from d3s_vot.weights.find import find_weights
    from d3s_vot.zoo import load_checkpoint, save_checkpoint

    drift(val, tmp_path / "runs", names=["a"])
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(find_weights("D3S").read_bytes())
    drift(val, tmp_path / "runs", names=["a"], choice=Choice(str(copy)))
    checkpoint = load_checkpoint(copy)
    checkpoint.config["fit_alpha"] = 0.3
    save_checkpoint(copy, checkpoint)
    with pytest.raises(InputError, match=r"weights was \w{64}, is \w{64}; configuration fit_alpha was 0\.25, is 0\.3"):
        drift(val, tmp_path / "runs", names=["a"], choice=Choice(str(copy)))


def test_failed_sequence_costs_only_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = moving_disc("bad", 7)
    bad.frames[0][:16, :16] = 0
    write_layout("got10k-val", tmp_path, [moving_disc("good", 6), bad])
    monkeypatch.setattr(got10k_run, "BoxBenchmark", partial(BoxBenchmark, load=drifter))
    command = ["--dataset", "got10k-val", "--root", str(tmp_path), "--output", str(tmp_path / "runs")]
    assert main(command) == 1
    said = capsys.readouterr()
    assert "bad: the target cannot be used" in said.err
    assert "1 of 2 sequences failed, so there is no report" in said.err and not said.out
    assert list(results(tmp_path / "runs")) == ["GOT-10k/D3S/good/good_001.txt"]
    assert main([*command, "--sequences", "good"]) == 0
    assert "D3S" in capsys.readouterr().out


def test_full_disk_stops_the_run(val: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIFTER_LOG", str(tmp_path / "log"))
    real, calls = os.replace, []

    def full(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) > 3:  # the manifest and the first sequence
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(D3SError, match=r"c_001\.txt cannot be written \(No space left on device\)"):
        drift(val, tmp_path / "runs")
    assert list(results(tmp_path / "runs")) == ["GOT-10k/D3S/b/b_001.txt"]
    assert len((tmp_path / "log").read_text().split()) == 2  # nothing is tracked in vain


@pytest.mark.parametrize("dataset", ["got10k-test", "trackingnet"])
def test_submission(
    dataset: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = [moving_disc("a_0", 6), moving_disc("b_1", 11, 5)]  # eleven frames: sorted as numbers
    write_layout(dataset, tmp_path / "data", videos)
    monkeypatch.setattr(got10k_run, "BoxBenchmark", partial(BoxBenchmark, load=drifter))
    data = ["--dataset", dataset, "--root", str(tmp_path / "data")]
    output = ["--output", str(tmp_path / "runs")]
    target = tmp_path / "runs" / dataset / "D3S.zip"
    assert main([*data, *output, "--sequences", "a_0"]) == 0
    assert "no submission" in capsys.readouterr().out and not target.exists()
    assert main([*data, *output]) == 0
    assert str(target) in capsys.readouterr().out
    assert main([*data, "--check", str(target)]) == 0
    assert f"can be submitted to {dataset}: 2 sequences, 17 frames" in capsys.readouterr().out
    with ZipFile(target) as archive:
        assert ("b_1/b_1_001.txt" if dataset == "got10k-test" else "b_1.txt") in archive.namelist()
    wrong = tmp_path / "wrong.zip"
    with ZipFile(wrong, "w") as archive:
        archive.writestr("a_0.txt", "1,2,3,4\n")
    assert main([*data, "--check", str(wrong)]) == 2
    said = capsys.readouterr().err
    assert "b_1" in said and said.splitlines()[-1].endswith(f"cannot be submitted to {dataset}; mend what is listed")
    assert main([*data, "--check", str(target), "--sequences", "a_0"]) == 2
    assert "leave out --sequences" in capsys.readouterr().err


def test_trackingnet_with_its_truth_is_reported_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = moving_disc("a_0", 6)
    write_layout("trackingnet", tmp_path / "data", [video])
    np.savetxt(tmp_path / "data" / "TEST" / "anno" / "a_0.txt", video.boxes, delimiter=",")
    run(BoxBenchmark("trackingnet", drifter), tmp_path / "data", tmp_path / "runs")
    said = capsys.readouterr().out
    assert "normalised precision" in said and "submission, checked" in said
    assert (tmp_path / "runs" / "trackingnet" / "report" / "success.png").exists()


def wrong_root(root: Path) -> None:
    (root / "val").rename(root / "elsewhere")


def empty_sequence(root: Path) -> None:
    for path in (root / "val" / "disc").glob("*.jpg"):
        path.unlink()


def missing_frames(root: Path) -> None:
    for number in (3, 4, 7, 10):
        (root / "val" / "disc" / f"{number:08d}.jpg").unlink()


def text_among_the_images(root: Path) -> None:
    (root / "val" / "disc" / "00000005.jpg").write_text("not a picture")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (wrong_root, "list.txt"),
        (empty_sequence, "disc"),
        (missing_frames, "disc"),
        (text_among_the_images, "00000005.jpg"),
    ],
)
def test_damaged_data(damage, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    """All is said before the first frame is tracked."""
    write_layout("got10k-val", tmp_path, [moving_disc("disc", 10)])
    damage(tmp_path)
    output = tmp_path / "runs"
    assert main(["--dataset", "got10k-val", "--root", str(tmp_path), "--output", str(output)]) == 2
    text = capsys.readouterr().err
    assert said in text and "Traceback" not in text and text.splitlines()[-1].startswith("d3s_vot.got10k_run: ")
    assert not (output / "got10k-val" / "manifest.json").exists()


def test_many_problems_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = moving_disc("disc", 2)
    videos = [Video(f"v{number:02d}", video.frames, video.boxes) for number in range(30)]
    write_layout("got10k-val", tmp_path, videos)
    for path in (tmp_path / "val").rglob("00000002.jpg"):
        path.write_text("")
    assert main(["--dataset", "got10k-val", "--root", str(tmp_path), "--output", str(tmp_path / "runs")]) == 2
    text = capsys.readouterr().err
    assert "  ... and 10 more\n" in text and "have 30 problems" in text
    assert "v19" in text and "v20" not in text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["--output", "{file}/runs"], "cannot be used"),
        (["--sequences", "nobody"], "nobody"),
        (["--weights", "nothing.safetensors"], "there are no weights"),
        (["--trunk", "nothing.pth"], "nothing.pth"),
        (["--device", "abacus"], "there is no device 'abacus'"),
        (["--name", "a/b"], "no name for a folder"),
        (["--workers", "2", "--ray", "auto"], "choose one of the two"),
    ],
)
def test_arguments_that_cannot_be_used(
    val: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: list[str], said: str
) -> None:
    (tmp_path / "file").write_text("")
    command = ["--dataset", "got10k-val", "--root", str(val), "--output", str(tmp_path)]
    changes = [text.format(file=tmp_path / "file") for text in changes]
    assert main([*command, *changes]) == 2
    text = capsys.readouterr().err
    assert said in text and len(text.splitlines()) == 1


def test_davis_is_one_of_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ["--dataset", "davis17-val", "--root", str(tmp_path)]
    assert main([*data, "--output", str(tmp_path / "runs")]) == 2
    assert "DAVIS" in capsys.readouterr().err
    assert main([*data, "--check", "masks.zip"]) == 2
    assert "davis17-val has no server" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--dataset", "nothing"],
        ["--dataset", "lasot", "--root", "."],
        ["--dataset", "lasot", "--root", ".", "--output", ".", "--workers", "0"],
        ["--dataset", "lasot", "--root", ".", "--output", ".", "--resume", "--restart"],
    ],
)
def test_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2 and "usage:" in capsys.readouterr().err


def test_program_without_the_toolkit() -> None:
    """One sentence, from a Python that cannot import got10k."""
    text = (
        "import sys, runpy; sys.modules['got10k'] = None; sys.argv = ['x', '--help']\n"
        "runpy.run_module('d3s_vot.got10k_run', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, cwd=TESTS.parent)
    assert done.returncode == 2 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and "pip install d3s-vot[got10k]" in done.stderr


def test_program_of_its_own(val: Path, tmp_path: Path) -> None:
    """Also where a notebook's backend is set."""
    command = [sys.executable, "-m", "d3s_vot.got10k_run", "--help"]
    environment = {**os.environ, "MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=TESTS.parent)
    assert done.returncode == 0 and "examples:" in done.stdout and done.stderr == ""


def test_thin_target_fails_its_sequence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the network refuses, and what the check of the data passes, reaches the list of failures."""
    videos = [moving_disc("thin", 3), moving_disc("fine", 3)]
    videos[0].boxes[0, 2] = 0.3
    write_layout("got10k-val", tmp_path, videos)
    command = ["--dataset", "got10k-val", "--root", str(tmp_path), "--output", str(tmp_path / "runs")]
    assert main(command) == 1
    text = capsys.readouterr().err
    assert "thin: " in text and "thinner than half a pixel" in text
    assert list(results(tmp_path / "runs")) == ["GOT-10k/D3S/fine/fine_001.txt"]


@pytest.fixture
def changed(val: Path, tmp_path: Path) -> Path:
    """A copy of the data, to be changed after a run in `tmp_path / "runs"`."""
    root = tmp_path / "copy"
    shutil.copytree(val, root)
    drift(val, tmp_path / "runs")
    return root


def test_a_copy_of_the_data_elsewhere_goes_on(changed: Path, tmp_path: Path) -> None:
    before = results(tmp_path / "runs")
    (tmp_path / "runs" / "got10k-val" / "results" / "GOT-10k" / "D3S" / "c" / "c_001.txt").unlink()
    drift(changed, tmp_path / "runs")
    assert results(tmp_path / "runs") == before


def test_a_corrected_annotation_is_measured(
    changed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Later boxes change no track, so the same results are measured again."""
    path = changed / "val" / "b" / "groundtruth.txt"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], *["1,1,5,5"] * 5]) + "\n")
    capsys.readouterr()
    old = json.loads((tmp_path / "runs" / "got10k-val" / "report" / "performance.json").read_text())
    drift(changed, tmp_path / "runs")
    new = json.loads((tmp_path / "runs" / "got10k-val" / "report" / "performance.json").read_text())
    assert new["per_sequence"]["b"]["AO"] < old["per_sequence"]["b"]["AO"]


def test_another_first_box_or_frame_is_refused(changed: Path, tmp_path: Path) -> None:
    """Nothing is lost, and once the sequence has no results it is tracked again."""
    output = tmp_path / "runs"
    before = results(output)
    path = changed / "val" / "b" / "groundtruth.txt"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(["11,12,31,31", *lines[1:]]) + "\n")
    said = r"holds results of other data \(first box of b was .*, is 11,12,31,31\); remove those of these sequences"
    with pytest.raises(InputError, match=said):
        drift(changed, output)
    with pytest.raises(InputError, match=said):
        report(BoxBenchmark("got10k-val", drifter), changed, output)
    assert results(output) == before
    (output / "got10k-val" / "results" / "GOT-10k" / "D3S" / "b" / "b_001.txt").unlink()
    drift(changed, output)
    after = results(output)
    assert after.pop("GOT-10k/D3S/b/b_001.txt").startswith(b"11.000,12.000,31.000,31.000\n")
    before.pop("GOT-10k/D3S/b/b_001.txt")
    assert after == before
    frame = changed / "val" / "c" / "00000002.jpg"
    Image.open(frame).save(frame, quality=30)
    with pytest.raises(InputError, match=r"frames of c was \w+, is \w+"):
        drift(changed, output)


def test_two_runs_at_once(val: Path, tmp_path: Path) -> None:
    """The second is refused before it touches anything, also where it would begin again, or report."""
    drift(val, tmp_path)
    before = results(tmp_path)
    with Store(tmp_path / "got10k-val").locked():
        for attempt in (drift, partial(drift, restart=True), partial(report, BoxBenchmark("got10k-val", drifter))):
            with pytest.raises(InputError, match="another run is writing to"):
                attempt(val, tmp_path)  # type: ignore[operator]
    assert results(tmp_path) == before


def test_text_in_the_place_of_paths(val: Path, tmp_path: Path) -> None:
    drift(str(val), str(tmp_path), names="a")  # type: ignore[arg-type]
    report(BoxBenchmark("got10k-val", drifter), str(val), str(tmp_path), names="a")  # type: ignore[arg-type]
    assert list(results(tmp_path)) == ["GOT-10k/D3S/a/a_001.txt"]


def test_frames_that_change_their_size(tmp_path: Path) -> None:
    """Boxes are in the pixels of their own frames, as two of GOT-10k's validation set have them."""
    video = moving_disc("disc", 8)
    for index in range(4, 8):
        video.frames[index] = cv2.resize(video.frames[index], (120, 90), interpolation=cv2.INTER_AREA)
        video.boxes[index] = video.boxes[index] * 0.75
    write_layout("got10k-val", tmp_path, [video])
    assert main(["--dataset", "got10k-val", "--root", str(tmp_path), "--output", str(tmp_path / "runs")]) == 0
    boxes = np.loadtxt(io.BytesIO(results(tmp_path / "runs")["GOT-10k/D3S/disc/disc_001.txt"]), delimiter=",")
    assert np.abs(boxes - [1, 1, 0, 0] - video.boxes).max() < 6


@pytest.mark.parametrize(("kind", "workers"), [(signal.SIGTERM, 1), (signal.SIGHUP, 2)])
def test_a_run_that_is_told_to_end(val: Path, tmp_path: Path, kind: signal.Signals, workers: int) -> None:
    """What is done stands whole, nothing else does, nobody goes on, and the next run does the rest."""
    log, output = tmp_path / "log", tmp_path / "runs"
    command = ["--dataset", "got10k-val", "--root", str(val), "--output", str(output), "--workers", str(workers)]
    text = (
        "import sys, functools, test_got10k_run as t\n"
        "t.got10k_run.BoxBenchmark = functools.partial(t.BoxBenchmark, load=t.drifter)\n"
        "if __name__ == '__main__': sys.exit(t.main(sys.argv[1:]))"
    )
    environment = {**os.environ, "DRIFTER_LOG": str(log), "DRIFTER_HANGS": "3", "PYTHONPATH": PATHS}
    with subprocess.Popen(
        [sys.executable, "-c", text, *command], env=environment, stderr=subprocess.PIPE, text=True, cwd=TESTS.parent
    ) as program:
        wait_until(lambda: log.exists() and len(log.read_text().split()) == 3, "the third sequence", program)
        wait_until(lambda: len(results(output)) == 2, "the results of the others", program)
        started = family(program.pid)
        program.send_signal(kind)
        _, said = program.communicate(timeout=PATIENCE)
    told = "d3s_vot.got10k_run: interrupted; the same command goes on where it was"
    assert (program.returncode, said.splitlines()[-1]) == (1, told)
    wait_until(lambda: not any(map(alive, started)), "all ended")
    assert not list(output.rglob("*.part"))
    finished = results(output)
    assert all(path.with_name(f"{path.parent.name}_time.txt").is_file() for path in output.rglob("*_001.txt"))
    drift(val, output, pool=Pool(workers))
    drift(val, tmp_path / "whole")
    assert results(output) == results(tmp_path / "whole") and finished.items() < results(output).items()
