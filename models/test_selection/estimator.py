"""The two methods: a probability and an order learnt side by side, and last-failed-first.

Put fitting and predicting here. Artifacts are plain numbers; predicting needs numpy and polars only. Columns stand in
``design``, the fit of an order in ``pairwise``, and what an order is for in ``objectives``.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise as neighbours
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models import logistic
from models.test_selection import objectives, pairwise
from models.test_selection.change_links import CLASSES, LINKS
from models.test_selection.design import CHANCE, CHANGED, ORDER, RATES, design, duration_rank, prior, stacked, usual
from models.test_selection.evidence import evidence
from models.test_selection.objectives import Objective
from models.test_selection.patience import duration, patience
from models.test_selection.thinning import thinned
from models.test_selection.verdict_history import PRIOR_RATE
from weaver_forge.contracts.decision import Artifact, Predictions

Floats = logistic.Floats

KEY = ("repo_id", "revision", "test_id", "predicted_at")
NAME = "multi_scale_history_logistic"
PENALTY = 300.0
"""Histories change their regime: weaker priors lose to last-failed-first on projects with long red phases."""
ORDER_PENALTY = 20.0
FOLDS = 4
LEAST_FAILURES = 10
"""Fewer failures (or passes) than this calibrate nothing and choose nothing."""

NEVER = 1e9
_WIDE = 1e6
BUCKETS = (0.5, 1.5, 2.5, 5.5, 10.5, 30.5, 100.5)
BUCKET_PRIOR = 10.0


def fit(objective: Objective) -> Callable[[pl.DataFrame, pl.DataFrame, np.random.Generator], Artifact]:
    """The model's ``fit`` for an objective: cheap failures first, likely ones first, or the most within a budget."""

    def fit_model(features: pl.DataFrame, labels: pl.DataFrame, rng: np.random.Generator) -> Artifact:
        rows, past, n_failures = _read(features, labels, rng)
        if 0 < past.y.sum() < past.y.size:
            linear, choice = _calibrated(past, rng)
        else:
            linear, choice = _without_failures(past), _undecided()
        learnt = _order(past, past.y.size, rng)
        return {
            "method": NAME,
            "objective": objective,
            "columns": list(CHANCE),
            "linear": linear.as_data(),
            "order_columns": list(ORDER),
            "order": learnt.as_data(),
            "choice": choice,
            "n_rows": rows,
            "n_failures": n_failures,
        }

    return fit_model


@dataclass(frozen=True, slots=True)
class _Past:
    """What a fit reads, oldest first, by row: columns of both fits, outcome, ranking, weight and expected durations."""

    chance: Floats
    order: Floats
    y: Floats
    unit: NDArray[np.intp]
    weight: Floats
    duration: Floats
    patience: Floats


def _read(features: pl.DataFrame, labels: pl.DataFrame, rng: np.random.Generator) -> tuple[int, _Past, float]:
    """Number of labelled rows, what the fit reads of them, and how many of all failed."""
    # Only keys and outcomes of all rows are joined and sorted: the columns of a long history are not copied.
    known = _labelled(features.select(*KEY).with_row_index("at"), labels)
    y = known["outcome"].to_numpy()
    unit = known.select(pl.struct("predicted_at", "repo_id", "revision").rle_id()).to_series().to_numpy()
    kept, weight = thinned(y, unit.astype(np.intp), rng)
    rows = features[known["at"].gather(kept)]
    # Places by duration are those within the whole ranking, not within what was drawn of it.
    columns = design(rows, duration_rank(features)[known["at"].gather(kept).to_numpy()])
    chance, order = stacked(columns, CHANCE), stacked(columns, ORDER)
    # The same holds for what a long test is.
    waits = patience(features)[known["at"].gather(kept).to_numpy()]
    past = _Past(chance, order, y[kept], unit[kept].astype(np.intp), weight, duration(rows), waits)
    return known.height, past, float(y.sum())


def _calibrated(past: _Past, rng: np.random.Generator) -> tuple[logistic.Linear, dict[str, Any]]:
    """The probability, and the choice between orders, both judged on blocks later than each fit has seen."""
    y, unit = past.y, past.unit
    linear = _chance(past, y.size)
    if min(y.sum(), (1 - y).sum()) < LEAST_FAILURES:
        return linear, _undecided()
    edges = np.unique(np.searchsorted(unit, unit[np.linspace(0, y.size - 1, FOLDS + 2).astype(int)]))[1:]
    edges = np.append(edges[edges > 0], y.size)
    if edges.size < 2:
        return linear, _undecided()
    odds, values, fresh = [], [], []
    for fold, (start, end) in enumerate(neighbours(np.unique(edges).tolist())):
        fresh.append(np.full(end - start, 2.0**fold))
        before, learnt = _chance(past, start), _order(past, start, rng)
        odds.append(before.contributions(past.chance[start:end]).sum(axis=1) + before.intercept)
        values.append(learnt.value(past.order[start:end]))
    later = slice(int(edges[0]), None)
    z = np.concatenate(odds)
    # Suites change their regime: the newest block says most about how the next one is calibrated.
    newness = np.concatenate(fresh)
    slope, shift = logistic.stretch(z, y[later], past.weight[later] * newness / newness.max())
    choice = objectives.choose(
        y[later],
        unit[later],
        slope * z + shift,
        np.concatenate(values),
        past.duration[later],
        past.patience[later],
        past.weight[later],
    )
    return replace(linear, slope=slope, shift=shift), choice


def _order(past: _Past, end: int, rng: np.random.Generator) -> pairwise.Order:
    """The order learnt from the first ``end`` rows; before a few rankings with both outcomes, what is stated holds.

    The first runs show every test without a history; a fit to them would unlearn that failures come back.
    """
    y, unit = past.y[:end], past.unit[:end]
    failed, n = np.bincount(unit, weights=y), np.bincount(unit)
    if ((failed > 0) & (failed < n)).sum() < objectives.LEAST_RANKINGS:
        return pairwise.stated(prior(ORDER))
    return pairwise.fit(
        past.order[:end], y, unit, past.weight[:end], prior=prior(ORDER), penalty=ORDER_PENALTY, rng=rng
    )


def _chance(past: _Past, end: int) -> logistic.Linear:
    """The probability learnt from the first ``end`` rows, before calibration."""
    x = past.chance[:end]
    fitted = logistic.fit(
        x, past.y[:end], prior=prior(CHANCE), base_rate=PRIOR_RATE, penalty=PENALTY, weight=past.weight[:end],
        calibrated=False,
    )  # fmt: skip
    return _with_stated(fitted, x)


def _with_stated(fitted: logistic.Linear, x: Floats) -> logistic.Linear:
    """What the change says counts as stated where the past shows no two values of it: a new source, the first docs."""
    parts = {name: getattr(fitted, name).copy() for name in ("center", "scale", "low", "high", "coefficient")}
    for i, name in enumerate(CHANCE):
        known = x[np.isfinite(x[:, i]), i] if name in {*CLASSES, *LINKS} else None
        if known is not None and (not known.size or known.min() == known.max()):
            center = known[0] if known.size else usual((name,))[0]
            stated_as = (center, 1.0, -_WIDE, _WIDE, prior((name,))[0])
            for part, value in zip(parts.values(), stated_as, strict=True):
                part[i] = value
    return replace(fitted, **parts)


def _undecided() -> dict[str, Any]:
    nothing = np.zeros(0)
    return objectives.choose(nothing, np.zeros(0, np.intp), *[nothing] * 5)


def predict(artifact: Artifact, features: pl.DataFrame) -> Predictions:
    """Probability of a real failure, and the order within the revision."""
    columns = design(features)
    model = logistic.Linear.from_data(artifact["linear"])
    x = stacked(columns, tuple(artifact["columns"]))
    parts = model.contributions(x)
    score = _scores(artifact, columns, parts, model, features)[artifact["objective"]]
    rows = features.select(
        *KEY,
        probability=pl.Series(model.probability(x), dtype=pl.Float64),
        score=pl.Series(score, dtype=pl.Float64),
        evidence=evidence(features, dict(zip(artifact["columns"], parts.T, strict=True))),
    )
    return Predictions(rows)


def orders(artifact: Artifact, features: pl.DataFrame) -> pl.DataFrame:
    """The key and one score an objective: ``score_time``, ``score_failures``, ``score_budget``."""
    columns = design(features)
    model = logistic.Linear.from_data(artifact["linear"])
    parts = model.contributions(stacked(columns, tuple(artifact["columns"])))
    scores = _scores(artifact, columns, parts, model, features)
    return features.select(*KEY, *(pl.Series(f"score_{name}", score) for name, score in scores.items()))


def _scores(
    artifact: Artifact, columns: dict[str, Floats], parts: Floats, model: logistic.Linear, features: pl.DataFrame
) -> dict[str, Floats]:
    """The order of each objective, by its share of the learnt order and its wait of long tests."""
    log_odds = parts.sum(axis=1) + model.slope * model.intercept + model.shift
    value = pairwise.Order.from_data(artifact["order"]).value(stacked(columns, tuple(artifact["order_columns"])))
    taken, waits = duration(features), patience(features)
    scores = {
        name: objectives.score(share, wait, log_odds, value, waits if name == "time" else taken)
        for name, (share, wait) in artifact["choice"].items()
    }
    ranking = features.select(pl.struct("repo_id", "revision", "predicted_at").rank("dense")).to_series().to_numpy()
    whole = np.bincount(ranking, weights=taken)[ranking]
    return {**scores, "budget": objectives.in_budget(scores["budget"], taken, whole)}


def fit_baseline(features: pl.DataFrame, labels: pl.DataFrame, rng: np.random.Generator) -> Artifact:
    """Failure rate by runs since the last failure, shrunk towards the rate of all."""
    del rng
    rows = _labelled(features.select(*KEY, "runs_since_failure"), labels)
    y, bucket = rows["outcome"].to_numpy(), _bucket(rows)
    overall = (y.sum() + PRIOR_RATE * 20) / (y.size + 20)
    n = np.bincount(bucket, minlength=len(BUCKETS) + 2)
    failed = np.bincount(bucket, weights=y, minlength=len(BUCKETS) + 2)
    rates = (failed + BUCKET_PRIOR * overall) / (n + BUCKET_PRIOR)
    return {"method": "last_failed_first", "rates": rates.tolist()}


def predict_baseline(artifact: Artifact, features: pl.DataFrame) -> Predictions:
    """Tests in the order of their last failure; those that never failed come last, as the change ties them.

    The ties are the stated ones: a fallback must not order by chance where the change is known. Benchmarks compare
    with the plain order, whose ties are drawn.
    """
    rates: list[float] = artifact["rates"]
    since = pl.col("runs_since_failure")
    fact = (
        pl.when(since.is_null())
        .then(pl.lit("has never failed"))
        .otherwise(pl.format("last failed {} runs ago", (since + 1).cast(pl.Int64)))
    )
    entry = pl.struct(fact=fact, contribution=pl.lit(1.0), link=pl.lit(None, pl.String))
    last = features.select(-since.fill_null(NEVER)).to_series().to_numpy()
    rows = features.select(
        *KEY,
        probability=pl.Series(np.asarray(rates)[_bucket(features)], dtype=pl.Float64),
        score=pl.Series(last + _stated_tie(features), dtype=pl.Float64),
        evidence=pl.format("[{}]", entry.struct.json_encode()),
    )
    return Predictions(rows)


def _stated_tie(features: pl.DataFrame) -> Floats:
    """What the change says by stated coefficients, within 0 and 1, so that it only tells equal ones apart."""
    x = features.select(pl.col(CHANGED).cast(pl.Float64).fill_null(float("nan"))).to_numpy(order="c")
    distance = np.where(np.isfinite(x), x - usual(CHANGED), 0.0)
    tie: Floats = logistic.sigmoid(distance @ prior(CHANGED))
    return np.clip(tie, 1e-6, 1 - 1e-6)


def _labelled(features: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """Features with outcomes, oldest first; the same rows in any order give the same result."""
    rows = features.join(labels.select(*KEY, "outcome"), on=KEY).filter(pl.col("outcome").is_not_null())
    return rows.sort("predicted_at", "repo_id", "revision", "test_id")


def _without_failures(past: _Past) -> logistic.Linear:
    """The stated prior around an average test, at the prior rate shrunk by what has been seen."""
    chance = past.chance
    rate = float((past.weight @ past.y + PRIOR_RATE * 20) / (past.weight.sum() + 20))
    rate = min(max(rate, 1e-4), 1 - 1e-4)
    at_prior = float(np.log(PRIOR_RATE / (1 - PRIOR_RATE)))
    center = usual(CHANCE)
    for i, name in enumerate(CHANCE):
        if name in RATES:
            known = chance[np.isfinite(chance[:, i]), i]
            center[i] = known.mean() if known.size else at_prior
    return logistic.prior_only(prior(CHANCE), rate, center)


def _bucket(features: pl.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """0.. by runs since the last failure, then never failed."""
    since = features["runs_since_failure"].cast(pl.Float64).fill_null(NEVER).to_numpy()
    return np.where(since >= NEVER, len(BUCKETS) + 1, np.searchsorted(BUCKETS, since)).astype(np.intp)


def stated(artifact: Artifact) -> dict[str, Any]:
    """Coefficients by column, for people."""
    return dict(zip(artifact["columns"], artifact["linear"]["coefficient"], strict=True))
