"""Threads that wait sleep soon, unless the user has said otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from d3s_vot.compute.threads import SPINS, cores_are_taken


@pytest.mark.parametrize(
    ("given", "first", "expected"),
    [
        ({}, "", None),
        ({"GOMP_SPINCOUNT": "7"}, "", ("7", "None")),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "", ("None", "ACTIVE")),
        ({}, "import torch", ("None", "None")),
    ],
    ids=["by default", "a count of the user's", "a policy of the user's", "torch is there already"],
)
def test_how_long_threads_wait_awake(given: dict[str, str], first: str, expected: tuple[str, str] | None) -> None:
    own = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    surroundings = {name: value for name, value in os.environ.items() if name not in own} | given
    program = f"import os\n{first}\nimport d3s_vot\nprint(*map(os.environ.get, {own}))"
    done = subprocess.run([sys.executable, "-c", program], env=surroundings, capture_output=True, text=True, check=True)
    found = tuple(done.stdout.split())
    assert found == expected or (expected is None and found in ((SPINS, "None"), ("None", "PASSIVE")))


def test_a_machine_whose_cores_are_taken(tmp_path: Path) -> None:
    statistics = tmp_path / "stat"
    cores = os.cpu_count() or 1
    for others, taken in ((0, False), (cores - 1, False), (cores, True), (3 * cores, True)):
        statistics.write_text(f"cpu  1 2 3\nprocs_running {others + 1}\nprocs_blocked 0\n")
        assert cores_are_taken(statistics) is taken
    statistics.write_text("cpu  1 2 3\n")
    assert not cores_are_taken(statistics)
    assert not cores_are_taken(tmp_path / "another system")
