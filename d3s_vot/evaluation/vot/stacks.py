"""The stacks of experiments that are measured: the toolkit's by their names, or a file of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from d3s_vot.errors import InputError

LONGTERM = ("average_tpr", "pr_curve", "f_curve")  # analyses of long-term experiments
OBJECTS = ("longterm_ar", "average_quality_auxiliary")  # and of those with several objects


@dataclass(frozen=True)
class Stack:
    """Runs with resets, as until VOT2019.

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

    @property
    def experiments(self) -> tuple[str, ...]:
        """The names of those that are measured."""
        return tuple(name for name in (self.supervised, self.unsupervised) if name is not None)


@dataclass(frozen=True)
class AnchorStack:
    """Runs from anchors, VOT2020 to 2022.

    Attributes:
        multistart: name of the experiment.
        window: of the EAO, frames after the first, the last one not among them; None where the stack asks for none.
        bounded: whether only pixels inside the image count.
        grace, threshold: of a failure, see `d3s_vot.evaluation.vot.multistart`.
        unsupervised: name of the experiment without anchors; None where there is none.
        burn_in: frames at the start of these runs that do not count; None where the stack does not say.
    """

    multistart: str = "baseline"
    window: tuple[int, int] | None = (115, 755)
    bounded: bool = True
    grace: int = 10
    threshold: float = 0.1
    unsupervised: str | None = "unsupervised"
    burn_in: int | None = 1

    @property
    def experiments(self) -> tuple[str, ...]:
        """The names of those that are measured."""
        return (self.multistart,) if self.unsupervised is None else (self.multistart, self.unsupervised)


@dataclass(frozen=True)
class LongtermStack:
    """Long runs in which the target may be absent, measured by precision and recall.

    Attributes:
        longterm: name of the experiment.
        resolution: thresholds of the confidence, at most.
    """

    longterm: str = "longterm"
    resolution: int = 100

    @property
    def experiments(self) -> tuple[str, ...]:
        """The names of those that are measured."""
        return (self.longterm,)


@dataclass(frozen=True)
class ObjectStack:
    """Runs with several objects, VOTS.

    Attributes:
        objects: name of the experiment.
        tag: of the frames that count; None: all.
        weighted: whether long sequences weigh more in the quality.
    """

    objects: str = "baseline"
    tag: str | None = None
    weighted: bool = False

    @property
    def experiments(self) -> tuple[str, ...]:
        """The names of those that are measured."""
        return (self.objects,)


AnyStack = Stack | AnchorStack | LongtermStack | ObjectStack

STACKS: Mapping[str, AnyStack] = {
    "vot2015/rgb": Stack(window=(108, 371), unsupervised=None),
    "vot2016/rgb": Stack(window=(108, 371), published=("VOT2016", 0.66, 0.131, 0.493)),
    "vot2017": Stack(window=(100, 356)),
    "vot2018/shortterm": Stack(window=(100, 356), published=("VOT2018", 0.64, 0.150, 0.489)),
    "vot2019/shortterm": Stack(window=(46, 291)),
    **{f"vot{year}/shortterm": AnchorStack() for year in (2020, 2021, 2022)},
    "vot2022/shorttermbox": AnchorStack(),
    "vot2022/rgbd": AnchorStack(unsupervised=None, burn_in=None),
    "vot2022/depth": AnchorStack(unsupervised=None, burn_in=None),
    "vot2020/rgbtir": AnchorStack(unsupervised=None, burn_in=None),
    **{f"vot{year}/longterm": LongtermStack() for year in (2018, 2019, 2020, 2021, 2022)},
    "vots2023": ObjectStack(),
    "vots2024/main": ObjectStack(),
    "vots2024/votst": ObjectStack(),
    "vots2024/votstval": ObjectStack(tag="evaluation"),
    "vots2025/main": ObjectStack(),
    "vots2025/votst": ObjectStack(),
    "vots2025/votstval": ObjectStack(tag="evaluation"),
    "vots2025/realtime": ObjectStack(),
    "tests/multiobject": ObjectStack(),
}


def read_yaml(path: Path) -> dict[str, Any]:
    """A table of settings.

    Raises:
        InputError: the file is missing, or no such table.
    """
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; give a VOT workspace") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise InputError(f"{path} is no valid YAML") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} is no table of settings")
    return content


def find_stack(root: Path, name: str) -> AnyStack:
    """A stack of the toolkit by its name, or one of a file relative to the workspace.

    Raises:
        InputError: there is neither, or the file is no stack that can be measured.
    """
    if name in STACKS:
        return STACKS[name]
    if not (root / name).is_file():
        raise InputError(
            f"{root / 'config.yaml'} names the stack {name!r}; known: {', '.join(STACKS)}, or a file"
        )
    experiments = read_yaml(root / name).get("experiments") or {}
    try:
        return _read_stack(root / name, experiments)
    except InputError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{root / name} is no stack of the VOT toolkit ({error}); see workspace/stack.yaml") from error


def _read_stack(path: Path, experiments: dict[str, Any]) -> AnyStack:
    """What the measures need of a stack's experiments."""
    found = {name: value for name, value in experiments.items() if not value.get("realtime")}

    def first(kind: str) -> tuple[str | None, dict[str, Any]]:
        return next(((key, value) for key, value in found.items() if value.get("type") == kind), (None, {}))

    supervised, baseline = first("supervised")
    multistart, anchored = first("multistart")
    unsupervised, free = first("unsupervised")
    if supervised is None and multistart is None and unsupervised is None:
        raise InputError(
            f"{path} has no experiment of type 'supervised' or 'multistart', which A, R and EAO come from, nor one of "
            "type 'unsupervised', which all else comes from"
        )
    if any(isinstance(number := part.get("repetitions", 1), int) and number < 1 for part in (baseline, free)):
        raise InputError(f"{path} has an experiment of {number} repetitions; it takes 1 or more")
    if supervised is None and multistart is not None:
        score = _analysis(anchored, "multistart_eao_score")
        settings = score or _analysis(anchored, "multistart_average_ar")
        return AnchorStack(
            multistart,
            _window(score),
            bounded=int(settings.get("burnin", 10)) > 0,
            grace=int(settings.get("grace", 10)),
            threshold=float(settings.get("threshold", 0.1)),
            unsupervised=unsupervised,
            burn_in=int(quality.get("burnin", 10)) if (quality := _analysis(free, "average_accuracy")) else None,
        )
    if supervised is None and unsupervised is not None:
        kinds = {analysis.get("type") for analysis in free.get("analyses") or []}
        if free.get("multiobject") or kinds & set(OBJECTS):
            quality = _analysis(free, "average_accuracy")
            tag = quality.get("filter_tag") or _analysis(free, OBJECTS[0]).get("filter_tag")
            return ObjectStack(unsupervised, None if tag is None else str(tag), bool(quality.get("weighted", False)))
        if kinds & set(LONGTERM):
            return LongtermStack(unsupervised, int(_analysis(free, LONGTERM[0]).get("resolution", 100)))
    return Stack(
        supervised=supervised,
        repetitions=int(baseline.get("repetitions", 1)),
        window=_window(_analysis(baseline, "supervised_eao_score")),
        unsupervised=unsupervised,
        unsupervised_repetitions=int(free.get("repetitions", 1)),
    )


def _analysis(experiment: dict[str, Any], kind: str) -> dict[str, Any]:
    """The first analysis of a kind; empty where there is none."""
    return next((found for found in experiment.get("analyses") or [] if found.get("type") == kind), {})


def _window(score: dict[str, Any]) -> tuple[int, int] | None:
    return (int(score["low"]), int(score["high"])) if score else None
