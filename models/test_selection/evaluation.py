"""How test selection is measured on public histories: walking forward, refitting on the past, one ranking a build.

Put protocols here; metrics are in ``weaver_forge.metrics``, formats in ``weaver_forge.benchmarks``.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import polars as pl

from models.test_selection import SPEC, estimator
from weaver_forge import metrics
from weaver_forge.contracts.decision import DecisionSpec

WARM_UP = 0.2
REFIT_GROWTH = 1.1
"""A model is refitted when its history has grown by a tenth: 40 to 60 fits a set instead of one a build."""

ORDER_OF = {
    "apfd": "score_failures", "apfdc": "score_time", "recall@25": "score_budget",
    "first_failure_position": "score_failures", "brier": "score_time", "ece": "score_time",
}  # fmt: skip
"""Each measure is taken of the order whose objective it is: places and failures a test, time, and a budget of it."""

RESAMPLES = 200
"""Bootstrap resamples a draw of the ties: 4,000 in all."""

KEY = ["repo_id", "revision", "test_id", "predicted_at"]

DRAWS = 20
"""A random order of few rankings says little, nor does one draw of a naive order's ties: so many are averaged."""

DRAWN_ROWS = 4_000_000
"""Rows that are drawn in all, but at least :data:`LEAST_DRAWS` times: many rankings say enough with fewer draws."""

LEAST_DRAWS = 3

BASELINES = {
    "recently_failed": pl.col("ewma_20"),
    "most_failures": pl.col("n_failures"),
    "failure_rate": pl.col("n_failures") / (pl.col("n_runs") + 1.0),
    "shortest_first": -pl.col("expected_duration_ms").fill_null(0.0),
}
"""Naive orders beside last-failed-first; of their ties :data:`DRAWS` random ones are averaged."""


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
        rows += measure(data.set, "published", unmerged.sort("predicted_at", *KEY[:3], "outcome", "cost"), rng)
    warm = judged.select("revision", "predicted_at").unique().sort("predicted_at", "revision")
    evaluated = warm.slice(int(WARM_UP * warm.height))
    return rows + measure(
        data.set, "time_ordered", judged.join(evaluated, on="revision", how="semi", maintain_order="left"), rng
    )


def walk_forward(data: Data, rng: np.random.Generator, spec: DecisionSpec = SPEC) -> pl.DataFrame:
    """Every past subject with both methods' numbers, each fitted only on revisions known before.

    The orders of all objectives stand side by side: ``score_time``, ``score_failures``, ``score_budget``; ``score``
    is that of the spec.
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
        # What is published where no model is tells equal ones apart by the change; the baseline to beat draws them.
        theirs = kind.baseline.predict(base, block).rows.select(
            *KEY, baseline_probability="probability", baseline_score=pl.col("score").floor()
        )
        rows = kind.model.predict(model, block).rows.select(*KEY, "probability", "score")
        naive = block.select(*KEY, "n_failures", *(order.alias(f"naive_{name}") for name, order in BASELINES.items()))
        said.append(rows.join(estimator.orders(model, block), on=KEY).join(theirs, on=KEY).join(naive, on=KEY))
    judged = pl.concat(said).join(labels.select(*KEY, "outcome", "cost"), on=KEY).with_columns(unit="revision")
    return judged.sort("predicted_at", *KEY[:3])  # ties are drawn by row


def measure(name: str, protocol: str, judged: pl.DataFrame, rng: np.random.Generator) -> list[dict[str, Any]]:
    """One row a metric, each of the order that it is for, and the gains that are averaged over sets.

    The first-failure slice is measured in the order by failures, as places are counted in tests; what the order by
    time does there stands beside it, because nobody runs two orders at once.
    """
    ever = (pl.col("outcome") > 0) & (pl.col("n_failures") > 0)
    never_before = judged.filter(~ever.any().over("unit"))
    rows = []
    for metric, order in ORDER_OF.items():
        frame = never_before if metric == "first_failure_position" else judged
        rows += _rows(name, protocol, metric, frame.with_columns(score=order), rng)
        if metric == "first_failure_position":
            by_time = _rows(name, protocol, metric, frame.with_columns(score="score_time"), rng)[0]
            gain = _over_random(rows[-1])
            rows += [{**by_time, "metric": "first_failure_position_by_time"}, gain]
            rows.append({**_over_random(by_time), "metric": "first_failure_gain_by_time"})
    return rows


def _rows(name: str, protocol: str, metric: str, frame: pl.DataFrame, rng: np.random.Generator) -> list[dict[str, Any]]:
    """The metric beside its baselines; of APFDc also the gain over the frame's, with its paired interval (90 %)."""
    if metric in {"brier", "ece"}:
        score = metrics.evaluate([metric], frame, rng=rng)[0]
        others = {"last_failed_first": score.baseline_value}
        return [_as_row(name, protocol, metric, (score.value, score.low, score.high), score.n, others)]
    frame = _with_both_outcomes(frame)
    cost = pl.col("cost") + 1.0
    best = pl.col("outcome") / cost if metric in {"apfdc", "recall@25"} else pl.col("outcome")
    orders = {"random": pl.lit(0.0), **{other: pl.col(f"naive_{other}") for other in BASELINES}, "optimal": best}
    drawn = _drawn(metric, frame, rng, resamples=RESAMPLES)
    others = {"last_failed_first": _mean(drawn, "baseline_value")}
    if metric == "first_failure_position":
        others["random"] = _first_by_chance(frame)
        del orders["random"]
    for other, order in orders.items():
        others[other] = _mean(_drawn(metric, frame.with_columns(score=order), rng, resamples=1), "value")
    found = (_mean(drawn, "value"), _mean(drawn, "low"), _mean(drawn, "high"))
    gain = (_mean(drawn, "gain"), _mean(drawn, "gain_low"), _mean(drawn, "gain_high"))
    said = _as_row(name, protocol, metric, found, drawn[0].n, others)
    return [said, _as_row(name, protocol, "apfdc_gain", gain, drawn[0].n, {})] if metric == "apfdc" else [said]


def _first_by_chance(frame: pl.DataFrame) -> float | None:
    """Mean over rankings of where, in the mean of all orders, the first of m failures among n tests stands.

    As the metric has it: the middle of its place, as a share of the tests.
    """
    n, m = pl.len(), pl.col("outcome").sum()
    mean = frame.group_by("unit").agg(place=((n + 1) / (m + 1) - 0.5) / n)["place"].mean()
    return mean if isinstance(mean, float) else None


def _as_row(
    name: str,
    protocol: str,
    metric: str,
    found: tuple[float | None, float | None, float | None],
    n: int,
    baselines: dict[str, float | None],
) -> dict[str, Any]:
    value, low, high = found
    return {
        "set": name, "protocol": protocol, "metric": metric, "value": value, "low": low, "high": high, "n": n,
        "baselines": baselines,
    }  # fmt: skip


def _with_both_outcomes(frame: pl.DataFrame) -> pl.DataFrame:
    """The rankings that count: some test failed and some did not; all others have no order to judge."""
    failed = pl.col("outcome").mean().over("unit")
    return frame.filter(failed > 0, failed < 1)


def _drawn(metric: str, frame: pl.DataFrame, rng: np.random.Generator, *, resamples: int) -> list[metrics.Score]:
    """The metric once a draw of the ties."""
    narrow = frame.select("unit", "outcome", "cost", "score", "baseline_score")
    draws = max(LEAST_DRAWS, min(DRAWS, DRAWN_ROWS // max(frame.height, 1)))
    return [metrics.evaluate([metric], narrow, rng=rng, resamples=resamples)[0] for _ in range(draws)]


def _mean(drawn: list[metrics.Score], field: str) -> float | None:
    """Mean of a field over the draws; None where it is not estimable."""
    values = [getattr(score, field) for score in drawn]
    return None if any(value is None for value in values) else float(np.mean(values))


def _over_random(row: dict[str, Any]) -> dict[str, Any]:
    """How much earlier than in a random order the first failure stands, with the interval of our own place."""
    random = row["baselines"]["random"]
    gains = {
        name: None if random is None or row[end] is None else random - row[end]
        for name, end in (("value", "value"), ("low", "high"), ("high", "low"))
    }
    return {**row, **gains, "metric": "first_failure_gain", "baselines": {}}


def _blocks(n: int) -> list[tuple[int, int]]:
    """Half-open ranges of revisions predicted with one fit: each at least a tenth of what was known."""
    edges = [0]
    while edges[-1] < n:
        edges.append(min(n, max(edges[-1] + 1, int(edges[-1] * REFIT_GROWTH))))
    return list(pairwise(edges))
