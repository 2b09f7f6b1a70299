"""`d3s-vot plots`: what it leaves of several trackers' files, the page in a browser, and what it cannot use."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from layouts import moving_disc, write_layout, write_text

pytest.importorskip("av")
pytest.importorskip("got10k", reason="needs d3s-vot[got10k]")
import av

from d3s_vot.cli import main
from d3s_vot.evaluation.boxes.boxsets import open_boxset
from d3s_vot.evaluation.boxes.layouts import format_boxes
from d3s_vot.evaluation.boxes.scores import lasot_curves, lasot_scores
from d3s_vot.evaluation.boxes.sequences import Sequence
from d3s_vot.plots.published import published_scores

CHROMIUM = shutil.which("chromium")
SHIFT = {"DiMP-50": 3, "mine": 12}  # pixels that a tracker's boxes are off to the right, whole numbers


@pytest.fixture
def data(tmp_path: Path) -> tuple[Path, list[Sequence]]:
    """Three sequences of OTB with attributes, and the results of two trackers, one in PyTracking's form."""
    root = tmp_path / "OTB"
    names = write_layout("otb100", root, [moving_disc("disc", 8, start=3 * k) for k in range(3)])
    sequences = open_boxset("otb100", root, names)
    for k, sequence in enumerate(sequences):
        write_text(root / "anno" / "att" / f"{sequence.name}.txt", [",".join("1" + "0" * 9 + str(int(k == 0)))])
        write_text(tmp_path / "mine" / "times" / f"{sequence.name}_time.txt", ["0.1"] * 8)
        for tracker, shift in SHIFT.items():
            boxes = answered(sequence, shift)
            text = format_boxes(boxes, 3) if tracker == "mine" else "".join(
                "\t".join(f"{value:.0f}" for value in row) + "\n" for row in boxes
            )  # fmt: skip
            write_text(tmp_path / tracker / f"{sequence.name}.txt", text.splitlines())
    return root, sequences


def answered(sequence: Sequence, shift: float) -> np.ndarray:
    return np.trunc(sequence.truth) + np.array([shift, 0, 0, 0])


def words(root: Path, sequences: list[Sequence], results: list[str], *more: str) -> list[str]:
    where = ["--dataset", "otb100", "--root", str(root), "--output", str(root.parent / "out")]
    return ["plots", *results, *where, "--sequences", *(sequence.name for sequence in sequences), *more]


def test_numbers_tables_and_film(data: tuple[Path, list[Sequence]], capsys: pytest.CaptureFixture[str]) -> None:
    root, sequences = data
    output, results = root.parent / "out", [str(root.parent / tracker) for tracker in SHIFT]
    (root.parent / "mine" / f"{sequences[2].name}.txt").unlink()
    film = sequences[0].name
    assert main(words(root, sequences, results, "--film", film)) == 0
    assert f"{sequences[2].name} is left out: no result of mine" in capsys.readouterr().err
    numbers = json.loads((output / "numbers.json").read_text())
    assert (numbers["sequences"], numbers["frames"]) == (2, 16)
    assert numbers["left out"] == {sequences[2].name: ["mine"]}
    for tracker, shift in SHIFT.items():
        found = numbers["trackers"][tracker]
        for sequence in sequences[:2]:
            scores = lasot_scores(lasot_curves(answered(sequence, shift), sequence.truth))
            assert {key: found["sequences"][sequence.name][key] for key in scores} == pytest.approx(scores)
        assert found["attributes"]["low resolution"] == found["sequences"][film]
        assert found["rank"] == list(SHIFT).index(tracker) + 1
    assert numbers["trackers"]["DiMP-50"]["published"] == {"benchmark": "OTB2015", "success": 68.4}
    assert numbers["trackers"]["mine"]["published"] is None
    assert numbers["trackers"]["mine"]["frames/s"] == pytest.approx(10)
    for file, count in (("trackers.csv", 2), ("sequences.csv", 4), ("attributes.csv", 4)):
        with (output / file).open(newline="") as opened:
            rows = list(csv.DictReader(opened))
        assert len(rows) == count
    assert float(rows[0]["success"]) == pytest.approx(
        numbers["trackers"]["DiMP-50"]["attributes"]["illumination variation"]["success"], abs=1e-4
    )
    with av.open(str(output / f"film-{film}.mp4")) as opened:
        frames = [frame.to_ndarray(format="rgb24") for frame in opened.decode(video=0)]
    assert len(frames) == 8
    page = (output / "index.html").read_text()
    for text in ("success: share of frames", "DiMP-50, published (OTB2015)", f'src="film-{film}.mp4"', "68.4"):
        assert text in page
    assert main(words(root, sequences[:2], results[:1])) == 0  # in the place of the earlier one
    assert "<video" not in (output / "index.html").read_text()


def test_what_cannot_be_used_is_said_and_nothing_is_written(
    data: tuple[Path, list[Sequence]], capsys: pytest.CaptureFixture[str]
) -> None:
    root, sequences = data
    mine = root.parent / "mine"
    write_text(root.parent / "bad" / f"{sequences[0].name}.txt", ["1,2,nan,4"] * 8)
    wrong = (
        ([str(mine)], ["--film", "Nobody"], "no film of Nobody"),
        ([str(mine)], ["--attributes", str(root / "none")], "there is no"),
        ([str(mine), str(root.parent / "bad")], [], "of bad: line 1 has a number that is not finite"),
        ([str(mine)] * 2, [], "two trackers are called mine"),
        ([str(root.parent / "nowhere")], [], "there is no folder"),
    )
    for results, more, said in wrong:
        assert main(words(root, sequences, results, *more)) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1, error
    where = ["--root", str(root), "--output", str(root.parent / "out")]
    assert main(["plots", str(mine), "--dataset", "otb", *where]) == 2
    assert "there is no data set 'otb'" in capsys.readouterr().err
    assert not (root.parent / "out").exists()


def test_published_scores() -> None:
    assert published_scores("lasot", "SiamFCpp-lasot-googlenet") == (
        "LaSOT",
        {"success": 55.7, "precision": 55.6, "normalised precision": 58.9},
    )
    assert published_scores("got10k-val", "D3S-ResNet50") == ("GOT-10k test", {"AO": 59.7, "SR.5": 67.6, "SR.75": 46.2})
    assert published_scores("dtb70", "DiMP-50") is None and published_scores("lasot", "somebody's") is None


@pytest.mark.skipif(CHROMIUM is None, reason="needs the program chromium")
def test_the_page_in_a_browser(data: tuple[Path, list[Sequence]]) -> None:
    """Sequences are sifted by name, attribute and score, and sorted by the keyboard; no request leaves."""
    tool = pytest.importorskip("playwright.sync_api")
    root, sequences = data
    assert main(words(root, sequences, [str(root.parent / tracker) for tracker in SHIFT])) == 0
    mishaps, asked = [], []
    with tool.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1100, "height": 900})
        page.on("pageerror", lambda error: mishaps.append(str(error)))
        page.on("console", lambda message: message.type == "error" and mishaps.append(message.text))
        page.on("request", lambda request: asked.append(request.url))
        page.goto((root.parent / "out" / "index.html").as_uri())
        assert page.locator(".chart svg").count() == 3 and page.locator(".chart .line").count() == 6
        rows = page.locator("#sequences tbody tr")
        visible = page.locator("#sequences tbody tr:visible td:first-child")
        assert visible.count() == 3
        page.fill("#name", sequences[1].name.upper())
        assert visible.all_inner_texts() == [sequences[1].name]
        page.fill("#name", "")
        page.select_option("#tag", label="low resolution")
        assert visible.all_inner_texts() == [sequences[0].name] and page.inner_text("#count") == "1"
        page.select_option("#tag", label="any")
        page.select_option("#kind", "differ")  # by 9 pixels of a target of 31
        assert visible.count() == 3
        page.select_option("#kind", "all-poor")
        assert visible.count() == 0
        page.select_option("#kind", "")
        page.locator("#sequences th button").nth(3).focus()
        page.keyboard.press("Enter")
        scores = [float(row.locator("td").nth(3).inner_text()) for row in rows.all()]
        assert scores == sorted(scores, reverse=True)
        browser.close()
    assert mishaps == []
    assert all(url.startswith(("file:", "data:")) for url in asked)
