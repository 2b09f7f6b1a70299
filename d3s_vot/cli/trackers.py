"""`d3s-vot trackers`: what there is."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from d3s_vot.trackers.names import NAMES, published
from d3s_vot.trackers.published import Published
from d3s_vot.weights.find import packaged


def _weights(one: Published) -> Path | None:
    """The file that the name stands for, in the package or, as `convert` made it, in the present folder."""
    own = Path(f"{one.name}.safetensors")
    return packaged().get(one.name) or (own if own.is_file() else None)


def listing() -> list[dict[str, Any]]:
    """All that is known of each name; `weights` is the file, or None."""
    found = ((one, _weights(one)) for tracker in NAMES for one in published(tracker))
    return [asdict(one) | {"weights": None if path is None else str(path)} for one, path in found]


def as_json() -> str:
    """The listing for programs."""
    return json.dumps(listing(), indent=1) + "\n"


def as_text() -> str:
    """The listing for people."""
    lines: list[str] = []
    for one in listing():
        lines += [f"{one['name']}: {'masks' if one['gives_masks'] else 'boxes'}", f"  paper      {one['paper']}"]
        if one["weights"]:
            lines.append(f"  weights    {one['weights']}")
        else:
            lines.append(f"  weights    not at hand: get {one['file']} from {one['source']}, then")
            lines.append(f"             {one['convert']}")
        for benchmark, result in one["results"].items():
            lines.append(f"  published  {benchmark}: {result}")
        lines += [f"  speed      {one['speed'] or 'not measured'}", ""]
    return "\n".join(lines[:-1]) + "\n"
