"""What was then observed: the outcome of a forecast step.

Put which steps are forecast in ``subjects.py``. Reads ``core_service__points`` as known at the asked time.
"""

from datetime import datetime, timedelta

import numpy as np
import polars as pl

from models.load_forecast.candidates import Season, seasonal_error
from models.load_forecast.features import POINTS
from models.load_forecast.series import micros, series_of
from weaver_forge.contracts.decision import Tables
from weaver_forge.contracts.values import Maturity

PATIENCE = timedelta(hours=1)
"""How much newer the source's newest point must be before a missing one counts as a gap for good."""


def labels(tables: Tables, subjects: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """Observed values; ``cost`` is the series' seasonal error so far, the unit in which ``mase`` counts errors."""
    keys = ["service_key", "metric"]
    subjects = subjects.select("service_key", "metric", "at", "predicted_at")
    known = tables[POINTS].filter(pl.col("known_at") <= as_of).join(subjects.select(keys).unique(), on=keys, how="semi")
    newest = tables[POINTS].filter(pl.col("known_at") <= as_of)["at"].max()
    observed = known.select("service_key", "metric", "at", "value", "known_at")
    rows = subjects.join(observed, on=["service_key", "metric", "at"], how="left", maintain_order="left")
    seen = pl.col("value").is_not_null()
    gone = pl.lit(newest, dtype=pl.Datetime("us")) >= pl.col("at") + PATIENCE
    maturity = (
        pl.when(seen)
        .then(pl.lit(Maturity.MATURE.value))
        .when(gone.fill_null(value=False))
        .then(pl.lit(Maturity.UNRESOLVABLE.value))
        .otherwise(pl.lit(Maturity.PENDING.value))
    )
    return rows.select(
        "service_key",
        "metric",
        "at",
        "predicted_at",
        pl.col("value").cast(pl.Float64).alias("outcome"),
        maturity.alias("maturity"),
        pl.when(seen).then(pl.col("known_at")).alias("outcome_known_at"),
        pl.lit("service key").alias("link_method"),
        pl.lit(1.0).alias("link_confidence"),
        _scale(known, rows),
    )


def _scale(known: pl.DataFrame, rows: pl.DataFrame) -> pl.Series:
    """Mean absolute seasonal difference of the values before ``predicted_at``, null without a season."""
    scale = np.full(rows.height, np.nan)
    series = series_of(known) if known.height else {}
    for key, part in rows.with_row_index("position").partition_by("service_key", "metric", as_dict=True).items():
        one = series.get((str(key[0]), str(key[1])))
        if one is None:
            continue
        before = np.minimum(one.index(micros(part["predicted_at"]) - one.step), len(one.values) - 1)
        found = seasonal_error(one.values, Season.of(one.step_s))[np.maximum(before, 0)]
        scale[part["position"].to_numpy()] = np.where(before >= 0, found, np.nan)
    return pl.Series("cost", scale).fill_nan(None)
