"""How a sequence in VOT layout lies on disk: what its file `sequence` says, and where its images are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from d3s_vot.errors import InputError
from d3s_vot.images import read_image


@dataclass(frozen=True)
class Frames:
    """The images of a sequence: their size in pixels, and where they lie.

    Attributes:
        pattern: of the files' names below the folder, such as color/%08d.jpg.
        first: number of the first image.
    """

    folder: Path
    width: int
    height: int
    pattern: str
    first: int = 1

    @classmethod
    def of(cls, folder: Path, count: int) -> Frames:
        """Those of a sequence of so many annotated frames; the first is looked at only where no file gives its size.

        Raises:
            InputError: `sequence` is damaged or says another length, or the first image cannot be read.
        """
        facts = read_facts(folder)
        pattern = _pattern(folder, facts)
        # The toolkit counts from 1; other data count from 0, which is seen where the frames are there.
        first = 0 if (folder / (pattern % 0)).is_file() and not (folder / (pattern % count)).is_file() else 1
        try:
            length = int(facts.get("length", count))
            size = [int(facts[key]) for key in ("width", "height") if key in facts]
        except ValueError:
            raise InputError(f"{folder / 'sequence'} gives a length or size that is no whole number") from None
        if length != count:
            raise InputError(f"{folder}: `sequence` says {length} frames, groundtruth.txt has {count}")
        if len(size) < 2:
            height, width = read_image(folder / (pattern % first)).shape[:2]
            size = [width, height]
        if min(size) < 1:
            raise InputError(f"{folder / 'sequence'} gives frames of {size[0]} x {size[1]} pixels")
        return cls(folder, size[0], size[1], pattern, first)

    def path(self, index: int) -> Path:
        """The file of an image, counted from 0; it need not be there."""
        return self.folder / (self.pattern % (self.first + index))


def _pattern(folder: Path, facts: dict[str, str]) -> str:
    """How a sequence names its frames, as the toolkit takes it: those of colour, or of its first other channel."""
    named = [facts[key] for key in ("channels.color", "channels.depth", "channels.ir") if key in facts]
    pattern = named[0].replace("\\", "/") if named else "color/%08d.jpg"
    if not named and not (folder / "sequence").is_file() and not (folder / "color").is_dir():
        pattern = "%08d.jpg"  # of old, beside the ground truth
    if not Path(pattern).suffix:
        pattern = f"{pattern.rstrip('/')}/%08d.jpg"
    try:
        first, second = pattern % 1, pattern % 2
    except (TypeError, ValueError, OverflowError, MemoryError):  # the last: of %99999999999d
        first = second = pattern
    if first == second:
        raise InputError(f"{folder / 'sequence'} names frames {pattern!r}; a pattern such as color/%08d.jpg is meant")
    return pattern


def read_facts(folder: Path) -> dict[str, str]:
    """The lines `key=value` of a sequence's file `sequence`; empty where there is none."""
    path = folder / "sequence"
    if not path.is_file():
        return {}
    lines = (line.partition("=") for line in path.read_text("utf-8", "replace").splitlines())
    return {key.strip(): value.strip() for key, _, value in lines}
