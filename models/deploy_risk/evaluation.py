"""How deploy risk is measured on public tables of changes: the first 80 % to learn from, the last 20 % to judge on.

Put protocols here; metrics are in ``weaver_forge.metrics``, formats in ``weaver_forge.benchmarks``.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import polars as pl

from models.deploy_risk import SPEC
from weaver_forge import metrics
from weaver_forge.contracts.decision import DecisionSpec

TRAIN_SHARE = 0.8
NAMES = ("auc", "brier", "ece", "log_loss", "mcc", "f1_macro", "popt", "acc")
KEY = ["repo_id", "revision", "predicted_at"]


class Data(Protocol):
    """A benchmark's data as ``weaver_forge.benchmarks`` gives it; models do not import that package."""

    @property
    def set(self) -> str:
        """Name of the set."""

    @property
    def frames(self) -> Mapping[str, pl.DataFrame]:
        """``features`` and ``labels``."""


def benchmark(data: Data, rng: np.random.Generator, spec: DecisionSpec = SPEC) -> list[dict[str, Any]]:
    """Rows of set, protocol, metric, value, low, high, n and the baselines measured in the same run."""
    kind = spec.kind("changes")
    features, labels = data.frames["features"], data.frames["labels"]
    cut = int(TRAIN_SHARE * features.height)
    known, new = features[:cut], features[cut:]
    past = labels[:cut]
    model, base = kind.model.fit(known, past, rng), kind.baseline.fit(known, past, rng)
    theirs = kind.baseline.predict(base, new).rows.select(*KEY, baseline_probability="probability")
    rows = (
        kind.model.predict(model, new)
        .rows.join(theirs, on=KEY)
        .join(labels, on=KEY)
        .with_columns(unit="revision", baseline_score=pl.col("baseline_probability") / pl.col("cost"))
    )
    rate = float(past["outcome"].mean() or 0.0)  # type: ignore[arg-type]  # polars types mean() as any literal
    constant = rows.with_columns(probability=rate, score=-pl.col("cost"))
    found = []
    for metric in NAMES:
        score = metrics.evaluate([metric], rows, rng=rng)[0]
        other = metrics.evaluate([metric], constant, rng=rng, resamples=1)[0]
        naive = "smallest_change_first" if metric in {"popt", "acc"} else "base_rate"
        found.append({
            "set": data.set, "protocol": "time_ordered", "metric": metric, "value": score.value, "low": score.low,
            "high": score.high, "n": score.n, "baselines": {"lines_added": score.baseline_value, naive: other.value},
        })  # fmt: skip
    return found
