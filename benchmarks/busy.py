"""Frames a second on an idle machine and beside a busy loop on every core, in one run.

    python benchmarks/busy.py FOLDER --presets exact fast --settings "" OMP_WAIT_POLICY=ACTIVE

FOLDER is a sequence in VOT layout. Each figure is of a process of its own, which is begun with the settings as
environment variables; the median frame counts, without decoding and initialisation. What else runs on the machine
falsifies the idle figures.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FRAMES = 60  # tracked; those before the fifth are not counted

CHILD = """
import sys, time
from pathlib import Path
from d3s_vot import load_tracker
from d3s_vot.images import read_image
from d3s_vot.regions import from_vot
from d3s_vot.evaluation.vot.stored import read_truth
from d3s_vot.compute.threads import use_threads
folder, preset, threads, frames = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
use_threads(threads)
tracker = load_tracker("D3S", device="cpu", preset=preset)
paths = sorted((folder / "color").glob("*.jpg"))[: frames + 1]
images = [read_image(path) for path in paths]
tracker.initialize(images[0], from_vot(read_truth(folder / "groundtruth.txt")[0]))
times = []
for image in images[1:]:
    begun = time.perf_counter()
    tracker.track(image)
    times.append(time.perf_counter() - begun)
times = sorted(times[4:])
print(1 / times[len(times) // 2], len(times) / sum(times))
"""


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that do nothing but compute."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def frames_per_second(folder: Path, preset: str, threads: int, setting: str) -> tuple[float, float]:
    """Of the median frame, and over all."""
    variables = dict(pair.split("=", 1) for pair in setting.split())
    command = [sys.executable, "-c", CHILD, str(folder), preset, str(threads), str(FRAMES)]
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"busy: {done.stderr.strip().splitlines()[-1]}")
    median, overall = done.stdout.split()
    return float(median), float(overall)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--presets", nargs="+", default=["exact", "fast"])
    parser.add_argument("--threads", nargs="+", type=int, default=[os.cpu_count() or 1])
    parser.add_argument("--settings", nargs="+", default=[""], help="environment variables, NAME=VALUE NAME=VALUE")
    options = parser.parse_args()
    print("preset  threads  idle   busy  busy / idle  idle and busy over all frames  settings")
    for preset in options.presets:
        for threads in options.threads:
            for setting in options.settings:
                idle, idle_all = frames_per_second(options.folder, preset, threads, setting)
                with busy(os.cpu_count() or 1):
                    loaded, loaded_all = frames_per_second(options.folder, preset, threads, setting)
                print(
                    f"{preset:6s}  {threads:7d} {idle:5.1f}  {loaded:5.1f}  {loaded / idle:11.2f}  "
                    f"{idle_all:.1f}, {loaded_all:.1f} ({loaded_all / idle_all:.2f})  {setting}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
