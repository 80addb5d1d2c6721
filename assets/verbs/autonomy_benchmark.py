"""benchmark autonomy: real test histories as a stream of decisions; when autonomy is refused, given and withdrawn."""

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from assets.measuring.decision_stream import (
    DECISION,
    Change,
    Lived,
    Segment,
    decided_per,
    live,
    predicted,
    record,
    spliced,
)
from assets.predicting import SEED
from assets.resources import Emit
from assets.verbs.benchmark import read_sets
from weaver_forge.errors import MissingInput, UsageError
from weaver_forge.ledger import Ledger
from weaver_forge.policy import parse
from weaver_forge.settings import Settings

POLICY = """\
version: 1
decisions:
  test_selection:
    scope: development
    ceiling: autonomous
    max_age_hours: 87600
    skip_below: 0.01
"""
"""What the stream is decided under; everything that is not said is the product's default."""

BARS = {"run": "", "test": "    actions: {skip_tests: {bar: 0.95}}\n"}
"""A run is decided under the product's bar of 0.99. Of single tests the bar asks for the share that came out right, in
runs that are as many trials: 0.95 is within the reach of histories of some hundred runs."""


UNITS: tuple[Literal["run", "test"], ...] = ("run", "test")
"""What one decision covers: all tests of a run, as in the product; or each test for itself."""


def autonomy_benchmark(_settings: Settings, arguments: Mapping[str, Any], emit: Emit) -> int:
    """Live through ``{"data": folder}``: every history of test results below it, the quietest first."""
    if not arguments.get("data"):
        raise UsageError("benchmark autonomy needs data", do="Name a folder of test histories with --data DIR")
    folder = Path(str(arguments["data"]))
    sets = read_sets(folder, DECISION)
    if not sets:
        raise MissingInput(
            "no file here has a format of test histories", where=str(folder), do="See docs/benchmarks.md"
        )
    began, parts = time.perf_counter(), []
    for number, data in enumerate(sets):
        emit({"event": "progress", "step": f"predicting {data.set}", "done": number, "total": len(sets)})
        parts.append(predicted(data, np.random.default_rng(SEED)))
    # The quietest first: each history that follows fails more often than the ones that earned the level.
    stream = spliced(sorted(parts, key=lambda part: (float(part["outcome"].mean() or 0.0), part["set"][0])))  # type: ignore[arg-type] # a mean of numbers
    n_units = stream.select("set", "revision").n_unique()

    def tell(number: int) -> None:
        if number % 50 == 0:
            emit({"event": "progress", "step": "living through it", "done": number, "total": n_units})

    found = []
    for unit in UNITS:
        lived, is_whole = _lived(stream, unit, tell)
        _show(lived, unit, emit)
        found.append({
            "decided_per": unit, "ledger_is_whole": is_whole,
            "segments": [asdict(segment) for segment in lived.segments],
            "changes": [_as_data(change) for change in lived.changes],
        })  # fmt: skip
    seconds = round(time.perf_counter() - began, 1)
    answer = {"n_decisions": stream.height, "n_runs": n_units, "seconds": seconds, "streams": found}
    emit({"event": "result", "data": answer})
    return 0


def _lived(stream: pl.DataFrame, unit: Literal["run", "test"], tell: Callable[[int], None]) -> tuple[Lived, bool]:
    """The stream in a ledger of its own, and whether that is whole at the end."""
    kind, policy = decided_per(unit), parse(POLICY + BARS[unit], "the benchmark's policy")
    with (
        tempfile.TemporaryDirectory(prefix="weaver-forge-benchmark-") as place,
        Ledger.open(f"sqlite:///{Path(place) / 'ledger.sqlite'}") as ledger,
    ):
        record(ledger, stream, kind)
        return live(ledger, stream, kind, policy, tell), ledger.verify().ok


def _show(lived: Lived, unit: str, emit: Emit) -> None:
    columns = list(asdict(Segment("")))
    rows = [list(asdict(segment).values()) for segment in lived.segments]
    emit(
        {
            "event": "table",
            "title": f"Decided a {unit} at a time: what was decided, a history a row",
            "columns": columns,
            "rows": rows,
        }
    )
    emit({
        "event": "table",
        "title": f"Decided a {unit} at a time: what was given and taken back",
        "columns": ["history", "decision", "trials", "wrong since", "from", "to", "cause", "why"],
        "rows": [
            [
                c.set, c.n_decisions, c.n_trials, c.n_wrong, c.before, c.standing.level, c.standing.cause,
                c.standing.reason,
            ]
            for c in lived.changes
        ],
    })  # fmt: skip


def _as_data(change: Change) -> dict[str, Any]:
    return {
        "set": change.set, "at": change.at, "n_decisions": change.n_decisions, "n_trials": change.n_trials,
        "n_wrong": change.n_wrong, "before": change.before, "level": change.standing.level,
        "cause": change.standing.cause, "reason": change.standing.reason, "bound": change.standing.bound,
    }  # fmt: skip
