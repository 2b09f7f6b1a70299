"""The sequences of a VOT workspace, looked at before anything runs: what would end, or silently shorten, a run."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from d3s_vot.errors import InputError
from d3s_vot.evaluation.boxes.checks import some
from d3s_vot.evaluation.vot.annotated import IGNORED, truth_files
from d3s_vot.evaluation.vot.toolkit import one_line
from d3s_vot.mask_codes import from_code

SHOWN = 5  # sequences that a message describes
LONGEST = 10_000_000  # frames of a sequence


@dataclass(frozen=True)
class _Needs:
    """The names of the experiments that start a lost tracker again, that start at anchors, that take one object alone,
    and that start several at once.
    """

    resets: list[str]
    anchored: list[str]
    single: list[str]
    several: list[str]

    @classmethod
    def of(cls, experiments: Collection[Any]) -> _Needs:
        from vot.experiment.multirun import SupervisedExperiment
        from vot.experiment.multistart import MultiStartExperiment

        names: dict[str, list[str]] = {name: [] for name in ("resets", "anchored", "single", "several")}
        for experiment in experiments:
            name = experiment.identifier
            if isinstance(experiment, SupervisedExperiment):
                names["resets"].append(name)
            if isinstance(experiment, MultiStartExperiment):
                names["anchored"].append(name)
            names["several" if getattr(experiment, "multiobject", False) else "single"].append(name)
        return cls(**names)


def check_sequences(root: Path, workspace: Any, experiments: Collection[Any] = ()) -> None:
    """Looks for every frame: the toolkit ends a sequence at the first that is missing, and says nothing.

    Where the target is absent it counts a failure in a supervised experiment, and may start the tracker there. Masks of
    ground truth are read here first: it writes past its memory where their runs leave their box.

    Args:
        root: of the workspace.
        workspace, experiments: the toolkit's.

    Raises:
        InputError: sequences are incomplete, cannot be read or do not suit an experiment; the message says which.
    """
    needs = _Needs.of(experiments)
    problems = [problem for sequence in workspace.dataset for problem in _problems(sequence, needs)]
    if problems:
        more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise InputError(
            f"{len(problems)} sequence(s) of {root} cannot be run, mend them or take them off the list: "
            f"{'; '.join(problems[:SHOWN])}{more}"
        )


def _problems(sequence: Any, needs: _Needs) -> Iterator[str]:
    """At most one sentence on what is wrong with a sequence."""
    folder = Path(sequence.metadata("root"))
    if not str(folder).isascii() or "%" in str(folder):
        yield f"{folder}: TraX takes only paths of ASCII characters without '%'; move the sequences"
        return
    declared = sequence.metadata("length")
    if declared is not None and not 0 < declared <= LONGEST:  # the toolkit would make a list of as many
        yield f"{sequence.name}: `sequence` says that there are {declared} frames"
        return
    try:
        truths = truth_files(folder)
    except InputError:  # the toolkit has its own sentence
        truths = {}
    wrong = next((problem for path in truths.values() for problem in _code_problems(path)), None)
    if wrong:
        yield f"{sequence.name}: {wrong}"
        return
    try:
        length = len(sequence)
        channels = [sequence.channel(name) for name in sequence.channels()]
    except Exception as error:  # of any kind: the toolkit takes its files as they come
        yield f"{folder}: check its `sequence`, ground truth and first frame ({one_line(error)})"
        return
    lines = {path: len(path.read_text("ascii").strip().splitlines()) for path in truths.values() if path.is_file()}
    wanted = max(length, *lines.values()) if lines else length
    missing = [
        path
        for channel in channels
        for path in (Path(channel.base, channel.pattern % number) for number in range(1, wanted + 1))
        if not (path.is_file() and path.stat().st_size)
    ]
    short = next(((path, count) for path, count in lines.items() if count != length), None)
    if missing:
        yield f"{sequence.name}: {len(missing)} of {wanted} frames are missing or empty, such as {missing[0]}"
    elif short:
        yield f"{sequence.name}: {length} frames, but {short[0]} has {short[1]} regions"
    else:
        yield from _object_problems(sequence, truths, needs)


def _code_problems(path: Path) -> Iterator[str]:
    """What is wrong with the masks of a file of ground truth."""
    try:
        codes = path.read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError):  # the toolkit has its own sentence
        return
    for number, code in enumerate(codes, start=1):
        if code.startswith("m"):
            try:
                from_code(code)
            except ValueError as error:
                yield f"{path} is no ground truth, in line {number}: {error}"


def _object_problems(sequence: Any, truths: dict[str, Path], needs: _Needs) -> Iterator[str]:
    """What does not suit the experiments in the objects and anchors of a sequence."""
    objects = sorted(set(sequence.objects()) - {IGNORED})
    if needs.single and (len(objects) > 1 or IGNORED in truths):
        what = f"{len(objects)} objects" if len(objects) > 1 else f"pixels that do not count ({IGNORED})"
        yield (
            f"{sequence.name}: it has {what}, which {' and '.join(needs.single)} of vot-toolkit 0.7.4 cannot take; "
            "name other experiments with --experiments, or a stack of several objects"
        )
        return
    for name in objects:
        region = sequence.object(name)[0]
        path = truths.get(name) or next(iter(truths.values()))
        if _is_absent(region):
            yield f"{sequence.name}: {path} gives no target in the first frame" + (
                ", where the toolkit starts all; `d3s-vot workspace` gives such objects a sequence of their own"
                if needs.several
                else ""
            )
            return
    if len(objects) == 1:
        absent = [number for number, region in enumerate(sequence.groundtruth(), start=1) if _is_absent(region)]
        if absent and needs.resets:
            numbers = some(map(str, absent))
            yield (
                f"{sequence.name}: its target is absent in frame {numbers}, where {' and '.join(needs.resets)} would "
                "count failures; name other experiments with --experiments"
            )
        elif needs.anchored:
            yield from _anchor_problems(sequence, set(absent))


def _anchor_problems(sequence: Any, absent: Collection[int]) -> Iterator[str]:
    """What is wrong with a sequence's anchors; frames without a target are counted from 1."""
    from vot.experiment.multistart import find_anchors

    forward, backward = find_anchors(sequence)
    if not forward and not backward:
        yield f"{sequence.name}: it has no anchors (anchor.value), where runs start"
        return
    empty = sorted(frame + 1 for frame in (*forward, *backward) if frame + 1 in absent)
    if empty:
        yield f"{sequence.name}: an anchor is in frame {some(map(str, empty))}, which shows no target"


def _is_absent(region: Any) -> bool:
    """Whether ground truth, as the toolkit has read it, is of a frame without a target; it takes no size for one."""
    from vot.region import RegionType

    if region is None or region.type == RegionType.SPECIAL:
        return True
    if region.type == RegionType.RECTANGLE:
        return bool(region.width <= 0 or region.height <= 0)
    if region.type == RegionType.MASK:  # one pixel wide or high is none to the toolkit
        return bool(region.is_empty())
    return region.type == RegionType.POLYGON and len(set(region.points())) == 1
