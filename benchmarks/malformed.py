"""Malformed inputs for everything that reads: one sentence each, no traceback, no hang, nothing lost.

    python benchmarks/malformed.py --count 1000 --seed 0
    python benchmarks/malformed.py --seed 0 --only 217         # one of them again

Good files of every kind are spoiled in many ways (`damage.py`) and given to the reader or command that takes them, in
worker processes, with a stand-in for the network; every fortieth goes through the command line in a process of its
own. A fault is an exception that is no sentence of ours, a process that dies, more than 20 s, or a result of an
earlier run that is gone or changed although the new run failed.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from concurrent.futures import TimeoutError
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from damage import ODD_NAMES, ROOT, make_good, spoil, spoil_checkpoint, spoil_text

PATIENCE = 20.0  # seconds for an input
START = 100.0  # seconds more for a process that loads a network
EVERY = 40  # inputs of which one is given to a process of its own
ODD_BOXES = ("nan,1,2,3", "1e308,0,1e308,5", "-1e9,0,1e10,5", "0,0,0,0", "1,2,3", "5,5,1,1", "1e-9,1,1e-9,1e-9")
EARLIER = b"what an earlier run has left"


class Fault(Exception):
    """What went wrong with an input."""


def check(condition: object, text: str) -> None:
    if not condition:
        raise Fault(text)


def odd_copy(source: Path, folder: Path, chance: random.Random, ways: Callable = spoil) -> tuple[Path, str]:
    """A spoiled copy of a file, sometimes a good one under an odd name."""
    data, how = ways(source.read_bytes(), chance)
    name = source.name
    if chance.random() < 0.25:
        name = chance.choice(ODD_NAMES).format(source.suffix)
        if chance.random() < 0.5:
            data, how = source.read_bytes(), f"name {name!r}"
    if chance.random() < 0.1:
        name, how = Path(name).stem + chance.choice((".jpg", ".png", ".mp4", ".tif", "", ".JPG")), f"{how}, as {name!r}"
    (folder / name).write_bytes(data)
    return folder / name, f"{source.parent.name} {source.name}: {how}"


def spoiled_tree(source: Path, folder: Path, chance: random.Random) -> tuple[Path, str]:
    """A copy of a folder in which one file is spoiled, gone, or a folder."""
    root = Path(shutil.copytree(source, folder / source.name))
    path = chance.choice(sorted(path for path in root.rglob("*") if path.is_file()))
    where = path.relative_to(root)
    if chance.random() < 0.1:
        path.unlink()
        if chance.random() < 0.5:
            path.mkdir()
        return root, f"{where}: gone, or a folder"
    if path.suffix in (".txt", ".yaml", ".label", ".ini", ".value", ""):
        data, how = spoil_text(path.read_text(), chance)
    else:
        data, how = spoil(path.read_bytes(), chance)
    path.write_bytes(data)
    return root, f"{where}: {how}"


def command(main: Callable[[list[str]], int], arguments: list[str], own: bool, kept: list[Path]) -> None:
    """A command, in this process or its own; what it may overwrite must be as it was where it fails."""
    for path in kept:
        path.write_bytes(EARLIER)
    if own:
        words = [sys.executable, "-m", "d3s_vot.cli", *arguments]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, timeout=PATIENCE + START)
        code, said = done.returncode, done.stderr.decode(errors="replace")
    else:
        with contextlib.redirect_stderr(io.StringIO()) as errors, contextlib.redirect_stdout(io.StringIO()):
            try:
                code = main(arguments)
            except SystemExit as end:  # of the grammar
                code = int(end.code or 0)
        said = errors.getvalue()
    check(code in (0, 1, 2), f"exit code {code}: {said[-300:]}")
    check("Traceback" not in said, f"a traceback: {said[-500:]}")
    check(code != 2 or said.strip(), "exit code 2 without a word")
    for path in kept:
        check(path.is_file(), f"{path.name} is gone")
        check(code != 2 or path.read_bytes() == EARLIER, f"{path.name} is not what it was, though the run was refused")
        check(code == 2 or path.read_bytes() == EARLIER or path.stat().st_size, f"{path.name} is empty")
    check(not list(kept[0].parent.rglob("*.part")) if kept else True, "a .part is left")


def feed_picture(good: Path, folder: Path, chance: random.Random, own: bool) -> str:
    from d3s_vot.images import read_image
    from d3s_vot.video.sources import open_source

    path, how = odd_copy(chance.choice(sorted((good / "picture").iterdir())), folder, chance)
    for use in (read_image, lambda path: [None for _, frame in zip(range(100), open_source(path), strict=False)]):
        with allowed(how):
            use(path)
    return how


def feed_video(good: Path, folder: Path, chance: random.Random, own: bool) -> str:
    from d3s_vot.cli import main

    path, how = odd_copy(chance.choice(sorted((good / "video").iterdir())), folder, chance)
    out = folder / "out"
    out.mkdir()
    box = chance.choice(ODD_BOXES) if chance.random() < 0.2 else "25,35,31,31"
    with allowed(f"{how}, box {box}"):
        arguments = ["track", f"{path}", f"--box={box}", "--csv", f"{out}/t.csv", "--overlay", f"{out}/o.mp4"]
        command(main, arguments, own, [out / "t.csv", out / "o.mp4"])
    return f"{how}, box {box}"


def feed_mask(good: Path, folder: Path, chance: random.Random, own: bool) -> str:
    from d3s_vot.cli import main
    from d3s_vot.video.targets import read_masks

    path, how = odd_copy(chance.choice(sorted((good / "mask").iterdir())), folder, chance)
    with allowed(how):
        read_masks(path)
        out = folder / "out"
        out.mkdir()
        arguments = ["track", f"{good}/picture/a.png", f"--mask={path}", f"--coco={out}/m.json"]
        command(main, arguments, own, [out / "m.json"])
    return how


def feed_truth(good: Path, folder: Path, chance: random.Random, own: bool) -> str:
    from d3s_vot.evaluation.boxes.tracking import BoxBenchmark

    root, how = spoiled_tree(good / "got10k", folder, chance)
    with allowed(how):
        benchmark = BoxBenchmark("got10k-val")
        benchmark.check(benchmark.open(root))
    return how


def feed_workspace(good: Path, folder: Path, chance: random.Random, own: bool) -> str:
    from d3s_vot.cli import main

    root, how = spoiled_tree(good / "workspace", folder, chance)
    with allowed(how):
        form = chance.choice(["--json", "--csv", "--markdown", "--html"])
        page = root / "results.html"
        command(main, ["results", f"{root}", form], own, [page] if form == "--html" else [])
    return how


def feed_davis(good: Path, folder: Path, chance: random.Random, own: bool) -> str:
    from d3s_vot.evaluation.davis.benchmark import DavisBenchmark

    root, how = spoiled_tree(good / "davis", folder, chance)
    with allowed(how):
        benchmark = DavisBenchmark("davis17-val")
        sequences = benchmark.open(root)
        if not benchmark.check(sequences):
            for sequence in sequences:
                for index in range(len(sequence)):
                    sequence.truth(index)
    return how


def feed_checkpoint(good: Path, folder: Path, chance: random.Random, own: bool) -> str:
    from d3s_vot.cli import main
    from d3s_vot.weights.find import find_weights
    from d3s_vot.zoo import load_model

    path, how = odd_copy(find_weights("D3S"), folder, chance, spoil_checkpoint)
    with allowed(how):
        load_model(path, device="cpu")
    with allowed(f"convert {how}"):
        target = folder / "converted.safetensors"
        command(main, ["convert", str(path), str(target)], own, [target])
    return how


def feed_training(good: Path, folder: Path, chance: random.Random, own: bool) -> str:
    from train.data.index import index
    from train.data.items import Source, read_object

    root, how = spoiled_tree(good / "stills", folder, chance)
    with allowed(how):
        for item in index([Source("stills", root)], cache=None, workers=0).items:
            read_object(item)
    return how


FEEDS = {
    name.removeprefix("feed_"): function for name, function in list(globals().items()) if name.startswith("feed_")
}


@contextlib.contextmanager
def allowed(how: str) -> Any:
    """Sentences of ours are what is wanted; all else is a fault, told with what was done to the input."""
    from d3s_vot.errors import D3SError
    from train.errors import DataError

    try:
        yield
    except (D3SError, DataError) as error:
        check(str(error).strip(), f"{how}: a {type(error).__name__} without a word")
    except Fault as fault:
        raise Fault(f"{how}: {fault}") from None
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        ours = [frame for frame in traceback.extract_tb(error.__traceback__) if str(ROOT) in frame.filename]
        where = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in [place, *ours[:0:-1]])
        raise Fault(f"{how}: {type(error).__name__}: {str(error)[:150]} ({where})") from None


def kind_of(number: int) -> str:
    return list(FEEDS)[number % len(FEEDS)]


def feed(number: int, seed: int, good: Path) -> str:
    """Give one input to its reader; what was done to it.

    Raises:
        Fault: see the module.
    """
    from matching import matching

    from d3s_vot import zoo

    zoo.Choice.load_tracker = lambda _: matching()
    chance = random.Random(f"{seed} {number}")
    with tempfile.TemporaryDirectory() as folder:
        own = number // len(FEEDS) % EVERY == 0
        return FEEDS[kind_of(number)](good, Path(folder), chance, own)


def begin() -> None:
    """Make a process a worker: what takes long to load is no hang, what libraries say of bad files goes nowhere."""
    import train.data.index  # noqa: F401

    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(nowhere, number)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", type=int, metavar="NUMBER", help="this input alone, in this process")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    with tempfile.TemporaryDirectory() as folder:
        good = Path(folder)
        make_good(good)
        if options.only is not None:
            print(feed(options.only, options.seed, good))
            return 0
        faults = run(options, good)
    kinds = "".join(f"; {kind}: {number}" for kind, number in faults.items())
    print(f"{sum(faults.values())} faults in {options.count} inputs{kinds}")
    return 1 if faults else 0


def run(options: argparse.Namespace, good: Path) -> Counter[str]:
    """Feed all; tells faults as they come and counts them by kind."""
    from pebble import ProcessExpired, ProcessPool

    faults: Counter[str] = Counter()
    context = multiprocessing.get_context("spawn")
    with ProcessPool(options.workers, context=context, initializer=begin) as pool:
        jobs = {
            number: pool.schedule(
                feed,
                (number, options.seed, good),
                timeout=PATIENCE + (2 * START if number // len(FEEDS) % EVERY == 0 else 0),
            )
            for number in range(options.count)
        }
        for number, job in jobs.items():
            try:
                job.result()
                continue
            except TimeoutError:
                text = f"more than {PATIENCE:.0f} s"
            except ProcessExpired as error:
                text = f"the process died, exit code {error.exitcode}"
            except Exception as error:
                text = str(error) if type(error).__name__ == "Fault" else f"{type(error).__name__}: {error}"
            faults[kind_of(number)] += 1
            print(f"{number} {kind_of(number)}: {text}", flush=True)
    return faults


if __name__ == "__main__":
    sys.exit(main())
