"""Verify, load and save checkpoints.

A checkpoint is a safetensors file. Its metadata are `format`, `checksum` and, as JSON, `tracker`, `config` and
`provenance`. What is loaded has been verified, here and by the tracker's own check: nothing later has to doubt names,
shapes or numbers.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from d3s_vot.errors import CheckpointError
from d3s_vot.files import write_whole
from d3s_vot.paths import as_path
from d3s_vot.weights.foreign import is_foreign

FORMAT, FORMER = "d3s_vot/2", "d3s_vot/1"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Weights and what has to be known about them.

    Attributes:
        tensors: float16 or float32, on the CPU; which ones, the tracker's model says.
        tracker: what the weights are of, one of `trackers.names.NAMES`.
        config: what the model has to know to build its networks, and constants that differ from the published ones;
            JSON values.
        provenance: data, commit, schedule, validation, source: whatever tells where the weights come from.
        checksum: `tensor_checksum` of the tensors.
    """

    tensors: dict[str, Tensor]
    tracker: str
    config: dict[str, Any]
    provenance: dict[str, Any]
    checksum: str

    @classmethod
    def create(
        cls,
        tensors: Mapping[str, Tensor],
        tracker: str,
        config: Mapping[str, Any] | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> Checkpoint:
        """A checkpoint of new weights: copies the tensors to the CPU and works out their checksum."""
        own = {k: v.detach().to("cpu", copy=True).contiguous() for k, v in tensors.items()}
        return cls(own, tracker, dict(config or {}), dict(provenance or {}), tensor_checksum(own))


# What refuses the weights of another network: checkpoint, what it is for the error's sentence, remedy against it.
Check = Callable[[Checkpoint, str, str], None]


def tensor_checksum(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256, in hexadecimal, over names, dtypes, shapes and bytes, in the order of the names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def save_checkpoint(path: str | os.PathLike[str], checkpoint: Checkpoint, check: Check) -> None:
    """Write a checkpoint; a kill leaves the old file or the new one, never half of one.

    Args:
        path: the safetensors file; its folder exists.
        checkpoint: provenance that JSON does not know is written as text.
        check: the tracker's own.

    Raises:
        CheckpointError: `load_checkpoint` would refuse the checkpoint, or the file cannot be written.
    """
    path = as_path(path, "the checkpoint")
    _verify(checkpoint, f"the checkpoint for {path}", "mend it before it is saved", check)
    metadata = {
        "format": FORMAT,
        "checksum": checkpoint.checksum,
        "tracker": json.dumps(checkpoint.tracker),
        "config": json.dumps(checkpoint.config),
        "provenance": json.dumps(checkpoint.provenance, default=str),
    }
    tensors = {k: v.detach().cpu().contiguous() for k, v in checkpoint.tensors.items()}
    try:
        write_whole(path, save(tensors, metadata))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be written ({error.strerror}); choose another place") from error


def load_checkpoint(path: str | os.PathLike[str], check: Check) -> Checkpoint:
    """Read a checkpoint and verify all of it.

    Args:
        path: the safetensors file.
        check: the tracker's own.

    Raises:
        CheckpointError: no such file, not a checkpoint of this package, damaged, of another network, or with
            weights that are not finite.
    """
    path = as_path(path, "the weights file")
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise CheckpointError(f"the weights file {path} {what}; give the path of a safetensors file")
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
            # Cloned: safetensors maps the file into memory, and the file may be replaced while we run.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, RuntimeError, ValueError, MemoryError) as error:
        if _is_foreign(path):
            raise CheckpointError(
                f"{path} is a file of torch.save; where it holds the published weights, convert it with "
                f"`d3s-vot convert {path.name} d3s.safetensors` and give the new file"
            ) from error
        raise CheckpointError(f"{path} is damaged or not a safetensors file; get a fresh copy") from error
    if metadata.get("format") not in (FORMAT, FORMER):
        raise CheckpointError(
            f"{path} is not a {FORMAT} checkpoint; convert published weights with `d3s-vot convert`, "
            "or update the package if the file is newer"
        )
    try:
        tracker, config = _tracker_and_config(metadata)
        checkpoint = Checkpoint(tensors, tracker, config, json.loads(metadata["provenance"]), metadata["checksum"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(f"the metadata of {path} are damaged; get a fresh copy") from error
    _verify(checkpoint, str(path), "get a fresh copy", check)
    return checkpoint


def _tracker_and_config(metadata: Mapping[str, str]) -> tuple[Any, Any]:
    """Those of a file; the former format is of D3S alone, and holds the names of its trunks by themselves."""
    config = json.loads(metadata["config"])
    if metadata["format"] == FORMAT:
        return json.loads(metadata["tracker"]), config
    return "D3S", {**{name: json.loads(metadata[name]) for name in ("trunk", "gem_trunk")}, **config}


def _is_foreign(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return is_foreign(file.read(4))
    except OSError:
        return False


def _verify(checkpoint: Checkpoint, what: str, remedy: str, check: Check) -> None:
    """Raise CheckpointError unless everything about a checkpoint is as its class says."""
    tensors = checkpoint.tensors
    sound = isinstance(checkpoint.tracker, str), isinstance(checkpoint.provenance, dict)
    if not all((*sound, isinstance(checkpoint.config, dict))):
        raise CheckpointError(f"the metadata of {what} are damaged; {remedy}")
    check(checkpoint, what, remedy)
    for name, tensor in sorted(tensors.items()):
        count = name.endswith(".num_batches_tracked")
        if tensor.dtype not in ((torch.int64,) if count else (torch.float16, torch.float32)):
            raise CheckpointError(f"{what} holds {name} as {tensor.dtype}, not float16 or float32; {remedy}")
    if tensor_checksum(tensors) != checkpoint.checksum:
        raise CheckpointError(f"{what} is damaged, the checksum of its weights differs; {remedy}")
    for name, tensor in sorted(tensors.items()):
        if not torch.isfinite(tensor).all():
            raise CheckpointError(f"{what} holds a weight that is not finite ({name}); {remedy}")
