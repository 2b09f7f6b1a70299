"""What the results of a VOT workspace are of, so that those of other settings or data are not gone on with."""

from __future__ import annotations

import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

from d3s_vot.evaluation.runs import identity

# Settings of this package that change results by more than their last digits.
SETTINGS = (
    "D3S_VOT_TRACKER",
    "D3S_VOT_WEIGHTS",
    "D3S_VOT_TRUNK",
    "D3S_VOT_PRESET",
    "D3S_VOT_RULES",
    "D3S_VOT_UNSEEN",
)
LONGTERM = ("PrecisionRecall", "PrecisionRecallCurve", "FScoreCurve")  # classes of the toolkit's analyses


def defaults(experiment: Any) -> dict[str, str]:
    """What an experiment of the toolkit's asks of this package's process where neither user nor registry say.

    Where the target is not seen it is told by an empty mask if several objects are tracked, and by the confidence in
    long runs.
    """
    if getattr(experiment, "multiobject", False):
        return {"D3S_VOT_UNSEEN": "empty"}
    if any(type(analysis).__name__ in LONGTERM for analysis in experiment.analyses):
        return {"D3S_VOT_UNSEEN": "doubt"}
    return {}


def describe(tracker: Any, experiment: Any) -> dict[str, Any]:
    """What the results of a tracker in an experiment, the toolkit's both, depend on beside the data; JSON values."""
    environment = {**defaults(experiment), **os.environ, **tracker._envvars}
    given = {name: environment[name] for name in SETTINGS if environment.get(name)}
    files = {f"content of {name}": identity.of_file(Path(value)) for name, value in given.items()}
    rules = {
        name: value
        for name, value in experiment.dump().items()
        if name in ("type", "realtime", "skip_initialize", "skip_tags", "failure_overlap", "anchor")
    }
    return {
        "command": str(tracker._command),
        "arguments": {name: str(value) for name, value in tracker._arguments.items()},
        **given,
        **{name: content for name, content in files.items() if content},
        "versions": {
            package: version(package)
            for package in ("d3s-vot", "vot-toolkit")
            if package != "d3s-vot" or "d3s_vot" in str(tracker._command)
        },
        "experiment": json.loads(json.dumps(rules, default=str)),
    }


def describe_data(sequence: Any) -> dict[str, str]:
    """What results depend on of a sequence of the toolkit's: its annotation, which says when a tracker failed."""
    folder = Path(sequence.metadata("root"))
    truths = [folder / sequence.metadata("groundtruth", "groundtruth.txt"), *sorted(folder.glob("groundtruth_*.txt"))]
    channels = [sequence.channel(name) for name in sequence.channels()]
    frames = [Path(channel.filename(index)) for channel in channels for index in range(len(sequence))]
    return {"ground truth": "".join(map(identity.of_file, truths)), "frames": identity.of_frames(frames)}
