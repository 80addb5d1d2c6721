"""The order of a revision's tests, and what fits into a budget. Pure but for one query of known durations.

A selection here can never silently run nothing or everything: whatever is cut or not known is said. How the lists
reach a test runner belongs in ``cli`` and in the runners' own hooks.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from weaver_forge.contracts.values import Freshness, Verdict
from weaver_forge.errors import UsageError
from weaver_forge.hooks.ci_gate import GateAnswer

if TYPE_CHECKING:
    from weaver_forge.snapshot import Snapshot

TESTS = "core_ci__test_verdicts"
_UNITS_MS = {"ms": 1.0, "s": 1e3, "m": 60e3, "min": 60e3, "h": 3600e3}
_TIME = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>ms|s|min|m|h)")
_SHARE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*%")


@dataclass(frozen=True, slots=True)
class Budget:
    """How long the run list may take: a share of all tests' expected time, or milliseconds."""

    share: float | None = None
    duration_ms: float | None = None

    def of(self, total_ms: float) -> float:
        """The budget in milliseconds where all tests together take ``total_ms``."""
        return self.duration_ms if self.duration_ms is not None else (self.share or 0.0) * total_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedTest:
    """A test in its place.

    Args:
        rank: 1 = run first.
        duration_ms: Expected wall clock; None where no run has ever said.
        expected_ms: The same, or the median of the others where it is not known; 1 where none is.
    """

    test_id: str
    rank: int
    score: float | None
    probability: float | None
    duration_ms: float | None
    expected_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """What to run now, what to run later, and why.

    Args:
        run_everything: No order is known; ``run`` holds every known test by name, and there may be others.
    """

    run: tuple[RankedTest, ...]
    rest: tuple[RankedTest, ...]
    reasons: tuple[str, ...]
    run_everything: bool


def parse_budget(text: str) -> Budget:
    """Read ``25%``, ``600s``, ``10m`` or ``1h``.

    Raises:
        UsageError: If it is anything else, zero, or more than 100 %.
    """
    share, time = _SHARE.fullmatch(text.strip()), _TIME.fullmatch(text.strip())
    if share and 0 < float(share["number"]) <= 100:
        return Budget(share=float(share["number"]) / 100)
    if time and float(time["number"]) > 0:
        return Budget(duration_ms=float(time["number"]) * _UNITS_MS[time["unit"]])
    raise UsageError(
        f"budget {text!r} cannot be read", where="--budget", do='Write a share like "25%" or a time like "10m"'
    )


def rank(answer: GateAnswer, snapshot: "Snapshot | None", budget: Budget | None) -> Ranking:
    """Order the tests of a gate's answer and cut them at the budget."""
    repo_id = str(answer.subject.get("repo_id", ""))
    durations = known_durations(snapshot, repo_id)
    if answer.ruling.verdict is Verdict.UNKNOWN or answer.ruling.freshness is not Freshness.FRESH:
        return _everything(durations, answer.ruling.reasons[0])
    tests = ordered(answer.predictions, durations)
    if budget is None:
        return Ranking(run=tests, rest=(), reasons=("no budget: all tests, in order",), run_everything=False)
    return cut(tests, budget)


def ordered(rows: Sequence[Mapping[str, Any]], durations: Mapping[str, float | None]) -> tuple[RankedTest, ...]:
    """Highest score first (probability where there is none); equal ones by test id, so that an order is repeatable."""

    def key(row: Mapping[str, Any]) -> tuple[float, str]:
        value = row.get("score") if row.get("score") is not None else row.get("probability")
        return (-value if value is not None and value == value else math.inf, row["test_id"])  # noqa: PLR0124 - NaN last

    known = sorted(value for value in durations.values() if value is not None)
    median = known[len(known) // 2] if known else 1.0
    ranked = []
    for place, row in enumerate(sorted(rows, key=key), 1):
        duration = durations.get(row["test_id"])
        ranked.append(
            RankedTest(
                test_id=row["test_id"],
                rank=place,
                score=row.get("score"),
                probability=row.get("probability"),
                duration_ms=duration,
                expected_ms=duration if duration is not None else median,
            )
        )
    return tuple(ranked)


def cut(tests: Sequence[RankedTest], budget: Budget) -> Ranking:
    """Take tests in order while they fit; one that is too long waits, and shorter ones after it may still fit.

    At least one test runs, and it is said when that breaks the budget or when better placed tests had to wait.
    """
    n_known = sum(test.duration_ms is not None for test in tests)
    if n_known == 0 and budget.share is None:
        why = "no test's duration is known, so a time cannot be met: all tests are in the run list"
        return Ranking(run=tuple(tests), rest=(), reasons=(why,), run_everything=False)
    total = sum(test.expected_ms for test in tests)
    taken, reasons = _fitting(tests, budget.of(total)), []
    if tests and not taken:
        taken = {tests[0].rank}
        reasons.append("the budget is smaller than any test: the first runs all the same, alone")
    run = tuple(test for test in tests if test.rank in taken)
    rest = tuple(test for test in tests if test.rank not in taken)
    overtaken = sum(test.rank < run[-1].rank for test in rest) if run else 0
    if overtaken:
        reasons.append(f"{overtaken} better placed tests did not fit and come first in the rest")
    if n_known == 0:
        reasons.append("no test's duration is known: the share is one of tests, not of time")
    elif n_known < len(tests):
        reasons.append(f"{len(tests) - n_known} of {len(tests)} tests have no known duration: the median stands in")
    share = f"{sum(test.expected_ms for test in run) / total:.0%} of the expected time" if total else "no time at all"
    reasons.insert(0, f"{len(run)} of {len(tests)} tests now, {share}; run the other {len(rest)} later")
    return Ranking(run=run, rest=rest, reasons=tuple(reasons), run_everything=False)


def _fitting(tests: Sequence[RankedTest], allowed_ms: float) -> set[int]:
    """Ranks of the tests that fit, taken greedily in order; rounding must not cost a test."""
    taken, spent = set(), 0.0
    for test in tests:
        if spent + test.expected_ms <= allowed_ms * (1 + 1e-9):
            spent += test.expected_ms
            taken.add(test.rank)
    return taken


def known_durations(snapshot: "Snapshot | None", repo_id: str) -> dict[str, float | None]:
    """Test -> mean milliseconds over all its known runs (None where never reported), all tests of the repository."""
    if snapshot is None or TESTS not in snapshot.tables():
        return {}
    where, parameters = ("where repo_id = ?", [repo_id]) if repo_id else ("", [])
    rows = snapshot.rows(
        f"select test_id, avg(duration_ms) as duration_ms from {TESTS} {where} group by test_id",  # noqa: S608 - constants
        parameters,
    )
    return {row["test_id"]: row["duration_ms"] for row in rows}


def _everything(durations: Mapping[str, float | None], why: str) -> Ranking:
    tests = ordered([{"test_id": name} for name in durations], durations)
    n = f"all {len(tests)} known tests, by name" if tests else "no test is known here: run the whole suite"
    return Ranking(run=tests, rest=(), reasons=(f"RUN EVERYTHING: {why}", n), run_everything=True)
