"""The two methods: a calibrated logistic regression over six time scales, and last-failed-first.

Put fitting and predicting here. Artifacts are plain numbers; predicting needs numpy and polars only.
"""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import polars as pl

from models import logistic
from models.test_selection.evidence import evidence
from models.test_selection.verdict_history import ALPHAS, PRIOR_RATE
from weaver_forge.contracts.decision import Artifact, Predictions

Objective = Literal["time", "failures"]
Floats = logistic.Floats

KEY = ("repo_id", "revision", "test_id", "predicted_at")
PENALTY = 300.0
"""Histories change their regime: weaker priors lose to last-failed-first on projects with long red phases."""
RATE_FLOOR = 0.002
"""Averages this near to 0 or 1 say no more than this: log-odds of about 6."""

_RATES = (*ALPHAS, "repo_failure_rate", "last_run_failed_ratio", "group_failure_rate", "author_failure_rate")
_COUNTS = (
    "n_failures", "n_flaky", "runs_since_failure", "runs_absent",
    "expected_duration_ms", "n_files", "n_lines", "n_failed_with_file", "n_failed_with_folder",
)  # fmt: skip
_PLAIN = ("n_failures_last_10", "transition_ratio", "is_new", "path_similarity", "touches_test", "touches_namesake")
COLUMNS = (*_RATES, *_COUNTS, *_PLAIN, "never_failed")

PRIOR = {
    "ewma_02": 0.15, "ewma_05": 0.15, "ewma_10": 0.2, "ewma_20": 0.2, "ewma_40": 0.15, "ewma_80": 0.1,
    "runs_since_failure": -0.2, "path_similarity": 1.0, "touches_test": 1.0, "touches_namesake": 1.0,
    "n_failed_with_file": 0.3, "n_failed_with_folder": 0.1, "group_failure_rate": 0.05,
}  # fmt: skip
"""Coefficients that hold before any data: recent failures come back, and changes break tests that are near."""

NEVER = 1e9
BUCKETS = (0.5, 1.5, 2.5, 5.5, 10.5, 30.5, 100.5)
BUCKET_PRIOR = 10.0


def design(features: pl.DataFrame) -> Floats:
    """Transformed columns, shape (n, len(COLUMNS)), NaN = missing: rates as log-odds, counts as log(1 + x)."""
    odds = [_log_odds(pl.col(name)) for name in _RATES]
    counts = [pl.col(name).cast(pl.Float64).log1p() for name in _COUNTS]
    plain = [pl.col(name).cast(pl.Float64) for name in _PLAIN]
    never = (pl.col("n_failures") == 0).cast(pl.Float64).alias("never_failed")
    frame = features.select(*odds, *counts, *plain, never).select(COLUMNS)
    return frame.fill_null(float("nan")).to_numpy().astype(float).reshape(features.height, len(COLUMNS))


def fit(objective: Objective) -> Callable[[pl.DataFrame, pl.DataFrame, np.random.Generator], Artifact]:
    """The model's ``fit`` for an objective: cheap failures first ("time") or likely ones ("failures")."""

    def fit_model(features: pl.DataFrame, labels: pl.DataFrame, rng: np.random.Generator) -> Artifact:
        del rng
        rows = _labelled(features, labels)
        y = rows["outcome"].to_numpy()
        prior = np.array([PRIOR.get(name, 0.0) for name in COLUMNS])
        model = (
            logistic.fit(design(rows), y, prior=prior, base_rate=PRIOR_RATE, penalty=PENALTY)
            if 0 < y.sum() < y.size
            else _without_failures(prior, rows, y)
        )
        return {
            "method": "multi_scale_history_logistic",
            "objective": objective,
            "columns": list(COLUMNS),
            "linear": model.as_data(),
            "n_rows": rows.height,
            "n_failures": float(y.sum()),
        }

    return fit_model


def predict(artifact: Artifact, features: pl.DataFrame) -> Predictions:
    """Probability of a real failure, and the order within the revision."""
    model = logistic.Linear.from_data(artifact["linear"])
    x = design(features)
    probability = model.probability(x)
    rows = features.select(
        *KEY,
        probability=pl.Series(probability, dtype=pl.Float64),
        score=pl.Series(_score(probability, features, artifact["objective"]), dtype=pl.Float64),
        evidence=evidence(features, dict(zip(artifact["columns"], model.contributions(x).T, strict=True))),
    )
    return Predictions(rows)


def fit_baseline(features: pl.DataFrame, labels: pl.DataFrame, rng: np.random.Generator) -> Artifact:
    """Failure rate by runs since the last failure, shrunk towards the rate of all."""
    del rng
    rows = _labelled(features, labels)
    y, bucket = rows["outcome"].to_numpy(), _bucket(rows)
    overall = (y.sum() + PRIOR_RATE * 20) / (y.size + 20)
    n = np.bincount(bucket, minlength=len(BUCKETS) + 2)
    failed = np.bincount(bucket, weights=y, minlength=len(BUCKETS) + 2)
    rates = (failed + BUCKET_PRIOR * overall) / (n + BUCKET_PRIOR)
    return {"method": "last_failed_first", "rates": rates.tolist()}


def predict_baseline(artifact: Artifact, features: pl.DataFrame) -> Predictions:
    """Tests in the order of their last failure; those that never failed come last."""
    rates: list[float] = artifact["rates"]
    since = pl.col("runs_since_failure")
    fact = (
        pl.when(since.is_null())
        .then(pl.lit("has never failed"))
        .otherwise(pl.format("last failed {} runs ago", (since + 1).cast(pl.Int64)))
    )
    entry = pl.concat_list(pl.struct(fact=fact, contribution=pl.lit(1.0), link=pl.lit(None, pl.String)))
    rows = features.select(
        *KEY,
        probability=pl.Series(np.asarray(rates)[_bucket(features)], dtype=pl.Float64),
        score=-since.fill_null(NEVER),
        evidence=pl.format("[{}]", entry.list.first().struct.json_encode()),
    )
    return Predictions(rows)


def _labelled(features: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """Features with outcomes, oldest first; the same rows in any order give the same result."""
    rows = features.join(labels.select(*KEY, "outcome"), on=KEY).filter(pl.col("outcome").is_not_null())
    return rows.sort("predicted_at", "repo_id", "revision", "test_id")


def _without_failures(prior: Floats, rows: pl.DataFrame, y: Floats) -> logistic.Linear:
    """The stated prior around an average test, at the prior rate shrunk by what has been seen."""
    rate = float((y.sum() + PRIOR_RATE * 20) / (y.size + 20))
    rate = min(max(rate, 1e-4), 1 - 1e-4)
    center = np.zeros(len(COLUMNS))
    at_prior = float(np.log(PRIOR_RATE / (1 - PRIOR_RATE)))
    odds = design(rows)[:, : len(_RATES)] if rows.height else np.full((1, len(_RATES)), at_prior)
    known = np.isfinite(odds)
    sums, counts = np.where(known, odds, 0.0).sum(axis=0), known.sum(axis=0)
    center[: len(_RATES)] = np.where(counts > 0, sums / np.maximum(counts, 1), at_prior)
    return logistic.prior_only(prior, rate, center)


def _score(probability: Floats, features: pl.DataFrame, objective: str) -> Floats:
    """The order: probability, or probability by the root of expected duration.

    The optimum for time alone would divide by the duration itself; probabilities of short tests are not known
    well enough for that, and the root keeps a long test that is almost sure to fail in front.
    """
    if objective == "failures":
        return probability
    duration = features["expected_duration_ms"].cast(pl.Float64)
    typical = duration.median()
    usual = float(typical) if isinstance(typical, int | float) else 1.0
    ordered: Floats = probability / np.sqrt(duration.fill_null(usual).to_numpy() + 1.0)
    return ordered


def _bucket(features: pl.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """0.. by runs since the last failure, then never failed."""
    since = features["runs_since_failure"].cast(pl.Float64).fill_null(NEVER).to_numpy()
    return np.where(since >= NEVER, len(BUCKETS) + 1, np.searchsorted(BUCKETS, since)).astype(np.intp)


def _log_odds(rate: pl.Expr) -> pl.Expr:
    p = rate.cast(pl.Float64).clip(RATE_FLOOR, 1 - RATE_FLOOR)
    return (p / (1 - p)).log()


def stated(artifact: Artifact) -> dict[str, Any]:
    """Coefficients by column, for people."""
    return dict(zip(artifact["columns"], artifact["linear"]["coefficient"], strict=True))
