"""What is kept of all results, so that the features of a question about now do not read them again.

Put here the kept tables, how they are made and when they hold. What a column says stands where the same is worked out
of the whole history: ``verdict_history`` and ``recency``. A kept state is the last row of what a training would see,
so that both say the same; it holds for a prediction from the newest result in it on, until the next one it lacks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self

import polars as pl

from models.test_selection.branches import ON_BRANCH, TEST, branch_of_revisions, kept_branches, line
from models.test_selection.known_tests import newest_of_links, tests_without_results
from models.test_selection.recency import REPOSITORY_STATE, TEST_STATE, kept_rates, rates_of_kept
from models.test_selection.subjects import recent_tests
from models.test_selection.verdict_history import (
    GROUP,
    executed,
    finished,
    group_of,
    group_states,
    run_states,
    test_states,
)
from weaver_forge.contracts.decision import Tables
from weaver_forge.contracts.dtypes import shaped
from weaver_forge.contracts.keeping import Keeping
from weaver_forge.contracts.table import Column, Table
from weaver_forge.contracts.tables.changes import KNOWN_AT, REPO_ID, REVISION

_TEST_ID = Column("test_id", "VARCHAR", "Test identity as in core_ci__test_verdicts.")
_STATE = (
    "at_run", "n_runs", "n_failures", "n_flaky", "n_failures_last_10", "runs_since_failure", "transition_ratio",
    "expected_duration_ms", "duration_spread",
)  # fmt: skip
_RUN_STATE = ("n_repo_runs", "repo_failure_rate", "last_run_failed_ratio", "repo_duration_ms")
_VERDICTS = "core_ci__test_verdicts"

TESTS = Table(
    layer="feat",
    source="test_selection",
    entity="kept_tests",
    grain="test, as all its results left it",
    columns=(
        REPO_ID,
        _TEST_ID,
        Column("file", "VARCHAR", "Its file; null when no report names it.", nullable=True),
        Column("first_known_at", "TIMESTAMP", "When its first result became known, UTC."),
        Column("last_known_at", "TIMESTAMP", "The same of its last."),
        Column("is_recent", "BOOLEAN", "It ran in one of the newest runs: one of the tests that are ranked."),
        *(Column(name, "DOUBLE", "As the feature, after its last result.", nullable=True) for name in _STATE),
        *(Column(name, "DOUBLE", "What its moving averages go on from.") for name in TEST_STATE),
    ),
    key=TEST,
)
GROUPS = Table(
    layer="feat",
    source="test_selection",
    entity="kept_groups",
    grain="class or package of tests, as all its results left it",
    columns=(
        REPO_ID,
        Column("group", "VARCHAR", "Name of the class or package."),
        Column("group_failure_rate", "DOUBLE", "As the feature, after its last result."),
    ),
    key=GROUP,
)
REPOSITORIES = Table(
    layer="feat",
    source="test_selection",
    entity="kept_repositories",
    grain="repository with results, as they left it, and when that holds",
    columns=(
        REPO_ID,
        Column("newest_known_at", "TIMESTAMP", "Newest result that is in it, UTC; null: none is.", nullable=True),
        Column("next_known_at", "TIMESTAMP", "First result that is not in it, UTC; null: all are.", nullable=True),
        *(Column(name, "DOUBLE", "As the feature, after its last run.", nullable=True) for name in _RUN_STATE),
        *(Column(name, "DOUBLE", "What its moving averages go on from.", nullable=True) for name in REPOSITORY_STATE),
    ),
    key=("repo_id",),
)
FAILURES = Table(
    layer="feat",
    source="test_selection",
    entity="kept_failures",
    grain="failure of a test in a run; or a tested revision without one, as a row without a test",
    columns=(
        REPO_ID,
        REVISION,
        Column("run_id", "VARCHAR", "Run that failed; empty in a row without a test."),
        Column("test_id", "VARCHAR", "Test that failed; empty where none did."),
        Column("verdict", "VARCHAR", "failed; passed in a row without a test."),
        KNOWN_AT,
    ),
    key=("repo_id", "revision", "run_id", "test_id", "known_at"),
)
BRANCHES = Table(
    layer="feat",
    source="test_selection",
    entity="kept_branches",
    grain="test that did otherwise on a branch than everywhere, as all its results left it",
    columns=(
        REPO_ID,
        _TEST_ID,
        Column("branch", "VARCHAR", "Branch, as runs tell it."),
        Column("branch_difference", "DOUBLE", "What the branch adds to ewma_80."),
    ),
    key=ON_BRANCH,
)
TABLES = (TESTS, GROUPS, REPOSITORIES, FAILURES, BRANCHES)


def keep(tables: Tables, as_of: datetime) -> dict[str, pl.DataFrame]:
    """The kept tables after all results known at ``as_of``, by name."""
    verdicts = tables[_VERDICTS]
    known = verdicts.filter(pl.col("known_at") <= as_of)
    ran = executed(known)
    runs = run_states(ran)
    rates, totals = kept_rates(ran)
    recent = recent_tests(tables, as_of).with_columns(is_recent=True)
    tests = (
        _last(test_states(ran, runs), TEST)
        .join(recent, on=TEST, how="left")
        .with_columns(pl.col("is_recent").fill_null(value=False))
        .join(rates, on=TEST)
    )
    when = verdicts.group_by("repo_id").agg(
        newest_known_at=pl.col("known_at").filter(pl.col("known_at") <= as_of).max(),
        next_known_at=pl.col("known_at").filter(pl.col("known_at") > as_of).min(),
    )
    repositories = when.join(_last(runs, ("repo_id",)), on="repo_id", how="left").join(totals, on="repo_id", how="left")
    made = {
        TESTS: tests.sort("repo_id", "place"),
        GROUPS: _last(group_states(ran), GROUP).sort(GROUP),
        REPOSITORIES: repositories.sort("repo_id"),
        FAILURES: failures(known),
        BRANCHES: kept_branches(ran, tables["core_ci__runs"]),
    }
    return {table.name: shaped(table, frame) for table, frame in made.items()}


def failures(verdicts: pl.DataFrame) -> pl.DataFrame:
    """What the matching of changes reads of verdicts: failures, and the revisions and times without one.

    Has the columns of :data:`FAILURES`, and can stand for all verdicts in ``change_match``.
    """
    columns = FAILURES.column_names
    failed = verdicts.filter(pl.col("verdict") == "failed").select(columns)
    moment = ("repo_id", "revision", "known_at")
    calm = verdicts.select(moment).unique().join(failed, on=moment, how="anti")
    rows = calm.with_columns(run_id=pl.lit(""), test_id=pl.lit(""), verdict=pl.lit("passed")).select(columns)
    return pl.concat([failed, rows]).sort("known_at", *FAILURES.key[:-1])


@dataclass(frozen=True, slots=True)
class Kept:
    """The kept tables as they were found."""

    tests: pl.DataFrame
    groups: pl.DataFrame
    repositories: pl.DataFrame
    failures: pl.DataFrame
    branches: pl.DataFrame

    @classmethod
    def found(cls, tables: Tables) -> Self | None:
        """What was kept; None where these tables have nothing of the kind."""
        frames = [tables[table.name] for table in TABLES if table.name in tables]
        return cls(*frames) if len(frames) == len(TABLES) else None

    def holds(self, subjects: pl.DataFrame) -> bool:
        """Whether all that was known at each prediction, and nothing else, is in what was kept."""
        at = subjects.select("repo_id", "predicted_at").unique().join(self.repositories, on="repo_id", how="left")
        late = pl.col("predicted_at") >= pl.col("newest_known_at")
        early = pl.col("predicted_at") < pl.col("next_known_at")
        return bool(at.select((late.fill_null(value=True) & early.fill_null(value=True)).all()).item())

    def history_features(self, subjects: pl.DataFrame) -> pl.DataFrame:
        """As :func:`models.test_selection.verdict_history.history_features`, for subjects for which it holds."""
        runs = self.repositories.select("repo_id", *_RUN_STATE)
        joined = (
            subjects.join(self.tests.drop(TEST_STATE), on=TEST, how="left", maintain_order="left")
            .join(runs, on="repo_id", how="left", maintain_order="left")
            .with_columns(group=group_of(pl.col("test_id")))
            .join(self.groups, on=GROUP, how="left", maintain_order="left")
            .join(self.branches, on=ON_BRANCH, how="left", maintain_order="left")
            .with_columns(pl.col("branch_difference").fill_null(0.0))
        )
        return finished(joined, rates_of_kept(subjects, self.tests, self.repositories))


def ask(tables: Tables, unit: Mapping[str, str], as_of: datetime) -> pl.DataFrame:
    """The tests that ran lately, on the asked revision, predicted as of the newest that is known of its repository.

    Where none ever ran, they are those that coverage or the tree of files knows.

    Unlike a published prediction, which is made for the moment at which its revision became known, the answer to a
    question uses what was known when it was asked, as a run that begins would find it.

    Args:
        tables: Core tables and, where there are any, the kept ones.
        unit: ``revision``, ``repo_id`` where it is known, and the ``branch`` of the run that is to begin, where it is
            told: else that of a run of the revision.
        as_of: Now.
    """
    wanted = [pl.col(name) == value for name, value in unit.items() if name != "branch"]
    named = ("repo_id", "revision", "known_at")
    seen = pl.concat([tables[name].select(named) for name in ("core_changes__changes", "core_ci__runs")])
    arrived = (
        seen.filter(*wanted, pl.col("known_at") <= as_of).group_by("repo_id", "revision").agg(pl.col("known_at").max())
    )
    kept = Kept.found(tables)
    if kept is not None and kept.holds(arrived.select("repo_id", predicted_at=pl.lit(as_of, pl.Datetime("us")))):
        tests = kept.tests.filter("is_recent")
        newest = kept.repositories.select("repo_id", "newest_known_at")
    else:
        tests = recent_tests(tables, as_of)
        known = tables[_VERDICTS].filter(pl.col("known_at") <= as_of)
        newest = known.group_by("repo_id").agg(newest_known_at=pl.col("known_at").max())
    having = newest.drop_nulls("newest_known_at")["repo_id"]
    tests = pl.concat([tests.select(TEST), tests_without_results(tables, as_of, having)])
    links = newest_of_links(tables, as_of)
    asked = (
        arrived.join(newest, on="repo_id", how="left")
        .join(links, on="repo_id", how="left")
        .select("repo_id", "revision", predicted_at=pl.max_horizontal("known_at", "newest_known_at", "links_known_at"))
    )
    ran_on = branch_of_revisions(tables["core_ci__runs"].filter(*wanted, pl.col("known_at") <= as_of))
    branch = pl.coalesce(line(pl.lit(unit.get("branch") or None, pl.String)), "branch")
    rows = asked.join(ran_on, on=("repo_id", "revision"), how="left").join(tests, on="repo_id")
    asked_of = rows.select("repo_id", "revision", "test_id", "predicted_at", branch=branch)
    return asked_of.sort("repo_id", "revision", "test_id")


def _last(states: pl.DataFrame, by: tuple[str, ...]) -> pl.DataFrame:
    """The newest state of each; of equal times the last row, as everywhere."""
    return states.drop("known_at", "run_id", strict=False).group_by(by, maintain_order=True).last()


KEEPING = Keeping(tables=TABLES, keep=keep, ask=ask)
