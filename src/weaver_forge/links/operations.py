"""Deployments and incidents as reported -> core tables: one row a thing, and when each fact became known.

Put here what joins or dates operational records. Tools report states (it began, it ended), in any order and more than
once; a row is what the reports on it say together. Reading the reports is in ``decode``, their cost in ``links.cost``.
"""

import polars as pl

from weaver_forge.contracts.tables.operations import (
    CORE_DEPLOYMENTS_DEPLOYMENTS,
    CORE_INCIDENTS_INCIDENTS,
    OUR_ALERTS,
)

_DEPLOYMENT_STATES = ("created", "running", "ended", "record")
_INCIDENT_STATES = ("detected", "open", "resolved", "record")
_PLACE = ("service_key", "environment")
_IS_NAMED = pl.col("service_key").str.split("/").list.get(1).str.len_bytes() > 0
_HAS_VERSION = pl.col("version").str.len_bytes() > 0


def core_deployments(raw: pl.DataFrame) -> pl.DataFrame:
    """One row a deployment of ``raw_deployments__events`` that began and whose version is said.

    A deployment is known from its start, or from when a receiver got the first report on it. Its rollback is known
    only from ``rolled_back_at`` on, and so is a status of rolled_back: whoever looks at an earlier time must look at
    that column, not at the status. A rollback is a deployment of an older version; what it rolls back is the one that
    was there: the newest before it of the same service and environment.
    """
    reports = _in_order(raw.filter(pl.col("action").is_in(["deploy", "rollback"])), _DEPLOYMENT_STATES)
    has_begun = pl.col("state") != "created"
    began = pl.coalesce(
        pl.col("started_at").filter(pl.col("state").is_in(["running", "record"])).min(),
        pl.col("started_at").filter(has_begun).min(),
        pl.col("reported_at").filter(has_begun).min(),
    )
    one = reports.group_by("deployment_id", maintain_order=True).agg(
        _last_said("service_key", _IS_NAMED),
        pl.col("environment").last(),
        _last_said("version", _HAS_VERSION),
        *(pl.col(name).drop_nulls().last() for name in ("repo_id", "revision", "rolled_back_at")),
        pl.col("status", "action").last(),
        began.alias("started_at"),
        pl.col("received_at").min(),
    )
    begun = one.filter(pl.col("started_at").is_not_null(), _HAS_VERSION)
    known = _rolled_back(begun).with_columns(known_at=pl.max_horizontal("started_at", "received_at"))
    return known.select(CORE_DEPLOYMENTS_DEPLOYMENTS.column_names)


def core_incidents(raw: pl.DataFrame) -> pl.DataFrame:
    """One row an incident of ``raw_incidents__events`` whose begin is said; known from when somebody declared it.

    What a receiver got is known from then on. Alerts of our own rules are forecasts and no incidents: left out.
    """
    reports = _in_order(raw.filter(pl.col("source") != OUR_ALERTS), _INCIDENT_STATES)
    opening = pl.col("state") != "resolved"
    one = reports.group_by("incident_id", maintain_order=True).agg(
        _last_said("service_key", _IS_NAMED),
        _last_said("severity", pl.col("severity") != "unknown"),
        _last_said("title", opening & (pl.col("title").str.len_bytes() > 0)),
        pl.col("started_at", "declared_at").min(),
        # The newest report decides: an incident may be opened again.
        pl.col("resolved_at").last(),
        *(pl.col(name).drop_nulls().last() for name in ("cause_service_key", "cause_repo_id", "cause_revision")),
        pl.col("received_at").min(),
    )
    begun = one.filter(pl.col("started_at").is_not_null())
    known = begun.with_columns(known_at=pl.max_horizontal("declared_at", "received_at"))
    return known.select(CORE_INCIDENTS_INCIDENTS.column_names)


def _in_order(reports: pl.DataFrame, states: tuple[str, ...]) -> pl.DataFrame:
    """Oldest report first; of the same time the later state last."""
    rank = pl.col("state").replace_strict(states, range(len(states)), default=len(states), return_dtype=pl.Int32)
    return reports.sort("reported_at", rank, nulls_last=False, maintain_order=True)


def _last_said(name: str, says: pl.Expr) -> pl.Expr:
    """The newest value that says something, else the newest."""
    return pl.coalesce(pl.col(name).filter(says).last(), pl.col(name).last()).alias(name)


def _rolled_back(deployments: pl.DataFrame) -> pl.DataFrame:
    """Rollbacks told to the deployments that they undid, by service and environment; unknown services have none."""
    placed = deployments.sort("started_at", "deployment_id")
    undone_at = pl.col("started_at").shift(-1).over(_PLACE)
    is_undone = _IS_NAMED & (pl.col("action").shift(-1).over(_PLACE) == "rollback")
    at = pl.coalesce("rolled_back_at", pl.when(is_undone).then(undone_at))
    status = pl.when(at.is_not_null()).then(pl.lit("rolled_back")).otherwise("status")
    return placed.with_columns(rolled_back_at=at, status=status)
