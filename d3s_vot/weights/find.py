"""Where weights lie."""

from __future__ import annotations

import os
from pathlib import Path

from d3s_vot.errors import CheckpointError
from d3s_vot.paths import as_path

MODELS = Path(__file__).parents[1] / "models"  # the packaged weights


def packaged() -> dict[str, Path]:
    """The weights that come with the package, by name."""
    return {path.stem: path for path in sorted(MODELS.glob("*.safetensors"))}


def find_weights(name_or_path: str | os.PathLike[str]) -> Path:
    """The file of packaged weights, such as "D3S", or of a path.

    Raises:
        CheckpointError: neither packaged nor an existing file; the message lists what is packaged.
    """
    given = as_path(name_or_path, "the weights file")
    path = packaged().get(os.fspath(given), given)
    if not path.is_file():
        names = ", ".join(packaged()) or "none"
        raise CheckpointError(f"there are no weights {str(path)!r}; give a file or a packaged name ({names})")
    return path
