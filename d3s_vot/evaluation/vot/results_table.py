"""Tables of results as text, Markdown, CSV and JSON, whatever the measures are."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar


@dataclass(frozen=True)
class TableRow:
    """A tracker's line; every other field has a `title` in its metadata, and `digits` if not 3."""

    LEGEND: ClassVar[str] = ""

    tracker: str


def titles_of(kind: type[TableRow]) -> list[str]:
    """The titles of the columns."""
    return ["tracker"] + [column.metadata["title"] for column in fields(kind)[1:]]


def cells_of(row: TableRow) -> list[str]:
    """The values as text; empty where there is none."""
    cells = [row.tracker]
    for column in fields(row)[1:]:
        value = getattr(row, column.name)
        digits = column.metadata.get("digits", 3)
        cells.append("" if value is None else "NaN" if math.isnan(value) else f"{value:.{digits}f}")
    return cells


def as_text(rows: Sequence[TableRow]) -> str:
    """The table for a terminal."""
    kind = type(rows[0])
    lines = [titles_of(kind)] + [cells_of(row) for row in rows]
    widths = [max(len(line[n]) for line in lines) for n in range(len(lines[0]))]
    text = [
        "  ".join(
            [line[0].ljust(widths[0])] + [cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True)]
        )
        for line in lines
    ]
    return "\n".join([*text, "", kind.LEGEND]) + "\n"


def as_markdown(rows: Sequence[TableRow]) -> str:
    """The table in Markdown."""
    titles = titles_of(type(rows[0]))
    lines = [titles, ["---"] + ["---:"] * (len(titles) - 1)] + [cells_of(row) for row in rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def as_csv(rows: Sequence[TableRow]) -> str:
    """The table as comma-separated values, at full precision."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, [f.name for f in fields(rows[0])], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return buffer.getvalue()


def as_json(rows: Sequence[TableRow]) -> str:
    """The table as a list of objects, at full precision; null where there is no number."""

    def plain(row: TableRow) -> dict[str, Any]:
        return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in asdict(row).items()}

    return json.dumps([plain(row) for row in rows], indent=2) + "\n"


FORMATS: dict[str, Callable[[Sequence[TableRow]], str]] = {
    "text": as_text,
    "json": as_json,
    "csv": as_csv,
    "markdown": as_markdown,
}
