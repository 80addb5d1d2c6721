"""Which changes, and whether they introduced a bug: blamed by a later fix, or named by an incident's review.

Put subjects and labels of changes here; deployments have a module of their own.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import polars as pl

from weaver_forge.contracts.decision import Tables

LIVE_DAYS = 30
LIVE_CHANGES = 200

_CHANGE = ("repo_id", "revision")


def history(tables: Tables, as_of: datetime) -> pl.DataFrame:
    """Every change known by then, predicted when it became known."""
    changes = tables["core_changes__changes"].filter(pl.col("known_at") <= as_of)
    return changes.select(*_CHANGE, predicted_at="known_at").sort("predicted_at", *_CHANGE)


def current(maturity: timedelta) -> Callable[[Tables, datetime], pl.DataFrame]:
    """The newest changes whose label is still open."""

    def subjects(tables: Tables, as_of: datetime) -> pl.DataFrame:
        recent = history(tables, as_of).filter(pl.col("predicted_at") > as_of - timedelta(days=LIVE_DAYS))
        state = labels(maturity)(tables, recent, as_of)
        pending = state.filter(pl.col("maturity") == "pending").select(*_CHANGE, "predicted_at")
        return pending.sort("predicted_at", *_CHANGE).tail(LIVE_CHANGES)

    return subjects


def labels(maturity: timedelta) -> Callable[[Tables, pl.DataFrame, datetime], pl.DataFrame]:
    """Outcome of changes: 1 when blamed by then, 0 when ``maturity`` has passed without, else pending."""

    def of(tables: Tables, subjects: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
        rows = subjects.select(*_CHANGE, "predicted_at").with_row_index("subject")
        blamed = (
            tables["core_changes__blames"]
            .filter(pl.col("known_at") <= as_of)
            .group_by(_CHANGE)
            .agg(blamed_at=pl.col("known_at").min(), method=pl.col("method").sort_by("known_at", "method").first())
        )
        effort = tables["core_changes__changes"].select(*_CHANGE, cost=pl.col("n_added") + pl.col("n_deleted") + 1.0)
        joined = (
            rows.join(blamed, on=_CHANGE, how="left")
            .join(_incidents(tables, rows, as_of), on="subject", how="left")
            .join(effort, on=_CHANGE, how="left")
            .sort("subject")
        )
        bad_at = pl.min_horizontal("blamed_at", "incident_at")
        due = pl.col("predicted_at") + maturity
        cleared = due <= as_of
        by_blame = pl.col("blamed_at") == bad_at
        return joined.select(
            *_CHANGE,
            "predicted_at",
            outcome=pl.when(bad_at.is_not_null()).then(1.0).when(cleared).then(0.0),
            maturity=pl.when(bad_at.is_not_null() | cleared).then(pl.lit("mature")).otherwise(pl.lit("pending")),
            outcome_known_at=pl.coalesce(bad_at, pl.when(cleared).then(due)),
            link_method=pl.when(bad_at.is_null())
            .then(pl.lit("no blame"))
            .when(by_blame)
            .then(pl.col("method"))
            .otherwise(pl.lit("incident:cause_revision")),
            link_confidence=pl.when(bad_at.is_null()).then(0.7).when(by_blame).then(0.7).otherwise(0.95),
            cost="cost",
        )

    return of


def _incidents(tables: Tables, rows: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """Earliest incident by then whose review names the revision; its repository must agree where it is given."""
    named = tables["core_incidents__incidents"].filter(
        pl.col("known_at") <= as_of, pl.col("cause_revision").is_not_null()
    )
    return (
        rows.join(named.select("cause_repo_id", "known_at", revision="cause_revision"), on="revision")
        .filter(pl.col("cause_repo_id").is_null() | (pl.col("cause_repo_id") == pl.col("repo_id")))
        .group_by("subject")
        .agg(incident_at=pl.col("known_at").min())
    )
