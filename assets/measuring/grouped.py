"""A benchmark of groups of measures at one size: each measure in a process of its own, every figure beside its bar.

Put here how such a benchmark is run and told. What is measured, and against which bars, is in the ``*_rows`` modules.
"""

import json
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import starmap
from pathlib import Path
from typing import Any

from assets.measuring.rows import Row
from assets.resources import Emit
from weaver_forge.errors import MissingInput, SourceError, UsageError
from weaver_forge.settings import Settings

N_ROWS, FULL_ROWS = 1_000_000, 10_000_000
COLUMNS = ["figure", "value", "ratio", "bar", "outcome"]

Group = Callable[[Callable[..., dict[str, Any]], Path, int], list[Row]]
"""``group(run, folder, n_rows)`` gives its figures; ``run(measure, **arguments)`` those of one measure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupedBenchmark:
    """What there is to measure.

    Args:
        groups: By the names that ``only`` takes.
        title: Of the table; the size follows.
        noun: What the size counts.
        least: The fewest of them that measure anything.
        size_key: The size's name in the result.
    """

    groups: Mapping[str, Group]
    title: str
    noun: str
    least: int
    size_key: str

    def __call__(self, settings: Settings, arguments: Mapping[str, Any], emit: Emit) -> int:
        """Measure ``{"rows": n, "only": [names], "full": bool, "data": folder}``.

        Whatever is made lies in a folder of its own below ``data``, or where the system keeps temporary files, and is
        removed at the end.

        Raises:
            UsageError: If a measure is unknown, or the size measures nothing.
            MissingInput: If the folder is not there.
        """
        names = arguments.get("only") or list(self.groups)
        unknown = [name for name in names if name not in self.groups]
        if unknown:
            raise UsageError(f"unknown measure {unknown[0]!r}", where="--only", do=f"Known: {', '.join(self.groups)}")
        n_rows = int(arguments.get("rows") or (FULL_ROWS if arguments.get("full") else N_ROWS))
        if n_rows < self.least:
            told = f"{n_rows} {self.noun} measure nothing"
            raise UsageError(told, where="--rows", do=f"Name at least {self.least:,}")
        where = arguments.get("data") or None
        if where is not None and not Path(where).is_dir():
            raise MissingInput("no such folder", where=str(where), do="Name a folder with room, or leave --data out")

        def run(measure: str, **given: Any) -> dict[str, Any]:
            emit({"event": "progress", "step": group, "message": measure})
            return _figures(settings, measure, given)

        rows: list[tuple[str, Row]] = []
        for group in (name for name in self.groups if name in names):
            with tempfile.TemporaryDirectory(prefix="weaver-forge-benchmark-", dir=where) as folder:
                try:
                    made = self.groups[group](run, Path(folder), n_rows)
                except SourceError as problem:
                    made = [Row(figure=group, value="-", failed=problem.what)]
            rows += [(group, row) for row in made]
        emit({
            "event": "table",
            "title": f"{self.title}, at {n_rows:,} {self.noun}",
            "columns": COLUMNS,
            "rows": [[getattr(row, name) for name in COLUMNS] for _, row in rows],
        })  # fmt: skip
        emit({"event": "result", "data": {self.size_key: n_rows, "rows": list(starmap(said, rows))}})
        return SourceError.exit_code if any(row.failed for _, row in rows) else 0


def _figures(settings: Settings, measure: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """One measure's figures, of a process of its own.

    Raises:
        SourceError: If it failed.
    """
    command = [str(settings.python), "-m", "assets.measuring", measure, json.dumps(given)]
    done = subprocess.run(command, cwd=settings.root, capture_output=True, text=True, check=False)
    if done.returncode:
        last = done.stderr.strip().rpartition("\n")[2] or f"it ended with {done.returncode}"
        raise SourceError(f"the measure failed: {last}", where=measure, do="Run it by itself: --only NAME")
    figures: dict[str, Any] = json.loads(done.stdout.strip().rpartition("\n")[2])
    return figures


def said(group: str, row: Row) -> dict[str, Any]:
    """A row of a group as data."""
    words = {name: getattr(row, name) for name in COLUMNS}
    return {"measure": group, **words, "measured": row.measured, "most": row.most, "least": row.least}
