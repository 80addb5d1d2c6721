"""benchmark ledger: how fast the record is written, looked into, verified and scored, every figure beside its bar."""

import json
import subprocess
import tempfile
from collections.abc import Mapping
from itertools import starmap
from pathlib import Path
from typing import Any

from assets.measuring.ledger_rows import GROUPS
from assets.measuring.rows import Row
from assets.resources import Emit
from weaver_forge.errors import MissingInput, SourceError, UsageError
from weaver_forge.settings import Settings

N_ROWS, FULL_ROWS = 1_000_000, 10_000_000
COLUMNS = ["figure", "value", "ratio", "bar", "outcome"]


def ledger_benchmark(settings: Settings, arguments: Mapping[str, Any], emit: Emit) -> int:
    """Measure ``{"rows": n, "only": [names], "full": bool, "data": folder}``.

    The ledgers are made in a folder of their own below ``data``, or where the system keeps temporary files, and
    removed at the end.
    """
    names = arguments.get("only") or list(GROUPS)
    unknown = [name for name in names if name not in GROUPS]
    if unknown:
        raise UsageError(f"unknown measure {unknown[0]!r}", where="--only", do=f"Known: {', '.join(GROUPS)}")
    n_rows = int(arguments.get("rows") or (FULL_ROWS if arguments.get("full") else N_ROWS))
    if n_rows < 1000:
        raise UsageError(f"{n_rows} rows measure nothing", where="--rows", do="Name at least 1000")
    where = arguments.get("data") or None
    if where is not None and not Path(where).is_dir():
        raise MissingInput("no such folder", where=str(where), do="Name a folder with room, or leave --data out")

    def run(measure: str, **given: Any) -> dict[str, Any]:
        emit({"event": "progress", "step": group, "message": measure})
        return figures(settings, measure, given)

    rows: list[tuple[str, Row]] = []
    for group in (name for name in GROUPS if name in names):
        with tempfile.TemporaryDirectory(prefix="weaver-forge-benchmark-", dir=where) as folder:
            try:
                made = GROUPS[group](run, Path(folder), n_rows)
            except SourceError as problem:
                made = [Row(figure=group, value="-", failed=problem.what)]
        rows += [(group, row) for row in made]
    emit({
        "event": "table",
        "title": f"The ledger, at {n_rows:,} rows",
        "columns": COLUMNS,
        "rows": [[getattr(row, name) for name in COLUMNS] for _, row in rows],
    })  # fmt: skip
    emit({"event": "result", "data": {"rows_there": n_rows, "rows": list(starmap(said, rows))}})
    return SourceError.exit_code if any(row.failed for _, row in rows) else 0


def figures(settings: Settings, measure: str, given: Mapping[str, Any]) -> dict[str, Any]:
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
    """A row as data."""
    words = {name: getattr(row, name) for name in COLUMNS}
    return {"measure": group, **words, "measured": row.measured, "most": row.most, "least": row.least}
