"""What a part of the order would have caught on past runs: the confidence curve. Pure; standard library only.

**Confidence** is the estimated probability that a change that would fail the full run also fails the selected run: the
recall of failing runs. It is measured on past runs of the same repository, each ordered by a method that was learnt on
what was known before it (``models.walking``), never added up from the method's own probabilities. A share of the
expected time that reaches a confidence c is the k-th smallest of the shares at which n past failing runs showed their
first failure, k = ceil(c (n + 1)): a next run that is like them is caught with a probability of at least c (split
conformal prediction: Vovk, Gammerman, Shafer 2005). Runs of one red stretch resemble each other more than that, and a
project changes: what came of it walking forward is measured in ``replay tests``.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from json import loads
from typing import Any

NEEDED = 30
"""Failing runs below which nothing is estimated: the same as for every other rate of the product."""

ALPHA = 0.05
"""Chance that a recall lies below the interval's lower end, and that it lies above its upper end."""

_TOLERANCE = 1e-6
"""Shares are stored to six digits."""


@dataclass(frozen=True, slots=True)
class PastRun:
    """A past run in one order.

    Args:
        predicted_at: When it was ordered; naive UTC.
        known_at: When its outcomes were known.
        n_tests: Tests that ran.
        shares: Share of the expected time up to each real failure, ascending; empty where nothing failed, and 0 for the
            first test of the order, which always runs.
        shares_tests: The same as shares of the tests.
    """

    predicted_at: datetime
    known_at: datetime
    n_tests: int
    shares: tuple[float, ...] = ()
    shares_tests: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share that was counted.

    Args:
        value: None where there is nothing to count.
        low: Lower end of the exact interval (Clopper and Pearson), 5 % on either side.
    """

    caught: int
    n: int
    value: float | None
    low: float | None
    high: float | None

    @property
    def words(self) -> str:
        """With its interval and what it is counted on."""
        if self.value is None or self.low is None or self.high is None:
            return "not known: nothing failed in past runs"
        return f"{self.value:.1%} ({self.caught} of {self.n}, 90 % interval {self.low:.1%} to {self.high:.1%})"


@dataclass(frozen=True, slots=True)
class Past:
    """The past runs of one repository in one order.

    Args:
        order: Name of the order.
        n_runs: All runs, of which ``failing`` had a real failure.
        since: The first of them.
        until: The newest of them.
    """

    order: str
    n_runs: int
    failing: tuple[PastRun, ...]
    since: datetime | None = None
    until: datetime | None = None
    firsts: tuple[float, ...] = field(default=())
    firsts_tests: tuple[float, ...] = field(default=())
    each: tuple[float, ...] = field(default=())
    each_tests: tuple[float, ...] = field(default=())

    def needed(self, confidence: float = 0.0) -> int:
        """Failing runs that an estimate, or this confidence, takes."""
        return max(NEEDED, math.ceil(confidence / (1 - confidence) - 1e-9)) if confidence < 1 else 0

    def enough(self, confidence: float = 0.0) -> bool:
        """Whether there are as many."""
        return len(self.failing) >= self.needed(confidence)

    def insufficient(self, confidence: float = 0.0) -> str:
        """That there are too few, in the product's words."""
        return f"insufficient data: {len(self.failing)} of {self.needed(confidence)} failing runs"

    def share_for(self, confidence: float, *, of_tests: bool = False) -> float | None:
        """The least share of the time (or of the tests) that reaches a confidence; None where too few runs failed."""
        if not self.enough(confidence):
            return None
        firsts = self.firsts_tests if of_tests else self.firsts
        place = math.ceil(confidence * (len(firsts) + 1) - 1e-9)
        return firsts[place - 1] if place <= len(firsts) else None

    def runs_caught(self, share: float, *, of_tests: bool = False) -> Estimate:
        """Failing runs that would have shown a failure within a share of the time (or of the tests)."""
        return _counted(self.firsts_tests if of_tests else self.firsts, share)

    def failures_caught(self, share: float, *, of_tests: bool = False) -> Estimate:
        """Failing tests within a share of the time (or of the tests). Those of one run are no independent evidence."""
        return _counted(self.each_tests if of_tests else self.each, share)


def past_of(runs: Iterable[PastRun], order: str = "") -> Past:
    """Put past runs together."""
    rows = sorted(runs, key=lambda run: run.predicted_at)
    failing = tuple(run for run in rows if run.shares)
    return Past(
        order=order,
        n_runs=len(rows),
        failing=failing,
        since=rows[0].predicted_at if rows else None,
        until=rows[-1].predicted_at if rows else None,
        firsts=tuple(sorted(run.shares[0] for run in failing)),
        firsts_tests=tuple(sorted(run.shares_tests[0] for run in failing)),
        each=tuple(sorted(share for run in failing for share in run.shares)),
        each_tests=tuple(sorted(share for run in failing for share in run.shares_tests)),
    )


def past_run(row: Mapping[str, Any]) -> PastRun:
    """A past run from a row of the table of past units."""
    return PastRun(
        predicted_at=row["predicted_at"],
        known_at=row["known_at"],
        n_tests=int(row["n_tests"]),
        shares=tuple(loads(row["shares"])),
        shares_tests=tuple(loads(row["shares_tests"])),
    )


def curve(past: Past, shares: Sequence[float]) -> list[dict[str, Any]]:
    """The confidence curve at some shares, as data: by time and by tests, of failing runs and of failing tests."""
    return [
        {
            "share": share,
            **{
                f"{what}_by_{by}": _as_data(count(share, of_tests=by == "tests"))
                for what, count in (("runs", past.runs_caught), ("failures", past.failures_caught))
                for by in ("time", "tests")
            },
        }
        for share in shares
    ]


def _as_data(found: Estimate) -> dict[str, Any]:
    return {"value": found.value, "low": found.low, "high": found.high, "caught": found.caught, "n": found.n}


def _counted(shares: Sequence[float], share: float) -> Estimate:
    n = len(shares)
    if not n:
        return Estimate(0, 0, None, None, None)
    caught = bisect_right(shares, share + _TOLERANCE)
    low = 0.0 if caught == 0 else _solved(lambda p: _at_least(caught, n, p), ALPHA)
    high = 1.0 if caught == n else _solved(lambda p: _at_least(caught + 1, n, p), 1 - ALPHA)
    return Estimate(caught, n, caught / n, low, high)


def _solved(rising: Any, wanted: float) -> float:
    """Where a function that rises from 0 to 1 reaches a value."""
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < wanted else (low, middle)
    return (low + high) / 2


def _at_least(k: int, n: int, p: float) -> float:
    """Chance of k or more of n, each with probability p."""
    if p <= 0 or p >= 1:
        return float(p >= 1)
    if k <= n * p:  # the shorter tail is added up
        return max(0.0, 1.0 - _at_least(n - k + 1, n, 1 - p))
    log_first = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    term = math.exp(log_first + k * math.log(p) + (n - k) * math.log1p(-p))
    whole, odds = term, p / (1 - p)
    for place in range(k, n):
        term *= (n - place) / (place + 1) * odds
        whole += term
        if term < whole * 1e-17:
            break
    return min(whole, 1.0)
