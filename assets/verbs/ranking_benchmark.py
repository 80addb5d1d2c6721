"""benchmark ranking: what learning from test results and ranking tests costs, every figure beside its bar."""

import tempfile
from collections.abc import Mapping
from itertools import starmap
from pathlib import Path
from typing import Any

from assets.measuring.ranking_rows import GROUPS
from assets.measuring.rows import Row
from assets.resources import Emit
from assets.verbs.ledger_benchmark import COLUMNS, FULL_ROWS, N_ROWS, figures, said
from weaver_forge.errors import MissingInput, SourceError, UsageError
from weaver_forge.settings import Settings

LEAST = 100_000


def ranking_benchmark(settings: Settings, arguments: Mapping[str, Any], emit: Emit) -> int:
    """Measure ``{"rows": n, "only": [names], "full": bool, "data": folder}`` on a made-up history of n results.

    Deployments are made in a folder of their own below ``data``, or where the system keeps temporary files, and
    removed at the end.
    """
    names = arguments.get("only") or list(GROUPS)
    unknown = [name for name in names if name not in GROUPS]
    if unknown:
        raise UsageError(f"unknown measure {unknown[0]!r}", where="--only", do=f"Known: {', '.join(GROUPS)}")
    n_rows = int(arguments.get("rows") or (FULL_ROWS if arguments.get("full") else N_ROWS))
    if n_rows < LEAST:
        raise UsageError(f"{n_rows} results measure nothing", where="--rows", do=f"Name at least {LEAST:,}")
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
        "title": f"Learning and ranking, at {n_rows:,} results",
        "columns": COLUMNS,
        "rows": [[getattr(row, name) for name in COLUMNS] for _, row in rows],
    })  # fmt: skip
    emit({"event": "result", "data": {"results": n_rows, "rows": list(starmap(said, rows))}})
    return SourceError.exit_code if any(row.failed for _, row in rows) else 0
