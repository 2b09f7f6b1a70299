"""From what a user asks for to the outputs that write it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from d3s_vot.errors import InputError
from d3s_vot.video.outputs.output import Output, Outputs
from d3s_vot.video.sources import Source


def open_outputs(
    source: Source,
    *,
    overlay: str | Path | None = None,
    masks: str | Path | None = None,
    csv: str | Path | None = None,
    jsonl: str | Path | None = None,
    vot: str | Path | None = None,
    one_based: bool = True,
) -> Outputs:
    """Open what a user asks for.

        with open_outputs(source, overlay=Path("bag.mp4"), csv=Path("bag.csv")) as outputs:
            for frame, predictions in follow(source, targets, tracker):
                outputs.write(frame, predictions)

    Args:
        source: of the frames.
        overlay: `OverlayVideo`.
        masks: `CocoJson` where it ends in .json, otherwise `MaskFolder`.
        csv: `CsvTable`.
        jsonl: `JsonLines`.
        vot: `VotText`.
        one_based: of `VotText`.

    Raises:
        InputError: one of them cannot be written, would overwrite the source or another one, or needs a package that
            is not installed; none is opened then.
    """
    from d3s_vot.video.outputs.encoding import OverlayVideo
    from d3s_vot.video.outputs.masks import CocoJson, MaskFolder
    from d3s_vot.video.outputs.tables import CsvTable, JsonLines, VotText

    wanted: list[tuple[str | Path | None, Callable[[Path], Output]]] = [
        (csv, CsvTable),
        (jsonl, JsonLines),
        (vot, lambda path: VotText(path, one_based)),
        (masks, lambda path: CocoJson(path) if path.suffix.lower() == ".json" else MaskFolder(path, source.size)),
        # Last, so that it is closed first: one that filled the disk makes room for the end of the others.
        (overlay, lambda path: OverlayVideo(path, source)),
    ]
    paths = [Path(path) for path, _ in wanted if path is not None]
    for index, path in enumerate(paths):
        if _same(path, Path(source.name)):
            raise InputError(f"{path} is the source; choose another file for the output")
        if any(_same(path, other) for other in paths[:index]):
            raise InputError(f"{path} is asked for twice; give each output a name of its own")
    outputs = Outputs()
    try:
        for wish, kind in wanted:
            if wish is not None:
                outputs.add(kind(Path(wish)))
    except BaseException:
        outputs.close()
        raise
    return outputs


def _same(path: Path, other: Path) -> bool:
    """Whether both name one file, be it there or not."""
    return os.path.realpath(path) == os.path.realpath(other)
