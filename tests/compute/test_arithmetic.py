"""What the caller has set for other networks, other threads and forks change no bit of the tracker's answers."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from scenes import scene

from d3s_vot import D3STracker, load_tracker, track_together
from d3s_vot.compute.arithmetic import exact


@contextmanager
def changed(get: Callable[[], Any], put: Callable[[Any], None], value: Any) -> Iterator[None]:
    """A setting of the whole process while a test needs it, with a look at whether the tracker kept it."""
    before = get()
    put(value)
    try:
        yield
        assert get() == value
    finally:
        put(before)


def precision(setting: Any, value: str) -> AbstractContextManager[None]:
    return changed(lambda: setting.fp32_precision, lambda v: setattr(setting, "fp32_precision", v), value)


SURROUNDINGS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "inference mode": torch.inference_mode,
    "no gradients": torch.no_grad,
    "medium": lambda: changed(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "medium"),
    "bfloat16 products": lambda: precision(torch.backends.mkldnn.matmul, "bf16"),
    "bfloat16 convolutions": lambda: precision(torch.backends.mkldnn.conv, "bf16"),
    "double": lambda: changed(torch.get_default_dtype, torch.set_default_dtype, torch.float64),
    "half": lambda: changed(torch.get_default_dtype, torch.set_default_dtype, torch.float16),
    "another device": lambda: torch.device("meta"),
}


def follow(tracker: D3STracker) -> list[tuple[float, ...]]:
    """Every number of the answers to three frames, the last of them given to two targets at once."""
    first, second = tracker.fork(), tracker.fork()
    first.initialize(*scene(0))
    second.initialize(*scene(0))
    answers = [first.track(scene(1)[0]), second.track(scene(1)[0]), *track_together([first, second], scene(2)[0])]
    return [(*answer.box, answer.confidence, float(answer.mask.sum())) for answer in answers]


@pytest.fixture(scope="module")
def shipped(small_weights: Path) -> D3STracker:
    return load_tracker(small_weights, device="cpu")


@pytest.fixture(scope="module")
def expected(shipped: D3STracker) -> list[tuple[float, ...]]:
    torch.set_num_threads(1)  # as in the tests; this comes before their own fixture
    return follow(shipped)


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_surroundings_change_no_bit(shipped: D3STracker, expected: list[tuple[float, ...]], name: str) -> None:
    with SURROUNDINGS[name]():
        assert follow(shipped) == expected


@pytest.mark.parametrize("name", ["autocast", "inference mode", "double", "half", "another device"])
def test_nor_do_they_where_it_is_loaded(shipped: D3STracker, small_weights: Path, name: str) -> None:
    with SURROUNDINGS[name]():
        loaded = load_tracker(small_weights, device="cpu").model
    for part in ("trunk", "network", "head"):
        ours, theirs = (getattr(model, part).state_dict() for model in (shipped.model, loaded))
        assert ours.keys() == theirs.keys()
        assert all(ours[key].dtype == theirs[key].dtype and torch.equal(ours[key], theirs[key]) for key in ours)
    assert torch.equal(*(model.networks["inspection"].location for model in (shipped.model, loaded)))


def test_settings_come_back_with_the_last_thread_that_needs_them() -> None:
    setting, inside, leave = torch.backends.mkldnn.matmul, threading.Event(), threading.Event()

    def compute() -> None:
        with exact():
            inside.set()
            leave.wait(60)

    thread = threading.Thread(target=compute)
    with precision(setting, "bf16"):
        with exact():
            thread.start()
            assert inside.wait(60)
        assert setting.fp32_precision == "ieee"  # the other thread is not done
        leave.set()
        thread.join()
        assert setting.fp32_precision == "bf16"
        with pytest.raises(ZeroDivisionError), exact():
            _ = 1 // 0
        assert setting.fp32_precision == "bf16"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize("preset", ["exact", "fast"])
def test_a_forked_process_answers_the_same(
    preset: str, small_weights: Path, request: pytest.FixtureRequest
) -> None:
    if preset == "fast":
        request.getfixturevalue("fast_preset")
    code = (
        "import os, torch; torch.set_num_threads(2)\n"
        "from d3s_vot import InputError, load_tracker; from test_arithmetic import follow\n"
        f"tracker = load_tracker({str(small_weights)!r}, device='cpu', preset={preset!r})\n"
        "before = follow(tracker)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    same = follow(tracker) == before\n"
        "    try: tracker.fork().track(None)\n"
        "    except InputError: os._exit(0 if same else 3)\n"
        "    os._exit(4)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )
    here = Path(__file__)
    paths = os.pathsep.join(map(str, (here.parents[2], here.parents[1], here.parent)))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**os.environ, "PYTHONPATH": paths, "OMP_WAIT_POLICY": "passive"},  # the cores have other tests to run
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout == "0\n", done.stderr


def test_threads_answer_as_one_after_the_other(shipped: D3STracker, expected: list[tuple[float, ...]]) -> None:
    in_threads(shipped, expected)


def test_threads_of_the_preset_fast(fast_preset: D3STracker) -> None:
    count = torch.get_num_threads()
    in_threads(fast_preset, follow(fast_preset))
    assert torch.get_num_threads() == count


def in_threads(tracker: D3STracker, expected: list[tuple[float, ...]]) -> None:
    found: list[object] = []

    def run() -> None:
        try:
            found.append(follow(tracker))
        except Exception as error:  # shown by the comparison
            found.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 3
