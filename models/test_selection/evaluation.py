"""How test selection is measured on public histories: walking forward, refitting on the past, one ranking a build.

Put protocols here; metrics are in ``weaver_forge.metrics``, formats in ``weaver_forge.benchmarks``.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import polars as pl

from models.test_selection import SPEC
from weaver_forge import metrics
from weaver_forge.contracts.decision import DecisionSpec

WARM_UP = 0.2
REFIT_GROWTH = 1.1
"""A model is refitted when its history has grown by a tenth: 40 to 60 fits a set instead of one a build."""

NAMES = ("apfd", "apfdc", "recall@25", "first_failure_position", "brier", "ece")
KEY = ["repo_id", "revision", "test_id", "predicted_at"]


class Data(Protocol):
    """A benchmark's data as ``weaver_forge.benchmarks`` gives it; models do not import that package."""

    @property
    def set(self) -> str:
        """Name of the set."""

    @property
    def tables(self) -> Mapping[str, pl.DataFrame]:
        """Core tables by name."""

    @property
    def frames(self) -> Mapping[str, pl.DataFrame]:
        """``executions`` as the file has them, where the published protocol applies."""

    @property
    def protocols(self) -> tuple[str, ...]:
        """``published`` and ``time_ordered``, as they apply."""


def benchmark(data: Data, rng: np.random.Generator, spec: DecisionSpec = SPEC) -> list[dict[str, Any]]:
    """Rows of set, protocol, metric, value, low, high, n and the baselines measured in the same run."""
    judged = walk_forward(data, rng, spec)
    rows: list[dict[str, Any]] = []
    if "published" in data.protocols:
        # As published: every row of the file is run, repeated names too, and nothing is left out as warm-up.
        executions = data.frames["executions"].select(
            "revision", "test_id", outcome_row="outcome", cost_row="duration_ms"
        )
        unmerged = judged.join(executions, on=("revision", "test_id")).with_columns(
            outcome="outcome_row", cost="cost_row"
        )
        rows += measure(data.set, "published", unmerged, rng)
    warm = judged.select("revision", "predicted_at").unique().sort("predicted_at", "revision")
    evaluated = warm.slice(int(WARM_UP * warm.height))
    return rows + measure(data.set, "time_ordered", judged.join(evaluated, on="revision", how="semi"), rng)


def walk_forward(data: Data, rng: np.random.Generator, spec: DecisionSpec = SPEC) -> pl.DataFrame:
    """Every past subject with both methods' numbers, each fitted only on revisions known before.

    Both objectives of the model stand side by side: ``score`` by time, ``probability`` by failures.
    """
    kind = spec.kinds[0]
    end = data.tables["core_ci__runs"]["known_at"].max()
    assert isinstance(end, datetime), "a history without runs cannot be measured"
    as_of = end + timedelta(days=30)
    subjects = kind.history(data.tables, as_of)
    features = kind.features(data.tables, subjects)
    labels = kind.labels(data.tables, subjects, as_of).filter(pl.col("outcome").is_not_null())
    revisions = subjects.select("revision", "predicted_at").unique().sort("predicted_at", "revision")
    ordered = features.join(revisions.with_row_index("place").select("revision", "place"), on="revision")
    said = []
    for start, stop in _blocks(revisions.height):
        known = ordered.filter(pl.col("place") < start).drop("place")
        first = revisions["predicted_at"][start]
        past = labels.filter(pl.col("outcome_known_at") <= first)
        block = ordered.filter(pl.col("place") >= start, pl.col("place") < stop).drop("place")
        model, base = kind.model.fit(known, past, rng), kind.baseline.fit(known, past, rng)
        theirs = kind.baseline.predict(base, block).rows.select(
            *KEY, baseline_probability="probability", baseline_score="score"
        )
        rows = kind.model.predict(model, block).rows.select(*KEY, "probability", "score")
        said.append(rows.join(theirs, on=KEY).join(block.select(*KEY, "n_failures"), on=KEY))
    return pl.concat(said).join(labels.select(*KEY, "outcome", "cost"), on=KEY).with_columns(unit="revision")


def measure(name: str, protocol: str, judged: pl.DataFrame, rng: np.random.Generator) -> list[dict[str, Any]]:
    """One row a metric; APFD is of the order by probability, the others of the order by time."""
    by_probability = judged.with_columns(score="probability")
    ever = (pl.col("outcome") > 0) & (pl.col("n_failures") > 0)
    never_before = judged.filter(~ever.any().over("unit"))
    cost = pl.col("cost") + 1.0
    rows = []
    for metric in NAMES:
        frame = by_probability if metric == "apfd" else judged
        frame = never_before if metric == "first_failure_position" else frame
        score = metrics.evaluate([metric], frame, rng=rng)[0]
        optimal = pl.col("outcome") / cost if metric in {"apfdc", "recall@25"} else pl.col("outcome")
        others = {"last_failed_first": score.baseline_value}
        if metric in {"apfd", "apfdc", "recall@25", "first_failure_position"}:
            others["random"] = metrics.evaluate([metric], frame.with_columns(score=0.0), rng=rng, resamples=1)[0].value
            best = frame.with_columns(score=optimal)
            others["optimal"] = metrics.evaluate([metric], best, rng=rng, resamples=1)[0].value
        rows.append({
            "set": name, "protocol": protocol, "metric": metric, "value": score.value, "low": score.low,
            "high": score.high, "n": score.n, "baselines": others,
        })  # fmt: skip
    return rows


def _blocks(n: int) -> list[tuple[int, int]]:
    """Half-open ranges of revisions predicted with one fit: each at least a tenth of what was known."""
    edges = [0]
    while edges[-1] < n:
        edges.append(min(n, max(edges[-1] + 1, int(edges[-1] * REFIT_GROWTH))))
    return list(pairwise(edges))
