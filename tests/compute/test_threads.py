"""Threads that wait sleep soon, unless the user has said otherwise."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from d3s_vot.compute.threads import SPINS


@pytest.mark.parametrize(
    ("given", "first", "spins"),
    [
        ({}, "", SPINS),
        ({"GOMP_SPINCOUNT": "7"}, "", "7"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "", "None"),
        ({}, "import torch", "None"),
    ],
    ids=["by default", "a count of the user's", "a policy of the user's", "torch is there already"],
)
def test_how_long_threads_wait_awake(given: dict[str, str], first: str, spins: str) -> None:
    own = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    surroundings = {name: value for name, value in os.environ.items() if name not in own} | given
    program = f"import os\n{first}\nimport d3s_vot\nprint(os.environ.get('GOMP_SPINCOUNT'))"
    done = subprocess.run([sys.executable, "-c", program], env=surroundings, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [spins]
