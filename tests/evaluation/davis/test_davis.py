"""DAVIS: layouts and what breaks them, several objects at once, masks written, J and F."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from scenes import scene
from simple import SimpleTarget, simple

from d3s_vot import load_tracker
from d3s_vot.crops.squares import Crop
from d3s_vot.errors import InputError
from d3s_vot.evaluation.davis.benchmark import NAMES, DavisBenchmark
from d3s_vot.evaluation.davis.data import encode_labels
from d3s_vot.evaluation.davis.names import VALIDATION
from d3s_vot.evaluation.davis.report import Score, score_objects
from d3s_vot.evaluation.davis.tracking import ObjectTrackers, merge, track_davis
from d3s_vot.evaluation.runs.jobs import run_jobs
from d3s_vot.evaluation.runs.pools import Failure, Pool
from d3s_vot.given import Frame, Given
from d3s_vot.images import read_image
from d3s_vot.labels import read_labels, voc_palette
from d3s_vot.prediction import MaskPatch, Prediction
from d3s_vot.regions import Box, mask_iou
from d3s_vot.tracker import Tracker
from d3s_vot.zoo import Choice

FRAMES = 5


def two_discs(t: int) -> tuple[np.ndarray, np.ndarray]:
    """Frame t of two discs and their labels."""
    image, box = scene(t)
    labels = np.zeros(image.shape[:2], np.uint8)
    cv2.circle(labels, (round(box.x) + 15, round(box.y) + 15), 15, 1, -1)
    rng = np.random.default_rng(1)
    colours = cv2.GaussianBlur(rng.integers(60, 256, image.shape, np.uint8), (0, 0), 1) // (1, 3, 3)
    second = cv2.circle(np.zeros_like(labels), (125 - 2 * t, 60), 13, 1, -1) > 0
    image[second] = np.roll(colours, -2 * t, axis=1)[second]
    labels[second] = 2
    return image, labels


def write_davis(root: Path, year: int, sequences: dict[str, list[tuple[np.ndarray, np.ndarray]]]) -> Path:
    """The package of a year: pictures with labels by sequence."""
    lines = []
    for name, frames in sequences.items():
        for index, (image, labels) in enumerate(frames):
            picture = root / f"JPEGImages/480p/{name}/{index:05d}.jpg"
            mask = root / f"Annotations/480p/{name}/{index:05d}.png"
            for path in picture, mask:
                path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(picture), cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 98])
            if year == 2016:
                Image.fromarray(np.where(labels > 0, 255, 0).astype(np.uint8)).save(mask)
            else:
                mask.write_bytes(encode_labels(labels))
            lines.append(f"/{picture.relative_to(root)} /{mask.relative_to(root)}")
    lists = {"ImageSets/480p/val.txt": lines}
    if year == 2017:
        lists = {"ImageSets/2016/val.txt": list(sequences), "ImageSets/2017/val.txt": list(sequences)}
    for list_name, text in lists.items():
        (root / list_name).parent.mkdir(parents=True, exist_ok=True)
        (root / list_name).write_text("\n".join(text) + "\n")
    return root


@pytest.fixture(scope="session")
def tracker(small_weights: Path) -> Tracker:
    return load_tracker(small_weights, "cpu")


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Both packages, of two sequences; in that of 2016 each has one object."""
    root = tmp_path_factory.mktemp("davis")
    both = [two_discs(t) for t in range(FRAMES)]
    one = [(image, labels * (labels == 1)) for image, labels in both]
    return {
        2016: write_davis(root / "2016", 2016, {"pair": one, "lone": one[:4]}),
        2017: write_davis(root / "2017", 2017, {"pair": both, "lone": one[:4]}),
    }


@pytest.fixture
def package(packages: dict[int, Path], tmp_path: Path) -> Path:
    """A copy of the package of 2017, to be broken."""
    return Path(shutil.copytree(packages[2017], tmp_path / "DAVIS"))


def write_truth(benchmark: DavisBenchmark, root: Path, results: Path, change: Callable = lambda mask: mask) -> None:
    """Results that are the annotations, or something made of them."""
    for sequence in benchmark.open(root):
        for index, name in enumerate(benchmark.paths("D3S", sequence)[:-1]):
            path = results / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_labels(change(read_labels(sequence.annotations[index]))))
        times = results / benchmark.paths("D3S", sequence)[-1]
        times.parent.mkdir(exist_ok=True)
        times.write_text("0.50000000\n" + "0.02000000\n" * (len(sequence) - 1))


# --- data ---


@pytest.mark.parametrize(("name", "year"), [("davis16-val", 2016), ("davis16-val", 2017), ("davis17-val", 2017)])
def test_layouts_are_read(packages: dict[int, Path], name: str, year: int) -> None:
    benchmark = DavisBenchmark(name)
    sequences = benchmark.open(packages[year])
    assert [(sequence.name, len(sequence)) for sequence in sequences] == [("pair", FRAMES), ("lone", 4)]
    assert benchmark.check(sequences) == []
    expected = [0, 1, 2] if name == "davis17-val" else [0, 1]
    assert np.unique(sequences[0].truth(0)[0]).tolist() == expected
    assert [s.name for s in benchmark.open(packages[year], ["lone"])] == ["lone"]


def test_root_may_be_the_parent(package: Path) -> None:
    assert DavisBenchmark("davis17-val").open(package.parent)[0].frames[0].is_relative_to(package)
    shutil.copytree(package, package.parent / "again")
    with pytest.raises(InputError, match="holds several data sets"):
        DavisBenchmark("davis17-val").open(package.parent)


def test_wrong_roots_have_a_sentence(packages: dict[int, Path], package: Path, tmp_path: Path) -> None:
    benchmark = DavisBenchmark("davis17-val")
    with pytest.raises(InputError, match="cannot be opened as a folder: No such file"):
        benchmark.open(tmp_path / "nowhere")
    with pytest.raises(InputError, match="package of 2016, which does not tell objects apart"):
        benchmark.open(packages[2016])
    with pytest.raises(InputError, match=r"no ImageSets/2017/val.txt; give the folder DAVIS"):
        benchmark.open(package / "JPEGImages")
    with pytest.raises(InputError, match=r"no sequence pear; did you mean pair"):
        benchmark.open(package, ["pear"])
    (package / "ImageSets/2017/val.txt").write_text("\n")
    with pytest.raises(InputError, match=r"val.txt is empty"):
        benchmark.open(package)
    (package / "JPEGImages/480p").rename(package / "JPEGImages/Full-Resolution")
    with pytest.raises(InputError, match="no folder JPEGImages/480p"):
        benchmark.open(package)


def test_all_problems_are_listed(package: Path) -> None:
    pictures, masks = package / "JPEGImages/480p", package / "Annotations/480p"
    (pictures / "pair/00001.jpg").unlink()
    (masks / "pair/00004.png").unlink()
    (pictures / "pair/00002.jpg").write_text("not a picture")
    (masks / "pair/00003.png").write_bytes(encode_labels(np.ones((60, 80), np.uint8)))
    (masks / "lone/00000.png").write_bytes(encode_labels(np.zeros((120, 160), np.uint8)))
    for path in (pictures / "lone/00002.jpg", masks / "lone/00002.png"):
        path.unlink()
    with (package / "ImageSets/2017/val.txt").open("a") as file:
        file.write("absent\n")
    benchmark, seen = DavisBenchmark("davis17-val"), []
    problems = "\n".join(benchmark.check(benchmark.open(package), lambda sequence: seen.append(sequence.name)))
    assert seen == ["pair", "lone", "absent"]
    for sentence in (
        f"pair: 1 of 5 pictures are missing in {pictures}/pair: 00001.jpg",
        f"pair: 1 of 5 annotations are missing in {masks}/pair: 00004.png",
        f"pair: in {pictures}/pair, 00002.jpg is no picture",
        "00003.png is 80 x 60 pixels, the first frame 160 x 120",
        "lone: 1 of 4 frames are missing: 00002",
        "00000.png is empty; no object can be tracked",
        "absent: there are no frames",
    ):
        assert sentence in problems
    assert len(problems.splitlines()) == 7


def test_cut_off_and_coloured_masks_are_problems(package: Path) -> None:
    masks = package / "Annotations/480p/pair"
    whole = (masks / "00002.png").read_bytes()
    (masks / "00002.png").write_bytes(whole[: len(whole) // 2])
    Image.fromarray(np.full((120, 160, 3), (255, 9, 9), np.uint8)).save(masks / "00000.png")
    benchmark = DavisBenchmark("davis17-val")
    problems = benchmark.check(benchmark.open(package, ["pair"]))
    assert len(problems) == 2
    assert "00002.png is damaged" in problems[0]
    assert "is in colour; save it as a grey or indexed PNG" in problems[1]
    joined = DavisBenchmark("davis16-val").open(package, ["pair"])[0]
    assert joined.truth(0)[0].all()  # a few annotations of DAVIS-2016 are coloured


def test_frames_of_the_list_are_expected(packages: dict[int, Path], tmp_path: Path) -> None:
    root = Path(shutil.copytree(packages[2016], tmp_path / "DAVIS"))
    for path in (root / "JPEGImages/480p/lone/00003.jpg", root / "Annotations/480p/lone/00003.png"):
        path.unlink()
    benchmark = DavisBenchmark("davis16-val")
    problems = benchmark.check(benchmark.open(root))
    assert [problem.split(" in ")[0] for problem in problems] == [
        "lone: 1 of 4 pictures are missing",
        "lone: 1 of 4 annotations are missing",
    ]


def test_frames_need_numbers_and_a_middle(package: Path) -> None:
    benchmark = DavisBenchmark("davis17-val")
    for path in sorted(package.glob("*/480p/lone/*"))[2:4] + sorted(package.glob("*/480p/lone/*"))[6:8]:
        path.unlink()
    shutil.copy(package / "JPEGImages/480p/pair/00000.jpg", package / "JPEGImages/480p/pair/cover.jpg")
    problems = benchmark.check(benchmark.open(package))
    assert problems[0].startswith("pair: 1 of 6 annotations are missing")
    assert problems[1:] == [
        "pair: frames are named by their number, which these are not: cover",
        "lone: there are 2 frames; it takes 3, since the first and the last are not measured",
    ]


def test_palette_is_that_of_davis() -> None:
    colours = np.array(voc_palette()).reshape(256, 3)
    assert colours[[1, 5, 8, 21, 255]].tolist() == [
        [128, 0, 0], [128, 0, 128], [64, 0, 0], [128, 64, 128], [224, 224, 192]
    ]  # fmt: skip
    assert len(np.unique(colours, axis=0)) == 256


# --- tracking ---


def prediction(probability: np.ndarray, x: int = 0) -> Prediction:
    """One whose crop shows pixels x to x + 8 of an image of 8 x 12 one to one."""
    patch = MaskPatch(Crop((x + 4.0, 4.0), (x, 0), 8, 8), probability.astype(np.float32), 0.2)
    return Prediction(Box(0, 0, 1, 1), 1.0, True, (8, 12), patch, True)


def test_the_more_probable_object_gets_the_pixel() -> None:
    first, second = np.full((8, 8), 0.6), np.full((8, 8), 0.5)
    second[:, 3] = 0.9  # column 5 of the image
    second[0] = 0.1  # below the threshold
    labels = merge({1: prediction(first), 4: prediction(second, x=2)}, 8, 12)
    expected = np.ones((8, 12), np.uint8)
    expected[:, 8:10] = 4
    expected[:, 5] = 4
    expected[0] = [1] * 8 + [0] * 4
    expected[:, 10:] = 0
    assert np.array_equal(labels, expected)
    # the threshold itself is background, equally probable pixels are of the earlier object
    assert not merge({1: prediction(np.full((8, 8), 0.2))}, 8, 12).any()
    assert set(np.unique(merge({2: prediction(first), 1: prediction(first)}, 8, 12))) == {0, 2}
    nothing = Prediction(Box(0, 0, 1, 1), 0.0, False, (8, 12), as_mask=True)
    assert not merge({1: nothing}, 8, 12).any()


def test_one_object_is_its_mask_and_forks_do_not_disturb_each_other(tracker: Tracker) -> None:
    frames = [two_discs(t) for t in range(3)]
    image, labels = frames[0]
    alone = {}
    for number in (1, 2):
        single = tracker.fork()
        single.initialize(image, mask=labels == number)
        alone[number] = [single.track(later) for later, _ in frames[1:]]
    one, both = ObjectTrackers(tracker, image, labels * (labels == 1)), ObjectTrackers(tracker, image, labels)
    for index, (later, truth) in enumerate(frames[1:]):
        assert np.array_equal(one.track(later) == 1, alone[1][index].mask)
        answer = both.track(later)
        assert np.array_equal(answer, merge({n: alone[n][index] for n in (1, 2)}, *image.shape[:2]))
        assert np.array_equal(answer > 0, alone[1][index].mask | alone[2][index].mask)
        assert min(mask_iou(answer == n, truth == n) for n in (1, 2)) > 0.6


@pytest.mark.parametrize(("name", "year", "values"), [
    ("davis17-val", 2017, [0, 1, 2]), ("davis16-val", 2016, [0, 255]), ("davis16-val", 2017, [0, 1])
])  # fmt: skip
def test_masks_are_indexed_and_start_with_the_annotation(
    packages: dict[int, Path], tracker: Tracker, name: str, year: int, values: list[int]
) -> None:
    benchmark = DavisBenchmark(name, lambda *_: tracker)
    sequence = benchmark.open(packages[year], ["pair"])[0]
    ((_, track),) = run_jobs(benchmark.worker(Choice()), [sequence], Pool(threads=2, device="cpu"))
    assert not isinstance(track, Failure), track
    files = benchmark.files("D3S", sequence, track)
    assert tuple(files) == benchmark.paths("D3S", sequence)
    assert list(files) == [f"D3S/pair/{i:05d}.png" for i in range(FRAMES)] + ["D3S/times/pair_time.txt"]
    seconds = [float(line) for line in files["D3S/times/pair_time.txt"].split()]
    assert len(seconds) == FRAMES
    assert min(seconds) > 0
    for index, path in enumerate(list(files)[:-1]):
        with Image.open(io.BytesIO(files[path])) as picture:
            assert (picture.mode, picture.size) == ("P", (160, 120))
            assert picture.getpalette() == voc_palette()
            labels = np.array(picture)
        truth, _ = sequence.truth(index)
        assert np.unique(labels).tolist() == values
        assert mask_iou(labels > 0, truth > 0) > (0.7 if index else 1 - 1e-9)


def test_an_object_that_cannot_be_tracked_fails_its_sequence(packages: dict[int, Path], package: Path) -> None:
    class Picky(SimpleTarget):
        def __init__(self, frame: Frame, given: Given) -> None:
            if given.filled.sum() < 600:
                raise InputError("the mask is too small")

    benchmark = DavisBenchmark("davis17-val", lambda _: simple(Picky))
    sequence = benchmark.open(package, ["pair"])[0]
    ((_, failure),) = run_jobs(benchmark.worker(Choice()), [sequence], Pool(device="cpu"))
    assert failure == Failure("object 2 cannot be tracked: the mask is too small")


def test_an_object_of_one_pixel_is_tracked(tracker: Tracker) -> None:
    image, labels = two_discs(0)
    labels[:] = 0
    labels[10, 20] = 7
    objects = ObjectTrackers(tracker, image, labels)
    assert set(np.unique(objects.track(two_discs(1)[0]))) <= {0, 7}


# --- J and F ---


@pytest.mark.parametrize(("name", "year"), [("davis16-val", 2016), ("davis16-val", 2017), ("davis17-val", 2017)])
def test_truth_against_itself_is_100(packages: dict[int, Path], tmp_path: Path, name: str, year: int) -> None:
    benchmark = DavisBenchmark(name)
    write_truth(benchmark, packages[year], tmp_path / "results")
    table = benchmark.report("D3S", benchmark.open(packages[year]), tmp_path / "results", tmp_path / "report")
    performance = json.loads((tmp_path / "report/performance.json").read_text())
    assert performance["overall"] == pytest.approx({"J": 100, "F": 100, "J&F": 100, "frames/s": 50})
    objects = 3 if name == "davis17-val" else 2
    assert (performance["sequences"], performance["objects"], performance["frames"]) == (2, objects, FRAMES + 4)
    assert f"{name}: 2 sequences, {objects} objects, 9 frames; J, F and J&F in percent" in table
    lines = [line.split() for line in table.splitlines()]
    assert lines[1:3] == [["J", "F", "J&F", "frames/s"], ["D3S", "100.0", "100.0", "100.0", "50.0"]]
    paper = ["75.4", "72.6", "74.0"] if name == "davis16-val" else ["57.8", "63.8", "60.8"]
    assert lines[3] == ["D3S", "(paper)", *paper, "-"]
    assert (tmp_path / "report/table.txt").read_text() == table + "\n"


def test_j_is_plain_iou(packages: dict[int, Path], tmp_path: Path) -> None:
    """Of each object, over all frames but the first and the last; the mean over objects, not sequences."""
    benchmark, results = DavisBenchmark("davis17-val"), tmp_path / "results"
    sequences = benchmark.open(packages[2017])
    write_truth(benchmark, packages[2017], results, lambda labels: np.roll(labels, 4, axis=1))
    benchmark.report("D3S", sequences, results, tmp_path / "report")
    expected = {}
    for sequence in sequences:
        truths = [sequence.truth(index)[0] for index in range(1, len(sequence) - 1)]
        for number in range(1, truths[0].max() + 1):
            overlaps = [mask_iou(np.roll(truth, 4, axis=1) == number, truth == number) for truth in truths]
            expected[sequence.name, number] = 100 * float(np.mean(overlaps))
    performance = json.loads((tmp_path / "report/performance.json").read_text())
    found = {
        (name, int(number)): score["J"]
        for name, entry in performance["per_sequence"].items()
        for number, score in entry["objects"].items()
    }
    assert found == pytest.approx(expected, abs=1e-9)
    assert len(set(found.values())) > 1
    assert max(found.values()) < 90
    assert performance["overall"]["J"] == pytest.approx(np.mean(list(expected.values())), abs=1e-9)
    rows = list(csv.DictReader((tmp_path / "report/per_sequence.csv").open()))
    assert {(row["sequence"], int(row["object"])) for row in rows} == set(expected)
    sheet = read_image(tmp_path / "report/overview.png")
    assert sheet.shape[1] == 1500
    assert np.ptp(sheet) == 255


def test_f_is_of_outlines_within_a_tolerance() -> None:
    """0.008 of the diagonal of 400 x 300 are 4 pixels: a shift of 3 costs J but not F."""
    truth = np.zeros((300, 400), np.uint8)
    truth[100:200, 100:200] = 1
    score = score_objects([(np.roll(truth, 3, axis=1), truth)], [1])[1]
    assert score == Score(pytest.approx(100 * 97 / 103), pytest.approx(100))
    assert score.both == (score.j + score.f) / 2


def outline(mask: np.ndarray) -> np.ndarray:
    """Pixels that differ from the right, the lower or the lower right neighbour; the picture's edge does not."""
    wide = np.pad(mask, ((0, 1), (0, 1)), "edge")
    edge = (mask != wide[:-1, 1:]) | (mask != wide[1:, :-1]) | (mask != wide[1:, 1:])
    edge[-1, -1] = False
    return edge


@pytest.mark.parametrize("shift", [(0, 2), (5, 3), (20, -40), (30, 90)])
def test_f_equals_distances_between_outlines(shift: tuple[int, int]) -> None:
    """Precision and recall counted by the distance to the nearest pixel of the other outline."""
    labels = two_discs(3)[1]
    moved = np.roll(labels, shift, axis=(0, 1))
    for number, score in score_objects([(moved, labels)], [1, 2]).items():
        answer, truth = outline(moved == number), outline(labels == number)
        to_answer, to_truth = (cv2.distanceTransform((~e).astype(np.uint8), cv2.DIST_L2, 0) for e in (answer, truth))
        precision, recall = (to_truth[answer] <= 2.001).mean(), (to_answer[truth] <= 2.001).mean()
        expected = 200 * precision * recall / (precision + recall) if precision + recall else 0
        assert score.f == pytest.approx(expected, abs=1e-9)


def test_objects_count_from_the_first_annotation_on() -> None:
    """As in the official evaluation: seen by neither is right, by one alone wrong; newcomers do not count."""
    empty, one, two = (np.full((40, 60), number, np.uint8) for number in (0, 1, 2))
    for labels in one, two:
        labels[:, 30:] = 0
    assert score_objects([(empty, empty), (empty, empty)], [1]) == {1: Score(100, 100)}
    assert score_objects([(empty, empty), (one, empty)], [1])[1].j == 50
    assert score_objects([(empty, one), (empty, empty)], [1]) == {1: Score(50, 50)}
    assert score_objects([(one, one), (one, two)], [1])[1].j == 50
    assert list(score_objects([(one, one), (one, two)], [1])) == [1]


def test_void_pixels_do_not_count(package: Path, tmp_path: Path) -> None:
    benchmark, results = DavisBenchmark("davis17-val"), tmp_path / "results"
    write_truth(benchmark, package, results, lambda labels: np.where(labels == 1, 0, labels))
    for path in package.glob("Annotations/480p/*/*.png"):
        labels = read_labels(path)
        path.write_bytes(encode_labels(np.where(labels == 1, 255, labels).astype(np.uint8)))
    (sequence,) = benchmark.open(package, ["pair"])
    benchmark.report("D3S", [sequence], results, tmp_path / "report")
    performance = json.loads((tmp_path / "report/performance.json").read_text())
    assert performance["per_sequence"]["pair"]["objects"] == {"2": {"J": 100.0, "F": 100.0, "J&F": 100.0}}


def test_white_alone_in_the_first_mask_is_the_object(package: Path) -> None:
    for path in package.glob("Annotations/480p/pair/*.png"):
        Image.fromarray(np.where(read_labels(path) == 1, 255, 0).astype(np.uint8)).save(path)
    (sequence,) = DavisBenchmark("davis17-val").open(package, ["pair"])
    for index in range(len(sequence)):
        labels, void = sequence.truth(index)
        assert set(np.unique(labels)) <= {0, 255} and labels.any() and not void.any()


def test_damaged_results_have_a_sentence(packages: dict[int, Path], tmp_path: Path) -> None:
    benchmark, results = DavisBenchmark("davis17-val"), tmp_path / "results"
    sequences = benchmark.open(packages[2017])
    write_truth(benchmark, packages[2017], results)

    def refused(text: str) -> None:
        with pytest.raises(InputError, match=text):
            benchmark.report("D3S", sequences, results, tmp_path / "report")

    path = results / "D3S/pair/00002.png"
    whole = path.read_bytes()
    path.write_bytes(encode_labels(np.full((120, 160), 3, np.uint8)))
    refused("00002.png has an object 3 that the first frame has not")
    path.write_bytes(encode_labels(np.zeros((60, 80), np.uint8)))
    refused("00002.png is not of the size")
    path.write_bytes(whole[:60])
    refused("00002.png cannot be read as a picture")
    path.unlink()
    refused("00002.png is missing; get the data set again, or track this sequence first")
    path.write_bytes(whole)
    (results / "D3S/times/lone_time.txt").unlink()
    refused("lone_time.txt is missing")
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize("name", NAMES)
def test_a_moved_still_is_tracked(shared: Path, tracker: Tracker, tmp_path: Path, name: str) -> None:
    """One photograph with the masks of all its objects, moved by two pixels a frame."""
    photos = shared / "data/train/coco_subset"
    mask = max(
        (path for path in sorted(photos.glob("masks/F*.png"))[:60]),
        key=lambda path: sorted(np.bincount(read_labels(path).ravel(), minlength=4)[1:3])[0],
    )  # of sixty the one whose first two objects are large
    image, labels = read_image(next(photos.glob(f"images/{mask.stem}.*"))), read_labels(mask)
    labels = np.where(labels <= 2, labels, 0).astype(np.uint8)
    frames = [(np.roll(image, 2 * t, axis=1), np.roll(labels, 2 * t, axis=1)) for t in range(4)]
    root = write_davis(tmp_path / "DAVIS", 2016 if name == "davis16-val" else 2017, {"still": frames})
    benchmark = DavisBenchmark(name, lambda *_: tracker)
    sequences = benchmark.open(root)
    assert benchmark.check(sequences) == []
    for path, content in benchmark.files("D3S", sequences[0], track_davis(tracker, sequences[0])).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    benchmark.report("D3S", sequences, tmp_path, tmp_path / "report")
    overall = json.loads((tmp_path / "report/performance.json").read_text())["overall"]
    assert overall["J"] > 60
    assert overall["F"] > 30


# --- folders as other repositories carry them ---


@pytest.fixture
def bare(packages: dict[int, Path], tmp_path: Path) -> Path:
    """A copy of the package of 2017 without its lists."""
    root = Path(shutil.copytree(packages[2017], tmp_path / "DAVIS"))
    shutil.rmtree(root / "ImageSets")
    return root


@pytest.mark.parametrize("name", NAMES)
def test_without_lists_all_folders_are_taken(bare: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    sequences = DavisBenchmark(name).open(bare.parent)
    assert [(sequence.name, len(sequence)) for sequence in sequences] == [("lone", 4), ("pair", FRAMES)]
    (said,) = caplog.messages
    year = name[5:7]
    assert said == f"{bare} has no ImageSets/20{year}/val.txt; taken are all 2 folders, not all of {name}"
    assert [sequence.name for sequence in DavisBenchmark(name).open(bare, ["pair"])] == ["pair"]
    with pytest.raises(InputError, match=f"{name} has no sequence pear; did you mean pair"):
        DavisBenchmark(name).open(bare, ["pear"])


@pytest.mark.parametrize(("name", "count"), [("davis16-val", 20), ("davis17-val", 30)])
def test_without_lists_the_known_names_are_taken(
    bare: Path, name: str, count: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the training set lies beside them, too."""
    for folder in ("JPEGImages", "Annotations"):
        for sequence in VALIDATION[name]:
            (bare / folder / "480p" / sequence).symlink_to(bare / folder / "480p" / "lone")
    found = DavisBenchmark(name).open(bare)
    assert [sequence.name for sequence in found] == list(VALIDATION[name]) and len(found) == count
    assert {len(sequence) for sequence in found} == {4}
    assert caplog.messages[0].endswith(f"; taken are the {count} of {name}")


def test_the_known_names() -> None:
    assert [len(names) for names in VALIDATION.values()] == [20, 30]
    assert all(sorted(names) == list(names) == list(dict.fromkeys(names)) for names in VALIDATION.values())
    assert set(VALIDATION["davis16-val"]) < set(VALIDATION["davis17-val"])


def test_without_the_folder_of_a_size(bare: Path) -> None:
    for folder in ("JPEGImages", "Annotations"):
        for sequence in ("pair", "lone"):
            (bare / folder / "480p" / sequence).rename(bare / folder / sequence)
        (bare / folder / "480p").rmdir()
    sequence = DavisBenchmark("davis17-val").open(bare, ["pair"])[0]
    assert sequence.frames[0] == bare / "JPEGImages" / "pair" / "00000.jpg"
    assert DavisBenchmark("davis17-val").check([sequence]) == []


def test_pictures_alone_are_no_data(bare: Path) -> None:
    shutil.rmtree(bare / "Annotations")
    with pytest.raises(InputError, match="give the folder DAVIS, or one with JPEGImages/480p and Annotations/480p"):
        DavisBenchmark("davis17-val").open(bare)


def test_leftovers_of_systems(package: Path) -> None:
    benchmark = DavisBenchmark("davis17-val")
    before = benchmark.open(package.parent)
    for path in sorted(package.rglob("*")):
        copy = package.parent / "__MACOSX" / path.relative_to(package.parent)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.with_name(f"._{path.name}").write_bytes(b"\0\5\26\7")
        if path.is_dir():
            (path / ".DS_Store").write_bytes(b"\0")
        else:
            path.with_name(f"._{path.name}").write_bytes(b"\0\5\26\7")
    after = benchmark.open(package.parent)
    assert [sequence.frames for sequence in after] == [sequence.frames for sequence in before]
    assert benchmark.check(after) == []
    shutil.rmtree(package / "ImageSets")
    assert [sequence.name for sequence in benchmark.open(package.parent)] == ["lone", "pair"]


def test_what_results_depend_on(package: Path) -> None:
    """The first mask and the frames, but no later mask."""
    benchmark = DavisBenchmark("davis17-val")
    (sequence,) = benchmark.open(package, ["pair"])
    before = benchmark.data(sequence)
    sequence.annotations[1].write_bytes(sequence.annotations[2].read_bytes())
    assert benchmark.data(sequence) == before
    sequence.annotations[0].write_bytes(sequence.annotations[2].read_bytes())
    after = benchmark.data(sequence)
    assert after["frames"] == before["frames"] and after["first mask"] != before["first mask"]
    sequence.frames[1].unlink()
    assert benchmark.data(sequence)["frames"] != before["frames"]
