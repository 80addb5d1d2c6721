"""Properties of units: is a change or a deployment with some property hit more often than others of its week?

Put here what families of this form share. Units are compared within their week, so that neither a growing project nor
labels that are not known yet for the newest ones make a difference out of nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from weaver_forge.insights import exact, intervals
from weaver_forge.insights.hypothesis import Fact, Hypothesis, Impact, Rows, Tested, Told
from weaver_forge.insights.wording import MONTH_DAYS, lacking, percent, points

LEAST_UNITS, LEAST_HITS, LEAST_WITH = 50, 10, 8

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Property:
    """A property that some units have.

    Args:
        subject: What it is, as data.
        words: Completes "changes ...": "to services/cart", "made between 20:00 and 06:00 UTC".
        has: Whether each unit has it.
    """

    subject: Mapping[str, str]
    words: str
    has: Flags


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How a family compares.

    Args:
        noun: Of the units, plural.
        happened: What a hit is: "were blamed by a later fix".
        unit: Of the impact: what is counted a month.
        kind: Of the links to units that were hit.
        key: Column that names a unit.
        at: Column with its time.
        hit: Column that says whether it was hit.
        properties: The properties of the rows.
        query: ``property -> SQL`` of the units that have it.
    """

    noun: str
    happened: str
    unit: str
    kind: str
    key: str
    at: str
    hit: str
    properties: Callable[[Rows], Sequence[Property]]
    query: Callable[[Property], str]

    def test(self, rows: Rows, days: float) -> Tested:
        """One hypothesis a property that enough units have and enough have not; of two that are the same, the first."""
        hit = np.array([bool(row[self.hit]) for row in rows], dtype=bool)
        short = lacking(len(rows), LEAST_UNITS, self.noun)
        if short := short or lacking(int(hit.sum()), LEAST_HITS, f"{self.noun} that {self.happened}"):
            return Tested((), short)
        week = np.array([row[self.at].toordinal() // 7 for row in rows])
        week -= week.min()
        seen: set[bytes] = set()
        found = []
        for each in self.properties(rows):
            if LEAST_WITH <= each.has.sum() <= len(rows) - LEAST_WITH and each.has.tobytes() not in seen:
                seen.add(each.has.tobytes())
                found.append(self._hypothesis(rows, each, hit, week, days))
        return Tested(tuple(found))

    def _hypothesis(self, rows: Rows, each: Property, hit: Flags, week: exact.Ints, days: float) -> Hypothesis:
        p = exact.more_often_in(each.has, hit, week)
        return Hypothesis(each.subject, p, len(rows), lambda level: self._told(rows, each, hit, level, days))

    def _told(self, rows: Rows, each: Property, hit: Flags, level: float, days: float) -> Told:
        n, k = int(each.has.sum()), int((each.has & hit).sum())
        rest, rest_k = len(rows) - n, int((~each.has & hit).sum())
        effect = intervals.difference(k, n, rest_k, rest, level)
        month = effect.value * n / days * MONTH_DAYS
        examples = [rows[i] for i in np.flatnonzero(each.has & hit)[-3:]]
        return Told(
            f"{self.noun.capitalize()} {each.words}: {k} of {n} {self.happened}, {percent(k / n)}, against {rest_k} of "
            f"{rest}, {percent(rest_k / rest)}, of the others ({points(effect)} more).",
            effect,
            Impact(month, self.unit, f"about {month:.1f} {self.unit} a month more than at the rate of the others"),
            (
                Fact(f"{k} of {n} {self.noun} {each.words} {self.happened}", n),
                Fact(f"{rest_k} of {rest} others", rest),
                *(Fact(f"one of them, {row[self.at]:%Y-%m-%d}", 1, f"{self.kind}:{row[self.key]}") for row in examples),
            ),
            self.query(each),
        )


def shuffle_hits(at: str, hit: str) -> Callable[[Rows, np.random.Generator], Rows]:
    """Which units were hit, drawn anew within every week."""

    def shuffled(rows: Rows, rng: np.random.Generator) -> Rows:
        made: list[dict[str, Any]] = [dict(row) for row in rows]
        weeks: dict[int, list[int]] = {}
        for i, row in enumerate(rows):
            weeks.setdefault(row[at].toordinal() // 7, []).append(i)
        for here in weeks.values():
            for i, j in zip(here, rng.permutation(here).tolist(), strict=True):
                made[i][hit] = rows[j][hit]
        return made

    return shuffled


def at_least(values: Sequence[float], quantile: float) -> tuple[float, Flags]:
    """The quantile, and which values are above it."""
    series = np.array(values, dtype=np.float64)
    bar = float(np.quantile(series, quantile))
    return bar, series > bar
