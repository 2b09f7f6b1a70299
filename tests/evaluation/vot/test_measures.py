"""The VOT measures, against the toolkit's own analysis and against the known values of three raw results."""

from __future__ import annotations

import json
import math
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import toolkit

from d3s_vot.evaluation.vot import measures
from d3s_vot.evaluation.vot.measures import Run
from d3s_vot.evaluation.vot.overlaps import exact_overlap, pixel_overlap
from d3s_vot.evaluation.vot.results import evaluate
from d3s_vot.evaluation.vot.stored import parse_text
from d3s_vot.evaluation.vot.workspaces import Workspace
from d3s_vot.mask_codes import PlacedMask

WIDTH, HEIGHT = 64, 48


def rectangle(random: np.random.Generator) -> np.ndarray:
    return np.array([*random.uniform(-15, 55, 2), *random.uniform(3, 40, 2)]).round(2)


def polygon(random: np.random.Generator) -> np.ndarray:
    w, h = random.uniform(3, 40, 2)
    angle = random.uniform(0, 2 * math.pi)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return (np.array([[-w, -h], [w, -h], [w, h], [-w, h]]) / 2 @ turn.T + random.uniform(-5, 60, 2)).round(2)


@pytest.mark.parametrize("kinds", [(rectangle, rectangle), (polygon, polygon), (polygon, rectangle)])
def test_pixel_overlap_is_the_toolkits(kinds) -> None:
    from vot.region import calculate_overlap
    from vot.region.shapes import Polygon, Rectangle

    def theirs(region: np.ndarray):
        return Rectangle(*region) if region.ndim == 1 else Polygon([tuple(point) for point in region])

    random = np.random.default_rng(7)
    rounding = 0
    for _ in range(1500):
        a, b = (kind(random) for kind in kinds)
        expected = calculate_overlap(theirs(a), theirs(b), (WIDTH, HEIGHT))
        # where an edge crosses a row of pixels exactly between two of them, rounding decides about one pixel
        rounding += pixel_overlap(a, b, WIDTH, HEIGHT) != pytest.approx(expected, abs=1e-9)
    assert rounding <= 3


def test_exact_overlap() -> None:
    square = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], float)
    diamond = np.array([[5, 0], [10, 5], [5, 10], [0, 5]], float)
    assert exact_overlap(square, diamond, 100, 100) == pytest.approx(0.5)
    assert exact_overlap(square, diamond[::-1], 100, 100) == pytest.approx(0.5)
    assert exact_overlap(square, np.array([0, 0, 10, 10.0]), 100, 100) == pytest.approx(1)
    assert exact_overlap(square - 5, np.array([0, 0, 5, 5.0]), 100, 100) == pytest.approx(
        1
    )  # inside the image
    assert exact_overlap(square, square + 10, 100, 100) == 0
    assert exact_overlap(square, np.array([2, 2, 0, 5.0]), 100, 100) == 0
    assert exact_overlap(square + 200, square + 200, 100, 100) == 0


def test_exact_overlap_agrees_with_counted_points() -> None:
    """Sixteen points a pixel, each counted by OpenCV, which knows nothing of areas."""
    random = np.random.default_rng(8)
    fine = 4
    for _ in range(60):
        corners = polygon(random), polygon(random)
        p, q = (np.zeros((HEIGHT * fine, WIDTH * fine), np.uint8) for _ in corners)
        for canvas, points in zip((p, q), corners, strict=True):
            # the point in column k of the canvas lies at (k + 0.5) / fine
            cv2.fillPoly(canvas, [np.rint((points * fine - 0.5) * 16).astype(np.int32)], 1, shift=4)
        either = np.count_nonzero(p | q)
        expected = np.count_nonzero(p & q) / either if either else 0
        assert exact_overlap(*corners, WIDTH, HEIGHT) == pytest.approx(expected, abs=0.03)


def run(text: str) -> Run:
    """i, f and s: codes; digits: tenths of overlap."""
    codes = np.array([{"i": 1, "f": 2, "s": 0}.get(letter, -1) for letter in text])
    overlaps = np.array([int(letter) / 10 if letter.isdigit() else math.nan for letter in text])
    return Run(codes, overlaps)


def test_hand_made_runs() -> None:
    runs = [[run("i9999fssssi55555")], [run("i8888")]]
    assert measures.failures(runs) == 1
    assert measures.robustness_papers(runs) == pytest.approx(100 / 21)
    assert measures.robustness_toolkit(runs) == pytest.approx(16 / 21)
    assert measures.accuracy(runs, burn_in=3) == pytest.approx((16 * (0.9 * 2 + 0.5 * 3) / 5 + 5 * 0.8) / 21)
    assert measures.accuracy(runs, "papers", burn_in=3) == pytest.approx((0.9 * 2 + 0.5 * 3 + 0.8 * 2) / 7)
    curve = measures.eao_curve(runs)
    assert curve[:2] == pytest.approx([0, (0.9 + 0.5 + 0.8) / 3])
    assert curve[5] == pytest.approx((4 * 0.9 / 5 + 0.5) / 2)  # the last fragment is known for 4 frames
    assert curve[10] == pytest.approx(4 * 0.9 / 10)
    assert measures.eao(runs, 4, 5) == pytest.approx((curve[4] + curve[5]) / 2)
    assert measures.eao(runs, 5, 6, "papers") == pytest.approx((curve[4] + curve[5]) / 2)
    assert math.isnan(measures.eao([[run("i88")]], 5, 9))


def test_conventions_differ_after_a_late_failure() -> None:
    """No start could follow: for the papers the fragment just ends, for the toolkit it failed."""
    runs = [[run("i99999999f0")], [run("i" + "9" * 30)]]
    assert measures.eao_curve(runs)[20] == pytest.approx((8 * 0.9 / 20 + 0.9) / 2)
    assert measures.eao_curve(runs, "papers")[20] == pytest.approx(0.9)


def test_repetitions_weigh_like_one() -> None:
    lost, kept = run("i9999fssss"), run("i" + "5" * 9)
    once, often = [[lost], [kept]], [[lost] * 3, [kept] * 15]
    assert measures.eao(once, 2, 8, "papers") == pytest.approx(measures.eao(often, 2, 8, "papers"))
    assert measures.accuracy(once, "papers", 1) == pytest.approx(measures.accuracy(often, "papers", 1))
    assert measures.failures(often) == 1


def test_the_toolkits_analysis() -> None:
    """Everything that `vot analysis` says about a run with failures, repetitions, polygons and rectangles."""
    root = toolkit.evaluated()
    analysis = json.loads((root / "analysis" / "all.json").read_text())["results"]
    average, failures, eao, curve = analysis["baseline"]["results"]
    row = evaluate(Workspace.load(root), "StandIn")
    assert row.a_toolkit == pytest.approx(average[0][0], abs=1e-6)
    assert row.r_toolkit == pytest.approx(average[0][1], abs=1e-9)
    assert row.failures == failures[0][0] > 0
    assert row.eao_toolkit == pytest.approx(eao[0][0], abs=1e-6)
    assert row.ao_toolkit == pytest.approx(analysis["unsupervised"]["results"][0][0][0], abs=1e-6)
    assert len(curve[0][0]) == 54


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "accuracy", "failures", "robustness", "eao", "toolkits"),
    [
        # the last three: A, R and EAO of vot-toolkit 0.7.4, from `vot analysis` on these files
        ("LightTrack", 0.528, 38, 0.178, 0.417, (0.5357042, 0.8511425, 0.4222875)),
        ("DaSiamRPN", 0.582, 59, 0.276, 0.380, (0.5856205, 1.1095711, 0.3717193)),
        ("NanoTrack", 0.539, 70, 0.328, 0.309, (0.5419313, 1.3502529, 0.3096009)),
    ],
)
def test_vot2018_raw_results(shared: Path, name, accuracy, failures, robustness, eao, toolkits) -> None:
    folder = shared / "data" / "vot2018-results"
    videos = json.loads((folder / "VOT2018.json").read_text())
    with zipfile.ZipFile(folder / f"{name}.zip") as archive:
        texts = {Path(file).name: file for file in archive.namelist()}
        stored = {video: parse_text(archive.read(texts[f"{video}_001.txt"]).decode()) for video in videos}

    def runs(convention: measures.Convention) -> list[list[Run]]:
        found = []
        for video, facts in videos.items():
            truth = parse_text("\n".join(",".join(map(str, values)) for values in facts["gt_rect"]))
            size = facts["width"], facts["height"]
            found.append([Run.compare(stored[video], truth, *size, convention)])  # type: ignore[arg-type]
        return found

    papers, theirs = runs("papers"), runs("toolkit")
    assert sum(len(repetitions[0]) for repetitions in papers) == 21356
    assert round(measures.accuracy(papers, "papers"), 3) == accuracy
    assert measures.failures(papers) == failures
    assert round(measures.robustness_papers(papers), 3) == robustness
    assert round(measures.eao(papers, 100, 356, "papers"), 3) == eao
    ours = measures.accuracy(theirs), measures.robustness_toolkit(theirs), measures.eao(theirs, 100, 356)
    assert ours == pytest.approx(toolkits, abs=1e-5)


def test_frames_without_a_target_do_not_count() -> None:
    """Neither an overlap nor a reset in them: the rest is measured as if they were not there."""
    there, gone = np.array([10.0, 10, 20, 20]), None
    answers = [1, *[there] * 12, 2, *[0] * 4, 1, there, there]
    truth = [*[there] * 11, gone, gone, gone, *[there] * 7]
    (whole,) = [Run.compare(answers, truth, WIDTH, HEIGHT)]
    assert whole.failures == 0 and measures.robustness_papers([[whole]]) == 0
    assert whole.counted(1).tolist() == [1] * 12
    (first, failed), (second, _) = whole.fragments("toolkit")
    assert (len(first), failed, len(second)) == (10, False, 2) and first.all()
    assert measures.accuracy([[whole]], "papers", burn_in=1) == 1
    assert measures.eao_curve([[whole]], "papers")[1:11] == pytest.approx([1] * 10)
    seen = Run.compare(answers, [there] * len(truth), WIDTH, HEIGHT)
    assert seen.failures == 1 and seen.fragments("toolkit")[0][1]


def test_pixel_overlap_of_masks_is_the_toolkits() -> None:
    """Masks beside all other regions, thin and empty ones, with pixels that are ignored, over the image's edge."""
    from vot.region import Special, calculate_overlap
    from vot.region.shapes import Mask, Polygon, Rectangle

    def theirs(region):
        if region is None:
            return Special(1)
        if isinstance(region, PlacedMask):
            return Mask(region.array.astype(np.uint8), (region.x, region.y))
        return Rectangle(*region) if region.ndim == 1 else Polygon([tuple(point) for point in region])

    random = np.random.default_rng(9)

    def mask() -> PlacedMask:
        h, w = random.integers(1, 24, 2) if random.random() < 0.8 else random.integers(1, 3, 2)
        array = random.random((h, w)) < random.choice([0, 0.05, 0.5, 1])
        x, y = random.integers(-12, 60, 2)
        return PlacedMask(int(x), int(y), array)

    rounding = 0
    for number in range(3000):
        a = mask()
        b = (mask, mask, lambda: rectangle(random), lambda: polygon(random), lambda: None)[number % 5]()
        if number % 3 == 0 and isinstance(b, PlacedMask):  # near each other
            b = PlacedMask(a.x + number % 2, a.y, b.array)
        ignored = mask() if number % 2 else PlacedMask(0, 0, np.zeros((1, 1), bool))
        # always with all arguments of the same kinds, since the toolkit is compiled for each combination
        expected = calculate_overlap(theirs(a), theirs(b), (WIDTH, HEIGHT), theirs(ignored))
        found = pixel_overlap(a, b, WIDTH, HEIGHT, ignored=ignored)
        rounding += found != pytest.approx(expected, abs=1e-12)
    assert rounding <= 3


def test_pixel_overlap_beyond_the_image() -> None:
    left, right = (PlacedMask(x, 5, np.ones((4, 4), bool)) for x in (-2, -1))
    assert pixel_overlap(left, right, 20, 20) == pytest.approx(2 / 3)
    assert pixel_overlap(left, right, 20, 20, bounded=False) == pytest.approx(3 / 5)
    box = np.array([-2.0, 5, 4, 4])
    assert pixel_overlap(box, right, 20, 20, bounded=False) == pytest.approx(3 / 5)
    assert exact_overlap(box, left, 20, 20) == 1 and exact_overlap(left, right, 20, 20) == pytest.approx(2 / 3)
