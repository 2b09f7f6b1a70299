"""The package as it is built: what is in it, what it says of itself, and that it runs from outside the repository."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
from waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "NOTICE")

# Run where nothing but the package's unpacked wheel has its files.
PROGRAM = """
import sys
from pathlib import Path
import numpy as np
import d3s_vot
from d3s_vot import Box, load_tracker
import d3s_vot.evaluation.vot.results_page
from d3s_vot.web.server import STATIC

assert Path(d3s_vot.__file__).is_relative_to(sys.argv[1]), d3s_vot.__file__
image = np.zeros((120, 160, 3), np.uint8)
image[40:70, 50:90] = 200, 80, 40
tracker = load_tracker("D3S", device="cpu")
tracker.initialize(image, Box(50, 40, 40, 30))
box = tracker.track(image).box
assert abs(box.x - 50) < 10 and abs(box.y - 40) < 10, box
assert (STATIC / "index.html").is_file() and (Path(d3s_vot.__file__).parent / "templates/results.html").is_file()
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from it; the repository is left as it is."""
    pytest.importorskip("build", reason="needs the package build, of the extra dev")
    tree, output = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("dist")
    for name in SOURCES:
        shutil.copy(ROOT / name, tree)
    shutil.copytree(ROOT / "d3s_vot", tree / "d3s_vot", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(output), str(tree)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    return output


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the wheel is unpacked into, which is all that installing a wheel of pure Python does."""
    folder = tmp_path_factory.mktemp("installed")
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def metadata(installed: Path) -> Message:
    (path,) = installed.glob("*.dist-info/METADATA")
    return Parser().parsestr(path.read_text())


def files_of(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_all_files_of_the_package_are_in_wheel_and_sdist(built: Path, installed: Path) -> None:
    files = files_of(ROOT / "d3s_vot")
    assert {"models/D3S.safetensors", "templates/results.html", "web/static/index.html", "py.typed"} <= files
    assert files_of(installed / "d3s_vot") == files
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {f"d3s_vot/{name}" for name in files} | set(SOURCES) <= names


def test_what_the_package_says_of_its_licence(installed: Path) -> None:
    said = metadata(installed)
    assert (said["License-Expression"] or said["License"]) == "Apache-2.0"
    assert set(said.get_all("License-File", [])) == {"LICENSE", "NOTICE"}
    for name in ("LICENSE", "NOTICE"):
        (path,) = installed.glob(f"*.dist-info/**/{name}")
        assert path.read_bytes() == (ROOT / name).read_bytes()
    assert "Apache License" in (ROOT / "LICENSE").read_text()


def test_the_notice_names_every_package_that_brings_weights(installed: Path) -> None:
    needed = {line.split(";")[0].strip() for line in metadata(installed).get_all("Requires-Dist", [])}
    notice = (ROOT / "NOTICE").read_text()
    brought = {name for name in needed if name.startswith("efficientnet")}
    assert len(brought) == 3 and all(name in notice for name in brought)


def test_the_pythons_of_the_classifiers_are_those_that_are_taken(installed: Path) -> None:
    said = metadata(installed)
    prefix = "Programming Language :: Python :: 3."
    named = sorted(int(c.removeprefix(prefix)) for c in said.get_all("Classifier", []) if c.startswith(prefix))
    assert said["Requires-Python"].split(",") == [f"<3.{named[-1] + 1}", f">=3.{named[0]}"]
    assert named == list(range(named[0], named[-1] + 1))


def test_the_wheel_tracks_from_outside_the_repository(installed: Path, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(installed)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (entries,) = installed.glob("*.dist-info/entry_points.txt")
    commands = configparser.ConfigParser()
    commands.read(entries)
    assert dict(commands["console_scripts"]) == {"d3s-vot": "d3s_vot.cli:main"}
