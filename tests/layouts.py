"""Small data sets in the layouts of the benchmarks, written for a test.

    names = write_layout("otb100", folder, [moving_disc("a"), moving_disc("b")])
    open_boxset("otb100", folder, names=names)

OTB, UAV123 and LaSOT know their sequences by name, so theirs are renamed unless they bear such a name already;
`write_layout` returns the names. Frames given as paths become symbolic links: unlink one before damaging it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from got10k.datasets import OTB
from scenes import annotations, scene

Frame = np.ndarray | Path


@dataclass(frozen=True)
class Video:
    """One sequence.

    Attributes:
        name: the data set may rename it.
        frames: RGB uint8 H x W x 3, or the paths of JPEG files.
        boxes: M x 4, x, y, w, h, 0-based.
        cover: how much of the target is seen, 0..8 a frame; None: all of it (GOT-10k val alone).
    """

    name: str
    frames: Sequence[Frame]
    boxes: np.ndarray
    cover: Sequence[int] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the first frame."""
        first = self.frames[0]
        height, width = (cv2.imread(str(first)) if isinstance(first, Path) else first).shape[:2]
        return width, height


def moving_disc(name: str = "disc", frames: int = 6, start: int = 0, height: int = 120, width: int = 160) -> Video:
    """A textured disc that crosses a textured ground, from frame `start` of its way on (at most about 40)."""
    pairs = [scene(t, height, width) for t in range(start, start + frames)]
    return Video(name, [image for image, _ in pairs], np.array([tuple(box) for _, box in pairs], float))


def shared_videos(shared: Path, names: Collection[str] | None = None, frames: int | None = None) -> list[Video]:
    """The sequences of the reference data, or those called `names`; polygons as the boxes around them.

    Args:
        shared: the folder of reference data.
        names: as in its list of sequences.
        frames: how many of each, from the first on; None: all.
    """
    folder = shared / "data" / "sequences"
    videos = []
    for name in (folder / "list.txt").read_text().split():
        if names is None or name in names:
            paths = sorted((folder / name / "color").glob("*.jpg"))[:frames]
            boxes = [tuple(region.box) for region in annotations(folder / name)[:frames]]
            videos.append(Video(name, paths, np.array(boxes, float)))
    return videos


def write_layout(name: str, root: Path, videos: Sequence[Video]) -> list[str]:
    """Write the data set `name` under `root`; returns the names its sequences have there, in the order given."""
    return _WRITERS[name](root, videos)


def write_frames(folder: Path, frames: Iterable[Frame], pattern: str = "{:08d}.jpg", first: int = 1) -> None:
    """Frames as JPEG files, numbered from `first`."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(frames, first):
        path = folder / pattern.format(number)
        if isinstance(frame, Path):
            path.symlink_to(frame.absolute())
        else:
            cv2.imwrite(str(path), frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])


def write_text(path: Path, lines: Iterable[str]) -> None:
    """A line each, with their folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines))


def _lines(boxes: np.ndarray, origin: int = 1, style: str = "{:.4f}", comma: str = ",") -> list[str]:
    """The lines of an annotation file."""
    return [comma.join(style.format(value) for value in box) for box in np.add(boxes, (origin, origin, 0, 0))]


def _got10k(subset: str) -> Callable[[Path, Sequence[Video]], list[str]]:
    def write(root: Path, videos: Sequence[Video]) -> list[str]:
        names = [video.name for video in videos]
        write_text(root / subset / "list.txt", names)
        for video in videos:
            folder = root / subset / video.name
            write_frames(folder, video.frames)
            lines = _lines(video.boxes)
            if subset == "test":
                write_text(folder / "groundtruth.txt", lines[:1])
                continue
            write_text(folder / "groundtruth.txt", lines)
            cover = [8] * len(lines) if video.cover is None else video.cover
            write_text(folder / "cover.label", [str(value) for value in cover])
            write_text(folder / "absence.label", [str(int(value == 0)) for value in cover])
            write_text(folder / "cut_by_image.label", ["0"] * len(lines))
            facts = ["anno_fps: 10Hz", "object_class: disc", "motion_adverb: ", f"resolution: {video.size}"]
            write_text(folder / "meta_info.ini", ["[METAINFO]", *facts])
        return names

    return write


def _trackingnet(root: Path, videos: Sequence[Video]) -> list[str]:
    for video in videos:
        write_frames(root / "TEST" / "frames" / video.name, video.frames, "{}.jpg", first=0)
        write_text(root / "TEST" / "anno" / f"{video.name}.txt", _lines(video.boxes[:1], 0, "{:.10g}"))
    return [video.name for video in videos]


def _trackingnet_train(root: Path, videos: Sequence[Video]) -> list[str]:
    """Each in another part, with the whole truth."""
    for part, video in enumerate(videos):
        folder = root / f"TRAIN_{part}"
        write_frames(folder / "frames" / video.name, video.frames, "{}.jpg", first=0)
        write_text(folder / "anno" / f"{video.name}.txt", _lines(video.boxes, 0, "{:.10g}"))
    return [video.name for video in videos]


def _otb(allowed: list[str]) -> Callable[[Path, Sequence[Video]], list[str]]:
    # The toolkit cuts some sequences; David begins at its frame 300, two others have two targets or several lengths.
    special = {"David", "Football1", "Freeman3", "Freeman4", "Diving", "Jogging", "Skating2", "Human4"}

    def write(root: Path, videos: Sequence[Video]) -> list[str]:
        plain = sorted(set(allowed) - special)
        names = _rename([video.name.removeprefix("otb-") for video in videos], plain, allowed)
        for name, video in zip(names, videos, strict=True):
            sequence, _, target = name.partition(".")
            folder = root / sequence / "img"
            if target in ("", "1"):  # the second target of a sequence has the same frames
                before = [video.frames[0]] * (299 if name == "David" else 0)
                write_frames(folder, [*before, *video.frames], "{:04d}.jpg")
            comma = "\t" if len(sequence) % 2 else ","  # the real files have either
            truth = folder.parent / f"groundtruth_rect{'.' * bool(target)}{target}.txt"
            write_text(truth, _lines(video.boxes, style="{:.10g}", comma=comma))
        return names

    return write


def _uav123(root: Path, videos: Sequence[Video]) -> list[str]:
    """Its sequences have a fixed length, 109 frames at least: the video runs forth and back, by links to its frames."""
    table: dict[str, Any] = json.loads((files("got10k.datasets") / "uav123.json").read_text())["UAV123"]
    length = {name: facts["end_frame"] - facts["start_frame"] + 1 for name, facts in table.items()}
    short = sorted((name for name in table if table[name]["folder_name"] == name), key=lambda name: length[name])
    names = _rename([video.name for video in videos], short, short)
    for name, video in zip(names, videos, strict=True):
        folder = root / "data_seq" / "UAV123" / name
        count = len(video.frames)
        way = [*range(count), *range(count - 2, 0, -1)]
        order = [way[i % len(way)] for i in range(length[name])]
        write_frames(folder, video.frames, "{:06d}.jpg")
        write_frames(folder, [folder / f"{i + 1:06d}.jpg" for i in order[count:]], "{:06d}.jpg", first=count + 1)
        write_text(root / "anno" / "UAV123" / f"{name}.txt", _lines(video.boxes[order], style="{:.10g}"))
    return names


def _lasot(root: Path, videos: Sequence[Video]) -> list[str]:
    allowed: list[str] = json.loads((files("got10k.datasets") / "lasot.json").read_text())["test"]
    names = _rename([video.name for video in videos], allowed, allowed)
    for name, video in zip(names, videos, strict=True):
        folder = root / name.rpartition("-")[0] / name
        write_frames(folder / "img", video.frames)
        write_text(folder / "groundtruth.txt", _lines(video.boxes, style="{:.10g}"))
        for label in ("full_occlusion", "out_of_view"):
            write_text(folder / f"{label}.txt", [",".join("0" * len(video.boxes))])
        write_text(folder / "nlp.txt", ["a disc"])
    return names


def _lasot_extension(root: Path, videos: Sequence[Video]) -> list[str]:
    """Its classes are not LaSOT's; each sequence is the first of a class of its own."""
    for video in videos:
        folder = root / video.name / f"{video.name}-1"
        write_frames(folder / "img", video.frames)
        write_text(folder / "groundtruth.txt", _lines(video.boxes, style="{:.10g}"))
        for label in ("full_occlusion", "out_of_view"):
            write_text(folder / f"{label}.txt", [",".join("0" * len(video.boxes))])
    return [f"{video.name}-1" for video in videos]


def _avist(root: Path, videos: Sequence[Video]) -> list[str]:
    for video in videos:
        write_frames(root / "sequences" / video.name, video.frames, "img_{:05d}.jpg")
        write_text(root / "anno" / f"{video.name}.txt", _lines(video.boxes, style="{:.10g}"))
        for label in ("full_occlusion", "out_of_view"):
            write_text(root / label / f"{video.name}_{label}.txt", ["0"] * len(video.boxes))
    return [video.name for video in videos]


def _nfs(rate: int) -> Callable[[Path, Sequence[Video]], list[str]]:
    """The annotation is always that of 240 frames a second: left, top, right and bottom, 8 lines for one of 30."""

    def write(root: Path, videos: Sequence[Video]) -> list[str]:
        for video in videos:
            folder = root / video.name / str(rate)
            write_frames(folder / video.name, video.frames, "{:05d}.jpg")
            edges = np.add(video.boxes, (1, 1, 0, 0))
            edges[:, 2:] += edges[:, :2]
            lines = [" ".join(f"{value:.10g}" for value in row) for row in edges for _ in range(240 // rate)]
            write_text(folder / f"{video.name}.txt", [f'0 {row} {i} 0 0 0 "disc"' for i, row in enumerate(lines)])
        return [video.name for video in videos]

    return write


def _tcolor128(root: Path, videos: Sequence[Video]) -> list[str]:
    for video in videos:
        folder = root / video.name
        write_frames(folder / "img", video.frames, "{:04d}.jpg")
        write_text(folder / f"{video.name}_gt.txt", _lines(video.boxes, style="{:.10g}"))
        write_text(folder / f"{video.name}_frames.txt", [f"1,{len(video.frames)}"])
    return [video.name for video in videos]


def _dtb70(root: Path, videos: Sequence[Video]) -> list[str]:
    for video in videos:
        write_frames(root / video.name / "img", video.frames, "{:05d}.jpg")
        write_text(root / video.name / "groundtruth_rect.txt", _lines(video.boxes, style="{:.10g}"))
    return [video.name for video in videos]


def _rename(wanted: list[str], free: list[str], allowed: Collection[str]) -> list[str]:
    """Names that the data set knows (a suffix .1 or .2 tells targets apart), others replaced in turn by free ones."""
    rest = iter([name for name in free if name not in wanted])
    return [name if name.partition(".")[0] in allowed else next(rest) for name in wanted]


_WRITERS: dict[str, Callable[[Path, Sequence[Video]], list[str]]] = {
    "got10k-val": _got10k("val"),
    "got10k-test": _got10k("test"),
    "trackingnet": _trackingnet,
    "trackingnet-train": _trackingnet_train,
    "otb50": _otb(OTB._OTB__tb50_seqs),
    "otb100": _otb(OTB._OTB__tb100_seqs),
    "uav123": _uav123,
    "lasot": _lasot,
    "lasot-extension": _lasot_extension,
    "nfs30": _nfs(30),
    "nfs240": _nfs(240),
    "avist": _avist,
    "tcolor128": _tcolor128,
    "dtb70": _dtb70,
}
