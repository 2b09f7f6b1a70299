"""Threads that wait sleep, unless the user has said otherwise."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

POLICY = "OMP_WAIT_POLICY"


@pytest.mark.parametrize(
    ("given", "first", "policy"),
    [(None, "", "PASSIVE"), ("ACTIVE", "", "ACTIVE"), (None, "import torch", "None")],
    ids=["by default", "the user's", "torch is there already"],
)
def test_the_waiting_policy(given: str | None, first: str, policy: str) -> None:
    surroundings = {name: value for name, value in os.environ.items() if name != POLICY}
    if given is not None:
        surroundings[POLICY] = given
    program = f"import os\n{first}\nimport d3s_vot\nprint(os.environ.get({POLICY!r}))"
    done = subprocess.run([sys.executable, "-c", program], env=surroundings, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [policy]
