"""Masks as pictures for editing tools, and as run-length codes for programs."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from d3s_vot.errors import InputError
from d3s_vot.files import write_whole
from d3s_vot.labels import MOST
from d3s_vot.prediction import Prediction
from d3s_vot.video.outputs.files import begin, failed
from d3s_vot.video.outputs.output import Output
from d3s_vot.video.outputs.tables import TextOutput, box, confidence
from d3s_vot.video.overlay import COLOURS
from d3s_vot.video.sources import Frame


class MaskFolder(Output):
    """A PNG per frame, of its size, named after its number in the source: 00000000.png is the first.

    With one target it is a matte, black and white, as editing tools like it. With several it is a label map: 0 is the
    ground, k is target k, in the colours of the overlay; where two meet, the more confident one wins.
    """

    def __init__(self, folder: str | Path, size: tuple[int, int]) -> None:
        """Make the folder.

        Args:
            folder: empty, or not there.
            size: (width, height) of the frames.

        Raises:
            InputError: it cannot be made or written, or is not empty.
        """
        self.folder = Path(folder)
        self._size = size
        if self.folder.exists() and not self.folder.is_dir():
            raise InputError(f"{self.folder} is a file; choose a folder for the masks")
        # Never finished: it makes the folder, shows that files can be written, and keeps other runs out.
        self._claim = begin(self.folder / "masks")
        held = next((path.name for path in self.folder.iterdir() if not path.name.startswith(".")), None)
        if held is not None:
            self._claim.discard()
            remedy = "empty it, or choose another for the masks"
            raise InputError(f"the folder {self.folder} is not empty, it holds {held}; {remedy}")

    def write(self, frame: Frame, predictions: Sequence[Prediction | None]) -> None:
        if len(predictions) > MOST:
            raise InputError(f"masks are written of at most {MOST} targets, not of {len(predictions)}")
        picture = Image.fromarray(self._labels(predictions))
        if len(predictions) > 1:
            picture.putpalette(palette())
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        path = self.folder / f"{frame.index:08d}.png"
        try:
            write_whole(path, buffer.getvalue(), sync=False)
        except OSError as error:
            raise failed(path, error.strerror) from error

    def _labels(self, predictions: Sequence[Prediction | None]) -> NDArray[np.uint8]:
        """H x W."""
        labels = np.zeros(self._size[::-1], np.uint8)
        answers = [(k, answer) for k, answer in enumerate(predictions, start=1) if answer is not None]
        for k, answer in sorted(answers, key=lambda item: item[1].confidence):
            labels[answer.mask] = k if len(predictions) > 1 else 255
        return labels

    def close(self) -> None:
        """Each file is whole; a folder that was made and came to nothing is removed."""
        self._claim.discard()


def palette() -> list[int]:
    """RGB of 0 (black) and of the targets, which repeats itself."""
    colours = [COLOURS[k % len(COLOURS)] for k in range(MOST)]
    return [0, 0, 0, *(value for colour in colours for value in colour)]


class CocoJson(TextOutput):
    """A list of results as COCO has it, an entry for each target of each frame; none before a target is followed.

    Keys of an entry: image_id (the frame, 0 is the first of the source), category_id (1, "target"), track_id (the
    target, from 1), segmentation (size: [height, width], counts: the compressed run-length code of pycocotools),
    bbox (x, y, w, h in pixels), score (the confidence, 0..1). A frame that gave no mask has an empty one.
    """

    HEAD, END = "[\n", "\n]\n"

    def __init__(self, path: str | Path) -> None:
        """Begin the file.

        Raises:
            InputError: it cannot be written, or pycocotools is not installed.
        """
        try:
            from pycocotools import mask
        except ModuleNotFoundError as error:
            raise InputError("masks in one file need the package pycocotools; install d3s-vot[video]") from error
        self._encode = mask.encode
        self._separator = ""
        super().__init__(path)

    def text(self, frame: Frame, predictions: Sequence[Prediction | None]) -> str:
        text = ""
        for target, answer in enumerate(predictions, start=1):
            if answer is None:
                continue
            code = self._encode(np.asfortranarray(answer.mask.view(np.uint8)))
            entry = {
                "image_id": frame.index,
                "category_id": 1,
                "track_id": target,
                "segmentation": {"size": list(code["size"]), "counts": code["counts"].decode("ascii")},
                "bbox": box(answer),
                "score": confidence(answer),
            }
            text += self._separator + json.dumps(entry)
            self._separator = ",\n"
        return text
