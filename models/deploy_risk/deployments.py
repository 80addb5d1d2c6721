"""Deployments: which ones, whether they hurt, and what they carry.

Put what only deployments need here. A deployment is predicted when it becomes known: at its start, or when its
record reached us. The commits it carries are those that became known since the previous deployment of the same
service and environment.
"""

from datetime import datetime, timedelta

import polars as pl

from weaver_forge.contracts.decision import Tables
from weaver_forge.contracts.table import Column

MATURITY = timedelta(hours=24)
_KEY = ("service_key", "environment", "version")
_PLACE = ("service_key", "environment")

FEATURES: tuple[Column, ...] = (
    Column("n_changes", "DOUBLE", "Changes since the previous deployment; null without a repository.", nullable=True),
    Column("lines_added", "DOUBLE", "Lines added by them; null as above.", nullable=True),
    Column("lines_deleted", "DOUBLE", "Lines deleted by them; null as above.", nullable=True),
    Column("largest_change_lines", "DOUBLE", "Lines of the largest; null without any.", nullable=True),
    Column("mean_change_lines", "DOUBLE", "Mean lines; null without any.", nullable=True),
    Column("n_fixes", "DOUBLE", "Fixes among them; null as above.", nullable=True),
    Column("n_authors", "DOUBLE", "Their authors; null as above.", nullable=True),
    Column("least_author_changes", "DOUBLE", "Earlier changes of the least experienced author.", nullable=True),
    Column("hours_since_deployment", "DOUBLE", "Since the previous deployment; null for the first.", nullable=True),
    Column("n_deployments", "DOUBLE", "Earlier deployments of the service to the environment."),
    Column("bad_deployment_ratio", "DOUBLE", "Share of them known to be rolled back, smoothed."),
    Column("n_incidents_last_7_days", "DOUBLE", "Incidents of the service known in the seven days before."),
    Column(
        "telemetry_score",
        "DOUBLE",
        "How well the service's telemetry keeps to the conventions, newest day known (0-1); null when not known.",
        nullable=True,
    ),
    Column("hour", "DOUBLE", "Hour of the start, UTC."),
    Column("weekday", "DOUBLE", "Day of the week, 1 = Monday."),
)


def history(tables: Tables, as_of: datetime) -> pl.DataFrame:
    """Every deployment known by then."""
    rows = _deployments(tables).filter(pl.col("known_at") <= as_of)
    return rows.select(*_KEY, "predicted_at").unique().sort("predicted_at", *_KEY)


def current(tables: Tables, as_of: datetime) -> pl.DataFrame:
    """Deployments that started in the last 24 hours."""
    rows = _deployments(tables).filter(pl.col("known_at") <= as_of, pl.col("started_at") <= as_of)
    recent = rows.filter(pl.col("started_at") > as_of - MATURITY)
    return recent.select(*_KEY, "predicted_at").unique().sort("predicted_at", *_KEY)


def labels(tables: Tables, subjects: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """1 when rolled back, or an incident of the service began, within 24 hours after the start."""
    rows = subjects.select(*_KEY, "predicted_at").with_row_index("subject")
    started = _deployments(tables).select(*_KEY, "predicted_at", "started_at", "rolled_back_at")
    # Two records of one deployment at one instant are one subject.
    started = started.group_by(*_KEY, "predicted_at").agg(pl.col("started_at", "rolled_back_at").min())
    joined = rows.join(started, on=(*_KEY, "predicted_at"), how="left")
    within = pl.col("started_at") + MATURITY
    back = pl.col("rolled_back_at")
    back = pl.when((back <= as_of) & (back <= within)).then(back)
    hurt = (
        joined.join(
            tables["core_incidents__incidents"]
            .filter(pl.col("known_at") <= as_of)
            .select("service_key", "known_at", incident_started_at="started_at"),
            on="service_key",
        )
        .filter(pl.col("incident_started_at").is_between(pl.col("started_at"), within))
        .group_by("subject")
        .agg(incident_at=pl.col("known_at").min())
    )
    judged = joined.with_columns(back_at=back).join(hurt, on="subject", how="left").sort("subject")
    bad_at = pl.min_horizontal("back_at", "incident_at")
    passed = within <= as_of
    known = bad_at.is_not_null() | passed.fill_null(False)
    return judged.select(
        *_KEY,
        "predicted_at",
        outcome=pl.when(bad_at.is_not_null()).then(1.0).when(passed).then(0.0),
        maturity=pl.when(known).then(pl.lit("mature")).otherwise(pl.lit("pending")),
        outcome_known_at=pl.coalesce(bad_at, pl.when(passed).then(within)),
        link_method=pl.when(bad_at.is_null())
        .then(pl.lit("none within 24 h"))
        .when(pl.col("back_at") == bad_at)
        .then(pl.lit("deployment:rolled_back_at"))
        .otherwise(pl.lit("incident:service within 24 h")),
        link_confidence=pl.when(pl.col("back_at") == bad_at).then(1.0).otherwise(0.8),
        cost=pl.lit(None, pl.Float64),
    )


def features(tables: Tables, subjects: pl.DataFrame) -> pl.DataFrame:
    """One row a subject, in order, from rows known by its ``predicted_at``."""
    key = (*_KEY, "predicted_at")
    records = _deployments(tables)
    own = records.group_by(key).agg(pl.col("started_at", "repo_id").sort_by("deployment_id").first())
    rows = subjects.select(key).with_row_index("subject").join(own, on=key, how="left").sort("predicted_at")
    earlier = records.sort("predicted_at", "deployment_id").select(
        *_PLACE,
        at="predicted_at",
        previous_at="predicted_at",
        previous_repo_id="repo_id",
        n_deployments=pl.col("predicted_at").cum_count().over(_PLACE),
    )
    joined = _strictly_before(rows, earlier, _PLACE)
    joined = joined.with_columns(repo_id=pl.coalesce("repo_id", "previous_repo_id"))
    bad = (
        records.filter(pl.col("rolled_back_at").is_not_null())
        .with_columns(at=pl.max_horizontal("rolled_back_at", "known_at"))
        .sort("at", "deployment_id")
        .select(*_PLACE, "at", n_bad=pl.col("at").cum_count().over(_PLACE))
    )
    joined = _strictly_before(joined, bad, _PLACE)
    joined = joined.join(_carried(tables, joined), on="subject", how="left")
    joined = joined.join(_incidents(tables, rows), on="subject", how="left")
    joined = joined.join(_telemetry(tables, rows), on="subject", how="left")
    count = pl.col("n_deployments").fill_null(0)
    has_repo = pl.col("repo_id").is_not_null()
    numbers = joined.with_columns(
        *(
            pl.when(has_repo).then(pl.col(name).fill_null(0)).alias(name)
            for name in ("n_changes", "lines_added", "lines_deleted", "n_fixes", "n_authors")
        ),
        hours_since_deployment=(pl.col("predicted_at") - pl.col("previous_at")).dt.total_seconds() / 3600,
        n_deployments=count,
        bad_deployment_ratio=(pl.col("n_bad").fill_null(0) + 0.5) / (count + 10),
        n_incidents_last_7_days=pl.col("n_incidents_last_7_days").fill_null(0),
        hour=pl.col("predicted_at").dt.hour(),
        weekday=pl.col("predicted_at").dt.weekday(),
    )
    names = [column.name for column in FEATURES]
    return numbers.sort("subject").select(*key, *(pl.col(name).cast(pl.Float64) for name in names))


def _deployments(tables: Tables) -> pl.DataFrame:
    """Deployment records with the time their prediction is for."""
    rows = tables["core_deployments__deployments"]
    return rows.with_columns(predicted_at=pl.max_horizontal("started_at", "known_at"))


def _carried(tables: Tables, rows: pl.DataFrame) -> pl.DataFrame:
    """What the changes between the previous deployment and this one amount to.

    Every change goes to the first asked moment of each service at or after it became known, then changes from
    before the previous deployment are dropped: one pass, no matter how many deployments there are.
    """
    changes = tables["core_changes__changes"].sort("known_at", "revision")
    by = ("repo_id", "author")
    experience = changes.select(
        "repo_id", "author", "known_at", "is_fix", "n_added", "n_deleted",
        author_changes=pl.col("known_at").cum_count().over(by) - 1,
    )  # fmt: skip
    moment = (*_PLACE, "repo_id", "predicted_at", "previous_at")
    moments = rows.filter(pl.col("repo_id").is_not_null()).select(moment).unique().sort("predicted_at")
    lines = pl.col("n_added") + pl.col("n_deleted")
    carried = (
        experience.join(moments.select(*_PLACE, "repo_id").unique(), on="repo_id")
        .sort("known_at")
        .join_asof(
            moments,
            left_on="known_at",
            right_on="predicted_at",
            by=[*_PLACE, "repo_id"],
            strategy="forward",
            check_sortedness=False,  # sorted above; polars cannot check that within groups and would warn
            coalesce=False,
        )
        .filter(pl.col("predicted_at").is_not_null())
        .filter(pl.col("previous_at").is_null() | (pl.col("known_at") > pl.col("previous_at")))
        .group_by(*_PLACE, "repo_id", "predicted_at")
        .agg(
            n_changes=pl.len(),
            lines_added=pl.col("n_added").sum(),
            lines_deleted=pl.col("n_deleted").sum(),
            largest_change_lines=lines.max(),
            mean_change_lines=lines.mean(),
            n_fixes=pl.col("is_fix").sum(),
            n_authors=pl.col("author").n_unique(),
            least_author_changes=pl.col("author_changes").min(),
        )
    )
    return (
        rows.select("subject", *_PLACE, "repo_id", "predicted_at")
        .join(carried, on=(*_PLACE, "repo_id", "predicted_at"))
        .drop(*_PLACE, "repo_id", "predicted_at")
    )


def _incidents(tables: Tables, rows: pl.DataFrame) -> pl.DataFrame:
    """Incidents of the service that became known in the week before."""
    known = tables["core_incidents__incidents"].select("service_key", incident_known_at="known_at")
    week = pl.col("predicted_at") - pl.duration(days=7)
    return (
        rows.select("subject", "service_key", "predicted_at")
        .join(known, on="service_key")
        .filter(pl.col("incident_known_at").is_between(week, "predicted_at"))
        .group_by("subject")
        .agg(n_incidents_last_7_days=pl.len())
    )


def _telemetry(tables: Tables, rows: pl.DataFrame) -> pl.DataFrame:
    """The quality of the service's telemetry on the newest day whose figure was known."""
    days = tables["core_semantic__quality"].sort("known_at").select("service_key", "known_at", telemetry_score="score")
    asked = rows.select("subject", "service_key", "predicted_at").sort("predicted_at")
    found = asked.join_asof(
        days,
        left_on="predicted_at",
        right_on="known_at",
        by="service_key",
        check_sortedness=False,  # sorted above; polars cannot check that within groups and would warn
    )
    return found.select("subject", "telemetry_score")


def _strictly_before(rows: pl.DataFrame, states: pl.DataFrame, by: tuple[str, ...]) -> pl.DataFrame:
    return rows.join_asof(
        states,
        left_on="predicted_at",
        right_on="at",
        by=list(by),
        allow_exact_matches=False,
        check_sortedness=False,  # sorted above; polars cannot check that within groups and would warn
    ).drop("at", strict=False)
