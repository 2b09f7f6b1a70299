"""`benchmarks/kill.py` at one moment: a command that is told to end leaves whole files, the next run finishes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("av")
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(1200)  # each of its programs loads a network
def test_track_at_random_moments() -> None:
    words = [sys.executable, str(ROOT / "benchmarks" / "kill.py"), "--programs", "track", "--frames", "8"]
    done = subprocess.run(
        [*words, "--moments", "1", "--seed", "3"],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    assert lines[-1] == "0 faults in 1 moments" and len(lines) == 3
    assert lines[1].split()[1] in ("SIGTERM", "SIGHUP")
