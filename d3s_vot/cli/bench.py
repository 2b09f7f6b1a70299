"""`d3s-vot bench`: how long initialisation and frames take on this machine, stage by stage."""

from __future__ import annotations

import os
import platform
import resource
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from d3s_vot.compute.threads import use_threads
from d3s_vot.compute.timing import Stopwatch, stage
from d3s_vot.errors import InputError
from d3s_vot.evaluation.vot.stored import Sequence, as_given
from d3s_vot.images import read_image
from d3s_vot.model import Model
from d3s_vot.tracker import Tracker
from d3s_vot.zoo import Choice

PACKAGES = ("d3s-vot", "torch", "torchvision", "numpy", "opencv-python")
INITIALISATIONS = 5


def machine(model: Model, threads: int) -> dict[str, Any]:
    """What the figures were measured on."""
    processor = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):  # not Linux, or a processor without a name
        pass
    device = torch.cuda.get_device_name(model.device) if model.device.type == "cuda" else f"{processor}"
    return {
        "device": device,
        "cores": os.cpu_count(),
        "threads": threads,
        "trunk": model.architecture,
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


@stage("output")
def _answer(prediction: Any) -> None:
    """What a user reads of a prediction."""
    _ = prediction.region, prediction.mask


def measure(model: Model, folder: Path, frames: int | None = None) -> dict[str, Any]:
    """Track one sequence and take the time of everything.

    Args:
        model: the networks.
        folder: a sequence in VOT layout.
        frames: how many, at most; a shorter sequence is repeated from its second frame.

    Returns:
        Milliseconds: `init` and `frame` with p50, p95 and the mean of each stage; `fps` with reading and mask.

    Raises:
        InputError: the sequence or its frames cannot be used.
    """
    sequence = Sequence.load(folder)
    count = len(sequence.truth)
    if count < 2 or (frames is not None and frames < 2):
        raise InputError(f"{folder} has {count} frames and {frames or 'all'} are wanted; it takes two or more")
    paths = [sequence.frame(index) for index in range(count)]
    read = stage("decode")(read_image)
    first = read_image(paths[0])
    given = sequence.truth[0]
    assert given is not None  # as it was read
    region = as_given(given, *first.shape[:2])
    tracker = Tracker(model)
    following = [paths[1 + i % (len(paths) - 1)] for i in range((frames or len(paths)) - 1)]
    with Stopwatch() as watch:
        starts = [_timed(watch, lambda: tracker.initialize(first, region)) for _ in range(INITIALISATIONS)]
        laps = [_timed(watch, lambda path=path: _answer(tracker.track(read(path)))) for path in following]
    return {
        "fps": len(laps) / sum(lap["total"] for lap in laps),
        "init": _summary(starts[1:]),  # the first pays for what is made once
        "frame": _summary(laps),
        "first_init": 1e3 * starts[0]["total"],
        "frames": len(laps),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _timed(watch: Stopwatch, work: Any) -> dict[str, float]:
    watch.switch("rest")
    work()
    watch.back()
    lap = watch.lap()
    return lap | {"total": sum(lap.values())}


def _summary(laps: list[dict[str, float]]) -> dict[str, Any]:
    """Milliseconds: median and 95th percentile of the whole, mean of each stage."""
    totals = [1e3 * lap["total"] for lap in laps]
    names = sorted({name for lap in laps for name in lap} - {"total"})
    return {
        "p50": float(np.percentile(totals, 50)),
        "p95": float(np.percentile(totals, 95)),
        "stages": {name: 1e3 * float(np.mean([lap.get(name, 0.0) for lap in laps])) for name in names},
    }


def bench(
    sequence: Path | None, choice: Choice | None = None, *, threads: int | None = None, frames: int | None = None
) -> dict[str, Any]:
    """Load a model and measure it; without a sequence on one that is rendered.

    Raises:
        D3SError: weights, device, preset or sequence cannot be used.
    """
    use_threads(threads)
    choice = choice or Choice()
    model = choice.load_model()
    setting = {
        "tracker": Path(choice.tracker).stem,
        "preset": choice.preset,
        "rules": choice.rules,
        **machine(model, torch.get_num_threads()),
    }
    if sequence is not None:
        return {"sequence": sequence.name, **setting, **measure(model, sequence, frames)}
    from d3s_vot.sample.scenes import SCENES
    from d3s_vot.sample.write import render

    with tempfile.TemporaryDirectory() as folder:
        render(SCENES[0], Path(folder))
        return {"sequence": SCENES[0].name, **setting, **measure(model, Path(folder), frames)}


def text(result: dict[str, Any]) -> str:
    """The result for people."""
    versions = ", ".join(f"{name} {result[name]}" for name in ("python", *PACKAGES))
    threads = "1 thread" if result["threads"] == 1 else f"{result['threads']} threads"
    lines = [
        f"{result['tracker']}, {result['trunk']}, preset {result['preset']}, {threads} of {result['cores']} cores",
        f"{result['device']}; {versions}",
        f"{result['sequence']}: {result['frames']} frames, {result['fps']:.1f} frames/s with decoding and mask",
        "",
        f"{'ms':16s}{'p50':>9s}{'p95':>9s}   mean of each stage",
    ]
    for key, title in (("init", "initialisation"), ("frame", "frame")):
        part = result[key]
        stages = ", ".join(f"{name} {value:.1f}" for name, value in part["stages"].items())
        lines.append(f"{title:16s}{part['p50']:9.1f}{part['p95']:9.1f}   {stages}")
    lines.append(f"first initialisation {result['first_init']:.0f} ms, peak memory {result['peak_memory_mb']:.0f} MiB")
    return "\n".join(lines) + "\n"
