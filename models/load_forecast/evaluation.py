"""The protocol on outside series: rolling windows at the end of each, with the decision's own methods.

Put what is measured and against what here; readers of formats are in ``weaver_forge.benchmarks``, metrics in
``weaver_forge.metrics``. A series is forecast from the two weeks before each window and nothing else: not its
other windows, not the other series. The reference is the value a day ago, as published comparisons have it; the
decision's own baseline, which looks a week back once it can, stands beside it.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

import numpy as np
import polars as pl

from models.load_forecast import SPEC
from models.load_forecast.candidates import Season
from models.load_forecast.features import POINTS
from weaver_forge import metrics
from weaver_forge.contracts.decision import DecisionSpec

NAMES = ("rel_mase", "mase", "crps", "coverage80", "coverage95")
WINDOWS = 6
CONTEXT_DAYS = 14
ORIGINS = 48
"""Origins within the context that weights and intervals are learnt from."""
STEPS = 16
LONG_STEP_S = 300
"""Series with steps up to this length are forecast 288 steps ahead as well."""
KEY = ["service_key", "metric", "at", "predicted_at"]


class Data(Protocol):
    """A benchmark's data as ``weaver_forge.benchmarks`` gives it; models do not import that package."""

    @property
    def set(self) -> str:
        """Name of the set."""

    @property
    def tables(self) -> Mapping[str, pl.DataFrame]:
        """Core tables by name."""


def benchmark(data: Data, rng: np.random.Generator, spec: DecisionSpec = SPEC) -> list[dict[str, Any]]:
    """Rows of set, protocol, metric, value, low, high, n and the baseline measured in the same run."""
    points = data.tables[POINTS]
    found = []
    for horizon in (48, 288):
        some = points if horizon == 48 else points.filter(pl.col("step_s") <= LONG_STEP_S)
        judged = rolling(some, horizon, rng, spec)
        if judged.height:
            found += measure(data.set, f"h{horizon}", judged, rng)
    return found


def measure(name: str, protocol: str, judged: pl.DataFrame, rng: np.random.Generator) -> list[dict[str, Any]]:
    """One row a metric over all series, and the relative CRPS."""
    own = metrics.evaluate(list(NAMES), judged.with_columns(value="own_naive"), rng=rng, resamples=1)
    rows = [
        {
            "set": name, "protocol": protocol, "metric": score.metric, "value": score.value, "low": score.low,
            "high": score.high, "n": score.n,
            "baselines": {"seasonal_naive": score.baseline_value}
            | ({"seasonal_naive_week": other.value} if "mase" in score.metric else {}),
        }
        for score, other in zip(metrics.evaluate(list(NAMES), judged, rng=rng), own, strict=True)
    ]  # fmt: skip
    ratio = relative_crps(judged)
    rows.append({
        "set": name, "protocol": protocol, "metric": "rel_crps", "value": ratio, "low": None, "high": None,
        "n": judged["unit"].n_unique(), "baselines": {"seasonal_naive": 1.0},
    })  # fmt: skip
    return rows


def relative_crps(judged: pl.DataFrame) -> float | None:
    """Geometric mean over series of the CRPS relative to that of seasonal naive with its own intervals."""
    rng = np.random.default_rng(0)  # crps draws nothing from it
    names = ["value", "q_025", "q_100", "q_900", "q_975"]
    logs = []
    for part in judged.partition_by("unit"):
        naive = part.with_columns(pl.col(f"naive_{name}").alias(name) for name in names)
        ours, theirs = (metrics.evaluate(["crps"], p, rng=rng, resamples=1)[0].value for p in (part, naive))
        if ours and theirs:
            logs.append(np.log(ours / theirs))
    return float(np.exp(np.mean(logs))) if logs else None


def rolling(
    points: pl.DataFrame, horizon: int, rng: np.random.Generator, spec: DecisionSpec = SPEC, *, skip: int = 0
) -> pl.DataFrame:
    """Both methods' forecasts of up to six windows at the end of every series, with outcomes.

    Args:
        points: ``core_service__points``.
        horizon: Steps in a window.
        rng: Passed to fitting.
        spec: The decision measured.
        skip: Windows left out at the end: what is tried out on these has not seen the judged ones.
    """
    judged = []
    for _, rows in points.sort("service_key", "at").group_by(["service_key"], maintain_order=True):
        n = rows.height
        for number in range(skip, skip + WINDOWS):
            end = n - number * horizon
            if end - horizon >= max(2 * horizon, 96):
                judged.append(_window(rows, end, horizon, rng, spec))
    return pl.concat(judged) if judged else pl.DataFrame()


def _window(rows: pl.DataFrame, end: int, horizon: int, rng: np.random.Generator, spec: DecisionSpec) -> pl.DataFrame:
    """One window, forecast from the two weeks before it by methods fitted on these alone."""
    kind = spec.kind("points")
    step = timedelta(seconds=int(rows["step_s"][0]))
    per_day = Season.of(int(rows["step_s"][0])).day
    origin = end - horizon - 1
    tables = {POINTS: rows[max(origin + 1 - CONTEXT_DAYS * per_day, 0) : end]}
    now = rows["at"][origin] + step
    past, new = _subjects(tables[POINTS], horizon, per_day, now, step)
    features = kind.features(tables, past)
    labels = kind.labels(tables, past, now).filter(pl.col("maturity") == "mature")
    ahead = kind.features(tables, new)
    ours = kind.model.predict(kind.model.fit(features, labels, rng), ahead).rows
    theirs = kind.baseline.predict(kind.baseline.fit(features, labels, rng), ahead).rows
    daily = theirs.join(
        ahead.select(*KEY, pl.coalesce("c_yesterday", "c_last").alias("daily")), on=KEY, maintain_order="left"
    )
    moved = pl.col("value", "q_025", "q_100", "q_900", "q_975") - pl.col("value") + pl.col("daily")
    naive = daily.select(*KEY, moved.name.prefix("naive_"), own_naive="value")
    outcome = kind.labels(tables, new, rows["known_at"][end - 1]).select(*KEY, "outcome", "cost")
    scored = (
        ours.drop("evidence").join(naive, on=KEY, maintain_order="left").join(outcome, on=KEY, maintain_order="left")
    )
    return scored.with_columns(unit="service_key", baseline_value="naive_value")


def _subjects(
    rows: pl.DataFrame, horizon: int, per_day: int, now: datetime, step: timedelta
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Held-back origins in the second half of the context, sampled; and the whole window."""
    n = rows.filter(pl.col("known_at") <= now).height
    first = min(max(2 * per_day, n // 3), n // 2)
    origins = np.unique(np.linspace(first, n - 2, ORIGINS).astype(np.int64))
    steps = np.unique(np.concatenate([np.linspace(1, horizon, STEPS).round(), [2, 4]])).astype(np.int64)
    key = {"service_key": rows["service_key"][0], "metric": rows["metric"][0]}
    grid = pl.DataFrame({"origin": rows["at"].gather(origins)}).join(pl.DataFrame({"ahead": steps}), how="cross")
    at = (pl.col("origin") + step * pl.col("ahead")).cast(pl.Datetime("us"))
    constant = [pl.lit(value).alias(name) for name, value in key.items()]
    past = grid.select(*constant, at=at, predicted_at=(pl.col("origin") + step).cast(pl.Datetime("us")))
    past = past.filter(pl.col("at") + step <= now)
    future = rows.filter(pl.col("known_at") > now)
    new = future.select("service_key", "metric", "at", pl.lit(now, dtype=pl.Datetime("us")).alias("predicted_at"))
    return past, new
