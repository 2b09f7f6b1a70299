"""What trained weights are worth: overlap without resets, failures with resets and validation IoU, a row for each file.

    python benchmarks/ablation.py FOLDER runs/full/head.safetensors runs/published/head.safetensors

Sequences are in VOT layout. The overlap is that of `benchmarks/overlap.py`; failures and accuracy come from the
official toolkit's supervised experiment, one repetition; the IoU is what the training run wrote into the file.
Prints CSV.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from overlap import run

from d3s_vot import D3SError, D3STracker
from d3s_vot.zoo import load_checkpoint, load_model

STACK = """title: One supervised repetition
experiments:
  baseline:
    type: supervised
    repetitions: 1
    skip_initialize: 5
    analyses:
      - type: supervised_average_ar
        sensitivity: 30
"""


def supervised(sequences: Path, weights: Path, preset: str, rules: str) -> tuple[float, float]:
    """Failures over all sequences, and accuracy."""
    program = [sys.executable, "-m", "d3s_vot.cli"]
    with tempfile.TemporaryDirectory() as folder:
        registry = Path(__file__).resolve().parents[1] / "trackers.ini"
        text = f"registry:\n  - {registry}\nstack: ./stack.yaml\nsequences: {sequences.resolve()}\n"
        Path(folder, "config.yaml").write_text(text)
        Path(folder, "stack.yaml").write_text(STACK)
        environment = {**os.environ, "D3S_VOT_WEIGHTS": str(weights.resolve())}
        environment |= {"D3S_VOT_PRESET": preset, "D3S_VOT_RULES": rules}
        subprocess.run([*program, "evaluate", folder, "D3S"], check=True, env=environment, stdout=subprocess.DEVNULL)
        shown = subprocess.run([*program, "results", folder, "--json"], check=True, capture_output=True, text=True)
    row = json.loads(shown.stdout)
    row = row[0] if isinstance(row, list) else row
    return row["failures"], row["a"]


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sequences", type=Path)
    parser.add_argument("weights", type=Path, nargs="+")
    parser.add_argument("--preset", default="exact")
    parser.add_argument("--rules", default="weights")
    options = parser.parse_args()
    writer = csv.writer(sys.stdout)
    names = (options.sequences / "list.txt").read_text().split()
    writer.writerow(["weights", "ao", "failures", "a", "validation_iou", *names])
    try:
        for path in options.weights:
            provenance = load_checkpoint(path).provenance
            tracker = D3STracker(load_model(path, "auto", None, options.preset, options.rules))
            overlaps = [run(tracker.fork(), options.sequences / name)["ao"] for name in names]
            failures, accuracy = supervised(options.sequences, path, options.preset, options.rules)
            values = [np.mean(overlaps), failures, accuracy, provenance.get("validation_iou"), *overlaps]
            name = path if path.stem != "head" else path.parent.name
            writer.writerow([name, *(f"{v:.3f}" if isinstance(v, float) else v for v in values)])
            sys.stdout.flush()
    except (D3SError, OSError, subprocess.CalledProcessError) as error:
        print(f"ablation: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
