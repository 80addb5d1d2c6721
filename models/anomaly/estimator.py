"""The two methods: a calibrated combination of seasonal residuals, and a rolling robust z.

Put how evidence becomes a probability here; what the evidence is belongs in ``evidence.py``. Both are logistic
models fitted towards stated prior coefficients, so that without a single incident they still say something
sober, and a handful of incidents moves them only a little.
"""

import json

import numpy as np
import polars as pl

from models import logistic
from models.anomaly import causes
from models.anomaly.windows import Floats
from models.logistic import Linear
from weaver_forge.contracts.decision import Artifact, Method, Predictions

KEY = ["service_key", "window_at", "predicted_at"]
BASE_RATE = 0.005
"""Share of windows with an incident before any is known: about two windows in three days."""
PENALTY = 30.0
RECENT_MIN = 60.0
"""Minutes after a deployment in which its weight falls to a third."""

PRIOR: dict[str, float] = {
    "errors": 1.4,
    "latency": 1.1,
    "requests_missing": 0.8,
    "requests_surging": 0.3,
    "requests_step": 0.1,
    "latency_step": 0.1,
    "persistence": 0.9,
    "robust": 0.3,
    "downstream": 0.3,
    "upstream": 0.2,
    "deployed": 0.5,
}
"""Log-odds per unit of each term: terms are log(1 + z) of the part of a deviation beyond ordinary noise."""
WORDS = {
    "errors": "errors above their usual share",
    "latency": "latency above its usual level at this time",
    "requests_missing": "fewer requests than expected",
    "requests_surging": "more requests than expected",
    "requests_step": "a single step with unusual requests",
    "latency_step": "a single slow step",
    "persistence": "unusual for several windows",
    "robust": "unusual against the last hours",
    "downstream": "a called service is unusual",
    "upstream": "a calling service is unusual",
    "deployed": "a recent deployment",
}
BASELINE_PRIOR = np.array([1.5])
USUAL = 1.0
"""Deviations up to one standard deviation are ordinary and count nothing."""


def terms(features: pl.DataFrame) -> Floats:
    """The terms of :data:`PRIOR`, shape (n, n_terms); an absent value counts as ordinary."""
    requests = _column(features, "requests_z")
    deployed = _column(features, "deployed_min")
    columns = {
        "errors": _beyond(_column(features, "errors_z")),
        "latency": _beyond(_column(features, "latency_z")),
        "requests_missing": _beyond(-requests),
        "requests_surging": _beyond(requests),
        "requests_step": _beyond(_column(features, "requests_max_z") - 2.0),
        "latency_step": _beyond(_column(features, "latency_max_z") - 2.0),
        "persistence": _beyond(_column(features, "persistence_z")),
        "robust": _beyond(_column(features, "robust_z")),
        "downstream": _beyond(_column(features, "downstream_z")),
        "upstream": _beyond(_column(features, "upstream_z")),
        "deployed": np.where(np.isnan(deployed), 0.0, np.exp(-np.maximum(np.nan_to_num(deployed), 0.0) / RECENT_MIN)),
    }
    return np.column_stack([columns[name] for name in PRIOR])


def fit_residual(features: pl.DataFrame, labels: pl.DataFrame, rng: np.random.Generator) -> Artifact:
    """Coefficients of the combination, drawn towards the prior."""
    del rng
    rows = _learnable(features, labels)
    return _fitted(terms(rows), rows["outcome"], np.array(list(PRIOR.values())))


def predict_residual(artifact: Artifact, features: pl.DataFrame) -> Predictions:
    """Probability of an incident, what speaks for it, and for the likeliest windows which service caused it."""
    linear = Linear.from_data(artifact)
    x = terms(features)
    probability = pl.Series("probability", linear.probability(x))
    said = _evidence(features, linear.contributions(x) - linear.contributions(np.zeros((1, x.shape[1]))))
    rows = features.select(KEY).with_columns(probability, pl.Series("evidence", said, dtype=pl.String))
    return Predictions(rows, causes.candidates(features, probability, KEY))


def fit_robust(features: pl.DataFrame, labels: pl.DataFrame, rng: np.random.Generator) -> Artifact:
    """The mapping from the rolling robust z to a probability."""
    del rng
    rows = _learnable(features, labels)
    return _fitted(_robust(rows), rows["outcome"], BASELINE_PRIOR)


def predict_robust(artifact: Artifact, features: pl.DataFrame) -> Predictions:
    """A probability that grows with the largest robust z of the window."""
    z = _column(features, "robust_z")
    probability = Linear.from_data(artifact).probability(_robust(features))
    said = [
        json.dumps([{"fact": f"largest robust z {value:.1f} against the last hours", "contribution": 1.0, "link": ""}])
        for value in np.nan_to_num(z)
    ]
    rows = features.select(KEY).with_columns(pl.Series("probability", probability), pl.Series("evidence", said))
    return Predictions(rows.cast({"probability": pl.Float64, "evidence": pl.String}))


def _fitted(x: Floats, outcome: pl.Series, prior: Floats) -> Artifact:
    if not len(outcome):
        return logistic.prior_only(prior, BASE_RATE, np.zeros(len(prior))).as_data()
    y = outcome.to_numpy().astype(np.float64)
    if not y.any():
        # Quiet so far: the coefficients cannot be learnt, the level can. Half an incident is the benefit of doubt.
        rate = min(BASE_RATE, 0.5 / (len(y) + 1) + BASE_RATE / 2)
        return logistic.prior_only(prior, rate, x.mean(axis=0)).as_data()
    return logistic.fit(x, y, prior=prior, base_rate=BASE_RATE, penalty=PENALTY).as_data()


def _learnable(features: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """Rows with an outcome, oldest first, in an order of their own so that the given one changes nothing."""
    rows = features.join(labels.select(*KEY, "outcome"), on=KEY, how="inner")
    return rows.filter(pl.col("outcome").is_not_null()).sort("predicted_at", "window_at", "service_key")


def _robust(features: pl.DataFrame) -> Floats:
    return np.log1p(np.nan_to_num(_column(features, "robust_z")))[:, None]


def _column(features: pl.DataFrame, name: str) -> Floats:
    return features[name].cast(pl.Float64).fill_null(float("nan")).to_numpy().astype(np.float64)


def _beyond(z: Floats) -> Floats:
    return np.log1p(np.maximum(np.nan_to_num(z) - USUAL, 0.0))


def _evidence(features: pl.DataFrame, parts: Floats) -> list[str]:
    """The strongest contributions in words with the numbers behind them."""
    numbers = features.select(
        "error_ratio",
        "errors_usual",
        "latency_ratio",
        "requests_ratio",
        "deployed_min",
        hour=pl.col("window_at").dt.hour(),
    ).to_dicts()
    names = list(PRIOR)
    order = np.argsort(-parts, axis=1, kind="stable")[:, :4]
    out = []
    for i, (row, choice) in enumerate(zip(numbers, order, strict=True)):
        facts = [
            {"fact": _fact(names[j], row), "contribution": round(float(parts[i, j]), 3), "link": ""}
            for j in choice
            if parts[i, j] > 0.05
        ]
        out.append(json.dumps(facts or [{"fact": "nothing unusual", "contribution": 0.0, "link": ""}]))
    return out


def _fact(name: str, row: dict[str, float | None]) -> str:
    ratio, usual, hour = row["error_ratio"], row["errors_usual"], int(row["hour"] or 0)
    if name == "errors" and ratio is not None and usual is not None:
        return f"{ratio:.1%} errors, usually {usual:.1%}"
    if name == "latency" and row["latency_ratio"] is not None:
        return f"latency p95 {row['latency_ratio']:.1f}x its usual {hour:02d}:00 level"
    if name.startswith("requests_") and name != "requests_step" and row["requests_ratio"] is not None:
        return f"requests {row['requests_ratio']:.1f}x the expected level"
    if name == "deployed" and row["deployed_min"] is not None:
        return f"deployed {row['deployed_min']:.0f} min before"
    return WORDS[name]


MODEL = Method("seasonal_robust_residual", fit_residual, predict_residual)
BASELINE = Method("rolling_robust_z", fit_robust, predict_robust)
