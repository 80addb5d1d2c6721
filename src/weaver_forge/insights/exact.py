"""P-values that hold for any number of observations: permutation distributions, computed and not drawn.

Every function says what may be exchanged with what if there is nothing to find, in whole units: days, changes, tests
within a revision. Put a new null distribution here; what its units are in the stored data is the family's business.
A drawn permutation test cannot say less than one in its number of draws, which is too coarse where a thousand
hypotheses are judged together; all of these reach as far as a double does.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import special

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LEAST = 1e-300
"""No p-value is said to be smaller."""

WEEK = 7
LEAST_FOR_INFLATION = 12


def rising(values: npt.ArrayLike) -> float:
    """P-value of "the series does not rise", one-sided: Kendall's test, with a guard for days that are alike.

    Exact where the units (days) are exchangeable: the number of pairs in falling order has the distribution of the
    inversions of a random permutation; equal values count as falling, which can only raise the p-value. Neighbouring
    days that are alike make trends out of nothing, so that the larger one counts of this and of the p-value with the
    variance inflated by the autocorrelation of what the trend leaves (Yue and Wang 2004).

    Args:
        values: One value a unit, in order of time; finite.
    """
    series = np.asarray(values, dtype=np.float64)
    n = len(series)
    if n < 3:
        return 1.0
    first, second = np.triu_indices(n, 1)
    later = series[second] - series[first]
    falling = int((later <= 0).sum())
    exact = float(_inversions_at_most(n)[falling])
    spread = math.sqrt(variance_of_signs(n) * inflation(series))
    return max(exact, normal_tail((float(np.sign(later).sum()) - 1) / spread), LEAST)


def higher_after(before: npt.ArrayLike, after: npt.ArrayLike) -> float:
    """P-value of "what came after is no higher", one-sided: the rank-sum test, ties counted halfway.

    The normal tail, which is the larger one where the two do not overlap at all.
    """
    x, y = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    m, n = len(x), len(y)
    if not m or not n:
        return 1.0
    above = float((np.sign(y[:, None] - x[None, :]) + 1.0).sum()) / 2.0
    spread = math.sqrt(m * n * (m + n + 1) / 12.0)
    return max(normal_tail((above - m * n / 2.0 - 0.5) / spread), LEAST)


def variance_of_signs(n: int) -> float:
    """Variance of Kendall's score of n exchangeable values without ties."""
    return n * (n - 1) * (2 * n + 5) / 18.0


def inflation(values: npt.ArrayLike) -> float:
    """By how much autocorrelation inflates the variance of a trend's score; 1 where neighbours are not alike.

    From the lag-one correlation of what is left without the weekdays' means and without a line that may bend once: a
    leak that begins in the middle is no autocorrelation. The bias of having fitted these is added back.
    """
    series = np.asarray(values, dtype=np.float64)
    n = len(series)
    if n < LEAST_FOR_INFLATION:
        return 1.0
    bases = _bent_lines(n)
    left = series - np.einsum("bnk,bk->bn", bases, np.einsum("bnk,n->bk", bases, series))
    rest = left[int((left * left).sum(axis=1).argmin())]
    power = float(rest @ rest)
    raw = float(rest[1:] @ rest[:-1]) / power if power > 0 else 0.0
    r = min(max((n * raw + 4.0) / (n - 5.0), 0.0), 0.9)
    return (1.0 + r) / (1.0 - r)


@lru_cache(maxsize=64)
def _bent_lines(n: int) -> Floats:
    """Orthonormal columns of lines that bend at one of nine places, with weekdays where there are four; (9, n, k)."""
    at = np.arange(n, dtype=np.float64)
    columns = [np.ones(n), at]
    if n >= 4 * WEEK:
        columns += [(at % WEEK == day).astype(np.float64) for day in range(1, WEEK)]
    bends = [np.clip(at - knot, 0.0, None) for knot in np.linspace(n / 6, n - n / 6, 9)]
    return np.stack([np.linalg.qr(np.column_stack([*columns, bend]))[0] for bend in bends]).astype(np.float64)


def pairwise_slopes(values: npt.ArrayLike, at: npt.ArrayLike) -> Floats:
    """The slope between each two values (Theil 1950, Sen 1968), sorted; shape (n * (n - 1) / 2,).

    Args:
        values: One value a unit, in order.
        at: When each was, rising; same shape.
    """
    series, when = np.asarray(values, dtype=np.float64), np.asarray(at, dtype=np.float64)
    first, second = np.triu_indices(len(series), 1)
    found: Floats = np.sort((series[second] - series[first]) / (when[second] - when[first]))
    return found


def above_expected(counts: npt.ArrayLike, chances: Sequence[Floats]) -> Floats:
    """P-values of counts that are sums of independent events with known chances: P(sum >= count), each.

    If nothing sets one test apart from the others of a revision, which of them had the event is a fair lot, drawn
    anew at every revision. So the count of a test is Poisson-binomial.

    Args:
        counts: Events of each, shape (m,).
        chances: For each, the chances of its units, any length.
    """
    k = np.asarray(counts, dtype=np.int64)
    some = np.flatnonzero(k).tolist()  # none or more is certain, and most tests have none
    found = np.ones(len(k))
    found[some] = _tails(k[some], [chances[i] for i in some], upper=True)
    return found


def below_expected(counts: npt.ArrayLike, chances: Sequence[Floats]) -> Floats:
    """The other tail of :func:`above_expected`: P(sum <= count), each."""
    return _tails(counts, chances, upper=False)


def more_often_in(chosen: npt.ArrayLike, hit: npt.ArrayLike, stratum: npt.ArrayLike) -> float:
    """P-value of "the chosen units are hit no more often than the others of their stratum", one-sided.

    Exact: within a stratum (a week) the hits are exchanged freely among its units, so that the number of chosen ones
    hit is a sum of independent hypergeometric counts (the exact conditional form of the Mantel-Haenszel test).

    Args:
        chosen: Whether each unit has the property, shape (n,).
        hit: Whether it happened to the unit, shape (n,).
        stratum: A small whole number a unit, shape (n,).
    """
    is_chosen, is_hit = np.asarray(chosen, dtype=bool), np.asarray(hit, dtype=bool)
    part = np.asarray(stratum, dtype=np.int64)
    size = int(part.max(initial=-1)) + 1
    sizes = np.bincount(part, minlength=size)
    hits = np.bincount(part[is_hit], minlength=size)
    those = np.bincount(part[is_chosen], minlength=size)
    total = np.ones(1)
    for n, k, m in zip(sizes, hits, those, strict=True):
        if k and m:
            total = np.convolve(total, hypergeometric(int(n), int(k), int(m)))
    seen = int((is_chosen & is_hit).sum())
    return float(min(max(total[seen:].sum(), LEAST), 1.0))


def hypergeometric(n: int, k: int, m: int) -> Floats:
    """Probability of 0, 1, ... hits among m units drawn from n of which k are hits; shape (min(k, m) + 1,)."""
    x = np.arange(min(k, m) + 1)
    possible = x >= k + m - n
    with np.errstate(invalid="ignore"):
        logs = _log_choose(k, x) + _log_choose(n - k, m - x) - _log_choose(n, m)
    found: Floats = np.where(possible, np.exp(np.where(possible, logs, 0.0)), 0.0)
    return found


def together(both: Ints, first: Ints, second: Ints, n: Ints) -> Floats:
    """P-value of "two kinds of events fall on the same units no more often than by chance".

    Args:
        both: Units with both, any shape.
        first: Units with the first kind, same shape.
        second: Units with the second kind, same shape.
        n: Units in all, same shape; 1.0 where there are none.
    """
    total = np.zeros(both.shape)
    for more in range(int((np.minimum(first, second) - both).max(initial=0)) + 1):
        x = both + more
        possible = (x <= first) & (x <= second) & (second - x <= n - first)
        x = np.where(possible, x, 0)
        with np.errstate(invalid="ignore"):
            logs = _log_choose(first, x) + _log_choose(n - first, second - x) - _log_choose(n, second)
        total += np.where(possible, np.exp(np.where(possible, logs, 0.0)), 0.0)
    return np.where(n > 0, np.clip(total, LEAST, 1.0), 1.0)


def mostly_above(n_above: int, n: int) -> float:
    """P-value of "on a unit (a day) it is above the bar with a chance of at most one half": the sign test."""
    return max(float(special.betainc(n_above, n - n_above + 1, 0.5)), LEAST) if n_above else 1.0


def normal_tail(z: float) -> float:
    """Chance of a standard normal value above z."""
    return float(special.ndtr(-z))


def _tails(counts: npt.ArrayLike, chances: Sequence[Floats], *, upper: bool) -> Floats:
    """Sums of few masses and no differences, so that small tails keep their digits."""
    k = np.asarray(counts, dtype=np.int64)
    some = [each[each > 0] for each in chances]
    padded = np.zeros((len(some), max(map(len, some), default=0)))
    for row, each in zip(padded, some, strict=True):
        row[: len(each)] = each
    mass = np.zeros((len(some), int(k.max(initial=0)) + 1))
    mass[:, 0] = 1.0
    reached = np.where(k == 0, 1.0, 0.0)  # the count or more
    last, tests = np.maximum(k - 1, 0), np.arange(len(some))
    for p in padded.T[:, :, None]:
        reached += np.where(k > 0, mass[tests, last] * p[:, 0], 0.0)
        stays = mass * (1.0 - p)
        stays[:, 1:] += mass[:, :-1] * p
        mass = stays
        if upper:
            mass[tests, k] = 0.0  # counted in reached
    found = reached if upper else np.cumsum(mass, axis=1)[tests, k]
    return np.clip(found, LEAST, 1.0)


def _log_choose(n: Ints | int, k: Ints | int) -> Floats:
    found: Floats = special.gammaln(n + 1.0) - special.gammaln(k + 1.0) - special.gammaln(n - k + 1.0)
    return found


@lru_cache(maxsize=512)
def _inversions_at_most(n: int) -> Floats:
    """P(a random permutation of n has at most d inversions), d = 0, 1, ...; shape (n * (n - 1) / 2 + 1,)."""
    mass = np.ones(1)
    for size in range(2, n + 1):
        sums = np.cumsum(np.concatenate([mass, np.zeros(size - 1)]))
        sums[size:] -= sums[:-size].copy()
        mass = sums / size
        # The distribution is symmetric; the left half has no cancellation, so that it gives the right one too.
        half = len(mass) // 2
        mass[-half:] = mass[:half][::-1]
    return np.minimum(np.cumsum(mass), 1.0)
