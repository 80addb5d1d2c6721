"""Laying out plain text: aligned columns and titled groups. No colour, so that nothing depends on one."""

import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Any


def out(text: str = "") -> None:
    """A line of a command's answer."""
    print(text)


def note(text: str) -> None:
    """A line beside the answer, on standard error: it must not end up in what others parse."""
    print(text, file=sys.stderr)


def as_json(data: Any) -> None:
    """The whole answer as one JSON document."""
    print(json.dumps(data, indent=2, ensure_ascii=False, default=str))


def group(title: str, lines: Iterable[str]) -> None:
    """A title and its lines, indented; nothing where there are no lines."""
    lines = list(lines)
    if lines:
        out(f"\n{title}")
        for line in lines:
            out(f"  {line}")


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """Aligned lines; numbers to the right, the last column cut to the terminal."""
    cells = [[cell(value) for value in row] for row in rows]
    widths = [max(len(name), *(len(row[n]) for row in cells)) for n, name in enumerate(columns)] if cells else []
    right = [all(isinstance(row[n], int | float | None) for row in rows) for n in range(len(columns))] if rows else []
    if not cells:
        return ["(none)"]
    room = shutil.get_terminal_size((160, 24)).columns - 4
    return [
        _cut("  ".join(v.rjust(w) if r else v.ljust(w) for v, w, r in zip(row, widths, right, strict=True)), room)
        for row in [list(columns), *cells]
    ]


def cell(value: Any) -> str:
    """A value in a table; a dash where there is none, since missing is not zero."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else " ".join(str(value).split())


def _cut(line: str, room: int) -> str:
    line = line.rstrip()
    if not sys.stdout.isatty() or len(line) <= room:
        return line
    return line[: room - 1] + "…"
