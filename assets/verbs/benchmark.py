"""benchmark: a decision's own fit and predict on public data, beside its naive baselines.

Files are recognised by their format, never by a data set's name. There is no second implementation of a
model for measuring: a benchmark is a reader of a format and a protocol.
"""

import importlib
import json
import resource
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from assets.predicting import SEED
from assets.registry import load_spec
from assets.resources import Emit
from weaver_forge import benchmarks
from weaver_forge.benchmarks import BenchmarkData, same_runs
from weaver_forge.errors import MissingInput, UsageError
from weaver_forge.settings import Settings

OTHERS = {
    "ingest": "ingest_benchmark",
    "ledger": "ledger_benchmark",
    "autonomy": "autonomy_benchmark",
    "replay": "replay_benchmark",
    "selection": "selection_benchmark",
    "impact": "impact_benchmark",
    "ranking": "ranking_benchmark",
    "insights": "insights_benchmark",
}
"""What is measured beside the decisions, and the verb, a function in a module of its name, that does."""

FORMATS = ("test_history", "jit", "series", "nab")
"""Modules of weaver_forge.benchmarks, a family of formats each."""

LARGEST_BYTES = 512 * 1024 * 1024
"""A larger single file is no benchmark set of these formats; reading it whole would only fill memory."""


def benchmark(settings: Settings, arguments: Mapping[str, Any], emit: Emit) -> int:
    """Measure ``{"name": decision, "data": folder}``; what the others take is in their own modules."""
    if not arguments.get("name"):
        names = ", ".join((*settings.decisions, *OTHERS))
        raise UsageError("benchmark needs to know what to measure", do=f"Name one of {names}")
    if arguments["name"] in OTHERS:
        verb = OTHERS[arguments["name"]]
        module = importlib.import_module(f"assets.verbs.{verb}")  # needs Dagster, which is slow to load
        return int(getattr(module, verb)(settings, arguments, emit))
    spec = load_spec(settings, str(arguments["name"]))
    if not arguments.get("data"):
        raise UsageError("benchmark needs data", do="Name a folder with --data DIR; see docs/benchmarks.md")
    folder = Path(str(arguments["data"]))
    try:
        module = importlib.import_module(f"{settings.decisions[spec.name]}.evaluation")
    except ModuleNotFoundError as error:
        raise UsageError(f"{spec.name} has no benchmark", do="Its package needs an evaluation module") from error
    began, cpu = time.perf_counter(), time.process_time()
    sets = [data for data in read_sets(folder) if data.decision == spec.name]
    if not sets:
        raise MissingInput(
            f"no file here has a format that measures {spec.name}", where=str(folder), do="See docs/benchmarks.md"
        )
    rows: list[dict[str, Any]] = []
    for number, data in enumerate(sets):
        emit({"event": "progress", "step": data.set, "done": number, "total": len(sets)})
        rows += module.benchmark(data, np.random.default_rng(SEED))
        for note in data.notes:
            emit({"event": "line", "text": f"{data.set}: {note}", "style": "dim"})
    project = same_runs.projects(sets)
    for name, first in project.items():
        if name != first:
            text = f"{name} holds runs of {first}: one project, counted once in means"
            emit({"event": "line", "text": text, "style": "dim"})
    rows += list(means(rows, project))
    emit({
        "event": "table",
        "title": f"{spec.name} on {folder}",
        "columns": ["set", "protocol", "metric", "value", "interval", "n", "baselines", "published"],
        "rows": [
            [
                row["set"], row["protocol"], row["metric"], row["value"], [row.get("low"), row.get("high")], row["n"],
                json.dumps({name: _short(value) for name, value in row["baselines"].items()}),
                json.dumps(row.get("published", {})),
            ]
            for row in rows
        ],
    })  # fmt: skip
    emit({
        "event": "result",
        "data": {
            "decision": spec.name,
            "seconds": round(time.perf_counter() - began, 2),
            "cpu_seconds": round(time.process_time() - cpu, 2),
            "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            "rows": rows,
        },
    })  # fmt: skip
    return 0


def read_sets(folder: Path) -> list[BenchmarkData]:
    """Every data set below a folder that some reader recognises.

    Raises:
        MissingInput: If there is no such folder.
    """
    files = read_files(folder)
    found: list[BenchmarkData] = []
    for name in FORMATS:
        found += importlib.import_module(f"{benchmarks.__name__}.{name}").read(files)
    return found


def read_files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder that is not too large: its path below it -> its bytes.

    Raises:
        MissingInput: If there is no such folder.
    """
    if not folder.is_dir():
        raise MissingInput("no such folder", where=str(folder), do="Name the folder that holds the data")
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.stat().st_size <= LARGEST_BYTES
    }


def means(rows: list[dict[str, Any]], project: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
    """One row a protocol and metric: the mean over projects, of each the mean over its sets; ``n`` counts projects.

    Args:
        rows: One a set, protocol and metric.
        project: Project of each set; a set that is not named is one of its own.
    """
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        if row["value"] is not None:
            groups.setdefault((row["protocol"], row["metric"]), []).append(row)
    for (protocol, metric), members in groups.items():
        if len(members) < 2:
            continue
        once = [(project or {}).get(member["set"], member["set"]) for member in members]
        names = set.intersection(*(set(member["baselines"]) for member in members))
        yield {
            "set": "*", "protocol": protocol, "metric": metric, "n": len(set(once)), "low": None, "high": None,
            "value": _mean([member["value"] for member in members], once),
            "baselines": {
                name: _mean([m["baselines"][name] for m in members], once)
                for name in sorted(names)
                if all(m["baselines"][name] is not None for m in members)
            },
            "published": {},
        }  # fmt: skip


def _mean(values: list[float], once: list[str]) -> float:
    """Mean over projects of the means over their sets."""
    parts: dict[str, list[float]] = {}
    for value, project in zip(values, once, strict=True):
        parts.setdefault(project, []).append(value)
    return float(np.mean([np.mean(part) for part in parts.values()]))


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
