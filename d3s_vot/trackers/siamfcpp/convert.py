"""The published checkpoints of SiamFC++, read without executing anything in them, and checked to the last name."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping

import torch
from torch import Tensor

from d3s_vot.errors import CheckpointError, InputError
from d3s_vot.foreign import read_foreign_pickle
from d3s_vot.paths import as_path
from d3s_vot.trackers.siamfcpp.config import SiamFCppConfig
from d3s_vot.trackers.siamfcpp.network import SiamFCppNetwork, read_architecture
from d3s_vot.trackers.siamfcpp.published import PUBLISHED
from d3s_vot.weights import check_shapes

WRITTEN_MD5 = re.compile(r"[0-9a-f]{32}")


def read_published(
    source: str | os.PathLike[str], configuration: str | None = None
) -> tuple[SiamFCppConfig, dict[str, Tensor], dict[str, str]]:
    """Configuration, weights by the published names, and provenance of a published `.pkl`.

    Args:
        source: the file; the 32 hexadecimal digits in its name are its MD5, which is compared.
        configuration: one of `PUBLISHED` made for these weights; None: the first that was, or the defaults where the
            weights are in no published configuration.

    Raises:
        CheckpointError: the file is missing, damaged, of another network, or of other weights than its name says.
        InputError: there is no such configuration, or it is one of another network.
    """
    path = as_path(source, "the published file")
    content = read_foreign_pickle(path)
    md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    written = WRITTEN_MD5.search(path.name)
    if written and written[0] != md5:
        raise CheckpointError(f"{path} is damaged: its MD5 is {md5}, not the one in its name; get a fresh copy")
    state = weights_of(content, str(path))
    config = read_architecture(state)
    check_weights(state, config, str(path))
    if configuration is None:
        configuration = next((name for name, entry in PUBLISHED.items() if md5.startswith(entry.digits)), None)
    if configuration is not None:
        if configuration not in PUBLISHED:
            raise InputError(f"there is no configuration {configuration!r}; use one of {', '.join(PUBLISHED)}")
        wanted = PUBLISHED[configuration].config
        if config.with_rules(wanted) != wanted:
            raise InputError(f"{path} holds the network on {config.trunk}, and {configuration} is one of another")
        config = wanted
    provenance = {"source": path.name, "source_md5": md5}
    return config, state, provenance | ({"configuration": configuration} if configuration else {})


def weights_of(content: object, what: str) -> dict[str, Tensor]:
    """The state dict in what `torch.save` wrote: alone, or beside the state of the training.

    Raises:
        CheckpointError: there are no named tensors.
    """
    state = content.get("model_state_dict", content) if isinstance(content, dict) else content
    if not isinstance(state, dict) or not all(type(k) is str and isinstance(v, Tensor) for k, v in state.items()):
        raise CheckpointError(f"{what} has no state dict of named tensors; check that it is the right file")
    own = dict(state)
    for name in ("head.si", "head.bi"):  # two numbers, which some files hold as lists of one
        if name in own and tuple(own[name].shape) == (1,):
            own[name] = own[name].reshape(())
    return own


def check_weights(state: Mapping[str, Tensor], config: SiamFCppConfig, what: str) -> None:
    """Compare names, shapes and numbers with the network's; `num_batches_tracked`, of no use here, may be missing.

    Raises:
        CheckpointError: the first that is missing, unknown, of another shape or type, or not finite.
    """
    with torch.device("meta"):  # shapes only
        wanted = {name: tuple(tensor.shape) for name, tensor in SiamFCppNetwork(config).state_dict().items()}
    counts = {name for name in wanted if name.endswith(".num_batches_tracked")}
    check_shapes(state, {name: shape for name, shape in wanted.items() if name in state or name not in counts}, what)
    for name, tensor in sorted(state.items()):
        if name in counts:
            continue
        if tensor.dtype not in (torch.float16, torch.float32):
            raise CheckpointError(f"{what} holds {name} as {tensor.dtype}, not float16 or float32; get a fresh copy")
        if not torch.isfinite(tensor).all():
            raise CheckpointError(f"{what} holds a weight that is not finite ({name}); get a fresh copy")
