"""Paths of every kind, where the package takes one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from d3s_vot import load_tracker
from d3s_vot.errors import CheckpointError, InputError
from d3s_vot.images import read_image
from d3s_vot.paths import as_path
from d3s_vot.trackers.d3s.convert import convert_published
from d3s_vot.trunks.create import create_trunk
from d3s_vot.weights.checkpoint import Checkpoint
from d3s_vot.weights.find import find_weights
from d3s_vot.zoo import load_checkpoint, save_checkpoint

CHECKPOINT = Checkpoint({}, "D3S", {"trunk": "resnet18"}, {}, "")
CALLS: list[Callable[[object], object]] = [
    lambda path: load_tracker(path, "cpu"),  # type: ignore[arg-type]
    lambda path: find_weights(path),  # type: ignore[arg-type]
    lambda path: load_checkpoint(path),  # type: ignore[arg-type]
    lambda path: save_checkpoint(path, CHECKPOINT),  # type: ignore[arg-type]
    lambda path: convert_published(path, "new.safetensors"),  # type: ignore[arg-type]
    lambda path: create_trunk("resnet18", path or 0),  # type: ignore[arg-type]
    lambda path: read_image(path),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("path", ["a/b.png", b"a/b.png", Path("a/b.png")], ids=type)
def test_text_and_paths_are_taken(path: object) -> None:
    assert as_path(path, "the picture") == Path("a/b.png")


@pytest.mark.parametrize("path", [None, 3, 1.5, ["a.png"], "a\0b", "", "absent", b"absent", Path("absent")], ids=repr)
@pytest.mark.parametrize("call", CALLS)
def test_what_is_no_path_is_refused_in_one_sentence(call: Callable[[object], object], path: object) -> None:
    with pytest.raises((InputError, CheckpointError)) as caught:
        call(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) > 20
