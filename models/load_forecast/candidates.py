"""The candidate forecasts of the pool: arithmetic on one regular series, nothing else.

Every candidate is a function of the values up to an origin and of the step asked for, vectorised over any number
of (origin, step) pairs with prefix sums. Put how they are weighed in ``estimator.py`` and the tables in
``features.py``. All arrays are float64; a gap in the series is NaN.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DAY_S = 86_400
DAYS = 7
"""Same-time-of-day values that a daily profile looks back on."""
WEEKS = 4
FADE = 0.7
"""Weight of a day against the one after it in the recency-weighted profile (half gone in two days)."""

CANDIDATES: tuple[str, ...] = (
    "c_last",
    "c_recent_4",
    "c_recent_16",
    "c_recent_60",
    "c_recent_180",
    "c_median_16",
    "c_median_60",
    "c_median_day",
    "c_median_all",
    "c_hour",
    "c_hour_shift",
    "c_trend",
    "c_yesterday",
    "c_yesterday_shift",
    "c_last_week",
    "c_week",
    "c_week_shift",
    "c_week_ratio",
    "c_profile",
    "c_profile_wide",
    "c_profile_median",
    "c_profile_shift",
    "c_profile_shift_long",
    "c_profile_shift_fading",
    "c_profile_ratio",
    "c_profile_ratio_long",
    "c_recency",
    "c_recency_shift",
    "c_recency_shift_fading",
    "c_recency_ratio",
)
"""Columns of the pool, in order. c_yesterday and c_last_week are the seasonal naive ones."""


@dataclass(frozen=True, slots=True)
class Season:
    """Lengths of a day and a week in steps.

    Args:
        day: Steps in a day; 1 when a step is half a day or longer (then only the week is a season).
        week: Steps in a week, at least 2.
    """

    day: int
    week: int

    @classmethod
    def of(cls, step_s: int) -> "Season":
        """The season of a step length in seconds."""
        day = max(round(DAY_S / step_s), 1)
        return cls(day if day >= 2 else max(round(7 * DAY_S / step_s), 1), max(round(7 * DAY_S / step_s), 2))


@dataclass(frozen=True, slots=True)
class Prefix:
    """A series with what makes means over any stretch of it cheap.

    Args:
        values: shape (n,), NaN for a gap.
        last: The newest value at or before each index, NaN before the first.
        sums: Prefix sums with a leading 0, shape (n + 1,).
        counts: Prefix counts of values, shape (n + 1,).
    """

    values: Floats
    last: Floats
    sums: Floats
    counts: Floats

    @classmethod
    def of(cls, values: Floats) -> "Prefix":
        """Build the prefix sums; n >= 1."""
        there = ~np.isnan(values)
        newest = np.maximum.accumulate(np.where(there, np.arange(len(values)), -1))
        last = np.where(newest >= 0, values[np.maximum(newest, 0)], np.nan)
        sums = np.concatenate([[0.0], np.cumsum(np.where(there, values, 0.0))])
        return cls(values, last, sums, np.concatenate([[0.0], np.cumsum(there)]))

    def mean(self, first: Ints, last: Ints, origin: Ints) -> Floats:
        """Mean over ``[first, last]``, never beyond ``origin``; NaN where nothing is there."""
        low = np.clip(first, 0, len(self.values))
        high = np.clip(np.minimum(last, origin) + 1, low, len(self.values))
        n = self.counts[high] - self.counts[low]
        total = self.sums[high] - self.sums[low]
        return np.where(n > 0, total / np.maximum(n, 1.0), np.nan)


def nan_mean(stack: Floats, weights: Floats) -> Floats:
    """Weighted mean over the last axis, NaN where all are NaN. ``stack`` (..., k), ``weights`` (k,)."""
    there = ~np.isnan(stack)
    weight = (there * weights).sum(axis=-1)
    total = (np.where(there, stack, 0.0) * weights).sum(axis=-1)
    return np.where(weight > 0, total / np.maximum(weight, 1e-12), np.nan)


def nan_median(stack: Floats) -> Floats:
    """Median over the last axis, NaN where all are NaN (numpy's own is many times slower on short rows)."""
    ordered = np.sort(stack, axis=-1)  # NaN last
    n = (~np.isnan(stack)).sum(axis=-1)
    low = np.take_along_axis(ordered, np.maximum((n - 1) // 2, 0)[..., None], axis=-1)[..., 0]
    high = np.take_along_axis(ordered, np.minimum(n // 2, stack.shape[-1] - 1)[..., None], axis=-1)[..., 0]
    return np.where(n > 0, (low + np.where(n > 0, high, 0.0)) / 2, np.nan)


def forecast(series: Prefix, season: Season, origin: Ints, target: Ints) -> dict[str, Floats]:
    """Every candidate for every pair.

    Args:
        series: The values; those after a pair's origin are never read for it.
        season: Lengths of a day and a week in steps.
        origin: Index of the newest known value, shape (k,).
        target: Index that is forecast, shape (k,), all > origin.

    Returns:
        :data:`CANDIDATES` -> shape (k,); NaN where the series is too short for that candidate.
    """
    ahead = target - origin
    seasonal = _Seasonal(series, season, origin, target)
    out = _levels(series, season, origin, ahead)
    out |= _hourly(series, season, origin, target)
    fading = np.exp(-ahead / max(season.day / 6, 1.0))
    even, yesterday = np.ones(DAYS), np.eye(1, DAYS)[0]
    recent = np.asarray(FADE ** np.arange(DAYS), dtype=np.float64)
    out["c_yesterday"] = series.last[seasonal.same(season.day, 0)]
    out["c_yesterday"] = np.where(seasonal.same_raw(season.day, 0) >= 0, out["c_yesterday"], np.nan)
    narrow = seasonal.profile(season.day, DAYS, max(season.day // 144, 0))
    smooth = seasonal.profile(season.day, DAYS, season.day // 72)
    wide = seasonal.profile(season.day, DAYS, season.day // 24)
    short, long = max(season.day // 96, 3), max(season.day // 12, 6)
    gap_short = seasonal.gap(season.day, DAYS, short)
    gap_long = seasonal.gap(season.day, DAYS, long)
    out["c_yesterday_shift"] = seasonal.shifted(narrow, gap_short, yesterday)
    out["c_profile"] = nan_mean(smooth, even)
    out["c_profile_wide"] = nan_mean(wide, even)
    out["c_profile_median"] = nan_median(smooth)
    out["c_profile_shift"] = seasonal.shifted(smooth, gap_short, even)
    out["c_profile_shift_long"] = seasonal.shifted(smooth, gap_long, even)
    out["c_profile_shift_fading"] = seasonal.shifted(smooth, gap_short, even, fading)
    out["c_profile_ratio"] = seasonal.scaled(smooth, gap_short, even)
    out["c_profile_ratio_long"] = seasonal.scaled(wide, gap_long, even)
    out["c_recency"] = nan_mean(smooth, recent)
    out["c_recency_shift"] = seasonal.shifted(smooth, gap_long, recent)
    out["c_recency_shift_fading"] = seasonal.shifted(narrow, gap_short, recent, fading)
    out["c_recency_ratio"] = seasonal.scaled(smooth, gap_long, recent)
    weekly = seasonal.profile(season.week, WEEKS, season.day // 72)
    gap_week = seasonal.gap(season.week, WEEKS, long)
    out["c_last_week"] = np.where(
        seasonal.same_raw(season.week, 0) >= 0, series.last[seasonal.same(season.week, 0)], np.nan
    )
    out["c_week"] = nan_mean(weekly, np.ones(WEEKS))
    out["c_week_shift"] = seasonal.shifted(weekly, gap_week, np.ones(WEEKS))
    out["c_week_ratio"] = seasonal.scaled(weekly, gap_week, np.ones(WEEKS))
    return {name: out[name] for name in CANDIDATES}


def _levels(series: Prefix, season: Season, origin: Ints, ahead: Ints) -> dict[str, Floats]:
    """What the newest values say without any season."""
    out = {"c_last": series.last[origin]}
    for width in (4, 16, 60, 180):
        out[f"c_recent_{width}"] = series.mean(origin - width + 1, origin, origin)
    out |= _medians(series, season, origin)
    before = series.mean(origin - 31, origin - 16, origin)
    slope = (out["c_recent_16"] - before) / 16
    damping = 0.9
    steps = damping * (1 - damping**ahead) / (1 - damping)  # a damped trend: the slope halves in seven steps
    out["c_trend"] = out["c_recent_4"] + np.nan_to_num(slope) * steps
    return out


def _medians(series: Prefix, season: Season, origin: Ints) -> dict[str, Floats]:
    """Medians of the newest values: a spike moves them little. Taken once an origin, however many its steps."""
    distinct, place = np.unique(origin, return_inverse=True)
    widths = {"c_median_16": 16, "c_median_60": 60, "c_median_day": season.day, "c_median_all": 7 * season.day}
    out = {}
    for name, width in widths.items():
        # The longest ones are thinned: 200 values give the same median for our purpose.
        back = np.unique(np.linspace(0, width - 1, min(width, 200)).astype(np.int64))
        out[name] = nan_median(_take(series, distinct[:, None] - back[None, :]))[place]
    return out


def _hourly(series: Prefix, season: Season, origin: Ints, target: Ints) -> dict[str, Floats]:
    """Median at the same minute of the past hours: jobs run by the clock."""
    hour = season.day // 24
    if hour < 2:
        nothing = np.full(len(origin), np.nan)
        return {"c_hour": nothing, "c_hour_shift": nothing}
    newest = target - hour * -(-(target - origin) // hour)
    back = hour * np.arange(12)
    same = nan_median(_take(series, newest[:, None] - back[None, :]))
    level = nan_median(_take(series, origin[:, None] - np.arange(hour * 12)[None, :: max(hour // 8, 1)]))
    return {"c_hour": same, "c_hour_shift": same - level + series.mean(origin - hour + 1, origin, origin)}


def _take(series: Prefix, index: Ints) -> Floats:
    """Values at these indices, NaN before the start."""
    return np.where(index >= 0, series.values[np.maximum(index, 0)], np.nan)


@dataclass(frozen=True, slots=True)
class _Seasonal:
    """Same-phase look-backs of one batch of (origin, target) pairs."""

    series: Prefix
    season: Season
    origin: Ints
    target: Ints

    def same_raw(self, length: int, back: int) -> Ints:
        """Index of the same phase, ``back`` seasons before the newest one at or before the origin."""
        newest = self.target - length * -(-(self.target - self.origin) // length)
        return newest - length * back

    def same(self, length: int, back: int) -> Ints:
        """As :meth:`same_raw`, clipped into the series."""
        return np.maximum(self.same_raw(length, back), 0)

    def profile(self, length: int, n: int, width: int) -> Floats:
        """Smoothed same-phase values (+- width steps), newest first, shape (k, n)."""
        columns = []
        for back in range(n):
            at = self.same_raw(length, back)
            mean = self.series.mean(at - width, at + width, self.origin)
            columns.append(np.where(at >= 0, mean, np.nan))
        return np.stack(columns, axis=-1)

    def gap(self, length: int, n: int, width: int) -> tuple[Floats, Floats]:
        """Recent level, shape (k,), and the level at the same phase in each past season, shape (k, n)."""
        now = self.series.mean(self.origin - width + 1, self.origin, self.origin)
        lag = length * -(-(self.target - self.origin) // length)
        columns = []
        for back in range(n):
            end = self.origin - lag - length * back
            then = self.series.mean(end - width + 1, end, self.origin)
            columns.append(np.where(end - width + 1 >= 0, then, np.nan))
        return now, np.stack(columns, axis=-1)

    @staticmethod
    def shifted(profile: Floats, gap: tuple[Floats, Floats], weights: Floats, fading: Floats | float = 1.0) -> Floats:
        """The profile moved by the difference between now and the same phase then."""
        now, then = gap
        usable = np.where(np.isnan(then), np.nan, profile)
        return nan_mean(usable, weights) + fading * (now - nan_mean(then, weights))

    @staticmethod
    def scaled(profile: Floats, gap: tuple[Floats, Floats], weights: Floats) -> Floats:
        """The profile times the ratio of now to the same phase then, within a factor of four."""
        now, then = gap
        usable = np.where(np.isnan(then), np.nan, profile)
        before = nan_mean(then, weights)
        ratio = np.clip(np.where(np.abs(before) > 1e-9, now / np.where(before == 0, 1.0, before), 1.0), 0.25, 4.0)
        return np.asarray(nan_mean(usable, weights) * ratio, dtype=np.float64)


def seasonal_error(values: Floats, season: Season) -> Floats:
    """Mean absolute seasonal difference over the values up to each index: the scale of MASE.

    Falls back to the one-step difference until a season is over. Shape (n,); NaN where there is neither.
    """
    seasonal = _running_mean_difference(values, season.day)
    return np.where(np.isnan(seasonal), _running_mean_difference(values, 1), seasonal)


def _running_mean_difference(values: Floats, lag: int) -> Floats:
    difference = np.full(len(values), np.nan)
    if lag < len(values):
        difference[lag:] = np.abs(values[lag:] - values[:-lag])
    there = ~np.isnan(difference)
    n = np.cumsum(there)
    mean = np.asarray(np.cumsum(np.where(there, difference, 0.0)) / np.maximum(n, 1), dtype=np.float64)
    mean[n == 0] = np.nan
    return mean
