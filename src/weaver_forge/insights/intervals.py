"""Effect sizes with their intervals. The level is an argument: what was picked out of many needs a wider one.

Put a new kind of effect here. How large an effect must be to be worth a hypothesis is its family's to say.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from weaver_forge.insights import exact


@dataclass(frozen=True, slots=True)
class Effect:
    """A size with its interval.

    Args:
        value: Point estimate.
        low: Lower end.
        high: Upper end.
        unit: Of all three: share, points (difference of two shares), ratio, share_a_week, calls_a_request.
        level: Of the interval, after allowing for having been picked.
    """

    value: float
    low: float
    high: float
    unit: str
    level: float


def share(k: int, n: int, level: float) -> Effect:
    """Share of k in n, with the exact interval of Clopper and Pearson (1934)."""
    miss = (1.0 - level) / 2.0
    low = 0.0 if k == 0 else float(special.betaincinv(k, n - k + 1, miss))
    high = 1.0 if k == n else float(special.betaincinv(k + 1, n - k, 1.0 - miss))
    return Effect(k / n, low, high, "share", level)


def difference(k: int, n: int, other_k: int, other_n: int, level: float) -> Effect:
    """Share of k of n less that of the others, in points; Newcombe's interval (1998, method 10)."""
    z = _reach(level)
    one, other = k / n, other_k / other_n
    (low, high), (other_low, other_high) = _wilson(k, n, z), _wilson(other_k, other_n, z)
    return Effect(
        one - other,
        one - other - math.hypot(one - low, other_high - other),
        one - other + math.hypot(high - one, other - other_low),
        "points",
        level,
    )


def growth(values: npt.ArrayLike, at: npt.ArrayLike, level: float, *, logs: bool = True) -> Effect:
    """Median growth a week of daily values (Sen), with the interval of Kendall's score, widened for autocorrelation.

    Args:
        values: One value a day in order, above 0 where ``logs``.
        at: Number of each day; days without a value are left out.
        level: Of the interval.
        logs: Relative growth; else growth in the values' own unit, in points.
    """
    series = np.log(np.asarray(values, dtype=np.float64)) if logs else np.asarray(values, dtype=np.float64)
    slopes = exact.pairwise_slopes(series, at)
    spread = math.sqrt(exact.variance_of_signs(len(series)) * exact.inflation(series))
    reach = _reach(level) * spread
    last = len(slopes) - 1
    below = int(np.clip(math.floor((len(slopes) - reach) / 2.0), 0, last))
    above = int(np.clip(math.ceil((len(slopes) + reach) / 2.0), 0, last))
    value, low, high = (exact.WEEK * float(v) for v in (np.median(slopes), slopes[below], slopes[above]))
    if logs:
        return Effect(math.expm1(value), math.expm1(low), math.expm1(high), "share_a_week", level)
    return Effect(value, low, high, "points_a_week", level)


def median(values: npt.ArrayLike, level: float, unit: str) -> Effect:
    """The median with the exact interval of the sign test."""
    series = np.sort(np.asarray(values, dtype=np.float64))
    n = len(series)
    below = int((special.bdtr(np.arange(n), n, 0.5) <= (1.0 - level) / 2.0).sum())  # values that may be left out
    below = min(max(below - 1, 0), (n - 1) // 2)
    return Effect(float(np.median(series)), float(series[below]), float(series[n - 1 - below]), unit, level)


def _reach(level: float) -> float:
    """Standard deviations to either side."""
    return float(-special.ndtri((1.0 - level) / 2.0))


def _wilson(k: int, n: int, z: float) -> tuple[float, float]:
    middle = (k + z * z / 2.0) / (n + z * z)
    reach = z / (n + z * z) * math.sqrt(k * (n - k) / n + z * z / 4.0)
    return max(middle - reach, 0.0), min(middle + reach, 1.0)
