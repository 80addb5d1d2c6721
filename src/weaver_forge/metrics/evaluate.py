"""Evaluating named metrics on rows: value, interval, and the paired gain over the baseline.

Put nothing about a particular metric here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from weaver_forge.errors import ContractError
from weaver_forge.metrics.metric import Floats, Metric, Prepared, Sample

MIN_UNITS = 5
"""Units below which no interval is given: five equal signs are the fewest that reach 5 % one-sided (1/32)."""

MIN_ESTIMABLE = 0.5
"""Share of resamples in which a metric must be estimable (two classes, ...) for its interval to be given."""

QUANTILES = ("q_025", "q_100", "q_900", "q_975")


@dataclass(frozen=True, slots=True)
class Score:
    """One metric of one method beside its baseline. None = not estimable from these rows.

    Args:
        low: 95 % percentile bootstrap over units.
        gain: Oriented so that positive means the model is better.
        gain_low: Lower end of the 90 % paired bootstrap: a one-sided 95 % bound.
        n: How many rows or units the value rests on.
    """

    metric: str
    higher_is_better: bool
    value: float | None
    low: float | None
    high: float | None
    baseline_value: float | None
    gain: float | None
    gain_low: float | None
    gain_high: float | None
    n: int


def evaluate_with(registry: Mapping[str, Metric]) -> Callable[..., list[Score]]:
    """Bind :func:`evaluate` to a registry of metrics."""

    def evaluate(
        names: Sequence[str], rows: pl.DataFrame, *, rng: np.random.Generator, resamples: int = 500
    ) -> list[Score]:
        """Measure rows by name.

        Args:
            names: Keys of ``METRICS``.
            rows: ``unit`` and ``outcome``; where applicable ``probability, value, q_*, score, baseline_*, cost``.
                An absent column is null. Rows without an outcome do not count.
            rng: Draws the resamples and breaks ties.
            resamples: Bootstrap resamples over units.

        Raises:
            ContractError: If a name is unknown or ``unit`` or ``outcome`` is missing.
        """
        unknown = [name for name in names if name not in registry]
        if unknown:
            raise ContractError(f"unknown metrics {unknown}", do=f"Known: {', '.join(sorted(registry))}")
        return score_all([registry[name] for name in names], rows, rng=rng, resamples=resamples)

    return evaluate


def score_all(
    metrics: Sequence[Metric], rows: pl.DataFrame, *, rng: np.random.Generator, resamples: int
) -> list[Score]:
    """Measure rows with these metrics; one draw of resamples serves them all."""
    missing = {"unit", "outcome"} - set(rows.columns)
    if missing:
        raise ContractError(f"rows to evaluate lack {sorted(missing)}")
    mature = rows.filter(pl.col("outcome").is_not_null())
    model, baseline = samples(mature)
    draws = (
        rng.multinomial(model.n_units, np.full(model.n_units, 1 / max(model.n_units, 1)), size=resamples).astype(float)
        if model.n_units
        else np.zeros((0, 0))
    )
    return [_score(metric, model, baseline, draws, rng) for metric in metrics]


def samples(rows: pl.DataFrame) -> tuple[Sample, Sample]:
    """The model's and the baseline's view of the same rows."""
    names = rows["unit"].cast(pl.String)
    units = names.unique().sort()
    index = names.cast(pl.Enum(units)).to_physical().to_numpy()

    def column(name: str) -> Floats:
        if name not in rows.columns:
            return np.full(rows.height, np.nan)
        return rows[name].cast(pl.Float64).fill_null(float("nan")).to_numpy().copy()

    def side(prefix: str) -> Sample:
        probability, score = column(f"{prefix}probability"), column(f"{prefix}score")
        return Sample(
            unit=index.astype(np.intp),
            n_units=units.len(),
            outcome=column("outcome"),
            cost=column("cost"),
            probability=probability,
            value=column(f"{prefix}value"),
            order=np.where(np.isfinite(score), score, probability),
            quantiles={name: column(f"{prefix}{name}") for name in QUANTILES},
            reference=column("baseline_value"),
        )

    return side(""), side("baseline_")


def _score(metric: Metric, model: Sample, baseline: Sample, draws: Floats, rng: np.random.Generator) -> Score:
    # The same draws break both methods' ties: two methods that say the same must not differ by luck.
    seed = int(rng.integers(2**63))
    ours = metric.prepare(model, np.random.default_rng(seed))
    theirs = metric.prepare(baseline, np.random.default_rng(seed))
    value, baseline_value = _point(ours, model.n_units), _point(theirs, model.n_units)
    sign = 1.0 if metric.higher_is_better else -1.0
    low = high = gain = gain_low = gain_high = None
    enough = model.n_units >= MIN_UNITS
    spread = ours.at(draws) if value is not None and enough else np.zeros(0)
    if spread.size:
        low, high = _interval(spread, 2.5, 97.5)
    if value is not None and baseline_value is not None:
        gain = sign * (value - baseline_value)
        if spread.size:
            gain_low, gain_high = _interval(sign * (spread - theirs.at(draws)), 5.0, 95.0)
    return Score(
        metric.name, metric.higher_is_better, value, low, high, baseline_value, gain, gain_low, gain_high, ours.n
    )


def _point(prepared: Prepared, n_units: int) -> float | None:
    if prepared.n == 0:
        return None
    value = float(prepared.at(np.ones((1, n_units)))[0])
    return value if np.isfinite(value) else None


def _interval(values: Floats, low: float, high: float) -> tuple[float | None, float | None]:
    finite = values[np.isfinite(values)]
    if finite.size < MIN_ESTIMABLE * values.size or finite.size == 0:
        return None, None
    lower, upper = np.percentile(finite, [low, high])
    return float(lower), float(upper)
