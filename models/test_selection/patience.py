"""How long a test is expected to take, and how long a test counts as taking where cheap ones go first.

Put here durations as orders read them; what they were is in ``verdict_history``.
"""

import polars as pl

from models.logistic import Floats

LONG = 0.9
"""A test that never failed counts as taking what this share of its ranking's tests do not exceed."""

_RANKING = ("repo_id", "revision", "predicted_at")


def duration(features: pl.DataFrame) -> Floats:
    """Expected milliseconds, the usual one where none is known, shape (n,)."""
    expected = features["expected_duration_ms"].cast(pl.Float64)
    typical = expected.median()
    usual = float(typical) if isinstance(typical, int | float) else 1.0
    return expected.fill_null(usual).to_numpy()


def patience(features: pl.DataFrame) -> Floats:
    """Milliseconds that a test counts as in the order by time, shape (n,).

    Where the change is known, tests that never failed are put by what ties them to it, and wait alike: were each
    divided by its own duration, long ones would come last, and those are what a change breaks first.
    """
    taken = pl.Series("taken", duration(features))
    long = pl.col("taken").quantile(LONG, interpolation="higher").over(_RANKING)
    is_told = pl.col("n_files").is_not_null() & (pl.col("n_failures") == 0)
    rows = features.select(*_RANKING, "n_files", "n_failures").with_columns(taken)
    result: Floats = rows.select(pl.when(is_told).then(long).otherwise("taken")).to_series().to_numpy()
    return result
