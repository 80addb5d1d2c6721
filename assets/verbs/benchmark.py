"""benchmark: a decision's own fit and predict on public data, beside its naive baselines.

Files are recognised by their format, never by a data set's name. There is no second implementation of a
model for measuring: a benchmark is a reader of a format and a protocol.
"""

import importlib
import json
import os
import resource
import time
import traceback
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from assets.predicting import SEED
from assets.registry import load_spec
from assets.resources import Emit
from weaver_forge import benchmarks
from weaver_forge.benchmarks import BenchmarkData, same_runs
from weaver_forge.errors import MissingInput, SourceError, UsageError, WeaverForgeError
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

FORMATS = {"test_history": "test_selection", "jit": "deploy_risk", "series": "load_forecast", "nab": "anomaly"}
"""Modules of weaver_forge.benchmarks, a family of formats each, and the decision that they measure."""


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
    problems: list[WeaverForgeError] = []
    sets = read_sets(folder, spec.name, problems)
    tell(problems, emit)
    if not sets:
        what = "no file here can be read" if problems else "no file here has a format"
        raise MissingInput(f"{what} that measures {spec.name}", where=str(folder), do="See docs/benchmarks.md")
    rows: list[dict[str, Any]] = []
    for number, data in enumerate(sets):
        emit({"event": "progress", "step": data.set, "done": number, "total": len(sets)})
        tell_notes(data, emit)
        with going_on(data.set, problems, emit):
            rows += [{"published": {}, **row} for row in module.benchmark(data, np.random.default_rng(SEED))]
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
            **said_of(sets, problems),
        },
    })  # fmt: skip
    return exit_code(problems)


def tell(problems: Iterable[WeaverForgeError], emit: Emit) -> None:
    """Report what could not be measured, each with where it is and what to do."""
    for each in problems:
        emit({
            "event": "error", "what": each.what, "where": each.where, "do": each.do, "exit_code": each.exit_code,
        })  # fmt: skip


def tell_notes(data: BenchmarkData, emit: Emit) -> None:
    """Report what a reader of a set's numbers should know."""
    for note in data.notes:
        emit({"event": "line", "text": f"{data.set}: {note}", "style": "dim"})


def said_of(sets: Iterable[BenchmarkData], problems: Iterable[WeaverForgeError]) -> dict[str, Any]:
    """The same for a result as JSON: notes by set, and what could not be measured."""
    return {
        "notes": {data.set: list(data.notes) for data in sets if data.notes},
        "problems": [str(problem) for problem in problems],
    }


def exit_code(problems: Iterable[WeaverForgeError]) -> int:
    """0 where everything was measured, else the worst of what broke: the rest was measured all the same."""
    return max((problem.exit_code for problem in problems), default=0)


@contextmanager
def going_on(name: str, problems: list[WeaverForgeError], emit: Emit) -> Generator[None]:
    """Measure one set of several: what breaks is told and kept in the problems, and the next set is measured."""
    try:
        yield
    except WeaverForgeError as problem:
        problem.where = f"{name}: {problem.where}" if problem.where else name
        problems.append(problem)
        tell([problem], emit)
    except Exception as error:  # noqa: BLE001 - told with the exit code of a bug; the other sets are still measured
        traceback.print_exc()
        do = "This is a bug: please report it with the lines above"
        problems.append(WeaverForgeError(f"{type(error).__name__}: {error}", where=name, do=do))
        tell(problems[-1:], emit)


def read_sets(folder: Path, decision: str = "", problems: list[WeaverForgeError] | None = None) -> list[BenchmarkData]:
    """Every data set below a folder that some reader recognises.

    Args:
        folder: Files may stand in folders below it.
        decision: Only what measures this one; by default all.
        problems: Where a file that has a format and cannot be measured is told.

    Raises:
        MissingInput: If there is no such folder.
        SourceError: For the first file that cannot be measured, where nobody is told.
    """
    files = read_files(folder, problems)
    found: list[BenchmarkData] = []
    for name, measured in FORMATS.items():
        if decision in {"", measured}:
            reader = importlib.import_module(f"{benchmarks.__name__}.{name}")
            found += reader.read(files, problems)
    return [data for data in found if decision in {"", data.decision}]


LARGEST_BYTES = 2 * 1024 * 1024 * 1024
"""A larger single file is no benchmark set of these formats; reading it whole would only fill memory."""


class Files(Mapping[str, bytes]):
    """Files, each read when it is asked for: a large tree at once would only fill memory.

    Args:
        paths: Name, as readers see it, -> where it lies.
    """

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._paths = paths
        self._held: tuple[str, bytes] = ("", b"")

    def __getitem__(self, name: str) -> bytes:
        """The bytes of a file; the newest answer is held, as readers look at a file several times."""
        if self._held[0] != name:
            self._held = (name, self._paths[name].read_bytes())
        return self._held[1]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._paths)

    def __len__(self) -> int:
        """Count the files."""
        return len(self._paths)


def read_files(folder: Path, problems: list[WeaverForgeError] | None = None) -> Mapping[str, bytes]:
    """Every file below a folder that can be read and is not too large: its path below it -> its bytes.

    Args:
        folder: Files may stand in folders below it.
        problems: Where the others are told.

    Raises:
        MissingInput: If there is no such folder.
        SourceError: For the first of the others, where nobody is told.
    """
    if not folder.is_dir():
        raise MissingInput("no such folder", where=str(folder), do="Name the folder that holds the data")
    paths: dict[str, Path] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        why = "is larger than 2 GB" if path.stat().st_size > LARGEST_BYTES else ""
        why = why or ("" if os.access(path, os.R_OK) else "may not be read")
        if not why:
            paths[path.relative_to(folder).as_posix()] = path
        elif problems is None:
            raise SourceError(f"the file {why}", where=str(path), do="Move it elsewhere")
        else:
            problems.append(SourceError(f"the file {why} and was left out", where=str(path), do="Move it elsewhere"))
    return Files(paths)


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
