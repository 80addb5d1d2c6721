"""Families of what is so on most days: is a daily value above a bar more often than on every other day?

Put here what they share. The unit is the day; whatever went on within it is one value. A thing that never changes is so
on every day, and is said so: "on 58 of 60 days".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from weaver_forge.insights import exact, intervals
from weaver_forge.insights.families.trends import LEAST_DAYS, MOST_SUBJECTS, Series, series_of
from weaver_forge.insights.hypothesis import Fact, Hypothesis, Impact, Rows, Tested, Told
from weaver_forge.insights.intervals import Effect
from weaver_forge.insights.wording import lacking


@dataclass(frozen=True, slots=True, kw_only=True)
class Steady:
    """How such a family is judged and told.

    Args:
        keys: Columns of the subject.
        bar: A day counts where its value is above it.
        unit: Of the value.
        said: ``(series, effect) -> the sentence``; the days are added.
        impact: ``(series, days) -> Impact``.
        query: ``subject -> SQL`` of the daily rows.
        most: So many series at most, the largest by volume.
    """

    keys: tuple[str, ...]
    bar: float
    unit: str
    said: Callable[[Series, Effect], str]
    impact: Callable[[Series, float], Impact]
    query: Callable[[Mapping[str, str]], str]
    most: int = MOST_SUBJECTS

    def test(self, rows: Rows, days: float) -> Tested:
        """One hypothesis a series that is long enough."""
        found = series_of(rows, self.keys)
        longest = max((len(each.values) for each in found), default=0)
        long = [each for each in found if len(each.values) >= LEAST_DAYS]
        long = sorted(long, key=lambda each: -float(each.volume.sum()))[: self.most]
        made = tuple(self._hypothesis(each, days) for each in long)
        return Tested(made, "" if made else lacking(longest, LEAST_DAYS, "days"))

    def _hypothesis(self, series: Series, days: float) -> Hypothesis:
        above, n = int((series.values > self.bar).sum()), len(series.values)

        def tell(level: float) -> Told:
            effect = intervals.median(series.values, level, self.unit)
            fact = Fact(f"above {self.bar:g} on {above} of {n} days", n)
            text = f"{self.said(series, effect)}, on {above} of {n} days."
            return Told(text, effect, self.impact(series, days), (fact,), self.query(series.subject))

        return Hypothesis(series.subject, exact.mostly_above(above, n), n, tell)


def flip_days(bar: float) -> Callable[[Rows, np.random.Generator], Rows]:
    """On every day, with even chances, all values change sides of the bar: what is above comes as far below."""

    def shuffled(rows: Rows, rng: np.random.Generator) -> Rows:
        days = sorted({row["day"] for row in rows})
        turned = dict(zip(days, (rng.random(len(days)) < 0.5).tolist(), strict=True))
        made: list[dict[str, Any]] = []
        for row in rows:
            far = abs(float(row["value"]) - bar) if row["value"] is not None else None
            value = None if far is None else bar + far if turned[row["day"]] else bar - far
            made.append({**row, "value": value})
        return made

    return shuffled
