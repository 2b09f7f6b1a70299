"""Find, verify, load and save checkpoints.

A checkpoint is a safetensors file of `segm_predictor.*`, and of `feature_extractor.*` and `gem_extractor.*`
where it carries its trunks. Its metadata are `format`, `checksum` and, as JSON, `trunk`, `gem_trunk`,
`config` and `provenance`. What is loaded has been verified: nothing later has to doubt names, shapes or
numbers of the segmentation network.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from d3s_vot.errors import CheckpointError, InputError
from d3s_vot.files import write_whole
from d3s_vot.online.augment import FIRST_FRAME_SAMPLES
from d3s_vot.paths import as_path
from d3s_vot.trackers.d3s.config import D3SConfig
from d3s_vot.trackers.d3s.network import SegmentationNetwork
from d3s_vot.trunks.trunk import CHANNELS
from d3s_vot.weights.fitting import check_shapes
from d3s_vot.weights.foreign import is_foreign

FORMAT = "d3s_vot/1"

HEAD, TRUNK, GEM_TRUNK = "segm_predictor.", "feature_extractor.", "gem_extractor."

MODELS = Path(__file__).parents[1] / "models"  # the packaged weights


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Weights and what has to be known about them.

    Attributes:
        tensors: `segm_predictor.*` always; `feature_extractor.*` where the segmentation trunk is carried;
            `gem_extractor.*` where a separate GEM trunk is. float16 or float32, on the CPU.
        trunk: name of the segmentation trunk, one of `backbones.CHANNELS`.
        gem_trunk: name of a second, untouched ImageNet trunk for GEM; None: GEM shares the first.
        config: fields of `D3SConfig` that differ from the published ones.
        provenance: data, commit, schedule, validation, source: whatever tells where the weights come from.
        checksum: `tensor_checksum` of the tensors.
    """

    tensors: dict[str, Tensor]
    trunk: str
    gem_trunk: str | None
    config: dict[str, float | int]
    provenance: dict[str, Any]
    checksum: str

    @property
    def constants(self) -> D3SConfig:
        """All constants of the tracker that the weights were made for.

        Raises:
            InputError: one of `config` is unknown or cannot be used.
        """
        return D3SConfig.with_changes(self.config)

    @classmethod
    def create(
        cls,
        tensors: Mapping[str, Tensor],
        trunk: str,
        provenance: Mapping[str, Any] | None = None,
        *,
        gem_trunk: str | None = None,
        config: Mapping[str, float | int] | None = None,
    ) -> Checkpoint:
        """A checkpoint of new weights: copies the tensors to the CPU and works out their checksum."""
        own = {k: v.detach().to("cpu", copy=True).contiguous() for k, v in tensors.items()}
        return cls(own, trunk, gem_trunk, dict(config or {}), dict(provenance or {}), tensor_checksum(own))


def tensor_checksum(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256, in hexadecimal, over names, dtypes, shapes and bytes, in the order of the names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def save_checkpoint(path: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Write a checkpoint; a kill leaves the old file or the new one, never half of one.

    Args:
        path: the safetensors file; its folder exists.
        checkpoint: provenance that JSON does not know is written as text.

    Raises:
        CheckpointError: `load_checkpoint` would refuse the checkpoint, or the file cannot be written.
    """
    path = as_path(path, "the checkpoint")
    _verify(checkpoint, f"the checkpoint for {path}", "mend it before it is saved")
    metadata = {
        "format": FORMAT,
        "checksum": checkpoint.checksum,
        "trunk": json.dumps(checkpoint.trunk),
        "gem_trunk": json.dumps(checkpoint.gem_trunk),
        "config": json.dumps(checkpoint.config),
        "provenance": json.dumps(checkpoint.provenance, default=str),
    }
    tensors = {k: v.detach().cpu().contiguous() for k, v in checkpoint.tensors.items()}
    try:
        write_whole(path, save(tensors, metadata))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be written ({error.strerror}); choose another place") from error


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint and verify all of it.

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
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} is not a {FORMAT} checkpoint; convert published weights with `d3s-vot convert`, "
            "or update the package if the file is newer"
        )
    try:
        trunk, gem_trunk, config, provenance = (
            json.loads(metadata[key]) for key in ("trunk", "gem_trunk", "config", "provenance")
        )
        checkpoint = Checkpoint(tensors, trunk, gem_trunk, config, provenance, metadata["checksum"])
    except (KeyError, ValueError, RecursionError) as error:
        raise CheckpointError(f"the metadata of {path} are damaged; get a fresh copy") from error
    _verify(checkpoint, str(path), "get a fresh copy")
    return checkpoint


def _is_foreign(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return is_foreign(file.read(4))
    except OSError:
        return False


def find_weights(name_or_path: str | os.PathLike[str]) -> Path:
    """The file of packaged weights, such as "D3S", or of a path.

    Raises:
        CheckpointError: neither packaged nor an existing file; the message lists what is packaged.
    """
    packaged = {path.stem: path for path in sorted(MODELS.glob("*.safetensors"))}
    given = as_path(name_or_path, "the weights file")
    path = packaged.get(os.fspath(given), given)
    if not path.is_file():
        names = ", ".join(packaged) or "none"
        raise CheckpointError(f"there are no weights {str(path)!r}; give a file or a packaged name ({names})")
    return path


def head_shapes(trunk: str, width: int = 1) -> dict[str, tuple[int, ...]]:
    """Names, with their prefix, and shapes of the segmentation network's tensors on a trunk."""
    with torch.device("meta"):  # shapes only: nothing is allocated or initialised
        state = SegmentationNetwork(CHANNELS[trunk], width=width).state_dict()
    return {HEAD + name: tuple(tensor.shape) for name, tensor in state.items()}


def _verify(checkpoint: Checkpoint, what: str, remedy: str) -> None:
    """Raise CheckpointError unless everything about a checkpoint is as its class says."""
    tensors, trunk, gem_trunk = checkpoint.tensors, checkpoint.trunk, checkpoint.gem_trunk
    for name in (trunk,) if gem_trunk is None else (trunk, gem_trunk):
        if not isinstance(name, str) or name not in CHANNELS:
            raise CheckpointError(f"{what} needs the trunk {name!r}, which is unknown; update the package")
    if not isinstance(checkpoint.provenance, dict) or not isinstance(checkpoint.config, dict):
        raise CheckpointError(f"the metadata of {what} are damaged; {remedy}")
    try:
        constants = checkpoint.constants
    except InputError as error:
        raise CheckpointError(f"{what} cannot be used: {error}, or update the package") from error
    channels = CHANNELS[gem_trunk or trunk][3]
    for name, low, high in (
        ("projection_channels", 1, channels),
        ("memory_size", FIRST_FRAME_SAMPLES + 1, math.inf),
        ("similarity_top_k", 1, (constants.segm_crop_size // 16) ** 2),
    ):
        if not low <= getattr(constants, name) <= high:
            raise CheckpointError(
                f"{what} sets the constant {name} to {getattr(constants, name)}, outside {low} .. {high}; {remedy}"
            )
    trunks = (TRUNK,) if gem_trunk is None else (TRUNK, GEM_TRUNK)
    head = {name: tensor for name, tensor in tensors.items() if not name.startswith(trunks)}
    check_shapes(head, head_shapes(trunk, constants.refinement_width), what)
    for name, tensor in sorted(tensors.items()):
        count = name.endswith(".num_batches_tracked")
        if tensor.dtype not in ((torch.int64,) if count else (torch.float16, torch.float32)):
            raise CheckpointError(f"{what} holds {name} as {tensor.dtype}, not float16 or float32; {remedy}")
    if tensor_checksum(tensors) != checkpoint.checksum:
        raise CheckpointError(f"{what} is damaged, the checksum of its weights differs; {remedy}")
    for name, tensor in sorted(tensors.items()):
        if not torch.isfinite(tensor).all():
            raise CheckpointError(f"{what} holds a weight that is not finite ({name}); {remedy}")
