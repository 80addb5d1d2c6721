"""A made-up history of changes and test verdicts as core tables, of any size: what a replay's speed is measured on.

Put nothing here that a figure about a model could rest on: the failures are drawn, though not evenly.
"""

from datetime import datetime, timedelta

import numpy as np
import polars as pl

from weaver_forge.contracts.dtypes import schema, shaped
from weaver_forge.contracts.table import Table
from weaver_forge.contracts.tables.changes import CORE_CHANGES_CHANGES, CORE_CHANGES_FILES
from weaver_forge.contracts.tables.ci import CORE_CI_RUNS, CORE_CI_TEST_VERDICTS

REPO = "example.org/shop/web"
STARTS = datetime(2026, 1, 5, 8, 0)  # noqa: DTZ001 - instants are naive UTC inside
EVERY, LASTS = timedelta(minutes=30), timedelta(minutes=10)
FRAGILE, FLAKY, BROKEN = 0.02, 0.01, 0.15
"""Shares of tests that break often, of tests that are flaky, and of changes that break something."""

FILES = 40


def verdict_history(n_changes: int, n_tests: int, *, seed: int = 0) -> dict[str, pl.DataFrame]:
    """Core tables of ``n_changes`` changes, each with one run of all ``n_tests`` tests; name -> rows."""
    rng = np.random.default_rng(seed)
    order = pl.int_range(n_changes, eager=True)
    each = pl.DataFrame(
        {
            "number": order,
            "repo_id": [REPO] * n_changes,
            "revision": [f"{number:040x}" for number in range(1, n_changes + 1)],
            "run_id": [f"{number}" for number in range(n_changes)],
            "started_at": [STARTS + number * EVERY for number in range(n_changes)],
            "author": [f"dev{number % 7}@example.org" for number in range(n_changes)],
        }
    ).with_columns(ended_at=pl.col("started_at") + LASTS)
    path = pl.format("src/part_{}.py", pl.Series(rng.integers(0, FILES, n_changes)))
    return {
        CORE_CHANGES_CHANGES.name: _changes(each),
        CORE_CHANGES_FILES.name: _of(
            CORE_CHANGES_FILES,
            each.with_columns(path=path, n_added=10, n_deleted=2, committed_at="started_at", known_at="started_at"),
        ),
        CORE_CI_RUNS.name: _of(
            CORE_CI_RUNS,
            each.with_columns(
                run_attempt=1,
                workflow=pl.lit("ci"),
                conclusion=pl.lit("success"),
                link_method=pl.lit("provider"),
                known_at="ended_at",
            ),
        ),
        CORE_CI_TEST_VERDICTS.name: _verdicts(each, n_tests, rng),
    }


def _changes(each: pl.DataFrame) -> pl.DataFrame:
    return _of(
        CORE_CHANGES_CHANGES,
        each.with_columns(
            committed_at="started_at",
            subject=pl.lit("change"),
            is_fix=False,
            n_files=1,
            n_added=10,
            n_deleted=2,
            known_at="started_at",
        ),
    )


def _verdicts(each: pl.DataFrame, n_tests: int, rng: np.random.Generator) -> pl.DataFrame:
    n_changes = each.height
    fragile, flaky = (rng.random(n_tests) < share for share in (FRAGILE, FLAKY))
    is_broken = rng.random(n_changes) < BROKEN
    fails = is_broken[:, None] & (rng.random((n_changes, n_tests)) < np.where(fragile, 0.4, 0.002))
    shakes = flaky & (rng.random((n_changes, n_tests)) < 0.1)
    verdict = np.where(shakes, "flaky", np.where(fails, "failed", "passed"))
    tests = pl.DataFrame(
        {
            "test_id": [f"tests/test_part_{number % FILES}.py::TestPart::test_{number}" for number in range(n_tests)],
            "file": [f"tests/test_part_{number % FILES}.py" for number in range(n_tests)],
            "typical_ms": rng.lognormal(5.0, 1.0, n_tests),
        }
    )
    rows = each.join(tests, how="cross", maintain_order="left_right").with_columns(
        verdict=pl.Series(verdict.ravel()),
        duration_ms=pl.col("typical_ms") * pl.Series(rng.lognormal(0.0, 0.1, n_changes * n_tests)),
        n_attempts=1,
        run_ended_at="ended_at",
        known_at="ended_at",
    )
    return _of(CORE_CI_TEST_VERDICTS, rows)


def _of(table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    absent = [pl.lit(None, kind).alias(name) for name, kind in schema(table).items() if name not in rows.columns]
    return shaped(table, rows.with_columns(absent))
