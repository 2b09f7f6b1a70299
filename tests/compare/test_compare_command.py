"""`d3s-vot compare`: two trackers on one video, what they leave, and what is said where something cannot be used."""

from __future__ import annotations

import csv
import errno
import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import ncc
import numpy as np
import pytest

pytest.importorskip("av")
from videos import disc_video, packet_count

from d3s_vot import files, zoo
from d3s_vot.cli import main
from d3s_vot.compare import page as comparison
from d3s_vot.prediction import Prediction
from d3s_vot.regions import Box
from d3s_vot.tracker import Tracker
from d3s_vot.video import sources
from d3s_vot.zoo import save_checkpoint

COUNT = 40
CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Box]]:
    """A moving disc, and the truth beside it."""
    path, boxes = disc_video(tmp_path_factory.mktemp("compared") / "disc.mp4", COUNT)
    path.with_name("truth.txt").write_text("".join(f"{b.x},{b.y},{b.w},{b.h}\n" for b in boxes))
    return path, boxes


@pytest.fixture(autouse=True)
def trackers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Weights of two that need no network: one that follows the disc, and one that looks no farther than a pixel."""
    monkeypatch.setattr(zoo, "family", ncc.family_with_it)
    files = []
    for name, reach in (("far", 20), ("near", 1)):
        files.append(str(tmp_path / f"{name}.safetensors"))
        save_checkpoint(files[-1], ncc.checkpoint(reach=reach))
    return files


def words(path: Path, trackers: list[str], output: Path, *more: str) -> list[str]:
    return ["compare", str(path), "--trackers", *trackers, "--output", str(output), "--device", "cpu", *more]


def rows(output: Path) -> list[dict[str, str]]:
    with (output / "frames.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_film_table_and_page(
    video: tuple[Path, list[Box]], trackers: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, output = video[0], tmp_path / "out"
    assert main(words(path, trackers, output, "--truth", str(path.with_name("truth.txt")))) == 0
    assert "; near: mean confidence" in capsys.readouterr().err
    assert packet_count(output / "film.mp4") == COUNT
    table = rows(output)
    assert [row["tracker"] for row in table] == ["far", "near"] * COUNT
    later = table[2:]
    assert all(float(row["overlap"]) > 0.7 for row in later[::2])
    assert float(later[-1]["overlap"]) < 0.1  # it stood still
    assert all(later[k]["agreement"] == later[k + 1]["agreement"] for k in range(0, len(later), 2))
    page = (output / "index.html").read_text()
    for text in ("near loses it", 'src="film.mp4"', "overlap with the truth", "agreement with the others"):
        assert text in page
    assert main(words(path, trackers[:1], output, "--box", "25,35,31,31")) == 0  # in the place of the earlier one
    assert [row["tracker"] for row in rows(output)] == ["far"] * COUNT
    page = (output / "index.html").read_text()
    assert "near loses" not in page and "overlap with the truth" not in page and "agreement" not in page


def test_each_gives_what_it_gives_alone_and_the_video_is_decoded_once(
    video: tuple[Path, list[Box]], trackers: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[float] = []
    decode = sources.recording.Recording._pictures

    def counted(self: sources.recording.Recording) -> Iterator[tuple[float, object]]:
        for picture in decode(self):
            reads.append(picture[0])
            yield picture

    target = "--box=25,35,31,31"
    for name, some in (("both", trackers), ("far", trackers[:1]), ("near", trackers[1:])):
        with monkeypatch.context() as patch:
            if name == "both":
                patch.setattr(sources.recording.Recording, "_pictures", counted)
            assert main(words(video[0], some, tmp_path / name, target)) == 0
    assert len(reads) == COUNT + COUNT  # of the video, and of the film for the page's pictures
    place = ("frame", "x", "y", "w", "h", "confidence", "visible")
    together = rows(tmp_path / "both")
    for k, name in enumerate(("far", "near")):
        assert [[row[key] for key in place] for row in together[k::2]] == [
            [row[key] for key in place] for row in rows(tmp_path / name)
        ]


def test_what_cannot_be_used_is_said_and_nothing_is_lost(
    video: tuple[Path, list[Box]], trackers: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, output = video[0], tmp_path / "out"
    assert main(words(path, trackers, output, "--box", "25,35,31,31")) == 0
    before = {file.name: file.read_bytes() for file in output.iterdir()}
    capsys.readouterr()
    empty = tmp_path / "empty.txt"
    empty.write_text("nan,nan,nan,nan\n")
    wrong = (
        ([*trackers, trackers[0]], ["--box=25,35,31,31"], "a tracker is named twice; give each once"),
        (trackers, [], "no target is given; add --box"),
        (trackers, ["--truth", str(empty)], "gives no target in the first frame"),
        (trackers, ["--truth", str(tmp_path / "none.txt")], "cannot be read"),
        (trackers, ["--box=900,900,9,9"], "outside"),
        (["D3X"], ["--box=25,35,31,31"], "D3X"),
    )
    for some, options, said in wrong:
        assert main(words(path, some, output, *options)) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1, error
    assert {file.name: file.read_bytes() for file in output.iterdir()} == before
    assert main(words(path, ["D3X"], tmp_path / "new", "--box=25,35,31,31")) == 2
    assert not (tmp_path / "new").exists()
    capsys.readouterr()
    (tmp_path / "file").touch()
    assert main(words(path, trackers, tmp_path / "file", "--box=25,35,31,31")) == 2
    assert "is no folder to write to (File exists); choose another" in capsys.readouterr().err


def failing_in(frame: int, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second of two trackers fails there."""
    track, calls = Tracker.track, itertools.count()

    def fail(self: Tracker, image: np.ndarray) -> Prediction:
        if next(calls) == 2 * frame - 1:
            raise error
        return track(self, image)

    monkeypatch.setattr(Tracker, "track", fail)


@pytest.mark.parametrize(
    ("error", "said"),
    [(RuntimeError("no memory"), "near failed in frame 9: RuntimeError: no memory"), (KeyboardInterrupt(), "9 frames")],
)
def test_what_ends_it_between_two_trackers_leaves_film_table_and_page_of_the_same_frames(
    error: BaseException,
    said: str,
    video: tuple[Path, list[Box]],
    trackers: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "out"
    failing_in(9, error, monkeypatch)
    assert main(words(video[0], trackers, output, "--truth", str(video[0].with_name("truth.txt")))) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert said in last and "is it of this video" not in last
    assert packet_count(output / "film.mp4") == 9
    assert [(row["frame"], row["tracker"]) for row in rows(output)[-2:]] == [("8", "far"), ("8", "near")]
    assert ", 9 frames of" in (output / "index.html").read_text()
    assert sorted(file.name for file in output.iterdir()) == [".lock", "film.mp4", "frames.csv", "index.html"]


def test_a_tracker_that_cannot_begin_is_named(
    video: tuple[Path, list[Box]],
    trackers: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no memory")

    monkeypatch.setattr(Tracker, "initialize", fail)
    assert main(words(video[0], trackers, tmp_path / "out", "--box=25,35,31,31")) == 1
    assert capsys.readouterr().err == "d3s-vot: far failed in frame 0: RuntimeError: no memory\n"


@pytest.mark.parametrize("place", ["film", "page"])
def test_a_full_disk_leaves_an_earlier_comparison(
    place: str,
    video: tuple[Path, list[Box]],
    trackers: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Film, table and page come together; also nothing of a run that was killed is in their way."""
    path, output = video[0], tmp_path / "out"
    assert main(words(path, trackers, output, "--box", "25,35,31,31")) == 0
    before = {file.name: file.read_bytes() for file in output.iterdir()}
    (output / ".new").mkdir()
    (output / ".new" / "frames.csv").write_text("of a killed run")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if place == "page":
        monkeypatch.setattr(comparison, "write_whole", full)
    else:
        monkeypatch.setattr(files.os, "fsync", full)
    assert main(words(path, trackers, output, "--truth", str(path.with_name("truth.txt")))) == 1
    assert "No space left on device" in capsys.readouterr().err.splitlines()[-1]
    assert {file.name: file.read_bytes() for file in output.iterdir()} == before


@pytest.mark.parametrize("length", [COUNT - 10, COUNT + 5])
def test_a_truth_of_another_length_is_told(
    length: int, video: tuple[Path, list[Box]], trackers: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = tmp_path / "truth.txt"
    truth.write_text("25,35,31,31\n" * length)
    assert main(words(video[0], trackers, tmp_path / "out", "--truth", str(truth))) == 0
    assert f"truth.txt has {length} lines for {COUNT} frames; is it of this video?" in capsys.readouterr().err
    measured = [row["overlap"] != "" for row in rows(tmp_path / "out")[::2]]
    assert measured == [0 < k < length for k in range(COUNT)]  # the first is given


def test_one_frame_is_a_comparison_too(trackers: list[str], tmp_path: Path) -> None:
    path, boxes = disc_video(tmp_path / "one.mp4", 1)
    assert main(words(path, trackers, tmp_path / "out", f"--box={','.join(map(str, boxes[0]))}")) == 0
    assert len(rows(tmp_path / "out")) == 2 and ", 1 frame of" in (tmp_path / "out" / "index.html").read_text()


@pytest.mark.skipif(CHROMIUM is None, reason="needs the program chromium")
def test_the_page_in_a_browser(video: tuple[Path, list[Box]], trackers: list[str], tmp_path: Path) -> None:
    """Curves and frames lead to their place of the film, by the mouse and by the keyboard; no request leaves."""
    tool = pytest.importorskip("playwright.sync_api")
    path, output = video[0], tmp_path / "out"
    assert main(words(path, trackers, output, "--truth", str(path.with_name("truth.txt")))) == 0
    mishaps, asked = [], []
    with tool.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1100, "height": 900})
        page.on("pageerror", lambda error: mishaps.append(str(error)))
        page.on("console", lambda message: message.type == "error" and mishaps.append(message.text))
        page.on("request", lambda request: asked.append(request.url))
        page.goto((output / "index.html").as_uri())
        seconds = "document.getElementById('film').currentTime"
        page.wait_for_function("document.getElementById('film').readyState > 0")
        assert page.evaluate("document.getElementById('film').duration") == pytest.approx(COUNT / 25, abs=0.1)
        chart = page.locator(".chart svg").first
        box = chart.bounding_box()
        chart.click(position={"x": 0.5 * box["width"], "y": 10})
        page.wait_for_function(f"{seconds} > 0.5")
        assert page.evaluate(seconds) == pytest.approx(0.5 * COUNT / 25, abs=0.06)
        button = page.locator("button[data-frame]").nth(1)
        frame = int(button.get_attribute("data-frame"))
        button.focus()
        page.keyboard.press("Enter")
        page.wait_for_function(f"Math.abs({seconds} - {frame} / 25) < 0.03")
        browser.close()
    assert mishaps == []
    assert all(url.startswith(("file:", "data:")) for url in asked)
