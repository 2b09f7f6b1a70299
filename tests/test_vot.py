"""The TraX process, spoken to by libtrax's own client and by the VOT toolkit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import toolkit
import torch
import trax
from trax.client import Client
from trax.image import FileImage
from trax.region import Mask as TraxMask
from trax.region import Polygon as TraxPolygon
from trax.region import Rectangle as TraxRectangle
from waiting import PATIENCE, wait_until

from d3s_vot.errors import InputError
from d3s_vot.evaluation.vot.measures import FAILED, INITIALIZED
from d3s_vot.evaluation.vot.stored import read_trajectory
from d3s_vot.regions import Box, Mask, Polygon
from d3s_vot.trackers.d3s.network import SegmentationNetwork
from d3s_vot.trackers.d3s.weights import create
from d3s_vot.trax_regions import region_from_trax, region_to_trax
from d3s_vot.trunks.trunk import CHANNELS
from d3s_vot.vot import Settings
from d3s_vot.zoo import save_checkpoint

TESTS = Path(__file__).parent
STANDIN = [sys.executable, str(TESTS / "standin.py")]
REAL = [sys.executable, "-m", "d3s_vot.vot"]
SIZE = (120, 160)  # height, width
LOGGERS: list[object] = []  # libtrax calls a client's logger once more after Python has dropped the client


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Six frames: a textured square that moves 4 pixels right and 2 down each time."""
    folder = tmp_path_factory.mktemp("frames")
    random = np.random.default_rng(0)
    scene = cv2.GaussianBlur(random.integers(0, 120, (*SIZE, 3), np.uint8), (5, 5), 0)
    thing = random.integers(100, 255, (24, 30, 3), np.uint8)
    paths = []
    for index in range(6):
        image = scene.copy()
        image[40 + 2 * index : 64 + 2 * index, 50 + 4 * index : 80 + 4 * index] = thing
        paths.append(folder / f"{index + 1:08d}.png")
        cv2.imwrite(str(paths[-1]), image)
    return paths


class Process:
    """A TraX process and a client that is connected to it."""

    def __init__(self, command: Sequence[str], **environment: str) -> None:
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            cwd=TESTS.parent,
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        streams = self.process.stdin.fileno(), self.process.stdout.fileno()
        self.client = Client(streams, log=lambda text: None)
        LOGGERS.append(self.client._clogger)

    def initialize(self, path: Path, region: trax.region.Region) -> trax.region.Region:
        """The region of the answer."""
        objects, _ = self.client.initialize({"color": FileImage.create(str(path))}, [(region, {})], {})
        return objects[0][0]

    def frame(self, path: Path) -> tuple[trax.region.Region, dict[str, str]]:
        """The region and properties of the answer."""
        objects, _ = self.client.frame({"color": FileImage.create(str(path))}, {}, [])
        return objects[0]

    def end(self) -> tuple[int, str]:
        """Exit code and stderr, after the end of the session."""
        try:
            self.client.quit()
            _, errors = self.process.communicate(timeout=PATIENCE)
        finally:
            self.process.kill()
        return self.process.returncode, errors.decode()


@pytest.fixture
def standin() -> Iterator[Process]:
    session = Process(STANDIN)
    yield session
    session.process.kill()


def corners(region: TraxPolygon) -> np.ndarray:
    return np.array(list(region))


TURNED = [(52.5, 36.0), (84.25, 42.0), (78.0, 68.0), (46.0, 62.5)]


def test_declares_what_it_takes(standin: Process) -> None:
    assert set(standin.client.region_formats) == {"rectangle", "polygon", "mask"}
    assert standin.client.image_formats == ["path"]
    assert standin.client.tracker_name == "D3S"
    assert standin.end() == (0, "")


def test_answers_in_kind_and_starts_again(standin: Process, frames: list[Path]) -> None:
    """Rectangle, polygon and mask in one session of one process, and the rectangle once more."""
    for _ in range(2):
        given = standin.initialize(frames[0], TraxRectangle.create(51, 41, 30, 24))
        assert given.bounds() == (51, 41, 30, 24)
        for index, path in enumerate(frames[1:], start=1):
            region, properties = standin.frame(path)
            assert region.bounds() == (51 + 4 * index, 41 + 2 * index, 30, 24)
            assert float(properties["confidence"]) > 0.9

    standin.initialize(frames[0], TraxPolygon.create(TURNED))
    region, _ = standin.frame(frames[1])
    np.testing.assert_array_equal(corners(region), np.add(TURNED, (4, 2)))

    part = np.ones((24, 30), np.uint8)
    standin.initialize(frames[0], TraxMask.create(part, x=50, y=40))
    region, _ = standin.frame(frames[1])
    expected = np.zeros(SIZE, bool)
    expected[42:66, 54:84] = True
    np.testing.assert_array_equal(region.array(normalize=True) > 0, expected)
    assert standin.end() == (0, "")


def test_chatter_does_not_reach_the_protocol(frames: list[Path], tmp_path: Path) -> None:
    """Half lines on Python's and C's stdout and stderr go to the log."""
    log = tmp_path / "tracker.log"
    session = Process(STANDIN, STANDIN_NOISE="1", D3S_VOT_LOG=str(log))
    session.initialize(frames[0], TraxRectangle.create(51, 41, 30, 24))
    for index, path in enumerate(frames[1:], start=1):
        assert session.frame(path)[0].bounds()[0] == 51 + 4 * index
    assert session.end() == (0, "")
    text = log.read_text()
    assert text.count("half a line of chatter") == 5
    assert text.count("half a line of C chatter") == 5
    assert text.count("half a line of C complaints") == 5
    assert text.count("half a line in a buffer of C") == 5


def test_errors_reach_stderr_and_log(frames: list[Path], tmp_path: Path) -> None:
    """Also a mistake of the program itself: the client is told, and the traceback is kept."""
    log = tmp_path / "tracker.log"
    session = Process(STANDIN, STANDIN_BUG="1", D3S_VOT_LOG=str(log))
    session.initialize(frames[0], TraxRectangle.create(51, 41, 30, 24))
    with pytest.raises(trax.TraxException, match="internal error"):
        session.frame(frames[1])
    _, errors = session.process.communicate(timeout=PATIENCE)
    assert session.process.returncode == 1
    assert b"ZeroDivisionError" in errors and "ZeroDivisionError" in log.read_text()


def test_unreadable_image_ends_the_session(standin: Process, frames: list[Path], tmp_path: Path) -> None:
    standin.initialize(frames[0], TraxRectangle.create(51, 41, 30, 24))
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    with pytest.raises(trax.TraxException, match=r"broken\.jpg"):
        standin.frame(broken)
    _, errors = standin.process.communicate(timeout=PATIENCE)
    assert standin.process.returncode == 1
    assert errors.decode().count("\n") == 1 and "broken.jpg" in errors.decode()


def test_target_outside_the_image_ends_the_session(standin: Process, frames: list[Path]) -> None:
    with pytest.raises(trax.TraxException, match="outside"):
        standin.initialize(frames[0], TraxRectangle.create(1000, 41, 30, 24))
    standin.process.communicate(timeout=PATIENCE)
    assert standin.process.returncode == 1


def test_client_that_dies(standin: Process, frames: list[Path]) -> None:
    """The process ends when its client is gone; it does not wait for ever."""
    standin.initialize(frames[0], TraxRectangle.create(51, 41, 30, 24))
    assert standin.process.stdin is not None
    standin.process.stdin.close()
    assert standin.process.wait(timeout=PATIENCE) in (0, 1)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("D3S_VOT_THREADS", "0", "D3S_VOT_THREADS"),
        ("D3S_VOT_THREADS", "many", "D3S_VOT_THREADS"),
        ("D3S_VOT_LOG", "/no/such/folder/log", "D3S_VOT_LOG"),
        ("D3S_VOT_WEIGHTS", "/no/such/file", "/no/such/file"),
        ("D3S_VOT_UNSEEN", "nothing", "give one of box, doubt, empty"),
        ("D3S_VOT_MULTIOBJECT", "yes", "give 1 or 0"),
    ],
)
def test_bad_setting_ends_before_the_handshake(name: str, value: str, words: str) -> None:
    done = subprocess.run(
        STANDIN, env={**os.environ, name: value}, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE
    )
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().count("\n") == 1 and words in done.stderr.decode()


def test_settings() -> None:
    assert Settings.from_environment({}) == Settings("D3S", None, "exact", "weights", "auto", None, None)
    assert Settings.from_environment({"D3S_VOT_DEVICE": "", "D3S_VOT_THREADS": "2"}).threads == 2
    assert Settings.from_environment({"D3S_VOT_RULES": "published"}).rules == "published"
    assert Settings.from_environment({"D3S_VOT_WEIGHTS": "a", "D3S_VOT_TRACKER": "a"}).tracker == "a"
    assert Settings.from_environment({}).unseen is None and Settings.from_environment({}).several
    chosen = Settings.from_environment({"D3S_VOT_UNSEEN": "doubt", "D3S_VOT_MULTIOBJECT": "0"})
    assert chosen.unseen == "doubt" and not chosen.several
    with pytest.raises(InputError, match="one of the two"):
        Settings.from_environment({"D3S_VOT_WEIGHTS": "a", "D3S_VOT_TRACKER": "b"})
    with pytest.raises(InputError, match="threads"):
        Settings.from_environment({"D3S_VOT_THREADS": "-1"})


def test_region_conversions() -> None:
    assert region_from_trax(TraxRectangle.create(1, 1, 4, 3), *SIZE) == Box(0, 0, 4, 3)
    assert region_to_trax(Box(0, 0, 4, 3), "rectangle", *SIZE).bounds() == (1, 1, 4, 3)
    assert region_from_trax(TraxPolygon.create(TURNED), *SIZE) == Polygon(TURNED)
    np.testing.assert_array_equal(corners(region_to_trax(Polygon(TURNED), "polygon", *SIZE)), TURNED)

    cut = region_from_trax(TraxMask.create(np.ones((10, 20), np.uint8), x=150, y=-4), *SIZE)
    assert isinstance(cut, Mask) and cut.array.shape == SIZE and cut.box == Box(150, 0, 10, 6)
    np.testing.assert_array_equal(region_to_trax(cut, "mask", *SIZE).array(normalize=True), cut.array)

    with pytest.raises(InputError, match="empty"):
        region_from_trax(TraxMask.create(np.ones((10, 20), np.uint8), x=500, y=0), *SIZE)
    with pytest.raises(InputError, match="rectangle, polygon or mask"):
        region_from_trax(trax.region.Special.create(1), *SIZE)
    with pytest.raises(InputError, match="cannot be sent"):
        region_to_trax(Box(1e300, 0, 1, 1), "rectangle", *SIZE)


def test_a_box_is_answered_in_kind() -> None:
    """Where the tracker falls back to a box, nothing moves by a pixel."""
    box = Box(10, 20, 4, 3)
    polygon = region_to_trax(box, "polygon", *SIZE)
    np.testing.assert_array_equal(corners(polygon), [(10, 20), (14, 20), (14, 23), (10, 23)])
    mask = region_to_trax(box, "mask", *SIZE).array(normalize=True) > 0
    np.testing.assert_array_equal(mask[19:24, 9:15], np.pad(np.ones((3, 4), bool), 1))
    assert mask.sum() == 12


@pytest.mark.parametrize("noise", ["", "1"])
def test_toolkit_test(noise: str, tmp_path: Path) -> None:
    """`vot test` with its synthetic sequence; half lines of other text do not hang it."""
    (tmp_path / "trackers.ini").write_text(toolkit.REGISTRY)
    printed = toolkit.vot("--registry", str(tmp_path), "test", "StandIn", STANDIN_NOISE=noise)
    assert "Test concluded successfuly" in printed, printed


def test_toolkit_shows_errors(tmp_path: Path) -> None:
    """The sentence about an unreadable frame reaches the user of the toolkit."""
    (tmp_path / "trackers.ini").write_text(toolkit.REGISTRY)
    sequence = short_sequence(tmp_path / "cat", 5)
    (sequence / "color" / "00000003.jpg").write_bytes(b"no picture")
    printed = toolkit.vot("--registry", str(tmp_path), "test", "--sequence", str(sequence), "StandIn")
    assert "Server terminated the session: image" in printed and "00000003.jpg" in printed, printed


def test_supervised_run_with_resets() -> None:
    """The stand-in loses the shuttle: the toolkit starts it again five frames later, in the same process."""
    results = toolkit.evaluated() / "results" / "StandIn" / "baseline"
    entries = read_trajectory(results / "shuttle" / "shuttle_001.bin")
    codes = [entry if isinstance(entry, int) else -1 for entry in entries]
    failures = [index for index, code in enumerate(codes) if code == FAILED]
    assert failures
    assert all(codes[index + 5] == INITIALIZED for index in failures if index + 5 < len(codes))
    for name in toolkit.SEQUENCES:  # three repetitions agree, and the toolkit stops
        first, *others = [(results / name / f"{name}_{n:03d}.bin").read_bytes() for n in (1, 2, 3)]
        assert all(other == first for other in others)
        assert not (results / name / f"{name}_004.bin").exists()
    confidences = (results / "cup" / "cup_001_confidence.value").read_text().splitlines()
    assert all(0 <= float(line) <= 1 for line in confidences if line)


def trajectories(root: Path) -> dict[str, bytes]:
    """All results but the times."""
    files = (root / "results").rglob("*")
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in files
        if path.is_file() and not path.name.endswith("_time.value")
    }


def whole_results(root: Path) -> int:
    """How many repetitions the toolkit has written; it fills three files of each in place, one after the other."""
    sizes = [path.stat().st_size for path in root.glob("results/*/*/*/*")]
    return 0 if 0 in sizes else len(sizes) // 3


def test_killed_and_resumed(tmp_path: Path) -> None:
    """kill -9 amid `vot evaluate`: the tracker ends too, and the next run completes the same results."""
    root, log = toolkit.new_workspace(tmp_path / "workspace"), tmp_path / "tracker.log"
    command = [*toolkit.VOT, "evaluate", "--workspace", str(root), "StandIn"]
    slow = toolkit.environment(STANDIN_PAUSE="0.02", D3S_VOT_LOG=str(log))
    process = subprocess.Popen(command, env=slow, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: whole_results(root) >= 2, "two results", process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_until(lambda: "connection to the client broke" in log.read_text(), "the end of the tracker")
    expected = trajectories(toolkit.evaluated())
    assert len(trajectories(root)) < len(expected)
    toolkit.vot("evaluate", "--workspace", str(root), "StandIn")
    assert trajectories(root) == expected


def short_sequence(folder: Path, length: int) -> Path:
    """The first frames of the sample sequence `cat`."""
    source = toolkit.sample() / "cat"
    (folder / "color").mkdir(parents=True)
    for index in range(1, length + 1):
        name = f"{index:08d}.jpg"
        (folder / "color" / name).write_bytes((source / "color" / name).read_bytes())
    truth = (source / "groundtruth.txt").read_text().splitlines()[:length]
    (folder / "groundtruth.txt").write_text("\n".join(truth) + "\n")
    facts = (source / "sequence").read_text().replace("length=50", f"length={length}")
    (folder / "sequence").write_text(facts)
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A checkpoint of the real network with random weights: what it answers is of no use, but it answers."""
    torch.manual_seed(0)
    network = SegmentationNetwork(CHANNELS["efficientnet_lite0"])
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    state = {f"segm_predictor.{name}": tensor for name, tensor in network.state_dict().items()}
    small = {"gem_patch_size": 128, "gem_window_size": 256}  # learns in a third of the time
    save_checkpoint(path, create(state, "efficientnet_lite0", config=small))
    return str(path)


def test_d3s_with_the_client(frames: list[Path], weights: str) -> None:
    """The real tracker, in a process of its own, answers in kind and does the same every time."""
    session = Process(REAL, D3S_VOT_DEVICE="cpu", D3S_VOT_THREADS="1", D3S_VOT_WEIGHTS=weights)
    answers = []
    for _ in range(2):
        for given in (TraxRectangle.create(51, 41, 30, 24), TraxPolygon.create(TURNED)):
            session.initialize(frames[0], given)
            region, properties = session.frame(frames[1])
            assert region.type == given.type
            assert 0 <= float(properties["confidence"]) <= 1
            answers.append((region.bounds() if region.type == "rectangle" else list(region), properties))
    assert answers[:2] == answers[2:]
    session.initialize(frames[0], TraxMask.create(np.ones((24, 30), np.uint8), x=50, y=40))
    assert session.frame(frames[1])[0].type == "mask"
    assert session.end() == (0, "")


def test_d3s_with_the_toolkit(tmp_path: Path, weights: str) -> None:
    """The registry file of the repository, as a user runs it."""
    arguments = [
        "--registry",
        str(TESTS.parent),
        "test",
        "--sequence",
        str(short_sequence(tmp_path / "cat", 4)),
    ]
    printed = toolkit.vot(*arguments, "D3S", D3S_VOT_DEVICE="cpu", D3S_VOT_WEIGHTS=weights)
    assert "Test concluded successfuly" in printed, printed
