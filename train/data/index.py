"""The index of the training data: every object of every source, with all pictures and masks checked once."""

from __future__ import annotations

import logging
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
from PIL import Image

from d3s_vot.progress import Progress
from train.data import coco
from train.data.cache import recall, store
from train.data.items import DAMAGED, Item, Source, read_image, source_names
from train.data.layouts import Frame, Layout, Seen, Skipped
from train.data.stills import Coco, Stills
from train.data.videos import Davis, YouTubeVos
from train.errors import DataError

KINDS: dict[str, type[Layout]] = {kind.name: kind for kind in (YouTubeVos, Davis, Stills, Coco)}
BAD_PICTURE = "picture that cannot be decoded"
BAD_MASK = "mask that cannot be decoded"
SEVERAL = "file of several pictures"
OTHER_SIZE = "mask of another size than its picture"
NO_ACCESS = "file that could not be opened"  # may be another time: not kept
CHUNK = 32  # pictures that a process gets at once

log = logging.getLogger(__name__)

Measure = Callable[[Frame], tuple[tuple[int, int], list[Seen]]]


@dataclass(frozen=True)
class Index:
    """The training data.

    Attributes:
        items: its objects, source by source in a fixed order.
        skipped: how many pictures, objects or videos were left out, by reason.
        examples: where each reason was met first.
    """

    items: list[Item]
    skipped: Counter[str]
    examples: dict[str, str]


def index(sources: list[Source], *, cache: Path | None, workers: int) -> Index:
    """Find the objects of some data sets; every picture and mask is decoded once to check it.

    Args:
        sources: data sets, in the order of the command line.
        cache: folder that keeps what was found, which counts until a file of the data changes; None: nothing is kept.
        workers: processes that decode; 0: this one.

    Raises:
        DataError: a data set is missing or has another layout, or nothing of it can be used.
    """
    items: list[Item] = []
    everything = Skipped()
    for source, name in zip(sources, source_names(sources), strict=True):
        if source.layout not in KINDS:
            raise DataError(f"{source.layout}={source.root} has no labels; only DropMAE is trained on such videos")
        layout = KINDS[source.layout](name, source.root)
        kept = recall(cache, layout) if cache else None
        found, skipped = kept or _search(layout, workers)
        for reason, count in skipped.counts.items():
            everything.add(reason, skipped.examples[reason], count)
        if not found:
            reasons = "; ".join(f"{count} x {reason}" for reason, count in skipped.counts.items())
            raise DataError(f"nothing in {source.root} can be trained on ({reasons or 'it is empty'}); check the data")
        if cache and kept is None and not skipped.counts[NO_ACCESS]:
            store(cache, layout, found)
        # In this process, so that the workers that are forked later share what was parsed.
        for path in {i.mask for i in found if i.mask.suffix == ".json"}:
            coco.load_instances(path)
        _report(name, found, "as kept" if kept else "checked")
        items += found
    for reason, count in everything.counts.items():
        log.warning("left out: %d x %s, the first at %s", count, reason, everything.examples[reason])
    return Index(items, everything.counts, everything.examples)


def look(measure: Measure, frame: Frame) -> tuple[str | None, list[Seen]]:
    """Decode a picture and its mask.

    Args:
        measure: of the layout.
        frame: the two.

    Returns:
        Why they cannot be used (None: they can), and the objects seen.
    """
    try:
        width, height, count = check_picture(frame.image)
    except (*DAMAGED, DataError) as error:
        return (NO_ACCESS if _is_system(error) else BAD_PICTURE), []
    if count > 1:
        return SEVERAL, []
    try:
        size, seen = measure(frame)
    except DataError as error:
        return (NO_ACCESS if _is_system(error.__cause__) else BAD_MASK), []
    if size != (height, width):
        return OTHER_SIZE, []
    return None, seen


def check_picture(path: Path) -> tuple[int, int, int]:
    """Decode a picture to its end and return its width and height in pixels, and how many pictures the file holds.

    OpenCV, which is used in training, fills up what a truncated JPEG lacks and says nothing; PIL does say it.

    Raises:
        OSError, ValueError, ...: one of DAMAGED; an OSError with an errno is of the system, not of the picture.
        DataError: it is of a format that OpenCV does not decode.
    """
    with Image.open(path) as picture:
        size = picture.size
        picture.draft("L", (1, 1))  # a JPEG: all of its data is decoded, but to an eighth of its size
        picture.load()
        known = picture.format in ("JPEG", "PNG")
        count = 1 if picture.format == "MPO" else getattr(picture, "n_frames", 1)  # a photograph with its preview
    if not known:
        read_image(path)
    return *size, count


def _search(layout: Layout, workers: int) -> tuple[list[Item], Skipped]:
    """Look into all pictures of a data set."""
    frames = layout.frames()
    seen = []
    with Progress(len(frames), "pictures") as progress:
        for frame, (reason, objects) in zip(frames, _look_all(layout, frames, workers), strict=True):
            progress.advance(1)
            if reason is None:
                seen.append((frame, objects))
            else:
                layout.skipped.add(reason, frame.where if reason in (BAD_MASK, OTHER_SIZE) else frame.image)
    return layout.items(seen), layout.skipped


def _look_all(layout: Layout, frames: list[Frame], workers: int) -> Iterator[tuple[str | None, list[Seen]]]:
    task = partial(look, type(layout).measure)
    if workers == 0 or len(frames) <= CHUNK:
        yield from map(task, frames)
        return
    pool = ProcessPoolExecutor(workers, initializer=_start_worker)
    try:
        yield from pool.map(task, frames, chunksize=CHUNK)
    except BrokenProcessPool:
        raise DataError(
            f"a process that checked {layout.root} was killed; use fewer workers, it may lack memory"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started it ends it
    cv2.setNumThreads(0)  # its threads do not survive a fork


def _is_system(error: BaseException | None) -> bool:
    return isinstance(error, OSError) and error.errno is not None


def _report(name: str, items: Iterable[Item], how: str) -> None:
    counts = Counter(item.held_out for item in items)
    pictures = len({(item.collection, item.image) for item in items})
    numbers = f"{counts[False]} objects for training, {counts[True]} held out, in {pictures} pictures"
    log.info("%s: %s (%s)", name, numbers, how)
