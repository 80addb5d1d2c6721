"""The protocol on labelled outside series: learnt on half of the series, judged on the other half, and back.

Put what is measured and against what here; readers of formats are in ``weaver_forge.benchmarks``, metrics in
``weaver_forge.metrics``. Point-adjusted measures are left out on purpose (see ``metrics.detection``).
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

import numpy as np
import polars as pl

from models.anomaly import SPEC, configure
from weaver_forge import metrics
from weaver_forge.contracts.decision import DecisionSpec

NAMES = ("ap", "event_f1", "brier", "ece", "log_loss")
POINTS, INCIDENTS = "core_service__points", "core_incidents__incidents"
WINDOW_STEPS = 2
LONGEST_MIN = 720
PROBATION = 0.15
"""Share of a series that is only learnt from: no method can say anything at its start."""


class Data(Protocol):
    """A benchmark's data as ``weaver_forge.benchmarks`` gives it; models do not import that package."""

    @property
    def set(self) -> str:
        """Name of the set."""

    @property
    def tables(self) -> Mapping[str, pl.DataFrame]:
        """Core tables by name."""


def benchmark(data: Data, rng: np.random.Generator, spec: DecisionSpec = SPEC) -> list[dict[str, Any]]:
    """Rows of set, protocol, metric, value, low, high, n and the baselines measured in the same run."""
    judged = crossed(data.tables, rng, spec)
    rows = []
    for score in metrics.evaluate(list(NAMES), judged, rng=rng):
        other = metrics.evaluate(
            [score.metric], judged.with_columns(probability=pl.col("outcome").mean()), rng=rng, resamples=1
        )[0]
        rows.append({
            "set": data.set, "protocol": "cross_fold", "metric": score.metric, "value": score.value, "low": score.low,
            "high": score.high, "n": score.n,
            "baselines": {"rolling_robust_z": score.baseline_value, "base_rate": other.value},
        })  # fmt: skip
    return rows


def crossed(tables: Mapping[str, pl.DataFrame], rng: np.random.Generator, spec: DecisionSpec) -> pl.DataFrame:
    """Every window after probation with both methods' probabilities, fitted on the other half of the series.

    The unit is the series. The window is two steps of a series, so that features mean the same at any step.
    """
    labelled = [part for step, part in _by_step(tables[POINTS]) for part in [_windows(tables, part, step, spec)]]
    both = pl.concat(labelled).sort("service_key", "window_at")
    half = {key: i % 2 for i, key in enumerate(both["service_key"].unique().sort())}
    both = both.with_columns(pl.col("service_key").replace_strict(half, return_dtype=pl.Int32).alias("half"))
    kind = spec.kind("windows")
    judged = []
    for fold in (0, 1):
        known, new = both.filter(pl.col("half") != fold), both.filter(pl.col("half") == fold)
        ours = kind.model.predict(kind.model.fit(known, known, rng), new).rows
        theirs = kind.baseline.predict(kind.baseline.fit(known, known, rng), new).rows
        key = list(kind.subject_columns)
        judged.append(
            new.select(*key, "outcome", unit="service_key")
            .join(ours.select(*key, "probability"), on=key, maintain_order="left")
            .join(theirs.select(*key, baseline_probability="probability"), on=key, maintain_order="left")
        )
    return pl.concat(judged).sort("service_key", "window_at")


def _by_step(points: pl.DataFrame) -> list[tuple[int, pl.DataFrame]]:
    parts = points.sort("step_s", "service_key", "at").partition_by("step_s", as_dict=True, maintain_order=True)
    return [(int(key[0]), part) for key, part in parts.items()]


def _windows(tables: Mapping[str, pl.DataFrame], points: pl.DataFrame, step_s: int, spec: DecisionSpec) -> pl.DataFrame:
    """Features and labels of all windows after probation of the series with one step length."""
    del spec  # the window's length is the series'; methods are those of the given spec
    minutes = min(max(WINDOW_STEPS * step_s // 60, 1), LONGEST_MIN)
    kind = configure(window_minutes=minutes, history_days=36_500).kind("windows")
    frames = []
    for part in points.partition_by("service_key"):
        one = {**tables, POINTS: part}
        first, last = part["at"].min(), part["known_at"].max()
        assert isinstance(first, datetime), "a series without points cannot be measured"
        assert isinstance(last, datetime), "a series without points cannot be measured"
        end = last + timedelta(days=2)
        subjects = kind.history(one, end).filter(pl.col("window_at") >= first + PROBATION * (last - first))
        labels = kind.labels(one, subjects, end).select(*kind.subject_columns, "outcome")
        frames.append(kind.features(one, subjects).join(labels, on=kind.subject_columns, maintain_order="left"))
    return pl.concat(frames).filter(pl.col("outcome").is_not_null())
