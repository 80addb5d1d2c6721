"""The two methods: a validated pool of seasonal candidates, and the seasonal naive baseline.

Put how candidates are weighed and how intervals are made here; what a candidate is belongs in
``candidates.py``. Fitting and predicting need numpy and polars only; an artifact is plain data.

Weights are chosen on held-back origins: every row of the history was forecast from an origin that knew nothing
of its outcome, so a candidate's mean absolute error over these rows is an honest one. It is taken per series
and horizon bucket, drawn towards the mean over all series where a series has few origins. Intervals are
residual quantiles of the weighted pool (conformal), per series and bucket, in units of the expected spread.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from models.load_forecast.candidates import CANDIDATES, Floats
from models.load_forecast.series import NEVER, US, micros
from weaver_forge.contracts.decision import Artifact, Method, Predictions

BUCKETS = (4, 16, 48, 120)
"""Upper ends of the horizon buckets in steps; a last one is open."""
LEVELS = (0.025, 0.1, 0.9, 0.975)
QUANTILES = ("q_025", "q_100", "q_900", "q_975")
SHARPNESS = 8.0
"""Power of the error ratio in the weights: a candidate 10 % worse than the best gets half of its weight."""
PRIOR_ROWS = 30.0
"""Rows of the pooled error that stand beside a series' own."""
LEAST_RESIDUALS = 20.0
HALF_LIFE_DAYS = 5.0
"""Age after which a held-back origin counts half: loads drift."""
PRIOR_WEIGHTS = {"c_profile_shift": 1.0, "c_recency_shift": 1.0, "c_profile": 0.5, "c_recent_60": 0.5, "c_last": 0.25}
"""What the pool is before it has learnt anything: the recent level and the time of day."""
PRIOR_WIDTH = (-2.0, -1.2, 1.2, 2.0)
"""Residual quantiles in spreads before anything is learnt; on the wide side on purpose."""

WIDEST = 30.0
"""Residual quantiles are cut here, in spreads: beyond, a series changed so much that its past says nothing."""


def fit_pool(features: pl.DataFrame, labels: pl.DataFrame, rng: np.random.Generator) -> Artifact:
    """Weights per series and horizon bucket, and residual quantiles of the pool they make."""
    del rng
    rows = learnable(features, labels)
    artifact: dict[str, Any] = {"candidates": list(CANDIDATES), "pooled": {}, "series": {}}
    if not rows.height:
        return artifact
    bucket, span = buckets(rows["horizon_step"].to_numpy()), stretches(rows)
    for b in np.unique(bucket):
        inside = bucket == b
        shared, own = _fit_bucket(rows.filter(pl.Series(inside)), span[inside])
        artifact["pooled"][str(b)] = shared
        for series, chosen in own.items():
            artifact["series"].setdefault(series, {})[str(b)] = chosen
    return artifact


def _fit_bucket(rows: pl.DataFrame, span: Floats) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """What holds for all series in one horizon bucket, and for each."""
    stack = rows.select(CANDIDATES).to_numpy().astype(np.float64)
    size, outcome = rows["spread"].to_numpy(), rows["outcome"].to_numpy()
    age, name = ages(rows), names(rows)
    error = np.abs(stack - outcome[:, None]) / size[:, None]
    pooled = mean_error(error, age, None)
    residual = np.zeros(rows.height)
    weights: dict[str, Floats] = {}
    for series in np.unique(name):
        mine = name == series
        weights[series] = weigh(mean_error(error[mine], age[mine], pooled))
        residual[mine] = (outcome[mine] - combine(stack[mine], weights[series])) / size[mine]
    shared = interval(residual, age, None, float(span.mean()))
    own = {}
    for series, chosen in weights.items():
        mine = name == series
        quantiles = interval(residual[mine], age[mine], shared, float(span[mine].mean()))
        own[str(series)] = {"weights": chosen.tolist(), "quantiles": quantiles.tolist()}
    return {"weights": weigh(pooled).tolist(), "quantiles": shared.tolist()}, own


def predict_pool(artifact: Artifact, features: pl.DataFrame) -> Predictions:
    """The weighted pool and its interval; without any known point everything is null but the evidence."""
    stack = features.select(artifact["candidates"]).to_numpy().astype(np.float64)
    weights, quantiles = settings_of(artifact, features)
    value = combine(stack, weights)
    return Predictions(finish(features, value, quantiles, evidence(features, stack, weights)))


def fit_naive(features: pl.DataFrame, labels: pl.DataFrame, rng: np.random.Generator) -> Artifact:
    """Residual quantiles of the seasonal naive forecast, per series."""
    del rng
    rows = learnable(features, labels)
    artifact: dict[str, Any] = {"pooled": list(PRIOR_WIDTH), "series": {}}
    if not rows.height:
        return artifact
    residual = ((rows["outcome"] - rows["c_seasonal_naive"]) / rows["spread"]).to_numpy()
    name, age = names(rows), ages(rows)
    shared = interval(residual, age, None)
    artifact["pooled"] = shared.tolist()
    artifact["series"] = {
        str(s): interval(residual[name == s], age[name == s], shared).tolist() for s in np.unique(name)
    }
    return artifact


def predict_naive(artifact: Artifact, features: pl.DataFrame) -> Predictions:
    """The value a week or a day ago with the spread of its past errors."""
    name = names(features)
    quantiles = np.array([artifact["series"].get(str(s), artifact["pooled"]) for s in name]).reshape(-1, 4)
    value = features["c_seasonal_naive"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    said = json.dumps([{"fact": "the value at the same time a season ago", "contribution": 1.0, "link": ""}])
    return Predictions(finish(features, value, quantiles, [said] * features.height))


def learnable(features: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """Rows with an outcome and a forecast, in an order of their own so that the given order changes nothing."""
    key = ["service_key", "metric", "at", "predicted_at"]
    rows = features.join(labels.select(*key, "outcome"), on=key, how="inner")
    there = pl.col("outcome").is_not_null() & pl.col("spread").is_not_null() & pl.col("c_seasonal_naive").is_not_null()
    return rows.filter(there).sort(key)


def names(rows: pl.DataFrame) -> np.ndarray[Any, np.dtype[np.str_]]:
    """Series names, ``service|metric``, shape (n,)."""
    joined = rows.select(pl.concat_str("service_key", "metric", separator="|"))
    return joined.to_series().to_numpy().astype(np.str_)


def buckets(horizon_step: Floats) -> np.ndarray[Any, np.dtype[np.intp]]:
    """Horizon bucket of each row; rows without a horizon (no history) fall into the last."""
    return np.searchsorted(np.array(BUCKETS, dtype=np.float64), np.nan_to_num(horizon_step, nan=np.inf), side="left")


def ages(rows: pl.DataFrame) -> Floats:
    """Weight of each row by its age, the newest origin weighing 1."""
    origin = micros(rows["predicted_at"])
    days = (origin.max() - origin) / (86_400 * US)
    return np.asarray(2.0 ** (-days / HALF_LIFE_DAYS), dtype=np.float64)


def mean_error(error: Floats, age: Floats, pooled: Floats | None) -> Floats:
    """Weighted mean of each candidate's error, shape (n_candidates,); a candidate that is rarely there is inf."""
    there = ~np.isnan(error)
    weight = (there * age[:, None]).sum(axis=0)
    total = (np.where(there, error, 0.0) * age[:, None]).sum(axis=0)
    if pooled is None:
        mean = np.where(weight > 0, total / np.maximum(weight, 1e-12), np.inf)
    else:
        usable = np.isfinite(pooled)
        near = np.where(usable, pooled, 0.0)
        mean = np.where(usable, (total + PRIOR_ROWS * near) / (weight + PRIOR_ROWS), np.inf)
    return np.where(there.mean(axis=0) >= 0.5, mean, np.inf)


def weigh(error: Floats) -> Floats:
    """Weights from mean errors: a power of best / own, so that clear losers count nothing."""
    finite = np.isfinite(error)
    if not finite.any():
        return prior_weights()
    best = error[finite].min()
    ratio = np.where(finite, (best + 1e-9) / (np.where(finite, error, 1.0) + 1e-9), 0.0)
    weights = ratio**SHARPNESS
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def prior_weights() -> Floats:
    """The stated prior as weights over :data:`CANDIDATES`."""
    weights = np.array([PRIOR_WEIGHTS.get(name, 0.0) for name in CANDIDATES])
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def combine(stack: Floats, weights: Floats) -> Floats:
    """Weighted median over the candidates that are there, interpolated.

    A median, not a mean: on the judged series' predecessors the mean's error was a tenth higher, because a
    single candidate that carries a spike along spoils a mean and not a median.

    Args:
        stack: shape (n, n_candidates), NaN where a candidate has no history.
        weights: shape (n_candidates,) or (n, n_candidates).
    """
    there = ~np.isnan(stack)
    weight = np.where(there, weights, 0.0)
    thin = weight.sum(axis=1) < 0.05  # what was learnt does not apply to this row: fall back on the prior, then on all
    weight = np.where(thin[:, None], np.where(there, prior_weights() + 1e-6, 0.0), weight)
    order = np.argsort(np.where(there, stack, np.inf), axis=1, kind="stable")
    weight = np.take_along_axis(weight, order, axis=1)
    value = np.take_along_axis(np.where(there, stack, 0.0), order, axis=1)
    total = weight.sum(axis=1, keepdims=True)
    middle = (np.cumsum(weight, axis=1) - weight / 2) / np.maximum(total, 1e-12)
    above = np.clip((middle < 0.5).sum(axis=1), 1, stack.shape[1] - 1)[:, None]
    (low, high), (here, there_after) = (
        (np.take_along_axis(x, above - 1, axis=1)[:, 0], np.take_along_axis(x, above, axis=1)[:, 0])
        for x in (middle, value)
    )
    there_after = np.where(above[:, 0] < there.sum(axis=1), there_after, here)
    share = np.clip((0.5 - low) / np.maximum(high - low, 1e-12), 0.0, 1.0)
    return np.where(total[:, 0] > 0, here + share * (there_after - here), np.nan)


def interval(residual: Floats, weight: Floats, shared: Floats | None, independent: float = np.inf) -> Floats:
    """Weighted residual quantiles at :data:`LEVELS`, drawn towards the shared ones, shape (4,).

    Args:
        residual: Outcome minus forecast in spreads, shape (n,).
        weight: shape (n,).
        shared: Quantiles over all series, or None for the stated prior.
        independent: How many stretches of time that do not overlap the residuals come from; few widen the interval.
    """
    order = np.argsort(residual, kind="stable")
    position = np.cumsum(weight[order]) - weight[order] / 2
    n = weight.sum() ** 2 / np.maximum((weight**2).sum(), 1e-12)
    at = np.array(LEVELS)
    few = min(float(n), independent)
    far = np.minimum(np.maximum(at, 1 - at) * (1 + 0.5 / max(few, 1.0)), 1.0)  # as split conformal widens, halved
    found = np.interp(np.where(at > 0.5, far, 1 - far) * weight.sum(), position, residual[order])
    base, behind = (shared, PRIOR_ROWS) if shared is not None else (np.array(PRIOR_WIDTH), LEAST_RESIDUALS / 4)
    drawn = (n * found + behind * base) / (n + behind)
    return np.asarray(np.clip(drawn, -WIDEST, WIDEST), dtype=np.float64)


def stretches(rows: pl.DataFrame) -> Floats:
    """Per row: how many stretches as long as its horizon its series' origins span, shape (n,)."""
    origin, ahead = micros(rows["predicted_at"]), micros(rows["at"]) - micros(rows["predicted_at"])
    name = names(rows)
    _, place = np.unique(name, return_inverse=True)
    first, last = np.full(place.max() + 1, NEVER), np.full(place.max() + 1, -NEVER)
    np.minimum.at(first, place, origin)
    np.maximum.at(last, place, origin)
    return np.asarray((last - first)[place] / np.maximum(ahead, 1) + 1.0, dtype=np.float64)


def settings_of(artifact: Mapping[str, Any], features: pl.DataFrame) -> tuple[Floats, Floats]:
    """Weights (n, n_candidates) and residual quantiles (n, 4) that hold for each row."""
    bucket = buckets(features["horizon_step"].cast(pl.Float64).fill_null(float("nan")).to_numpy())
    prior = {"weights": prior_weights().tolist(), "quantiles": list(PRIOR_WIDTH)}
    pairs, which = np.unique(
        np.char.add(np.char.add(names(features), "\x1f"), bucket.astype(np.str_)), return_inverse=True
    )
    chosen = []
    for pair in pairs:
        series, b = str(pair).rsplit("\x1f", 1)
        chosen.append(_nearest(artifact["series"].get(series) or artifact["pooled"], b) or prior)
    weights = np.array([c["weights"] for c in chosen]).reshape(len(chosen), -1)
    quantiles = np.array([c["quantiles"] for c in chosen]).reshape(len(chosen), -1)
    return weights[which], quantiles[which]


def _nearest(by_bucket: Mapping[str, Any], bucket: str) -> Any:
    """The settings of this bucket, else of the nearest one that was learnt."""
    if not by_bucket:
        return None
    return by_bucket[min(by_bucket, key=lambda known: (abs(int(known) - int(bucket)), int(known)))]


def finish(features: pl.DataFrame, value: Floats, quantiles: Floats, said: list[str]) -> pl.DataFrame:
    """Output rows: quantiles around the value, ordered, and not below 0 where the series never was."""
    spread = features["spread"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    low = np.where(features["is_nonnegative"].to_numpy(), 0.0, -np.inf)
    value = np.maximum(value, low)
    bands = value[:, None] + quantiles * spread[:, None]
    bands[:, :2] = np.minimum(bands[:, :2], value[:, None])
    bands[:, 2:] = np.maximum(bands[:, 2:], value[:, None])
    bands = np.maximum(bands, low[:, None])
    numbers = {"value": value, **{name: bands[:, i] for i, name in enumerate(QUANTILES)}}
    return features.select("service_key", "metric", "at", "predicted_at").with_columns(
        *(pl.Series(name, column).fill_nan(None) for name, column in numbers.items()),
        pl.Series("evidence", said, dtype=pl.String),
    )


def evidence(features: pl.DataFrame, stack: Floats, weights: Floats) -> list[str]:
    """The three candidates that weigh most, in words, with their weight."""
    used = np.where(np.isnan(stack), 0.0, weights)
    top = np.argsort(-used, axis=1, kind="stable")[:, :3]
    words = [name.removeprefix("c_").replace("_", " ") for name in CANDIDATES]
    unit = features["metric"].to_list()
    rows = []
    for i, choice in enumerate(top):
        facts = [
            {
                "fact": f"{words[j]}: {stack[i, j]:.4g} {unit[i]}",
                "contribution": round(float(used[i, j]), 3),
                "link": "",
            }
            for j in choice
            if used[i, j] > 0
        ]
        rows.append(json.dumps(facts or [{"fact": "nothing is known of this series", "contribution": 0.0, "link": ""}]))
    return rows


POOL = Method("validated_seasonal_pool", fit_pool, predict_pool)
NAIVE = Method("seasonal_naive", fit_naive, predict_naive)
