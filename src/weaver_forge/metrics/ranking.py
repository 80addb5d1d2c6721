"""How good an order of tests is: APFD, APFDc, recall within a budget of time, place of the first failure.

The unit is one ranking (a repository at a revision). Only units with 0 < m < n count, m of n tests failing.
Put measures of probabilities in ``events``.

Sources: APFD, Rothermel et al. 2001; APFDc, Malishevsky et al. 2006.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from weaver_forge.metrics.metric import Floats, Indices, Metric, Prepared, Sample, ratio, sums_by_unit

EXTRA_MS = 1.0
"""Added to every duration: a test reported with 0 ms still takes a place in the order."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """Rows in run order, unit after unit; of the units that count.

    Args:
        unit: Unit of each row, ascending, shape (n,).
        position: 1-based place within the unit, shape (n,).
        failed: 1 where the test failed.
        duration: Actual milliseconds, with :data:`EXTRA_MS`; NaN where unknown.
        n: Tests a unit, shape (n_units,).
        m: Failing tests a unit, shape (n_units,).
        counts: Units with 0 < m < n and a complete order, shape (n_units,), boolean.
    """

    unit: Indices
    position: Floats
    failed: Floats
    duration: Floats
    n: Floats
    m: Floats
    counts: np.ndarray[tuple[int], np.dtype[np.bool_]]

    def total(self, values: Floats) -> Floats:
        """Sum by unit, shape (n_units,)."""
        return np.bincount(self.unit, weights=values, minlength=self.n.size).astype(np.float64)

    def running(self, values: Floats) -> Floats:
        """Cumulative sum within the unit, this row included, shape (n,)."""
        sums = np.cumsum(values)
        before = np.concatenate([[0.0], np.cumsum(self.total(values))[:-1]])
        within: Floats = sums - before[self.unit]
        return within


def rank(sample: Sample, rng: np.random.Generator) -> Ranked:
    """Order the rows of every unit, highest first, ties at random."""
    n = sums_by_unit(np.ones(sample.unit.size), sample)
    m = sums_by_unit(sample.outcome, sample)
    unordered = sums_by_unit((~np.isfinite(sample.order)).astype(float), sample)
    counts = (m > 0) & (m < n) & (unordered == 0)
    ties = rng.random(sample.unit.size)
    rows = np.flatnonzero(counts[sample.unit])  # sorting is what costs, and most rankings have nothing to find
    by = rows[np.lexsort((ties[rows], -sample.order[rows], sample.unit[rows]))]
    starts = np.concatenate([[0.0], np.cumsum(np.where(counts, n, 0.0))[:-1]])
    unit = sample.unit[by]
    return Ranked(
        unit=unit,
        position=np.arange(by.size, dtype=float) - starts[unit] + 1,
        failed=sample.outcome[by],
        duration=sample.cost[by] + EXTRA_MS,
        n=n,
        m=m,
        counts=counts,
    )


def apfd(ranked: Ranked) -> Floats:
    """``1 - sum(r_i) / (n m) + 1 / (2 n)`` a unit; NaN where it is not defined."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return 1 - ranked.total(ranked.position * ranked.failed) / (ranked.n * ranked.m) + 1 / (2 * ranked.n)


def apfdc(ranked: Ranked) -> Floats:
    """``sum_i(sum_{j >= r_i} t_j - t_{r_i} / 2) / (m sum t)`` a unit; NaN where a duration is unknown."""
    total = ranked.total(ranked.duration)
    from_here = total[ranked.unit] - ranked.running(ranked.duration) + ranked.duration
    gain = ranked.total((from_here - ranked.duration / 2) * ranked.failed)
    with np.errstate(divide="ignore", invalid="ignore"):
        return gain / (ranked.m * total)


def recall_within(ranked: Ranked, budget: float) -> Floats:
    """Share of failing tests that end within ``budget`` (0-1) of the unit's total time."""
    total = ranked.total(ranked.duration)
    found = ranked.failed * (ranked.running(ranked.duration) <= budget * total[ranked.unit] * (1 + 1e-12))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.isfinite(total), ranked.total(found) / ranked.m, np.nan)


def first_failure_position(ranked: Ranked) -> Floats:
    """Middle of the first failing test's place as a share of the unit's tests; a random order gives 0.5 for m = 1."""
    first = np.full(ranked.n.size, np.inf)
    failing = ranked.failed > 0
    np.minimum.at(first, ranked.unit[failing], ranked.position[failing])
    return (first - 0.5) / ranked.n


def _mean_over_units(per_unit: Callable[[Ranked], Floats]) -> Callable[[Sample, np.random.Generator], Prepared]:
    def prepare(sample: Sample, rng: np.random.Generator) -> Prepared:
        ranked = rank(sample, rng)
        values = per_unit(ranked)
        counts = ranked.counts & np.isfinite(values)
        return ratio(np.where(counts, values, 0.0), counts.astype(float), int(counts.sum()))

    return prepare


METRICS: tuple[Metric, ...] = (
    Metric(
        "apfdc",
        True,
        "Share of the suite's time saved until failures show, 0-1; random about 0.5.",
        _mean_over_units(apfdc),
    ),
    Metric("apfd", True, "The same with every test costing alike, 0-1; random about 0.5.", _mean_over_units(apfd)),
    Metric(
        "recall@25",
        True,
        "Failing tests found within the first 25 % of the suite's time, 0-1.",
        _mean_over_units(lambda ranked: recall_within(ranked, 0.25)),
    ),
    Metric(
        "first_failure_position",
        False,
        "Place of the first failing test as a share of the suite, 0-1. Benchmarks restrict it to rankings "
        "in which no failing test had ever failed before.",
        _mean_over_units(first_failure_position),
    ),
)
