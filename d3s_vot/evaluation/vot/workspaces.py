"""VOT workspaces: what their config.yaml evaluates, on which sequences."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from d3s_vot.errors import InputError
from d3s_vot.evaluation.vot.stored import TRAJECTORIES, Sequence
from d3s_vot.leftovers import is_leftover, without_leftovers

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stack:
    """What a workspace evaluates.

    Attributes:
        supervised: name of the experiment with resets; None where there is none.
        repetitions: of its runs.
        window: of the EAO, in frames; None where the stack asks for none.
        unsupervised: name of the experiment without resets; None where there is none.
        unsupervised_repetitions: of its runs.
        published: the benchmark's name, and accuracy, failures per 100 frames and EAO that the D3S paper reports
            for it.
    """

    supervised: str | None = "baseline"
    repetitions: int = 15
    window: tuple[int, int] | None = None
    unsupervised: str | None = "unsupervised"
    unsupervised_repetitions: int = 1
    published: tuple[str, float, float, float] | None = None


STACKS = {
    "vot2015/rgb": Stack(window=(108, 371), unsupervised=None),
    "vot2016/rgb": Stack(window=(108, 371), published=("VOT2016", 0.66, 0.131, 0.493)),
    "vot2017": Stack(window=(100, 356)),
    "vot2018/shortterm": Stack(window=(100, 356), published=("VOT2018", 0.64, 0.150, 0.489)),
    "vot2019/shortterm": Stack(window=(46, 291)),
}


@dataclass(frozen=True)
class Workspace:
    """A VOT workspace as its config.yaml describes it."""

    root: Path
    stack: Stack
    sequences: list[Sequence]

    @classmethod
    def load(cls, root: Path) -> Workspace:
        """Reads config.yaml, the stack and the sequences' annotations.

        Raises:
            InputError: a file is missing or damaged, or the stack is not known.
        """
        root = Path(root)
        config = _yaml(root / "config.yaml")
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
        sequences = [Sequence.load(listing.parent / name) for name in names]
        return cls(root, _stack(root, str(config.get("stack", ""))), sequences)

    def trackers(self) -> list[str]:
        """The names of all trackers with results of the measured experiments; other folders are told of, and left."""
        folder = self.root / "results"
        folders = without_leftovers(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
        found = [path.name for path in folders if self._holds_results(path)]
        strange = [path.name for path in folders if path.name not in found]
        if strange:
            log.warning("left out, without results of this workspace's experiments: %s", ", ".join(strange))
        return found

    def _holds_results(self, folder: Path) -> bool:
        experiments = [name for name in (self.stack.supervised, self.stack.unsupervised) if name is not None]
        return any(
            path.suffix in TRAJECTORIES and not is_leftover(path.name)
            for experiment in experiments
            for path in (folder / experiment).glob("*/*_[0-9]*")
        )


def _yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; give a VOT workspace") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise InputError(f"{path} is no valid YAML") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} is no table of settings")
    return content


def _stack(root: Path, name: str) -> Stack:
    """A stack of the toolkit by its name, or one of a file relative to the workspace."""
    if name in STACKS:
        return STACKS[name]
    if not (root / name).is_file():
        raise InputError(
            f"{root / 'config.yaml'} names the stack {name!r}; known: {', '.join(STACKS)}, or a file"
        )
    experiments = _yaml(root / name).get("experiments") or {}
    try:
        return _read_stack(root / name, experiments)
    except InputError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{root / name} is no stack of the VOT toolkit ({error}); see workspace/stack.yaml") from error


def _read_stack(path: Path, experiments: dict[str, Any]) -> Stack:
    """What the measures need of a stack's experiments."""

    def first(kind: str) -> tuple[str | None, dict[str, Any]]:
        for key, value in experiments.items():
            if value.get("type") == kind and not value.get("realtime"):
                return key, value
        return None, {}

    supervised, baseline = first("supervised")
    unsupervised, free = first("unsupervised")
    if supervised is None and unsupervised is None:
        raise InputError(
            f"{path} has no experiment of type 'supervised', which A, R and EAO come from, nor one of type "
            "'unsupervised', which the AO comes from"
        )
    if any(isinstance(number := part.get("repetitions", 1), int) and number < 1 for part in (baseline, free)):
        raise InputError(f"{path} has an experiment of {number} repetitions; it takes 1 or more")
    scores = [a for a in baseline.get("analyses") or [] if a.get("type") == "supervised_eao_score"]
    return Stack(
        supervised=supervised,
        repetitions=int(baseline.get("repetitions", 1)),
        window=(int(scores[0]["low"]), int(scores[0]["high"])) if scores else None,
        unsupervised=unsupervised,
        unsupervised_repetitions=int(free.get("repetitions", 1)),
    )
