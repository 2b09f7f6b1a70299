"""`d3s-vot workspace`: a VOT workspace of videos with masks, all of which are checked before anything is written.

Runs begin at anchors every 50 frames and go to the longer side (`anchors`), from the first frame (`longterm`), or with
several objects at a time (`objects`). The toolkit cannot begin with an object that appears later: such objects have a
sequence of their own, from the frame that shows them first.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from d3s_vot.errors import InputError
from d3s_vot.evaluation.boxes.checks import some
from d3s_vot.evaluation.vot.videos import Video, find_videos, problems_of, read_video
from d3s_vot.mask_codes import PlacedMask, to_code

KINDS = ("anchors", "longterm", "objects")
ANCHORS = 50  # frames from one to the next
UNSEEN = {"anchors": "box", "longterm": "doubt", "objects": "empty"}  # D3S_VOT_UNSEEN, see d3s_vot.vot
UNKNOWN, EMPTY = "0", "m0,0,0,0,0"  # lines of ground truth


@dataclass(frozen=True, eq=False)
class NewSequence:
    """A sequence to be written.

    Attributes:
        name: of its folder.
        frames: the files of its images.
        size_wh: theirs, pixels.
        files: the text of groundtruth*.txt and anchor.value, by their names.
        runs: the lengths of the runs from its anchors.
    """

    name: str
    frames: tuple[Path, ...]
    size_wh: tuple[int, int]
    files: dict[str, str]
    runs: tuple[int, ...]


def make_workspace(
    source: Path,
    output: Path,
    *,
    kind: str = "anchors",
    names: Sequence[str] | None = None,
    trackers: Sequence[str] = ("D3S",),
    fps: float = 30,
    window: tuple[int, int] | None = None,
    copy: bool = False,
    say: Callable[[str], None] = print,
) -> Path:
    """Makes a workspace.

    Args:
        source: a folder as of `d3s_vot.evaluation.vot.videos`.
        output: the workspace's folder, not there yet or empty.
        kind: one of KINDS.
        names: of the videos wanted; None: all.
        trackers: names or files of weights, for trackers.ini.
        fps: of the videos, which real-time experiments go by.
        window: of the EAO, frames; None: the middle half of the runs' lengths.
        copy: whether images are copied; else they are linked to.
        say: takes lines of text.

    Returns:
        The workspace's folder.

    Raises:
        InputError: something cannot be used; nothing was written.
    """
    source, output = Path(source).absolute(), Path(output).absolute()
    if kind not in KINDS:
        raise InputError(f"there is no kind of workspace {kind!r}; there are {', '.join(KINDS)}")
    if not 0 < fps < 1e4:
        raise InputError(f"{fps} frames a second are none; give the pace of the videos")
    if window is not None and not 0 < window[0] < window[1]:
        raise InputError(f"the window {window[0]},{window[1]} is none; give the shortest and the longest length")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(f"{output} is there already; give a new folder")
    videos = find_videos(source, names)
    problems = [problem for video in videos for problem in problems_of(video)]
    if problems:
        raise InputError(f"{source} cannot be used, mend or leave out: {some(problems)}".replace("\n", " "))
    sequences = [sequence for video in videos for sequence in sequences_of(video, kind, say)]
    _check_names(output, sequences)
    lengths = [length for sequence in sequences for length in sequence.runs]
    stack = _stack(kind, source.name, window or (_window(lengths) if kind == "anchors" else (0, 0)))
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    try:
        for sequence in sequences:
            _write(partial / "sequences" / sequence.name, sequence, fps, copy)
        listing = "".join(f"{sequence.name}\n" for sequence in sequences)
        (partial / "sequences" / "list.txt").write_text(listing)
        config = {"registry": ["./trackers.ini"], "stack": "./stack.yaml", "sequences": "./sequences"}
        (partial / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
        (partial / "stack.yaml").write_text(yaml.safe_dump(stack, sort_keys=False))
        (partial / "trackers.ini").write_text(_registry(trackers, kind))
        partial.chmod(0o755)  # mkdtemp's folders are private
        if output.exists():
            output.rmdir()
        partial.rename(output)
    except OSError as error:
        raise InputError(f"{output} cannot be written ({error.strerror}); give another folder") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    frames = sum(len(sequence.frames) for sequence in sequences)
    say(f"{output}: {len(sequences)} sequences, {frames} frames" + (f", {len(lengths)} runs" if lengths else ""))
    return output


def sequences_of(video: Video, kind: str, say: Callable[[str], None]) -> list[NewSequence]:
    """The sequences of a video: one for each object, or of several for each frame in which objects appear.

    Raises:
        InputError: its masks cannot be read, or none shows an object that is large enough.
    """
    masks = read_video(video)
    starts: dict[int, list[int]] = {}
    for number, frames in masks.objects.items():
        shown = [index for index, mask in enumerate(frames) if mask is not None and _is_wide(mask)]
        if shown and len(frames) - shown[0] > 1:
            starts.setdefault(shown[0], []).append(number)
        else:
            say(f"{video.name}: object {number} is left out, no frame but the last shows two pixels of it each way")
    if not starts:
        raise InputError(f"{video.name}: no object is two pixels wide and high in any frame but the last")
    groups = [(start, [number]) for start in sorted(starts) for number in starts[start]]
    if kind == "objects":
        groups = [(start, starts[start]) for start in sorted(starts)]
    made = []
    for start, numbers in groups:
        kept = list(range(start, len(video.frames)))
        if kind == "anchors":  # a frame without annotation would count as one without the target
            kept = [index for index in kept if video.masks[index] is not None]
            if len(kept) < 2:
                say(f"{video.name}: object {numbers[0]} is left out, a single frame of it is annotated")
                continue
        one = masks.objects[numbers[0]]
        name = video.name
        if kind != "objects" and len(masks.objects) > 1:
            name += f"-{numbers[0]}"
        elif kind == "objects" and start:
            name += f"-from-{start}"
        files: dict[str, str] = {}
        runs: tuple[int, ...] = ()
        for number in numbers:
            stem = "groundtruth" if len(numbers) == 1 else f"groundtruth_{number:03d}"
            lines = [_line(masks.objects[number][index], kind) for index in kept]
            files[f"{stem}.txt"] = "\n".join(lines) + "\n"
        if kind == "objects" and masks.void is not None:
            codes = [EMPTY if (mask := masks.void[index]) is None else to_code(mask) for index in kept]
            if len(numbers) == 1:  # beside a file with a name the toolkit looks at no groundtruth.txt
                files[f"groundtruth_{numbers[0]:03d}.txt"] = files.pop("groundtruth.txt")
            files["groundtruth__ignore.txt"] = "\n".join(codes) + "\n"
        if kind == "anchors":
            values = anchors_of([_is_wide(mask) if (mask := one[index]) is not None else False for index in kept])
            files["anchor.value"] = "".join(f"{value}\n" for value in values)
            runs = tuple(len(kept) - i if value > 0 else i + 1 for i, value in enumerate(values) if value)
        made.append(NewSequence(name, tuple(video.frames[index] for index in kept), masks.size_wh, files, runs))
    if not made:
        raise InputError(f"{video.name}: no object has two annotated frames")
    return made


def anchors_of(shown: Sequence[bool]) -> list[int]:
    """The numbers of anchor.value: every 50 frames 1 or -1, to the longer side, at the nearest frame with the target.

    >>> anchors = anchors_of([True] * 120)
    >>> [(frame, value) for frame, value in enumerate(anchors) if value]
    [(0, 1), (50, 1), (100, -1)]
    """
    values = [0] * len(shown)
    for wanted in range(0, len(shown), ANCHORS):
        near = sorted(range(len(shown)), key=lambda frame: (abs(frame - wanted), frame))
        place = next((frame for frame in near if shown[frame] and abs(frame - wanted) < ANCHORS // 2), None)
        if place is not None:
            values[place] = 1 if len(shown) - 1 - place >= place else -1
    return values


def _is_wide(mask: PlacedMask) -> bool:
    """Whether the toolkit takes it for a target: two pixels wide and high."""
    return min(mask.array.shape) > 1


def _line(mask: PlacedMask | None, kind: str) -> str:
    """A line of ground truth. A mask that is a single row or column says nothing to the toolkit and does not count."""
    if mask is not None and _is_wide(mask):
        return to_code(mask)
    return EMPTY if kind == "objects" and mask is not None and not mask.array.any() else UNKNOWN


def _window(lengths: Sequence[int]) -> tuple[int, int]:
    """The middle half of the runs' lengths."""
    low, high = (int(value) for value in np.quantile(lengths, (0.25, 0.75)).round())
    return (low, high) if low < high else (max(high // 2, 1), max(high, 2))


def _check_names(output: Path, sequences: Sequence[NewSequence]) -> None:
    for text in (str(output), *(sequence.name for sequence in sequences)):
        if not text.isascii() or "%" in text or text != text.strip():
            raise InputError(f"{text!r}: TraX takes only paths of ASCII characters without '%'; choose another name")
    names = [sequence.name for sequence in sequences]
    if len(set(names)) < len(names):
        raise InputError(f"several sequences would be called {next(n for n in names if names.count(n) > 1)}")


def _write(folder: Path, sequence: NewSequence, fps: float, copy: bool) -> None:
    (folder / "color").mkdir(parents=True)
    ending = sequence.frames[0].suffix.lower()
    for index, frame in enumerate(sequence.frames, start=1):
        target = folder / "color" / f"{index:08d}{ending}"
        if copy:
            shutil.copyfile(frame, target)
        else:
            os.symlink(frame, target)
    for name, text in sequence.files.items():
        (folder / name).write_text(text)
    width, height = sequence.size_wh
    (folder / "sequence").write_text(
        f"channels.color=color/%08d{ending}\nfps={fps:g}\nlength={len(sequence.frames)}\n"
        f"width={width}\nheight={height}\nname={sequence.name}\n"
    )


def _stack(kind: str, title: str, window: tuple[int, int]) -> dict[str, object]:
    """The experiments, as the toolkit's own stacks have them."""
    free: dict[str, object] = {"type": "unsupervised", "repetitions": 1}
    if kind == "longterm":
        analyses: list[dict[str, object]] = [{"type": name} for name in ("average_tpr", "pr_curve", "f_curve")]
        return {"title": f"{title}, long runs", "experiments": {"longterm": {**free, "analyses": analyses}}}
    if kind == "objects":
        quality = {"type": "average_accuracy", "burnin": 0, "ignore_unknown": False, "weighted": False}
        analyses = [quality, {"type": "longterm_ar"}, {"type": "average_quality_auxiliary"}]
        baseline = {**free, "multiobject": True, "analyses": analyses}
        return {"title": f"{title}, several objects", "experiments": {"baseline": baseline}}
    low, high = window
    analyses = [
        {"type": "multistart_eao_score", "low": low, "high": high},
        {"type": "multistart_eao_curve", "high": high},
        {"type": "multistart_average_ar"},
    ]
    return {
        "title": f"{title}, anchors every {ANCHORS} frames",
        "experiments": {
            "baseline": {"type": "multistart", "analyses": analyses},
            "unsupervised": {**free, "analyses": [{"type": "average_accuracy", "burnin": 1}]},
        },
    }


def _registry(trackers: Sequence[str], kind: str) -> str:
    """The text of trackers.ini."""
    sections = []
    for tracker in trackers:
        name = Path(tracker).stem
        given = "" if tracker == "D3S" else f"env_D3S_VOT_TRACKER = {tracker.replace('%', '%%')}\n"
        sections.append(
            f"[{name}]\nlabel = {name}\nprotocol = traxpython\ncommand = d3s_vot.vot\npaths = .\ntimeout = 300\n"
            f"env_LD_LIBRARY_PATH = $LD_LIBRARY_PATH\nenv_D3S_VOT_UNSEEN = {UNSEEN[kind]}\n{given}"
        )
    return "\n".join(sections)
