"""Which steps are forecast: past ones to learn from, and the next ones now.

Put a subject's outcome in ``labels.py``. Both functions read ``core_service__points`` only.
"""

from datetime import datetime, timedelta

import numpy as np
import polars as pl

from models.load_forecast.candidates import Season
from models.load_forecast.features import POINTS
from models.load_forecast.series import US, Ints, Series, micros, series_of
from weaver_forge.contracts.decision import Tables

LEAST_SEASONS = 2
"""A series is learnt from once it is this many days old."""
SILENT = timedelta(days=1)
"""A series without a point for this long while others have some is over: nothing is forecast for it."""

SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "service_key": pl.String,
    "metric": pl.String,
    "at": pl.Datetime("us"),
    "predicted_at": pl.Datetime("us"),
}


def history(
    tables: Tables,
    as_of: datetime,
    *,
    metrics: tuple[str, ...],
    horizon_steps: int,
    days: float,
    every: timedelta,
    steps: int,
) -> pl.DataFrame:
    """Past subjects: every few hours over the last days, a sample of the steps ahead of each.

    Args:
        tables: Core tables by name.
        as_of: Now; only points known by then exist.
        metrics: Metrics that are forecast.
        horizon_steps: The farthest step ahead.
        days: How far back the origins go.
        every: Distance of the origins; they lie on multiples of it since 1970, so that they do not move with ``as_of``.
        steps: How many of the ``horizon_steps`` are sampled at each origin, the near ones more densely.
    """
    points = _known(tables, as_of, metrics)
    stride = int(every.total_seconds() * US)
    now = _micros(as_of)
    first, last = -(-(now - int(days * 86_400 * US)) // stride), now // stride
    origins = np.arange(first, last + 1, dtype=np.int64) * stride
    sampled = sample_steps(horizon_steps, steps)
    frames = [_of_series(series, origins, sampled) for series in series_of(points).values()] if points.height else []
    rows = pl.concat(frames) if frames else pl.DataFrame(schema=SCHEMA)
    return rows.filter(pl.col("at") < as_of).sort("service_key", "metric", "predicted_at", "at")


def current(tables: Tables, as_of: datetime, *, metrics: tuple[str, ...], horizon_steps: int) -> pl.DataFrame:
    """The next steps after the newest known point of every living series."""
    points = _known(tables, as_of, metrics)
    if not points.height:
        return pl.DataFrame(schema=SCHEMA)
    newest = points.group_by("service_key", "metric").agg(pl.col("at").max(), pl.col("step_s").first())
    living = newest.filter(pl.col("at") > pl.col("at").max() - SILENT)
    ahead = pl.int_ranges(1, horizon_steps + 1, dtype=pl.Int64).alias("ahead")
    rows = living.with_columns(ahead).explode("ahead")
    step = pl.duration(seconds=pl.col("step_s").cast(pl.Int64) * pl.col("ahead"))
    at = (pl.col("at") + step).cast(pl.Datetime("us"))
    rows = rows.with_columns(at, pl.lit(as_of, dtype=pl.Datetime("us")).alias("predicted_at"))
    return rows.select(list(SCHEMA)).sort("service_key", "metric", "at")


def sample_steps(horizon_steps: int, steps: int) -> Ints:
    """Distinct steps ahead from 1 to the horizon, evenly but for two extra near ones."""
    even = np.linspace(1, horizon_steps, max(min(steps, horizon_steps) - 2, 2))
    near = [min(2, horizon_steps), min(4, horizon_steps)]
    return np.unique(np.concatenate([np.round(even), near])).astype(np.int64)


def _known(tables: Tables, as_of: datetime, metrics: tuple[str, ...]) -> pl.DataFrame:
    return tables[POINTS].filter(pl.col("known_at") <= as_of, pl.col("metric").is_in(list(metrics)))


def _of_series(series: Series, origins: Ints, sampled: Ints) -> pl.DataFrame:
    newest = series.newest_known(origins)
    old_enough = newest >= LEAST_SEASONS * Season.of(series.step_s).day
    stale = series.start + newest * series.step < origins - int(SILENT.total_seconds()) * US
    usable = np.flatnonzero(old_enough & ~stale)
    at = series.start + (newest[usable, None] + sampled[None, :]) * series.step
    return pl.DataFrame(
        {
            "service_key": pl.repeat(series.service_key, at.size, eager=True, dtype=pl.String),
            "metric": pl.repeat(series.metric, at.size, eager=True, dtype=pl.String),
            "at": pl.Series(at.ravel()).cast(pl.Datetime("us")),
            "predicted_at": pl.Series(np.repeat(origins[usable], len(sampled))).cast(pl.Datetime("us")),
        },
        schema=SCHEMA,
    )


def _micros(instant: datetime) -> int:
    return int(micros(pl.Series([instant], dtype=pl.Datetime("us")))[0])
