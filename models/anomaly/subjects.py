"""Which windows are judged, and what happened in them: subjects and their labels.

Put what is known of a window when it is judged in ``features.py``.
"""

from datetime import datetime, timedelta

import polars as pl

from models.anomaly.features import INCIDENTS, POINTS
from weaver_forge.contracts.decision import Tables
from weaver_forge.contracts.values import Maturity

MATURE_AFTER = timedelta(hours=24)
"""Incidents are declared late; a window without one is quiet only after a day."""
LATEST = timedelta(hours=1)
"""A window is judged at the latest this long after its end; points that come later are not waited for."""


def history(tables: Tables, as_of: datetime, *, window: timedelta, days: float) -> pl.DataFrame:
    """All windows with data of the last days whose label can be mature."""
    since, until = as_of - timedelta(days=days), as_of - MATURE_AFTER - window
    rows = _windows(tables[POINTS], as_of, window, since - window)
    return rows.filter(pl.col("window_at") >= since, pl.col("window_at") < until)


def current(tables: Tables, as_of: datetime, *, window: timedelta) -> pl.DataFrame:
    """All complete windows with data of the last day."""
    since = as_of - MATURE_AFTER - window
    return _windows(tables[POINTS], as_of, window, since).filter(pl.col("window_at") >= since)


def _windows(points: pl.DataFrame, as_of: datetime, window: timedelta, since: datetime) -> pl.DataFrame:
    """Service and window, judged when the last point of any service in that window had come.

    One time for all services of a window: a service is judged beside its neighbours.
    """
    known = points.filter(pl.col("known_at") <= as_of, pl.col("at") >= since)
    start = pl.col("at").dt.truncate(window).alias("window_at")
    end = pl.col("window_at") + window
    newest = known.select((pl.col("at") + pl.duration(seconds="step_s")).max()).item()
    at = known.with_columns(start).with_columns(pl.min_horizontal("known_at", end + LATEST).alias("seen_at"))
    arrived = at.group_by("window_at").agg(
        pl.max_horizontal(pl.col("seen_at").max(), end.first()).alias("predicted_at")
    )
    there = at.filter(pl.col("known_at") <= end + LATEST).select("service_key", "window_at").unique()
    complete = arrived.filter(end <= pl.lit(newest, dtype=pl.Datetime("us")))
    return there.join(complete, on="window_at", how="inner").sort("service_key", "window_at")


def labels(tables: Tables, subjects: pl.DataFrame, as_of: datetime, *, window: timedelta) -> pl.DataFrame:
    """1 where an incident of the service overlaps the window; mature a day after the window."""
    subjects = subjects.select("service_key", "window_at", "predicted_at")
    incidents = tables[INCIDENTS].filter(pl.col("known_at") <= as_of)
    spans = incidents.select(
        "service_key",
        pl.col("started_at"),
        pl.when(pl.col("resolved_at") <= as_of).then("resolved_at").otherwise(pl.lit(as_of)).alias("ended_at"),
        "known_at",
    )
    end = pl.col("window_at") + window
    hit = (
        subjects.join(spans, on="service_key", how="inner")
        .filter(pl.col("started_at") < end, pl.col("ended_at") > pl.col("window_at"))
        .group_by("service_key", "window_at", "predicted_at")
        .agg(pl.col("known_at").min().alias("declared_at"))
    )
    rows = subjects.join(hit, on=["service_key", "window_at", "predicted_at"], how="left", maintain_order="left")
    mature = end + MATURE_AFTER <= as_of
    happened = pl.col("declared_at").is_not_null()
    return rows.select(
        "service_key",
        "window_at",
        "predicted_at",
        pl.when(mature).then(happened.cast(pl.Float64)).alias("outcome"),
        pl.when(mature).then(pl.lit(Maturity.MATURE.value)).otherwise(pl.lit(Maturity.PENDING.value)).alias("maturity"),
        pl.when(mature).then(pl.max_horizontal(end + MATURE_AFTER, "declared_at")).alias("outcome_known_at"),
        pl.lit("incident to service").alias("link_method"),
        pl.lit(1.0).alias("link_confidence"),
        pl.lit(None, dtype=pl.Float64).alias("cost"),
    )
