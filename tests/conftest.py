"""Fixtures that find the folder of reference data; a user's machine does not have it, so tests skip without it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch, and for what the tests start; see `one_thread`

import cv2
import numpy as np
import pytest
import toolkit
import torch
from small import save_small

from d3s_vot import D3STracker, InputError, load_tracker

SHARED = Path(os.environ.get("D3S_VOT_SHARED", Path(__file__).resolve().parents[2] / "shared"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that use the reference data carry the marker `shared`."""
    for item in items:
        if "shared" in getattr(item, "fixturenames", ()):
            item.add_marker("shared")


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    """After failures, how to have the tests in this order again."""
    seed = config.getoption("randomly_seed", None)
    if exitstatus and seed is not None:
        terminalreporter.write_line(f"in the order of --randomly-seed={seed}")


@pytest.fixture(scope="session", autouse=True)
def folder_of_this_run(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Of results that several tests look at; the workers of pytest-xdist have folders of their own in it."""
    own = tmp_path_factory.getbasetemp()
    toolkit.folder_of_this_run = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """The same number of threads everywhere, as rounding depends on it; the cores are for several tests at a time.

    Before each test, because commands that a test runs in this process set it too.
    """
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


@pytest.fixture(autouse=True)
def signals_are_heard() -> Iterator[None]:
    """Ctrl-C and a closed terminal are heard, by this process and by those that it starts, as on a terminal.

    Whoever runs the tests may ignore them, as a script's background job, nohup and a worker of pytest-xdist do;
    programs inherit that.
    """
    ctrl_c = signal.signal(signal.SIGINT, signal.default_int_handler)
    closed = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGINT, ctrl_c)
    signal.signal(signal.SIGHUP, closed)


@pytest.fixture(scope="session")
def fast_preset(small_weights: Path) -> D3STracker:
    """A tracker of the preset fast, on a CPU; whoever needs it skips where OpenVINO is missing or cannot compile."""
    try:
        return load_tracker(small_weights, "cpu", preset="fast")
    except InputError as error:
        if "the preset fast" not in str(error):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def small_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged weights with a smaller search patch, see `small`."""
    return save_small(tmp_path_factory.mktemp("small") / "D3S.safetensors")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the reference data; no folder {SHARED} (set D3S_VOT_SHARED)")
    return SHARED


@pytest.fixture(scope="session")
def golden(shared: Path) -> Callable[[str], dict[str, np.ndarray]]:
    """Loads one golden file as a dictionary of arrays."""

    def load(name: str) -> dict[str, np.ndarray]:
        with np.load(shared / "golden" / name) as archive:
            return {key: archive[key] for key in archive}

    return load
