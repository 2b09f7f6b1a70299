"""Scripts in processes of their own that find torch imported: forked from a process that waits, which saves seconds.

The process is started once; each script gets a child of it, which is the main program there: with its arguments, its
environment, its output, the usual handlers of signals, and the usual end of an interpreter.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[1]
SERVER = f"""
import json, os, runpy, signal, sys
import torch._dynamo, train.__main__  # the first of them, optimisers import at their first step
for line in sys.stdin:
    job = json.loads(line)
    child = os.fork()
    if child == 0:
        break
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
else:
    sys.exit()
signal.alarm({2 * PATIENCE:.0f})
for number, path in enumerate([os.devnull, job["stdout"], job["stderr"]]):
    os.dup2(os.open(path, os.O_RDWR), number)
os.environ.clear()
os.environ.update(job["environment"])
sys.argv = job["words"]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@functools.cache
def _server() -> subprocess.Popen[str]:
    """Ends when its input does, with this process at the latest."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(server.communicate)
    return server


def run(words: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs a script, the first of the words, with arguments, the others; like `subprocess.run` with its output."""
    server = _server()
    assert server.stdin is not None and server.stdout is not None
    with tempfile.NamedTemporaryFile("r") as said, tempfile.NamedTemporaryFile("r") as complained:
        files = {"stdout": said.name, "stderr": complained.name}
        job = {"words": list(words), "environment": dict(environment), **files}
        print(json.dumps(job), file=server.stdin, flush=True)
        code = int(server.stdout.readline())
        return subprocess.CompletedProcess(list(words), code, said.read(), complained.read())
