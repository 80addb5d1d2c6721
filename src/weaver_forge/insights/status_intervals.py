"""Intervals for shares, their differences, means and medians, with the standard library alone.

Two-sided 95 %, each for one look. Put here what is true of any numbers; what they mean is in ``status_effects``.

* A share: Wilson's score interval (1927), which has sensible ends for no or few events, where a bootstrap collapses to
  a point (0 of 30 resampled is always 0).
* A difference of shares: Newcombe's method 10 (Statistics in Medicine 17, 1998, 873-890), made of two of them.
* Units that hang together count as fewer: n is divided by the design effect (Rao and Scott, Biometrics 48, 1992,
  577-585), which is never taken to be below 1.
* A difference of means: Welch's, with a spread that few units cannot make too small.
* A median: the order statistics that the sign test does not refute; nothing is assumed of the distribution.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, median, variance

CONFIDENCE = 0.95
_Z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
_STEPS = 400


@dataclass(frozen=True, slots=True)
class Share:
    """A share of units.

    Args:
        value: Between 0 and 1.
        n: Units.
        n_effective: As many independent units would say as much; at most n.
    """

    value: float
    n: int
    n_effective: float

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's score interval."""
        return wilson(self.value * self.n_effective, self.n_effective)


def wilson(events: float, n: float) -> tuple[float, float]:
    """Score interval of a share; n may be fractional.

    Args:
        events: From 0 to n.
        n: Above 0.
    """
    p, z2 = events / n, _Z * _Z
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    # What the formula makes exactly 0 or 1 must not come out a rounding error beside it.
    return (0.0 if events <= 0 else max(middle - half, 0.0)), (1.0 if events >= n else min(middle + half, 1.0))


def share_of(found: Iterable[tuple[str, bool]]) -> Share:
    """The share of units with an event, units of one cluster hanging together.

    Args:
        found: Cluster and event of each unit; at least one.
    """
    clusters: dict[str, tuple[int, int]] = {}
    for cluster, event in found:
        events, n = clusters.get(cluster, (0, 0))
        clusters[cluster] = (events + event, n + 1)
    n = sum(size for _, size in clusters.values())
    p = sum(events for events, _ in clusters.values()) / n
    return Share(p, n, n / _design_effect(list(clusters.values()), p, n))


def difference(one: Share, other: Share) -> tuple[float, float, float]:
    """``one - other`` with Newcombe's hybrid score interval."""
    gap = one.value - other.value
    (low, high), (other_low, other_high) = one.interval, other.interval
    below = math.hypot(one.value - low, other_high - other.value)
    above = math.hypot(high - one.value, other.value - other_low)
    return gap, max(gap - below, -1.0), min(gap + above, 1.0)


def mean_difference(few: Sequence[float], many: Sequence[float]) -> tuple[float, float, float]:
    """``mean(few) - mean(many)`` with Welch's interval; both have at least two values, none below 0.

    Few values seldom include the rare long ones, and look more alike than they are: their spread is taken to be at
    least as large, against their mean, as that of the many. On real CI histories with 3 to 5 % in the one side Welch's
    own interval covers the truth in 67 to 95 % of replays, this one in 88 to 100 %.
    """
    mean, other = fmean(few), fmean(many)
    scaled = variance(many) * (mean / other) ** 2 if other else 0.0
    gap, a, b = mean - other, max(variance(few), scaled) / len(few), variance(many) / len(many)
    if a + b == 0:
        return gap, gap, gap
    freedom = (a + b) ** 2 / (a * a / (len(few) - 1) + b * b / (len(many) - 1))
    half = student(freedom) * math.sqrt(a + b)
    return gap, gap - half, gap + half


def median_of(values: Sequence[float]) -> tuple[float, float, float] | None:
    """The median with the narrowest pair of order statistics that covers it; None where all of them do not (n < 6)."""
    n, ordered = len(values), sorted(values)
    outside, below = 0.0, 0
    while below < n // 2:
        outside += math.comb(n, below) * 0.5**n
        if 2 * outside > 1 - CONFIDENCE:
            break
        below += 1
    return (median(ordered), ordered[below - 1], ordered[n - below]) if below else None


def student(freedom: float) -> float:
    """The quantile of Student's t that a two-sided interval takes.

    With ``t = sqrt(v) tan(a)`` the density becomes a multiple of ``cos(a) ** (v - 1)``, which is smooth: it is summed
    up by Simpson's rule, and the angle is found by halving.
    """
    log_scale = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - math.log(math.pi) / 2

    def inside(angle: float) -> float:
        width = angle / _STEPS
        heights = [math.cos(step * width) ** (freedom - 1) for step in range(_STEPS + 1)]
        area = (heights[0] + heights[-1] + 4 * sum(heights[1:-1:2]) + 2 * sum(heights[2:-1:2])) * width / 3
        return float(2 * math.exp(log_scale) * area)

    low, high = 0.0, math.pi / 2
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if inside(middle) < CONFIDENCE else (low, middle)
    return math.sqrt(freedom) * math.tan(low)


def _design_effect(clusters: Sequence[tuple[int, int]], p: float, n: int) -> float:
    """How many times larger the variance is than that of independent units."""
    m = len(clusters)
    if m == n:
        return 1.0
    if m < 2 or p in {0.0, 1.0}:  # nothing shows how far they hang together: as if they did altogether
        return n / m
    spread = sum((events - p * size) ** 2 for events, size in clusters) * m / (m - 1)
    return min(max(spread / (n * p * (1 - p)), 1.0), float(n))
