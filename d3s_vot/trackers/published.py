"""What is published of a tracker: results, and where the weights come from; its `published.py` has a list of these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Published:
    """A configuration that has a name.

    Attributes:
        name: what a user calls it; the stem of its file of weights.
        tracker: one of `names.NAMES`.
        paper: who wrote it, and where.
        gives_masks: or boxes alone.
        file: the published weights, as they are called; empty: the weights come with the package.
        source: where that file is found.
        convert: the call that makes our file of it.
        results: as published, by benchmark.
        speed: as measured by us; empty: not measured.
    """

    name: str
    tracker: str
    paper: str
    gives_masks: bool
    file: str = ""
    source: str = ""
    convert: str = ""
    results: Mapping[str, str] = field(default_factory=dict)
    speed: str = ""
