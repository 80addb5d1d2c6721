"""Columns as the two fits see them: rates as log-odds, counts as log(1 + x), and what holds of them before any data.

Put here transformations and stated coefficients. What a column means stands in ``features``.
"""

import numpy as np
import polars as pl

from models.logistic import Floats
from models.test_selection.branches import MEMORY
from models.test_selection.change_links import CLASSES, LINKS
from models.test_selection.recency import ALPHAS, BESIDE, CHOSEN, NEAR

RATE_FLOOR = 0.002
"""Rates this near to 0 or 1 say no more than this: log-odds of about 6."""

BRANCH_FLOOR = 0.001
"""The same of what a branch says beside all runs."""

RATES = (
    *ALPHAS, *NEAR, *BESIDE, "repo_failure_rate", "last_run_failed_ratio", "group_failure_rate", "author_failure_rate",
)  # fmt: skip
_COUNTS = (
    "n_failures", "n_flaky", "runs_since_failure", "runs_absent",
    "expected_duration_ms", "n_files", "n_lines", "n_failed_with_file", "n_failed_with_folder",
)  # fmt: skip
_PLAIN = (
    "n_failures_last_10", "transition_ratio", "is_new", "path_similarity", "touches_test", "touches_namesake",
    "duration_spread", *CHOSEN, "name_place", *CLASSES, *LINKS,
)  # fmt: skip
COLUMNS = (*RATES, *_COUNTS, *_PLAIN, "on_branch", "never_failed", "duration_rank")

CHANCE = tuple(
    name for name in COLUMNS if name not in {*NEAR, *BESIDE, *CHOSEN, "name_place", "duration_spread", "duration_rank"}
)
"""Columns of the probability."""

CHANGED = ("path_similarity", "touches_test", "touches_namesake", *LINKS)
"""What ties a test to the change by itself, whatever was seen of results."""

ORDER = (
    *ALPHAS, "on_branch", *NEAR, *BESIDE, *CHOSEN, "name_place", "is_new", "never_failed",
    "expected_duration_ms", "duration_rank", "duration_spread",
)  # fmt: skip
"""Columns of the learnt order; what is the same for all tests of a ranking cannot order them.

What the change says speaks through the probability: pairs of one history are too few to learn its weight from."""

_PRIOR = {
    "ewma_02": 0.15, "ewma_05": 0.15, "ewma_10": 0.2, "ewma_20": 0.2, "ewma_40": 0.15, "ewma_80": 0.1,
    "on_branch": 0.5, "runs_since_failure": -0.2, "path_similarity": 1.0, "touches_test": 1.0, "touches_namesake": 1.0,
    "n_failed_with_file": 0.3, "n_failed_with_folder": 0.1, "group_failure_rate": 0.05,
    "is_harmless": -3.0, "is_test_only": -0.5, "is_config": -0.5,
    "import_nearness": 1.0, "import_pull": 2.0, "executes_changed": 1.5, "execution_pull": 2.0,
    "traced_changed": 1.0, "trace_pull": 2.0, "cochange_share": 1.0,
}  # fmt: skip
"""Coefficients that hold before any data: recent failures come back, and changes break tests that are near."""

_USUAL = {
    "import_nearness": 0.2, "import_pull": 0.1, "executes_changed": 0.2, "execution_pull": 0.1,
    "traced_changed": 0.2, "trace_pull": 0.1, "cochange_share": 0.05,
}  # fmt: skip
"""What ties are usual: a test of which nothing is known stands between those that are tied and those that are not."""


def prior(columns: tuple[str, ...]) -> Floats:
    """Stated coefficients of these columns, shape (len(columns),)."""
    return np.array([_PRIOR.get(name, 0.0) for name in columns])


def usual(columns: tuple[str, ...]) -> Floats:
    """Value of each column that an unknown one counts as before any data, shape (len(columns),)."""
    return np.array([_USUAL.get(name, 0.0) for name in columns])


def duration_rank(features: pl.DataFrame) -> Floats:
    """Place of each test by expected duration within its ranking, 0-1, shape (n,), NaN where no duration is known."""
    place = pl.col("expected_duration_ms").rank() / pl.col("expected_duration_ms").count()
    rank = features.select(place.over("repo_id", "revision", "predicted_at")).to_series()
    result: Floats = rank.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return result


def design(features: pl.DataFrame, places: Floats | None = None) -> dict[str, Floats]:
    """Transformed columns by name, shape (n,) each, NaN = missing.

    Args:
        features: One row a test of a ranking.
        places: :func:`duration_rank` of these rows, where they are only a part of their rankings.
    """
    # A moving average holds the repository's rate as its prior, so that it is never 0 or 1 itself.
    odds = [_log_odds(pl.col(name), 1e-6 if name in ALPHAS else RATE_FLOOR) for name in RATES]
    counts = [pl.col(name).cast(pl.Float64).log1p() for name in _COUNTS]
    plain = [pl.col(name).cast(pl.Float64) for name in _PLAIN]
    apart = _log_odds(pl.col("branch_80"), BRANCH_FLOOR) - _log_odds(pl.col(MEMORY), BRANCH_FLOOR)
    never = (pl.col("n_failures") == 0).cast(pl.Float64).alias("never_failed")
    rank = pl.Series("duration_rank", duration_rank(features) if places is None else places)
    frame = features.select(*odds, *counts, *plain, apart.alias("on_branch"), never, rank).fill_null(float("nan"))
    return {name: frame[name].cast(pl.Float64).to_numpy() for name in COLUMNS}


def stacked(columns: dict[str, Floats], names: tuple[str, ...]) -> Floats:
    """These columns side by side, shape (n, len(names))."""
    return np.column_stack([columns[name] for name in names])


def _log_odds(rate: pl.Expr, floor: float) -> pl.Expr:
    p = rate.cast(pl.Float64).clip(floor, 1 - floor)
    return (p / (1 - p)).log()
