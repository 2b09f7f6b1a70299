"""The page of results: the table's numbers, nothing from outside, frames and experiments that are not there."""

from __future__ import annotations

import base64
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
import toolkit

from d3s_vot.cli import main
from d3s_vot.errors import InputError
from d3s_vot.evaluation.vot import measures
from d3s_vot.evaluation.vot.results import Row, table
from d3s_vot.evaluation.vot.results_charts import success
from d3s_vot.evaluation.vot.results_experiments import load
from d3s_vot.evaluation.vot.results_page import write_page
from d3s_vot.evaluation.vot.results_pictures import TRUTH, Moment, Outline, Picture, corners, part, strip
from d3s_vot.evaluation.vot.results_table import cells_of, titles_of
from d3s_vot.evaluation.vot.stored import read_trajectory
from d3s_vot.evaluation.vot.workspaces import Workspace


class Page(HTMLParser):
    """What the tests look at in a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.table: list[list[str]] = []  # the first one
        self._cell = False
        self.source = path.read_text("utf-8")
        self.feed(self.source)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr" and len(self.all("table")) == 1:
            self.table.append([])
        if tag in ("td", "th") and len(self.all("table")) == 1:
            self.table[-1].append("")
            self._cell = True

    def handle_endtag(self, tag: str) -> None:
        self._cell = self._cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self._cell:
            self.table[-1][-1] += data

    def all(self, tag: str, name: str = "") -> list[dict[str, str | None]]:
        """The attributes of all elements of a kind, and of a class."""
        return [a for found, a in self.tags if found == tag and (not name or name in str(a.get("class")).split())]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return toolkit.copy_of_evaluated(tmp_path / "workspace")


def page_of(root: Path, *trackers: str) -> Page:
    write_page(root, trackers, root / "results.html")
    return Page(root / "results.html")


def test_the_numbers_are_the_tables(workspace: Path) -> None:
    page = page_of(workspace)
    (row,) = table(workspace, [])
    assert page.table == [titles_of(Row), cells_of(row)]
    assert f"StandIn {row.eao:.3f}" in page.text and f"StandIn {row.ao:.3f}" in page.text  # the charts' legends
    assert [a["id"] for a in page.all("section")] == ["s1", "s2", "s3"]


def test_self_contained_and_the_same_again(workspace: Path) -> None:
    page = page_of(workspace)
    assert all(str(a["src"]).startswith("data:image/jpeg;base64,") for a in page.all("img"))
    rest = re.sub(r"data:image/jpeg;base64,[\w+/=]+", "", page.source)
    assert not re.search(r"//|@import|url\(", rest)
    assert not page.all("script") and not page.all("link")
    assert len(page.source) < 150_000 * 3
    first = (workspace / "results.html").read_bytes()
    write_page(workspace, [], workspace / "results.html")
    assert (workspace / "results.html").read_bytes() == first
    assert [path.name for path in workspace.glob("*results.html*")] == ["results.html"]


def test_command_line(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["results", str(workspace), "--html"]) == 0
    page = (workspace / "results.html").read_bytes()
    elsewhere = workspace / "page.html"
    assert main(["results", str(workspace), "StandIn", "--html", str(elsewhere)]) == 0
    assert elsewhere.read_bytes() == page and "<html" in page.decode()
    assert main(["results", str(workspace), "--html", "StandIn"]) == 2
    assert "is no name for a page" in capsys.readouterr().err


def test_frames_at_start_failure_and_worst_overlap(workspace: Path) -> None:
    page = page_of(workspace)
    folder = workspace / "results" / "StandIn"
    entries = read_trajectory(folder / "baseline" / "cat" / "cat_001.bin")
    lost = [n for n, entry in enumerate(entries) if isinstance(entry, int) and entry == measures.FAILED]
    assert lost  # the stand-in loses this one
    assert f"frame {lost[0] + 1} failure 1 of {len(lost)} overlap 0.00, confidence 0." in page.text
    alts = [str(a["alt"]) for a in page.all("img") if str(a["alt"]).startswith("cat,")]
    assert alts[0] == "cat, frame 1: start" and alts[-1].split(": ")[1].startswith("worst overlap")
    assert len(alts) == 2 + len(lost)
    section = page.source.split('<section id="s1">')[1].split("</section>")[0]
    figure = next(part for part in section.split("<figure>") if "failure 1 of" in part)
    found = re.search(r'width="(\d+)".*class="t0 late" points="(.*?)"', figure, re.DOTALL)
    assert found
    width, late = int(found[1]), found[2]
    shown = np.array([pair.split(",") for pair in late.split()], float)
    assert shown == pytest.approx(entries[lost[0] - 1] * width / 400, abs=0.06)  # the frame is shown whole
    for attributes in page.all("img"):
        data = base64.b64decode(str(attributes["src"]).partition(",")[2])
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        rows, columns = picture.shape[:2]
        assert (str(columns), str(rows)) == (attributes["width"], attributes["height"])
        assert columns <= 360 and rows <= 300


def test_more_failures_than_are_shown(workspace: Path) -> None:
    for path in (workspace / "results" / "StandIn" / "baseline" / "cup").glob("*.bin"):
        lines = ["1", "156,104,100,93", "156,104,100,93", "156,104,100,93", "2", "0", "0", "0", "0"] * 6
        path.with_suffix(".txt").write_text("\n".join(lines) + "\n")
        path.unlink()
    page = page_of(workspace)
    assert "failure 4 of 6" in page.text and "failure 5 of 6" not in page.text
    assert "4 of 6 failures are shown" in page.text and "cup 6 lost" in page.text


def test_names_are_no_markup(workspace: Path) -> None:
    name = '<img src=x onerror="alert(1)"><script>'
    (workspace / "results" / "StandIn").rename(workspace / "results" / name)
    page = page_of(workspace, name)
    assert not page.all("script") and all("onerror" not in attributes for _, attributes in page.tags)
    assert page.table[1][0] == name


def test_frames_that_are_missing(workspace: Path) -> None:
    folders = {}
    for name in toolkit.SEQUENCES:
        folders[name] = workspace / "sequences" / name
        folders[name].unlink()
        shutil.copytree(toolkit.sample() / name, folders[name])
    (folders["cat"] / "color" / "00000001.jpg").write_bytes(b"")
    shutil.rmtree(folders["cup"] / "color")
    page = page_of(workspace)
    assert "no pictures of 1 of the 3 sequences: their frames are not on this machine" in page.text
    assert "1 of 3 pictures cannot be shown" in page.text
    shutil.rmtree(folders["cat"] / "color")
    shutil.rmtree(folders["shuttle"] / "color")
    page = page_of(workspace)
    assert "no pictures of 3 of the 3 sequences" in page.text and not page.all("img")
    assert page.table == [titles_of(Row), cells_of(table(workspace, [])[0])]


def test_supervised_experiment_alone(workspace: Path) -> None:
    shutil.rmtree(workspace / "results" / "StandIn" / "unsupervised")
    page = page_of(workspace)
    assert "There are no results of the experiment unsupervised" in page.text
    assert "Expected overlap" in page.text and "above a threshold" not in page.text
    assert "worst overlap in baseline" in page.text and page.all("img")


def test_unsupervised_experiment_alone(workspace: Path) -> None:
    (row,) = table(workspace, [])
    shutil.rmtree(workspace / "results" / "StandIn" / "baseline")
    page = page_of(workspace)
    cells = dict(zip(*page.table, strict=True))
    assert cells["AO"] == f"{row.ao:.3f}" and cells["AO toolkit"] == f"{row.ao_toolkit:.3f}" and cells["A"] == ""
    assert "There are no results of the experiment baseline" in page.text
    assert "Expected overlap" not in page.text and "failure 1" not in page.text and page.all("img")
    (workspace / "results" / "StandIn" / "unsupervised" / "cat" / "cat_001.bin").unlink()
    with pytest.raises(InputError, match="cat of unsupervised is missing"):
        page_of(workspace)


def test_two_trackers(workspace: Path) -> None:
    """One of another make: without confidence, without the unsupervised experiment."""
    results = workspace / "results"
    without = shutil.ignore_patterns("*.value")
    shutil.copytree(results / "StandIn" / "baseline", results / "Other" / "baseline", ignore=without)
    page = page_of(workspace, "StandIn", "Other")
    assert [line[0] for line in page.table] == ["tracker", "StandIn", "Other"]
    assert "worst overlap in baseline" in page.text  # the one that both have
    assert len(page.all("path", "dotted")) == 3  # the confidence of the first, in each sequence
    page = page_of(workspace, "Other", "StandIn")
    assert not page.all("path", "dotted") and "confidence 0." not in page.text


def test_published_row(workspace: Path) -> None:
    config = workspace / "config.yaml"
    config.write_text(config.read_text().replace("./stack.yaml", "vot2018/shortterm"))
    page = page_of(workspace)
    assert page.table[2][:4] == ["D3S (paper, VOT2018)", "0.640", "0.150", "0.489"]
    assert "was not computed here" in page.text
    assert "No sequence is as long" in page.text


def test_curves_agree_with_their_scores(workspace: Path) -> None:
    page = page_of(workspace)
    (row,) = table(workspace, [])
    window, expected = page.all("rect")[0], page.all("path", "t0")[0]
    x, y = np.array([pair.split(",") for pair in str(expected["d"]).lstrip("M").split()], float).T
    low = float(str(window["x"]))
    inside = (x >= low - 1) & (x <= low + float(str(window["width"])) + 1)
    assert 1 - y[inside].mean() / 1000 == pytest.approx(row.eao, abs=0.001)
    free = load(Workspace.load(workspace), 0, "StandIn").free
    assert free is not None
    assert success(free.runs).mean() == pytest.approx(row.ao, abs=0.01)


def test_what_cannot_be_written(workspace: Path) -> None:
    with pytest.raises(InputError, match=r"StandIn is no name for a page; give FILE\.html"):
        write_page(workspace, [], Path("StandIn"))
    with pytest.raises(InputError, match="there is no folder"):
        write_page(workspace, [], workspace / "nowhere" / "page.html")
    with pytest.raises(InputError, match=r"Nobody has no results .* \(there are: StandIn\)"):
        write_page(workspace, ["Nobody"], workspace / "page.html")
    values = workspace / "results" / "StandIn" / "unsupervised" / "cat" / "cat_001_confidence.value"
    values.write_text("0.5\nsure\n")
    target = workspace / "page.html"
    target.write_text("the page before")
    with pytest.raises(InputError, match=r"cat_001_confidence\.value holds a line that is no confidence"):
        write_page(workspace, [], target)
    assert target.read_text() == "the page before"


def test_small_targets_are_cut_out() -> None:
    rectangle = np.array([601.0, 301.0, 20.0, 10.0])
    assert corners(rectangle)[0].tolist() == [600, 300]
    x, y, w, h = part([Outline(TRUTH, rectangle)], 1280, 720)
    assert (w, h) == (160, 90) and x < 600 < 620 < x + w and y < 300 < 310 < y + h
    far = Outline(0, np.array([1.0, 1.0, 50.0, 50.0]))
    assert part([Outline(TRUTH, rectangle), far], 1280, 720) == (0, 0, 1280, 720)
    assert part([Outline(TRUTH, np.array([1270.0, 700.0, 30.0, 30.0]))], 1280, 720)[:2] == (1056, 594)
    assert corners(np.zeros(4)).shape == (4, 2)  # an empty answer has a place all the same


def test_quality_falls_until_the_pictures_fit() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3)).astype(np.uint8)
    moments = [Moment(n, "", "", [Outline(TRUTH, np.array([1.0, 1, 300, 200]))]) for n in range(2)]

    def read(frame: int) -> Picture:
        return noise

    sizes = [sum(len(shot.data) for shot in strip(moments, read, limit)) for limit in (10**6, 80_000, 1)]
    assert sizes[0] > sizes[1] > sizes[2] and sizes[1] * 3 / 4 < 80_000


def test_frames_named_by_the_sequence_and_a_stack_without_resets(tmp_path: Path) -> None:
    """One's own data: other names of the frames, no size, an absent target, one experiment."""
    frames, results = tmp_path / "sequences" / "a" / "color", tmp_path / "results" / "T" / "free" / "a"
    frames.mkdir(parents=True)
    results.mkdir(parents=True)
    (tmp_path / "config.yaml").write_text("stack: ./stack.yaml\nsequences: ./sequences\n")
    (tmp_path / "stack.yaml").write_text("experiments:\n  free: {type: unsupervised, repetitions: 1}\n")
    (tmp_path / "sequences" / "list.txt").write_text("a\n")
    for number in range(1, 13):
        cv2.imwrite(str(frames / f"f{number:04d}.png"), np.full((120, 160, 3), 90 + number, np.uint8))
    (frames.parent / "groundtruth.txt").write_text("41,41,30,24\n" * 10 + "0,0,0,0\n" * 2)
    (frames.parent / "sequence").write_text("channels.color=color/f%04d.png\n")
    (results / "a_001.txt").write_text("1\n" + "42,42,30,24\n" * 11)
    page = page_of(tmp_path)
    assert [str(a["alt"]) for a in page.all("img")] == ["a, frame 1: start", "a, frame 6: worst overlap, as in 8 more"]
    assert "None" not in page.text
