"""What became of a test on a revision: a real failure, or not, or flaky, or never run.

Put here how outcomes are linked and when they are mature. A verdict counts for a prediction only if it became
known after it: nothing can be predicted that is already known.
"""

from datetime import datetime, timedelta

import polars as pl

from weaver_forge.contracts.decision import FLAKY, Tables

RESOLVE_AFTER = timedelta(days=7)

QUARANTINED = "quarantined"
"""What stands for a failure that counts for nothing."""

_BY = ("repo_id", "revision", "test_id")


def labels(tables: Tables, subjects: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """Outcome and maturity of each (repo, revision, test) as known at ``as_of``.

    Failed in some run of the revision and never passed there = 1. Failed and passed on the same revision, or
    flaky within a run, or failed while in quarantine = 0: nobody knows that the change broke it. Cost is the mean
    duration in milliseconds.
    """
    verdicts = tables["core_ci__test_verdicts"].filter(pl.col("known_at") <= as_of, pl.col("verdict") != "skipped")
    rows = subjects.select(*_BY, "predicted_at").with_row_index("subject")
    verdicts = _without_quarantined(verdicts, tables, as_of)
    later = rows.join(verdicts.select(*_BY, "verdict", "duration_ms", "known_at"), on=_BY).filter(
        pl.col("known_at") > pl.col("predicted_at")
    )
    failed, agreed = pl.col("verdict") == "failed", pl.col("verdict") == "passed"
    seen = later.group_by("subject").agg(
        failed_at=pl.col("known_at").filter(failed).min(),
        passed_at=pl.col("known_at").filter(agreed).min(),
        flaky_at=pl.col("known_at").filter(pl.col("verdict").is_in(["flaky", QUARANTINED])).min(),
        is_quarantined=(pl.col("verdict") == QUARANTINED).any(),
        cost=pl.col("duration_ms").mean(),
    )
    cleared_at = pl.min_horizontal("flaky_at", pl.max_horizontal("failed_at", "passed_at"))
    disagreed = pl.col("flaky_at").is_not_null() | (
        pl.col("failed_at").is_not_null() & pl.col("passed_at").is_not_null()
    )
    judged = rows.join(seen, on="subject", how="left").sort("subject")
    ran = pl.any_horizontal(pl.col("failed_at", "passed_at", "flaky_at").is_not_null())
    expired = pl.col("predicted_at") + RESOLVE_AFTER <= as_of
    real = pl.col("failed_at").is_not_null() & ~disagreed
    return judged.select(
        *_BY,
        "predicted_at",
        outcome=pl.when(ran).then(real.cast(pl.Float64)),
        maturity=pl.when(ran)
        .then(pl.lit("mature"))
        .when(expired)
        .then(pl.lit("unresolvable"))
        .otherwise(pl.lit("pending")),
        outcome_known_at=pl.when(disagreed).then(cleared_at).otherwise(pl.min_horizontal("failed_at", "passed_at")),
        link_method=pl.when("is_quarantined")
        .then(pl.lit(f"revision:failed in quarantine, {FLAKY}"))
        .when(disagreed)
        .then(pl.lit(f"revision:both outcomes, {FLAKY}"))
        .when(ran)
        .then(pl.lit("revision:verdict"))
        .otherwise(pl.lit("revision:not run")),
        link_confidence=pl.when(disagreed).then(0.8).otherwise(1.0),
        cost="cost",
    )


def _without_quarantined(verdicts: pl.DataFrame, tables: Tables, as_of: datetime) -> pl.DataFrame:
    """The verdicts, where a failure of a test that was in quarantine at that time is :data:`QUARANTINED`."""
    table = tables.get("core_ci__quarantines")
    if table is None or table.is_empty():
        return verdicts
    by = ["repo_id", "test_id"]
    said = table.filter(pl.col("known_at") <= as_of).select(*by, "known_at", "state", "expires_at")
    failed = verdicts.filter(pl.col("verdict") == "failed").join(said.select(by).unique(), on=by, how="semi")
    # The newest word on a test up to the time of its result; a result is judged by what held then, for ever.
    inside = (
        failed.sort("known_at")
        .join_asof(said.sort("known_at"), on="known_at", by=by, check_sortedness=False)
        .filter(pl.col("state") == "in", pl.col("expires_at") > pl.col("known_at"))
        .select("repo_id", "run_id", "test_id", "known_at", is_inside=pl.lit(value=True))
    )
    marked = verdicts.join(inside, on=["repo_id", "run_id", "test_id", "known_at"], how="left", maintain_order="left")
    verdict = pl.when(pl.col("is_inside").fill_null(value=False)).then(pl.lit(QUARANTINED)).otherwise("verdict")
    return marked.with_columns(verdict.alias("verdict")).drop("is_inside")
