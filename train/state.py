"""What outlives the process: `state.pt`, from which a run goes on, and the weights it ends with."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from d3s_vot.files import write_whole
from d3s_vot.weights.checkpoint import Checkpoint
from train.config import TrainConfig
from train.data.clips import Clip
from train.data.items import Item
from train.errors import DataError

# What may differ between the parts of a run: none of it changes the result.
FREE = ("workers", "checkpoint_minutes", "log_every")


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a state whole: a kill leaves the old one or the new one.

    Args:
        path: of the file.
        state: of tensors and plain values; the versions of the packages come to it.

    Raises:
        OSError: it cannot be written.
    """
    packed = io.BytesIO()  # torch's own writing reports a full disk as no OSError
    torch.save(state | {"versions": versions()}, packed)
    write_whole(path, packed.getvalue())


def versions() -> dict[str, str]:
    """Of the packages on which the result of a run depends."""
    try:
        ours = version("d3s-vot")
    except PackageNotFoundError:  # a clone that was not installed
        ours = "unknown"
    return {"d3s-vot": ours, "torch": str(torch.__version__)}


def load_state(path: Path, config: TrainConfig, data: str) -> dict[str, Any]:
    """Read a state to the CPU, if it is of a run with these settings and data; nothing in the file is executed.

    Args:
        path: of the file.
        config: of the run.
        data: what `fingerprint` says of its data.

    Raises:
        DataError: there is no state, it is damaged, or it is of a run with other settings, data or packages.
    """
    if not path.is_file():
        raise DataError(f"there is no {path} to resume from; start without --resume")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        theirs, their_data, their_versions = state["config"], state["data"], dict(state["versions"])
    except Exception as error:  # torch reports damage by several kinds of error
        raise DataError(f"{path} is damaged or of another version; remove it and start anew") from error
    for package, here in versions().items():
        if their_versions.get(package) != here:
            raise DataError(
                f"{path} was written with {package} {their_versions.get(package)}, here is {here}; "
                "install the same version, or name another --output"
            )
    ours = dataclasses.asdict(config)
    differing = [k for k in ours if ours[k] != theirs.get(k) and k not in FREE]
    if differing:
        raise DataError(f"{path} is of a run with another {', '.join(differing)}; use the same settings")
    if their_data != data:
        raise DataError(
            f"{path} is of a run with other data, trunk weights or weights to start from; "
            "give the same, or another --output"
        )
    return state


def fingerprint(items: Iterable[Item | Clip], weights: dict[str, float], *more: str) -> str:
    """A checksum of the objects, of the sources' weights and of further text; the place of the files plays no part.

    Of the pictures the sizes of the files count: another picture under the same name hardly ever has the same.
    """
    digest = hashlib.sha256(repr((sorted(weights.items()), more)).encode())
    sizes: dict[Path, int] = {}
    for i in items:
        if i.image not in sizes:
            sizes[i.image] = i.bytes
        digest.update(f"{(*i.facts, sizes[i.image])}\n".encode())
    return digest.hexdigest()


def describe_data(items: Iterable[Item | Clip], weights: dict[str, float]) -> dict[str, Any]:
    """For the weights' metadata: of each source its weight, and of each collection the number of objects."""
    counts = Counter((i.source, i.collection, i.held_out) for i in items)
    sources: dict[str, Any] = {name: {"weight": weight, "collections": {}} for name, weight in weights.items()}
    for source, collection in sorted({key[:2] for key in counts}):
        sources[source]["collections"][collection] = {
            "train": counts[source, collection, False],
            "validation": counts[source, collection, True],
        }
    return sources


def describe_run(
    config: TrainConfig,
    schedule: str,
    items: Sequence[Item | Clip],
    weights: dict[str, float],
    *,
    trunk: str,
    start: Checkpoint | None,
) -> dict[str, Any]:
    """For the metadata of the weights: what they were trained with.

    Args:
        config: of the run.
        schedule: name of the schedule that it comes from.
        items: objects to train on and to validate on.
        weights: of each source of the items.
        trunk: checksum of what the networks began with.
        start: trained weights to begin with.
    """
    kept = sum(item.held_out for item in items)
    return {
        "schedule": schedule,
        "config": dataclasses.asdict(config),
        "data": describe_data(items, weights),
        "objects": {"train": len(items) - kept, "validation": kept},
        "trunk_sha256": trunk,
        "start": None if start is None else describe_start(start),
        "commit": commit(),
        "torch": torch.__version__,
    }


def describe_start(start: Checkpoint) -> dict[str, Any]:
    """For the metadata of weights: the trained ones that their run began with, and those that these began with."""
    facts = {name: start.provenance.get(name) for name in ("iterations", "commit", "validation_iou", "start")}
    return {"checksum": start.checksum, **facts}


def commit() -> str:
    """The commit of the code that runs, or "unknown"; "+" behind it: with changes."""
    here = Path(__file__).parent
    command = ["git", "-C", str(here), "describe", "--always", "--exclude=*", "--dirty=+"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:  # no git on this machine
        return "unknown"
    return found.stdout.strip() or "unknown"
