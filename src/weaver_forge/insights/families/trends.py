"""Families of daily series: does something grow, day by day? Latency, durations, queues, charges, error rates.

Put here what such families share; a family gives its query (its subject, ``day``, ``value`` and ``volume``), the
growth that is worth nothing yet, and its words. The unit is the day: a day's ten thousand requests are one value.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from weaver_forge.insights import exact, intervals
from weaver_forge.insights.hypothesis import Fact, Hypothesis, Impact, Row, Rows, Tested, Told
from weaver_forge.insights.intervals import Effect
from weaver_forge.insights.wording import ends, lacking, percent, plural

LEAST_DAYS = 21
MOST_SUBJECTS = 200


@dataclass(frozen=True, slots=True)
class Series:
    """A daily series.

    Args:
        subject: Key of what it is of, as the query's columns say.
        at: Number of each day, in order; days without a value are left out. Shape (n_days,).
        values: One a day; same shape.
        volume: How much there was each day (requests, runs), same shape.
    """

    subject: Mapping[str, str]
    at: exact.Floats
    values: exact.Floats
    volume: exact.Floats

    @property
    def before(self) -> float:
        """Median of the first third of the days."""
        return float(np.median(self.values[: max(len(self.values) // 3, 1)]))

    @property
    def after(self) -> float:
        """Median of the last third of the days."""
        return float(np.median(self.values[-max(len(self.values) // 3, 1) :]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How a family of series is judged and told.

    Args:
        keys: Columns of the subject.
        tolerated: Growth a week that is not worth a word: more than it has to be shown.
        logs: Relative growth; else growth in points.
        rises: False where a fall is what matters.
        claim: ``series -> what it is``, the beginning of the sentence.
        shown: A value in words.
        impact: ``(series, effect, days) -> Impact``.
        query: ``subject -> SQL`` of the daily rows.
        most: So many series at most, the largest by volume: chosen by size, never by how they went.
    """

    keys: tuple[str, ...]
    tolerated: float
    claim: Callable[[Series], str]
    shown: Callable[[float], str]
    impact: Callable[[Series, Effect, float], Impact]
    query: Callable[[Mapping[str, str]], str]
    logs: bool = True
    rises: bool = True
    most: int = MOST_SUBJECTS

    def test(self, rows: Rows, days: float) -> Tested:
        """One hypothesis a series that is long enough."""
        found = series_of(rows, self.keys)
        longest = max((len(each.values) for each in found), default=0)
        long = [e for e in found if len(e.values) >= LEAST_DAYS and (not self.logs or (e.values > 0).all())]
        long = sorted(long, key=lambda each: -float(each.volume.sum()))[: self.most]
        made = tuple(self._hypothesis(each, days) for each in long)
        return Tested(made, "" if made else lacking(min(longest, LEAST_DAYS - 1), LEAST_DAYS, "days"))

    def _hypothesis(self, series: Series, days: float) -> Hypothesis:
        return Hypothesis(
            subject=series.subject,
            p=self._p(series),
            n=len(series.values),
            tell=lambda level: self._told(series, level, days),
        )

    def _p(self, series: Series) -> float:
        """That it rises at all, and that the last days are higher than what is tolerated makes of the first: both."""
        values = np.log(series.values) if self.logs else series.values
        values = values if self.rises else -values
        third = max(len(values) // 3, 1)
        weeks = float(series.at[-third:].mean() - series.at[:third].mean()) / exact.WEEK
        allowed = (np.log1p(self.tolerated) if self.logs else self.tolerated) * weeks
        return max(exact.rising(values), exact.higher_after(values[:third] + allowed, values[-third:]))

    def _told(self, series: Series, level: float, days: float) -> Told:
        effect = intervals.growth(series.values, series.at, level, logs=self.logs)
        unit = "" if self.logs else " points"
        verb = "grew" if self.rises else "changed"
        text = (
            f"{self.claim(series)} {verb} by {percent(effect.value)}{unit} a week ({ends(effect)}) over "
            f"{plural(len(series.values), 'day')} with data, from {self.shown(series.before)} "
            f"to {self.shown(series.after)}."
        )
        facts = (
            Fact(f"median of the first third of the days: {self.shown(series.before)}", len(series.values) // 3),
            Fact(f"median of the last third of the days: {self.shown(series.after)}", len(series.values) // 3),
        )
        return Told(text, effect, self.impact(series, effect, days), facts, self.query(series.subject))


def series_of(rows: Rows, keys: tuple[str, ...]) -> list[Series]:
    """The rows of daily values as series, in the order in which subjects first come; rows are in order of days."""
    grouped: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        if row["value"] is not None:
            grouped.setdefault(tuple(str(row[key]) for key in keys), []).append(row)
    return [
        Series(
            dict(zip(keys, subject, strict=True)),
            np.array([float(row["day"].toordinal()) for row in own]),
            np.array([float(row["value"]) for row in own]),
            np.array([float(row["volume"] or 0) for row in own]),
        )
        for subject, own in grouped.items()
    ]


def shuffle_days(keys: tuple[str, ...]) -> Callable[[Rows, np.random.Generator], Rows]:
    """The days of the whole table in another order: what belongs to a day stays together, over all subjects."""

    def shuffled(rows: Rows, rng: np.random.Generator) -> Rows:
        days = sorted({row["day"] for row in rows})
        moved = dict(zip(days, rng.permutation(len(days)).tolist(), strict=True))
        made: list[dict[str, Any]] = [{**row, "day": days[moved[row["day"]]]} for row in rows]
        return sorted(made, key=lambda row: (*(str(row[key]) for key in keys), row["day"]))

    return shuffled
