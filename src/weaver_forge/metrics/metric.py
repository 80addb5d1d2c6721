"""What a metric is: a statistic of rows in which every unit carries a weight.

Put the types that every family shares here; a concrete metric belongs in the module of its family.

A resample of the bootstrap draws units with replacement, which is the same as giving each unit an integer
weight. A metric therefore prepares once (sorts, sums a unit) and is then evaluated for all resamples in one
matrix operation: 500 resamples of 50,000 rows take about a second instead of minutes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

CHUNK_CELLS = 4_000_000
"""Resamples x rows held at once (32 MB); more is no faster and costs memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The rows of one method (the model, or the baseline), all with a mature outcome. Nulls are NaN.

    Args:
        unit: Index of the resampling unit of each row, shape (n,), 0 <= unit < n_units.
        n_units: Number of units.
        order: Score where the method gives one, else its probability, shape (n,); higher is ranked first.
        quantiles: Name (``q_025``, ...) -> quantile forecast, shape (n,). The baseline has none: NaN.
        reference: The baseline's value, in both samples, for measures that are relative to it, shape (n,).
    """

    unit: Indices
    n_units: int
    outcome: Floats
    cost: Floats
    probability: Floats
    value: Floats
    order: Floats
    quantiles: dict[str, Floats]
    reference: Floats


@dataclass(frozen=True, slots=True)
class Prepared:
    """A metric made ready for one sample.

    Args:
        n: How many rows or units the number rests on; 0 means it cannot be estimated.
        at: Weights, shape (n_resamples, n_units) -> values, shape (n_resamples,); NaN = not estimable.
    """

    n: int
    at: Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True)
class Metric:
    """A named measure.

    Args:
        name: As on the command line and in the ledger, lower case.
        doc: What it is, with its range and unit.
        prepare: ``(sample, rng) -> Prepared``; the rng breaks ties and is used for nothing else.
    """

    name: str
    higher_is_better: bool
    doc: str
    prepare: Callable[[Sample, np.random.Generator], Prepared]


def nothing() -> Prepared:
    """A metric that cannot be estimated from this sample: NaN for any weights."""
    return Prepared(0, lambda weights: np.full(weights.shape[0], np.nan))


def share(part: Floats, whole: Floats) -> Floats:
    """Divide elementwise; NaN where there is nothing to divide by."""
    result: Floats = np.full(whole.shape, np.nan)
    np.divide(part, whole, out=result, where=whole > 0)
    return result


def ratio(numerator: Floats, denominator: Floats, n: int) -> Prepared:
    """A ratio of weighted sums over units: a mean over rows, or over units with denominator 1.

    Args:
        numerator: Sum a unit, shape (n_units,).
        denominator: Count a unit, shape (n_units,); 0 for units that do not count.
        n: How many rows or units the ratio rests on.
    """

    def at(weights: Floats) -> Floats:
        return share(weights @ numerator, weights @ denominator)

    return Prepared(n, at)


def sums_by_unit(values: Floats, sample: Sample) -> Floats:
    """Add values up by unit, shape (n_units,)."""
    return np.bincount(sample.unit, weights=values, minlength=sample.n_units).astype(np.float64)


def row_mean(values: Floats, sample: Sample) -> Prepared:
    """The mean of a per-row value; rows where it is NaN do not count."""
    counts = np.isfinite(values)
    return ratio(
        sums_by_unit(np.where(counts, values, 0.0), sample),
        sums_by_unit(counts.astype(float), sample),
        int(counts.sum()),
    )


def chunks(n_resamples: int, n_rows: int) -> Iterator[slice]:
    """Cut the resamples so that one piece of the resamples x rows matrix stays small."""
    step = max(1, CHUNK_CELLS // max(n_rows, 1))
    for start in range(0, n_resamples, step):
        yield slice(start, min(start + step, n_resamples))


def by_rows(n: int, unit: Indices, statistic: Callable[[Floats], Floats]) -> Prepared:
    """A statistic of row weights, evaluated piece by piece.

    Args:
        n: How many rows the number rests on.
        unit: Unit of each row in the order the statistic expects, shape (n_rows,).
        statistic: Row weights, shape (k, n_rows) -> values, shape (k,).
    """

    def at(weights: Floats) -> Floats:
        pieces = [statistic(weights[piece][:, unit]) for piece in chunks(weights.shape[0], unit.size)]
        return np.concatenate(pieces)

    return Prepared(n, at)
