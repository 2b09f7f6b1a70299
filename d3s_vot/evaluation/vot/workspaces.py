"""VOT workspaces: what their config.yaml evaluates, on which sequences."""

from __future__ import annotations

import logging
from collections.abc import Sequence as Many
from dataclasses import dataclass
from pathlib import Path

from d3s_vot.errors import InputError
from d3s_vot.evaluation.vot.annotated import Annotated
from d3s_vot.evaluation.vot.stacks import AnyStack, Stack, find_stack, read_yaml
from d3s_vot.evaluation.vot.stored import TRAJECTORIES, Sequence
from d3s_vot.leftovers import is_leftover, without_leftovers

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Workspace:
    """A VOT workspace as its config.yaml describes it, of experiments with resets, or without and one object."""

    root: Path
    stack: Stack
    sequences: list[Sequence]

    @classmethod
    def load(cls, root: Path) -> Workspace:
        """Reads config.yaml, the stack and the sequences' annotations.

        Raises:
            InputError: a file is missing or damaged, or the stack is not known or of another kind.
        """
        workspace = open_workspace(root)
        if not isinstance(workspace, cls):
            raise InputError(
                f"{root} has a stack of anchors, long runs or several objects, which has no such page; `d3s-vot "
                f"results {root}` prints its table"
            )
        return workspace

    def trackers(self) -> list[str]:
        """The names of all trackers with results of the measured experiments; other folders are told of, and left."""
        return find_trackers(self.root, self.stack.experiments)


@dataclass(frozen=True)
class AnnotatedWorkspace:
    """A VOT workspace of a stack of VOT2020 and later."""

    root: Path
    stack: AnyStack
    sequences: list[Annotated]

    def trackers(self) -> list[str]:
        """As of `Workspace`."""
        return find_trackers(self.root, self.stack.experiments)


def open_workspace(root: Path) -> Workspace | AnnotatedWorkspace:
    """Reads config.yaml, the stack and the sequences' annotations, as the stack needs them.

    Raises:
        InputError: a file is missing or damaged, or the stack is not known.
    """
    root = Path(root)
    config = read_yaml(root / "config.yaml")
    folder = root / str(config.get("sequences", "sequences"))
    listing = folder / "list.txt" if folder.is_dir() else folder
    if not listing.is_file():
        raise InputError(
            f"there is no list of sequences {folder / 'list.txt'}; `vot evaluate --workspace {root} TRACKER` "
            "downloads those of a stack, `d3s-vot sample` renders the sample ones"
        )
    try:
        names = [line.strip() for line in listing.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{listing} cannot be read as a list of sequences ({error})") from None
    if not names:
        raise InputError(f"{listing} lists no sequence")
    stack = find_stack(root, str(config.get("stack", "")))
    folders = [listing.parent / name for name in names]
    if isinstance(stack, Stack):
        return Workspace(root, stack, [Sequence.load(folder) for folder in folders])
    return AnnotatedWorkspace(root, stack, [Annotated.load(folder) for folder in folders])


def find_trackers(root: Path, experiments: Many[str]) -> list[str]:
    """The names of all trackers with results of some experiments."""

    def holds_results(folder: Path) -> bool:
        return any(
            path.suffix in TRAJECTORIES and not is_leftover(path.name)
            for experiment in experiments
            for path in (folder / experiment).glob("*/*_[0-9]*")
        )

    folder = root / "results"
    folders = without_leftovers(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    found = [path.name for path in folders if holds_results(path)]
    strange = [path.name for path in folders if path.name not in found]
    if strange:
        log.warning("left out, without results of this workspace's experiments: %s", ", ".join(strange))
    return found
