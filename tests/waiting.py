"""Waiting for other processes and threads: as long as a busy machine may need, and no longer than it takes."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PATIENCE = 240.0  # seconds for what takes less than ten on an idle machine; whoever waits so long has failed


def wait_until(
    condition: Callable[[], Any], what: str = "what is waited for", program: subprocess.Popen[Any] | None = None
) -> Any:
    """What the condition gives as soon as it holds; fails when it never does, or when the program ends before."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert program is None or program.poll() is None, f"the program ended before: {what}"
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.02)
    return found


def alive(pid: int) -> bool:
    """Whether a process runs; one that waits for its parent to take notice does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def family(pid: int) -> list[int]:
    """The processes that a process has started, and those that they have."""
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return children + [found for child in children for found in family(child)]
