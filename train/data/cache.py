"""What the index of a data set found, kept in a file: a line of JSON for each picture, compressed."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import logging
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

from d3s_vot.files import write_whole
from train.data.items import Item
from train.data.layouts import Layout, Skipped

VERSION = 2  # of the rules of the index; another one makes every file outdated

log = logging.getLogger(__name__)


def fingerprint(layout: Layout) -> str:
    """A text that changes when a file of the data set does, by size or time, or the rules of the index do."""
    stamps = json.dumps([VERSION, sorted(layout.stamps)])
    return hashlib.blake2b(stamps.encode(), digest_size=16).hexdigest()


def cache_file(folder: Path, layout: Layout) -> Path:
    """Where a data set is kept: by its layout, and the place of its folder however it is spelled."""
    place = hashlib.blake2b(str(layout.root.resolve()).encode(), digest_size=8).hexdigest()
    return folder / f"{layout.name}-{place}.jsonl.gz"


def store(folder: Path, layout: Layout, items: list[Item]) -> None:
    """Keep the items of a data set and what was left out; a folder that cannot be written costs a warning."""
    path = cache_file(folder, layout)
    skipped = [[reason, n, layout.skipped.examples[reason]] for reason, n in layout.skipped.counts.items()]
    lines: list[Any] = [[fingerprint(layout), str(layout.root), len(items), skipped]]
    for _, group in itertools.groupby(items, lambda i: (i.image, i.mask)):
        found = list(group)
        first = found[0]
        lines.append(
            [
                first.collection, first.group, first.frame, _relative(first.image, layout),
                _relative(first.mask, layout), first.held_out, first.cutout, first.background,
                [[i.instance, i.area, i.box] for i in found],
            ]
        )  # fmt: skip
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, gzip.compress(text.encode(), 3, mtime=0))
    except OSError as error:
        log.warning("the index of %s cannot be kept in %s: %s", layout.root, path, error.strerror or error)


def recall(folder: Path, layout: Layout) -> tuple[list[Item], Skipped] | None:
    """What `store` kept of a data set; None: nothing, or it is outdated or damaged."""
    path = cache_file(folder, layout)
    try:
        lines = gzip.decompress(path.read_bytes()).decode().splitlines()
        mark, _, count, skipped = json.loads(lines[0])
        if mark != fingerprint(layout):
            return None
        items = [item for line in lines[1:] for item in _items(layout, json.loads(line))]
        if len(items) != count:
            raise ValueError(f"{len(items)} objects of {count}")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, EOFError, zlib.error, ValueError, TypeError, KeyError, IndexError) as error:
        log.warning("the index of %s kept in %s is damaged and made anew: %s", layout.root, path, error)
        return None
    counts = Counter({reason: number for reason, number, _ in skipped})
    return items, Skipped(counts, {reason: example for reason, _, example in skipped})


def _items(layout: Layout, line: list[Any]) -> list[Item]:
    collection, group, frame, image, mask, held_out, cutout, background, objects = line
    picture, ids = layout.root / image, layout.root / mask
    return [
        Item(
            layout.source, collection, group, frame, picture, ids,
            instance, area, (x, y, w, h), held_out, cutout, background,
        )
        for instance, area, (x, y, w, h) in objects
    ]  # fmt: skip


def _relative(path: Path, layout: Layout) -> str:
    return path.relative_to(layout.root).as_posix()
