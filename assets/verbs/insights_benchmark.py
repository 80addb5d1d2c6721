"""benchmark insights: how often shuffled real data give an insight, and how many the data themselves give.

Reads every set of test histories below a folder (``benchmarks.test_history``), runs the families that its tables feed
with the queries of ``intelligence``, and runs them again on the same rows with whole units exchanged.
"""

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from scipy import special

from assets.predicting import SEED
from assets.resources import Emit
from assets.verbs.benchmark import read_sets
from weaver_forge.benchmarks import BenchmarkData
from weaver_forge.contracts.tables import ALL as TABLES
from weaver_forge.errors import MissingInput, UsageError
from weaver_forge.insights.discoveries import ALPHA
from weaver_forge.insights.families import ALL
from weaver_forge.insights.finding import judge, read
from weaver_forge.insights.hypothesis import Rows
from weaver_forge.settings import Settings

RUNS = 200
COLUMNS = [
    "set",
    "tests",
    "hypotheses",
    "insights",
    "shuffled runs",
    "with any",
    "share",
    "at most (95 %)",
    "bar",
    "seconds a run",
]


def insights_benchmark(_settings: Settings, arguments: Mapping[str, Any], emit: Emit) -> int:
    """Measure ``{"data": folder, "rows": shuffled runs a set}``; ends with 5 where a set misses the bar.

    Raises:
        UsageError: If no folder is given.
        MissingInput: If it has no test history.
    """
    if not arguments.get("data"):
        raise UsageError("benchmark insights needs data", do="Name a folder of test histories with --data DIR")
    folder = Path(str(arguments["data"]))
    runs = int(arguments.get("rows") or RUNS)
    only = set(arguments.get("only") or ())
    sets = [each for each in read_sets(folder, "test_selection") if not only or each.set in only]
    if not sets:
        raise MissingInput("no test history here", where=str(folder), do="See docs/benchmarks.md")
    rows = []
    for number, data in enumerate(sets):
        emit({"event": "progress", "step": data.set, "done": number, "total": len(sets)})
        rows.append(measured(data, runs))
    table = [[row[name] for name in COLUMNS] for row in rows]
    emit({"event": "table", "title": f"insights of {folder}", "columns": COLUMNS, "rows": table})
    emit({"event": "result", "data": {"rows": rows}})
    return 5 if any(row["share"] > row["bar"] for row in rows) else 0


def measured(data: BenchmarkData, runs: int) -> dict[str, Any]:
    """A set's insights, and the share of shuffled runs that give any, with its exact upper bound."""
    began = time.process_time()
    rows, since, until = _rows(data)
    rng = np.random.default_rng(SEED)
    real = judge(ALL, rows, since=since, until=until)
    with_any = 0
    for _ in range(runs):
        drawn = {f.name: None if (own := rows[f.name]) is None else f.shuffle(own, rng) for f in ALL}
        with_any += bool(judge(ALL, drawn, since=since, until=until).insights)
    at_most = float(special.betaincinv(with_any + 1, runs - with_any, 0.95)) if with_any < runs else 1.0
    return {
        "set": data.set,
        "tests": len(rows["flaky_tests"] or ()),
        "hypotheses": real.n_hypotheses,
        "insights": len(real.insights),
        "shuffled runs": runs,
        "with any": with_any,
        "share": with_any / runs,
        "at most (95 %)": round(at_most, 4),
        "bar": ALPHA,
        "seconds a run": round((time.process_time() - began) / (runs + 1), 2),
        "families": {each.name: [each.n_hypotheses, each.n_found] for each in real.families if each.n_hypotheses},
        "told": [each.description for each in real.insights],
    }


def _rows(data: BenchmarkData) -> tuple[dict[str, Rows | None], datetime, datetime]:
    """Rows of every family; tables that the set does not have are empty."""
    with duckdb.connect() as con:
        for table in TABLES:
            if table.layer == "core" and not table.view:
                con.execute(table.ddl)
                if (frame := data.tables.get(table.name)) is not None and len(frame):
                    con.register("given", frame.to_arrow())
                    con.execute(f"insert into {table.name} by name select * from given")  # noqa: S608 - a declared name
                    con.unregister("given")

        def ask(sql: str) -> Rows:
            cursor = con.execute(sql)
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

        first, last = con.execute("select min(started_at), max(ended_at) from core_ci__runs").fetchone() or (None, None)
        since = first or datetime(1970, 1, 1)  # noqa: DTZ001 - every instant inside is naive UTC
        until = (last or since) + timedelta(days=1)
        return read(ALL, ask, [table.name for table in TABLES], since), since, until
