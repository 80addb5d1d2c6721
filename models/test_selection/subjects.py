"""Which tests on which revisions: the past ones to learn from, and those to order now."""

from datetime import datetime, timedelta

import polars as pl

from models.test_selection.branches import branch_of_revisions
from models.test_selection.known_tests import tests_without_results
from weaver_forge.contracts.decision import Tables

LIVE_DAYS = 14
LIVE_REVISIONS = 20
RECENT_RUNS = 30

_TICK = timedelta(microseconds=1)
_REVISION = ("repo_id", "revision")


def history(tables: Tables, as_of: datetime) -> pl.DataFrame:
    """Every test with a verdict on a revision, predicted when the first run of that revision began.

    Results of one run become known together at its end, so at its beginning none of them is. Where a source
    has no better time than the end, the prediction stands a microsecond before it. ``branch`` is that on which this
    run began: like the revision, it is known with the question.
    """
    verdicts = tables["core_ci__test_verdicts"].filter(pl.col("known_at") <= as_of)
    known = verdicts.group_by(_REVISION).agg(
        ended_at=pl.min_horizontal(pl.col("known_at").min(), pl.col("run_ended_at").min()) - _TICK
    )
    started = (
        tables["core_ci__runs"]
        .filter(pl.col("known_at") <= as_of, pl.col("revision").is_not_null())
        .group_by(_REVISION)
        .agg(started_at=pl.col("started_at").min())
    )
    when = known.join(started, on=_REVISION, how="left").select(
        *_REVISION, predicted_at=pl.min_horizontal("ended_at", "started_at")
    )
    tests = verdicts.filter(pl.col("verdict") != "skipped").select(*_REVISION, "test_id").unique()
    branches = branch_of_revisions(tables["core_ci__runs"].filter(pl.col("known_at") <= as_of))
    asked = when.join(branches, on=_REVISION, how="left")
    return tests.join(asked, on=_REVISION).sort("predicted_at", *_REVISION, "test_id")


def current(tables: Tables, as_of: datetime) -> pl.DataFrame:
    """The recent revisions that no run has finished on, times the tests that ran lately, or else the known ones.

    A waiting revision is predicted as of the moment it became known, as in history; results that reached us later
    stay unused. Where every recent revision has been tested, the newest one is ordered again, so that something is
    published: its outcome counts only if it is run once more. ``branch`` is that of a run that is known by then.
    """
    ran = recent_tests(tables, as_of)
    tests = pl.concat([ran, tests_without_results(tables, as_of, ran["repo_id"].unique())])
    runs = tables["core_ci__runs"].filter(pl.col("known_at") <= as_of, pl.col("revision").is_not_null())
    changes = tables["core_changes__changes"].filter(pl.col("known_at") <= as_of)
    ended = runs.filter(pl.col("ended_at") <= as_of).select(_REVISION)
    recent = changes.filter(pl.col("committed_at") > as_of - timedelta(days=LIVE_DAYS))
    waiting = _newest(recent.join(ended, on=_REVISION, how="anti"), "committed_at", LIVE_REVISIONS)
    seen = pl.concat(
        [
            changes.select(*_REVISION, at="committed_at"),
            runs.select(*_REVISION, at="started_at"),
        ]
    )
    newest = _newest(seen.join(waiting, on="repo_id", how="anti"), "at", 1)
    arrived = changes.select(*_REVISION, predicted_at="known_at")
    revisions = pl.concat(
        [
            waiting.select(_REVISION).join(arrived, on=_REVISION),
            newest.select(*_REVISION, predicted_at=pl.lit(as_of, pl.Datetime("us"))),
        ]
    ).unique(_REVISION, keep="first", maintain_order=True)
    asked = revisions.join(branch_of_revisions(runs), on=_REVISION, how="left")
    rows = asked.join(tests, on="repo_id").select(*_REVISION, "test_id", "predicted_at", "branch")
    return rows.sort(*_REVISION, "test_id")


def recent_tests(tables: Tables, as_of: datetime) -> pl.DataFrame:
    """Tests that ran in one of the newest runs of their repository: repo_id and test_id."""
    verdicts = tables["core_ci__test_verdicts"].filter(pl.col("known_at") <= as_of, pl.col("verdict") != "skipped")
    runs = verdicts.group_by("repo_id", "run_id").agg(at=pl.col("run_ended_at").max())
    recent = _newest(runs, "at", RECENT_RUNS)
    return verdicts.join(recent, on=("repo_id", "run_id"), how="semi").select("repo_id", "test_id").unique()


def _newest(frame: pl.DataFrame, at: str, n: int) -> pl.DataFrame:
    """The newest ``n`` rows of every repository, ties by the other columns so that row order plays no part."""
    name = "revision" if "revision" in frame.columns else "run_id"
    return (
        frame.select("repo_id", name, at)
        .group_by("repo_id", name)
        .agg(pl.col(at).max())
        .sort("repo_id", at, name, descending=[False, True, False])
        .group_by("repo_id", maintain_order=True)
        .head(n)
    )
