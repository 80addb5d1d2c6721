"""An order learnt from pairs: of a failing and a passing test of the same ranking, the failing one goes first.

Put here only the fit of a linear order. A probability of every row is fitted to all rows alike, so that a ranking of
a thousand tests outweighs a hundred small ones; here every ranking weighs the same, as it does when it is measured.
Source: the pairwise logistic loss of Burges et al. 2005 (RankNet), linear, shrunk towards stated coefficients.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.logistic import Floats

Indices = NDArray[np.intp]

MOST_PAIRS = 100
"""Pairs drawn a ranking: more hardly move the fit, and a large suite must not cost its square."""

MAX_STEPS = 25
TOLERANCE = 1e-6
TAIL = 0.002


@dataclass(frozen=True, slots=True)
class Order:
    """A linear order; values are log-odds of going first, known up to a constant of the ranking.

    Args:
        center: Mean of each column, shape (n_columns,); a missing value counts as this.
        scale: Standard deviation of each column, 1 where it does not vary.
        low: Least value of each column that counts.
        high: The same upwards.
        coefficient: Per standardised column.
    """

    center: Floats
    scale: Floats
    low: Floats
    high: Floats
    coefficient: Floats

    def value(self, x: Floats) -> Floats:
        """Higher goes first, shape (n,)."""
        result: Floats = _standardised(x, self.center, self.scale, self.low, self.high) @ self.coefficient
        return result

    def as_data(self) -> dict[str, Any]:
        """Plain JSON-able numbers."""
        return {name: getattr(self, name).tolist() for name in ("center", "scale", "low", "high", "coefficient")}

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> "Order":
        """The inverse of :meth:`as_data`."""
        return cls(*(np.asarray(data[name], float) for name in ("center", "scale", "low", "high", "coefficient")))


def stated(prior: Floats) -> Order:
    """What holds without any pair: the prior coefficients of the columns as they are."""
    wide = np.full(prior.size, 1e6)
    return Order(np.zeros(prior.size), np.ones(prior.size), -wide, wide, prior)


def fit(
    x: Floats,
    y: Floats,
    unit: Indices,
    weight: Floats,
    *,
    prior: Floats,
    penalty: float,
    rng: np.random.Generator,
) -> Order:
    """Fit towards prior coefficients.

    Args:
        x: Columns, shape (n, n_columns), NaN = missing.
        y: 0 or 1, shape (n,).
        unit: Ranking of each row, ascending, shape (n,).
        weight: How many rows of its ranking and outcome each row stands for, shape (n,).
        prior: Coefficients per unit of each column that hold without data, shape (n_columns,).
        penalty: Strength of the prior, in rankings, per column.
        rng: Draws the pairs.
    """
    first, second, size = pairs(y, unit, weight, rng)
    if not first.size:
        return stated(prior)
    center, scale, low, high = _spread(x)
    z = _standardised(x[first], center, scale, low, high) - _standardised(x[second], center, scale, low, high)
    return Order(center, scale, low, high, _newton(z, size, prior * scale, penalty))


def pairs(y: Floats, unit: Indices, weight: Floats, rng: np.random.Generator) -> tuple[Indices, Indices, Floats]:
    """Rows of failing and of passing tests of the same ranking, and the pairs' weights.

    The pairs of a ranking weigh together what a random order loses there: the share of its tests that pass.
    """
    edges = np.append(np.flatnonzero(np.diff(unit, prepend=-1)), y.size)
    parts: list[tuple[Indices, Indices, Floats]] = []
    for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        failing, passing = start + np.flatnonzero(y[start:end] > 0), start + np.flatnonzero(y[start:end] == 0)
        n = failing.size * passing.size
        if n == 0:
            continue
        if n <= MOST_PAIRS:
            one, other = np.repeat(failing, passing.size), np.tile(passing, failing.size)
        else:
            one, other = rng.choice(failing, MOST_PAIRS), rng.choice(passing, MOST_PAIRS)
        share = weight[passing].sum() / weight[start:end].sum()
        parts.append((one, other, np.full(one.size, share / one.size)))
    if not parts:
        return np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0)
    firsts, seconds, weights = zip(*parts, strict=True)
    return np.concatenate(firsts), np.concatenate(seconds), np.concatenate(weights)


def _spread(x: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    center, low, high = np.zeros(x.shape[1]), np.zeros(x.shape[1]), np.zeros(x.shape[1])
    scale = np.ones(x.shape[1])
    for i, column in enumerate(x.T):
        known = column[np.isfinite(column)]
        if not known.size:
            continue
        low[i], high[i] = np.quantile(known, (TAIL, 1 - TAIL))
        if low[i] == high[i]:
            low[i], high[i] = known.min(), known.max()
        center[i] = known.mean()
        spread = known.std()
        scale[i] = spread if spread > 1e-9 else 1.0
    return center, scale, low, high


def _standardised(x: Floats, center: Floats, scale: Floats, low: Floats, high: Floats) -> Floats:
    return np.where(np.isfinite(x), (np.clip(x, low, high) - center) / scale, 0.0)


def _newton(z: Floats, weight: Floats, mean: Floats, penalty: float) -> Floats:
    """Least penalised loss of ``log(1 + exp(-z beta))`` by Newton steps, halved until they help."""

    def loss(beta: Floats) -> float:
        return float(weight @ np.logaddexp(0, -(z @ beta)) + 0.5 * penalty * ((beta - mean) ** 2).sum())

    beta, value = mean.copy(), loss(mean)
    for _ in range(MAX_STEPS):
        wrong = 0.5 * (1 - np.tanh(z @ beta / 2))
        gradient = -(z.T @ (weight * wrong)) + penalty * (beta - mean)
        curve = weight * np.maximum(wrong * (1 - wrong), 1e-6)
        step = np.linalg.solve((z * curve[:, None]).T @ z + penalty * np.eye(beta.size), gradient)
        size, lower = 1.0, loss(beta - step)
        while lower >= value and size > 1e-3:
            size /= 2
            lower = loss(beta - size * step)
        if lower >= value:
            break
        done = value - lower < TOLERANCE * max(1.0, abs(value))
        beta, value = beta - size * step, lower
        if done:
            break
    return beta
