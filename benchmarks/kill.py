"""Commands that are told to end at random moments: nothing is damaged, nothing half-written stays, a later run goes on.

    python benchmarks/kill.py --moments 30 --seed 0

Each program (`track` with table, overlay and masks; `got10k_run` with two workers; `train`; `vot`, which is `d3s-vot
evaluate` on a workspace of masks and anchors) runs once undisturbed.
Then it is started again and again, and gets SIGTERM or SIGHUP at a random moment of that time. What it leaves must be
whole and agree with the undisturbed run, with no `.part` beside it; the run after it must end in the same results.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from d3s_vot.interrupts import interruptible

ROOT = Path(__file__).resolve().parents[1]
SIGNALS = (signal.SIGTERM, signal.SIGHUP)
PATIENCE = 120  # seconds that a program may take to end
SIZE = (192, 256)  # pixels of the made frames


# `python -m train` with small pairs and few of them to validate on, so that most moments are in its own work.
SMALL = """
import dataclasses, sys
from train import config
from train.__main__ import main
pairs = config.PairConfig(size=96)
small = {"pairs": pairs, "validation_pairs": 4, "log_every": 1, "precision": "float32"}
config.SCHEDULES["quick"] = dataclasses.replace(config.SCHEDULES["quick"], **small)
sys.exit(main(sys.argv[1:]))
"""


class Fault(Exception):
    """What a program did wrong."""


def scene(count: int) -> tuple[list[np.ndarray], tuple[int, int, int, int]]:
    """Frames of a square that moves, H x W x 3, and its box (x, y, w, h) in the first one."""
    rng = np.random.default_rng(0)
    ground = cv2.resize(rng.integers(0, 160, (24, 32, 3), np.uint8), SIZE[::-1], interpolation=cv2.INTER_CUBIC)
    thing = cv2.resize(rng.integers(120, 255, (6, 6, 3), np.uint8), (50, 50), interpolation=cv2.INTER_NEAREST)
    frames = []
    for k in range(count):
        frame = ground.copy()
        frame[60:110, 40 + k % 100 : 90 + k % 100] = thing
        frames.append(frame)
    return frames, (40, 60, 50, 50)


def run(command: list[str], after: float | None = None, kind: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
    """Exit code and the end of what a program said; it gets a signal after so many seconds."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=environment, stdout=said, stderr=subprocess.STDOUT
        )
        try:
            if after is not None:
                try:
                    process.wait(after)
                except subprocess.TimeoutExpired:
                    process.send_signal(kind)
            process.wait(None if after is None else PATIENCE)
        except subprocess.TimeoutExpired:
            raise Fault(f"it did not end within {PATIENCE} s of the signal") from None
        finally:  # also where this program itself is told to end
            process.kill()
            process.wait()
        said.seek(0)
        return process.returncode, said.read().strip()[-600:]


def check(condition: object, text: str) -> None:
    if not condition:
        raise Fault(text)


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


class Track:
    """`d3s-vot track`, into a table, an overlay and masks."""

    name = "track"

    def __init__(self, folder: Path, frames: int) -> None:
        self.folder, pictures = folder, folder / "frames"
        pictures.mkdir(parents=True)
        images, box = scene(frames)
        for k, image in enumerate(images):
            cv2.imwrite(str(pictures / f"{k:04d}.jpg"), image)
        self.box, self.whole = ",".join(map(str, box)), folder / "whole"

    def command(self, output: Path) -> list[str]:
        to = ["--csv", f"{output}/t.csv", "--overlay", f"{output}/o.mp4", "--masks", f"{output}/masks"]
        return ["-m", "d3s_vot.cli", "track", f"{self.folder}/frames", "--box", self.box, "--threads", "1", *to]

    again = command

    def check(self, output: Path, finished: bool) -> str:
        """What stands there agrees in its number of frames, and with the whole run; returns how much that is."""
        from d3s_vot.images import read_image
        from d3s_vot.video.sources import open_source

        if not (output / "t.csv").exists():
            check(not finished and not list(output.rglob("*")), "there is something, but no table")
            return "nothing"
        table, expected = rows(output / "t.csv"), rows(self.whole / "t.csv")
        check(table == expected[: len(table)], "the table differs from that of the whole run")
        count = len(table) - 1
        check(not finished or len(table) == len(expected), f"the table ends after {count} frames")
        with open_source(output / "o.mp4") as source:
            check(sum(frame.image is not None for frame in source) == count, "the overlay has other frames")
        masks = sorted((output / "masks").glob("*"))
        check(len(masks) == count, f"there are {len(masks)} masks for {count} frames")
        for path in masks:
            check(read_image(path).shape[:2] == SIZE, "a mask has another size")
        return f"{count} frames"

    def prepare(self, output: Path) -> None:
        """As the user would, whose masks must go into an empty folder."""
        shutil.rmtree(output / "masks", ignore_errors=True)


class Got10k:
    """`got10k_run` on five sequences of GOT-10k's validation set."""

    name = "got10k_run"

    def __init__(self, folder: Path, frames: int) -> None:
        self.folder, self.whole = folder, folder / "whole"
        images, (x, y, w, h) = scene(frames // 5)
        names = [f"GOT-10k_Val_{k:06d}" for k in range(1, 6)]
        for name in names:
            sequence = folder / "data" / "val" / name
            sequence.mkdir(parents=True)
            for k, image in enumerate(images, start=1):
                cv2.imwrite(str(sequence / f"{k:08d}.jpg"), image)
            truth = [f"{x + k % 100 + 1}.0000,{y + 1}.0000,{w}.0000,{h}.0000" for k in range(len(images))]
            (sequence / "groundtruth.txt").write_text("\n".join(truth) + "\n")
            for kind, value in (("absence", 0), ("cover", 8), ("cut_by_image", 0)):
                (sequence / f"{kind}.label").write_text(f"{value}\n" * len(images))
            (sequence / "meta_info.ini").write_text(f"[METAINFO]\nresolution: {SIZE[::-1]}\n")
        (folder / "data" / "val" / "list.txt").write_text("\n".join(names) + "\n")

    def command(self, output: Path) -> list[str]:
        options = ["--root", f"{self.folder}/data", "--output", str(output), "--workers", "2", "--device", "cpu"]
        return ["-m", "d3s_vot.got10k_run", "--dataset", "got10k-val", *options]

    again = command

    def check(self, output: Path, finished: bool) -> str:
        """Boxes that are there are those of the whole run."""
        found = {path.relative_to(output): path.read_bytes() for path in output.rglob("*_001.txt")}
        expected = {path.relative_to(self.whole): path.read_bytes() for path in self.whole.rglob("*_001.txt")}
        for path, content in found.items():
            check(content == expected.get(path), f"{path} differs from the whole run's")
        check(not finished or len(found) == len(expected), f"{len(found)} of {len(expected)} sequences are finished")
        return f"{len(found)} sequences"

    def prepare(self, output: Path) -> None:
        """The same command goes on."""


class Train:
    """`python -m train` for some steps on drawn stills."""

    name = "train"

    def __init__(self, folder: Path, frames: int) -> None:
        self.folder, self.whole, self.steps = folder, folder / "whole", max(frames // 10, 4)
        rng = np.random.default_rng(0)
        for k in range(24):
            image = cv2.GaussianBlur(rng.integers(0, 256, (240, 320, 3), np.uint8), (0, 0), 3)
            mask = cv2.ellipse(np.zeros((240, 320), np.uint8), (100 + 5 * k, 120), (40, 60), 0, 0, 360, 255, -1)
            image[mask > 0] = rng.integers(0, 256, 3)
            for kind, array, end in (("images", image, "jpg"), ("masks", mask, "png")):
                path = folder / "data" / "drawn" / kind / f"{k:02d}.{end}"
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), array)

    def command(self, output: Path) -> list[str]:
        options = ["--output", str(output), "--cache", f"{self.folder}/cache", "--device", "cpu", "--workers", "1"]
        options += ["--iterations", str(self.steps), "--batch", "2", "--checkpoint-minutes", "0"]
        return ["-c", SMALL, "--data", f"stills={self.folder}/data", *options]

    def again(self, output: Path) -> list[str]:
        return [*self.command(output), *(["--resume"] if (output / "state.pt").exists() else [])]

    def check(self, output: Path, finished: bool) -> str:
        """State and weights can be read, and the log is the whole run's as far as it goes."""
        import torch

        from d3s_vot.zoo import load_checkpoint

        done = 0
        if (output / "state.pt").exists():
            done = torch.load(output / "state.pt", weights_only=True)["iteration"]
        if (output / "log.csv").exists():
            log, expected = rows(output / "log.csv"), rows(self.whole / "log.csv")
            columns = [expected[0].index(name) for name in ("iteration", "learning_rate", "skipped")]
            pick = [[row[column] for column in columns] for row in log]
            check(pick == [[row[column] for column in columns] for row in expected][: len(log)], "the log differs")
        if finished or (output / "head.safetensors").exists():
            load_checkpoint(output / "head.safetensors")
            check(done == self.steps, f"there are weights, but the state is of step {done}")
        return f"{done} steps"

    def prepare(self, output: Path) -> None:
        """It goes on with `--resume`."""


class Vot:
    """`d3s-vot evaluate` on three sequences with masks and anchors."""

    name = "vot"

    def __init__(self, folder: Path, frames: int) -> None:
        from d3s_vot.evaluation.vot.new_workspace import make_workspace

        self.folder, self.whole, self.empty = folder, folder / "whole", folder / "empty"
        images, (x, y, w, h) = scene(max(frames // 8, 4))
        for number in range(3):
            for place in ("images", "masks"):
                (folder / "data" / place / f"v{number}").mkdir(parents=True)
            for k, image in enumerate(images):
                mask = np.zeros(SIZE, np.uint8)
                mask[y : y + h, x + k % 100 : x + k % 100 + w] = 255
                cv2.imwrite(str(folder / "data" / "images" / f"v{number}" / f"{k:05d}.png"), np.roll(image, number, 0))
                cv2.imwrite(str(folder / "data" / "masks" / f"v{number}" / f"{k:05d}.png"), np.roll(mask, number, 0))
        make_workspace(folder / "data", self.empty, say=lambda text: None)

    def again(self, output: Path) -> list[str]:
        return ["-m", "d3s_vot.cli", "evaluate", str(output), "D3S", "--threads", "1"]

    def command(self, output: Path) -> list[str]:
        shutil.copytree(self.empty, output, symlinks=True)
        return self.again(output)

    def check(self, output: Path, finished: bool) -> str:
        """Trajectories and confidences that are there are those of the whole run."""
        found, expected = (
            {
                path.relative_to(root): path.read_bytes()
                for path in (root / "results").rglob("*_*")
                if not path.name.endswith("_time.value")
            }
            for root in (output, self.whole)
        )
        for path, content in found.items():
            check(content == expected.get(path), f"{path} differs from the whole run's")
        check(not finished or len(found) == len(expected), f"{len(found)} of {len(expected)} files are there")
        return f"{len(found)} files"

    def prepare(self, output: Path) -> None:
        """The same command goes on."""


PROGRAMS: dict[str, Callable[[Path, int], Track | Got10k | Train | Vot]] = {
    kind.name: kind for kind in (Track, Got10k, Train, Vot)
}


def test(program: Track | Got10k | Train | Vot, moment: float, kind: signal.Signals) -> str:
    """Interrupt a run, look at what it left, and let another one finish it.

    Raises:
        Fault: something is wrong.
    """
    output = program.folder / "run"
    shutil.rmtree(output, ignore_errors=True)
    code, said = run(program.command(output), moment, kind)
    check("Traceback" not in said, f"a traceback: {said}")
    check(code in (0, 1, -kind), f"exit code {code}: {said}")  # the latter before it has come to anything
    check(not list(program.folder.rglob("*.part")), "a .part is left")
    left = program.check(output, code == 0)
    if code != 0:
        program.prepare(output)
        code, said = run(program.again(output))
        check(code == 0, f"the next run ends with exit code {code}: {said}")
        program.check(output, True)
        check(not list(program.folder.rglob("*.part")), "a .part is left by the next run")
    return left


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=30, help="in all, over programs and signals")
    parser.add_argument("--frames", type=int, default=100, help="of the made video; less is faster")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--programs", default=",".join(PROGRAMS), help="default: %(default)s")
    options = parser.parse_args()
    chance, faults = random.Random(options.seed), 0
    with interruptible(), tempfile.TemporaryDirectory() as folder:
        programs = [PROGRAMS[name](Path(folder, name), options.frames) for name in options.programs.split(",")]
        lengths = []
        for program in programs:
            begun = time.monotonic()
            code, said = run(program.command(program.whole))
            if code:
                print(f"{program.name} does not run at all: exit code {code}: {said}")
                return 2
            lengths.append(time.monotonic() - begun)
            print(f"{program.name}: {lengths[-1]:.1f} s undisturbed", flush=True)
        for number in range(options.moments):
            which = number % len(programs)
            kind = SIGNALS[number // len(programs) % 2]
            moment = chance.uniform(0.1, 1) * lengths[which]
            try:
                result = f"left {test(programs[which], moment, kind)}, and the next run finished"
            except Fault as fault:
                faults += 1
                result = f"FAULT: {fault}"
            print(f"{programs[which].name}, {kind.name} at {moment:.1f} s: {result}", flush=True)
    print(f"{faults} faults in {options.moments} moments")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
