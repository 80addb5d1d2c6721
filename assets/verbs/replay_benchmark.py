"""benchmark replay: how long a replay takes, by step, on a made-up history; each figure beside its bar."""

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import polars as pl

from assets.predicting import SEED
from assets.registry import load_spec
from assets.resources import Emit
from models.leaks import check_leaks
from models.learning import in_units
from models.replaying import Window, replay
from weaver_forge.benchmarks.verdict_corpus import verdict_history
from weaver_forge.contracts.decision import spec_as_data
from weaver_forge.contracts.tables.ci import CORE_CI_RUNS
from weaver_forge.hooks.rank_tests import parse_budget
from weaver_forge.hooks.replay.comparing import Named, compare
from weaver_forge.hooks.replay.deciding import Stage
from weaver_forge.policy import parse
from weaver_forge.settings import Settings

SIZES = ((50, 200), (200, 1_000))
"""Changes and tests."""

BAR_S = 60.0
"""Of the largest, on two idle cores."""

DECISION = "test_selection"
POLICIES = (
    "version: 1\ndecisions: {test_selection: {scope: development, skip_below: 0.01}}\n",
    (
        "version: 1\ncosts: {currency: EUR, escape: 500, ci_minute: 0.01}\n"
        "decisions: {test_selection: {scope: development, skip_below: from_costs}}\n"
    ),
)


def replay_benchmark(settings: Settings, _arguments: Mapping[str, Any], emit: Emit) -> int:
    """Replay histories of growing size: learning, the look for leaks, and two policies with a budget."""
    rows = []
    for n_changes, n_tests in SIZES:
        emit({"event": "progress", "step": f"{n_changes} changes x {n_tests} tests"})
        rows.append(measured(settings, n_changes, n_tests))
    largest = rows[-1]
    emit({
        "event": "table",
        "title": f"Replay of {DECISION}, seconds; the bar of {BAR_S:g} s is of two idle cores",
        "columns": list(largest),
        "rows": [list(row.values()) for row in rows],
    })  # fmt: skip
    emit({"event": "result", "data": {"bar_s": BAR_S, "rows": rows}})
    return 0


def measured(settings: Settings, n_changes: int, n_tests: int) -> dict[str, Any]:
    """Wall and CPU seconds of a replay of all changes, from core tables in memory to figures."""
    spec = load_spec(settings, DECISION)
    kind = spec.kinds[0]
    tables = verdict_history(n_changes, n_tests, seed=SEED)
    now = tables[CORE_CI_RUNS.name].select(pl.col("known_at").max()).item() + timedelta(hours=1)
    begun, cpu = time.perf_counter(), time.process_time()
    made = replay(kind, tables, Window(until=now, last=n_changes), now=now, seed=SEED)
    learnt = time.perf_counter()
    check_leaks(spec.name, kind, tables, made.rows)
    checked = time.perf_counter()
    stage = Stage(decision=spec.name, kind=spec_as_data(spec)["kinds"][0], action={"name": "skip_tests", "on": "low"})
    policies = [Named(f"policy {n}", parse(text, f"policy {n}")) for n, text in enumerate(POLICIES, 1)]
    units = in_units(kind, made.rows)
    compare(policies, stage, units.with_columns(cluster="unit"), {"25%": parse_budget("25%")})
    ended = time.perf_counter()
    return {
        "changes": n_changes,
        "tests": n_tests,
        "learning": round(learnt - begun, 2),
        "leaks": round(checked - learnt, 2),
        "policies": round(ended - checked, 2),
        "in all": round(ended - begun, 2),
        "CPU": round(time.process_time() - cpu, 2),
    }
