"""benchmark impact: recall@5 of the other files of a later change given one of them, beside every single signal."""

import resource
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from assets.predicting import SEED
from assets.resources import Emit
from assets.verbs.benchmark import exit_code, going_on, means, read_files, said_of, tell, tell_notes
from weaver_forge.benchmarks import git_history
from weaver_forge.contracts.tables.changes import CORE_CHANGES_FILES
from weaver_forge.errors import MissingInput, UsageError, WeaverForgeError
from weaver_forge.links.impact.evaluation import measure
from weaver_forge.links.impact.history import history
from weaver_forge.links.impact.prior import PRIOR
from weaver_forge.settings import Settings


def impact_benchmark(_settings: Settings, arguments: Mapping[str, Any], emit: Emit) -> int:
    """Measure on every history below ``data``; the protocol is in ``links.impact.evaluation``."""
    if not arguments.get("data"):
        raise UsageError("benchmark impact needs data", do="Name a folder with --data DIR; see docs/benchmarks.md")
    folder = Path(str(arguments["data"]))
    began, cpu = time.perf_counter(), time.process_time()
    problems: list[WeaverForgeError] = []
    sets = git_history.read(read_files(folder, problems), problems)
    tell(problems, emit)
    if not sets:
        what = "no file here can be read" if problems else "no file here has a format"
        raise MissingInput(f"{what} that measures impact", where=str(folder), do="See docs/benchmarks.md")
    rows: list[dict[str, Any]] = []
    for number, data in enumerate(sets):
        emit({"event": "progress", "step": data.set, "done": number, "total": len(sets)})
        tell_notes(data, emit)
        with going_on(data.set, problems, emit):
            found = measure(history(data.tables[CORE_CHANGES_FILES.name]), PRIOR, np.random.default_rng(SEED))
            if not found:
                text = f"{data.set}: no held-out change has two known files: nothing to ask"
                emit({"event": "line", "text": text, "style": "dim"})
                continue
            rows.append({"set": data.set, "protocol": "time_ordered", "metric": "recall@5", "published": {}, **found})
    rows += means(rows)
    emit({
        "event": "table",
        "title": f"impact on {folder}: recall@5 of the other files of a change",
        "columns": ["set", "value", "interval", "changes", "best single signal", "of it", "weights"],
        "rows": [_line(row) for row in rows],
    })  # fmt: skip
    emit({
        "event": "result",
        "data": {
            "decision": "impact",
            "seconds": round(time.perf_counter() - began, 2),
            "cpu_seconds": round(time.process_time() - cpu, 2),
            "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            "rows": rows,
            **said_of(sets, problems),
        },
    })  # fmt: skip
    return exit_code(problems)


def _line(row: Mapping[str, Any]) -> list[Any]:
    best = max(row["baselines"], key=lambda name: row["baselines"][name])
    interval = [None if row[end] is None else round(row[end], 3) for end in ("low", "high")]
    value, alone = round(row["value"], 4), round(row["baselines"][best], 4)
    return [row["set"], value, interval, row["n"], best, alone, row.get("weights", "")]
