"""The order of a revision's tests, what may wait by policy, and what fits into a budget. Pure.

A selection here can never silently run nothing or everything: whatever is cut or not known is said. How the lists
reach a test runner belongs in ``cli`` and in the runners' own hooks.
"""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import itemgetter
from typing import Any, NamedTuple

from weaver_forge.contracts.values import Freshness, Level, Verdict
from weaver_forge.errors import UsageError
from weaver_forge.hooks.ci_gate import GateAnswer
from weaver_forge.hooks.found import Durations, seen
from weaver_forge.policy import Policy, effective
from weaver_forge.policy.judging import may_wait, skip_rules
from weaver_forge.policy.leaving import Left, names_sha256, places_of

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


class RankedTest(NamedTuple):
    """A test in its place; a tuple, since ten thousand are made while somebody waits.

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


@dataclass(frozen=True, slots=True)
class OrderOf:
    """Whose order tests run in where the revision has none of its own that could be relied on.

    Args:
        revision: A commit id.
        n_commits: How far it lies before the revision; 0: it is the revision itself.
        made_at: When its order was predicted, naive UTC.
    """

    revision: str
    n_commits: int
    made_at: datetime

    def as_data(self) -> dict[str, Any]:
        """The same as JSON."""
        made_at = f"{self.made_at.isoformat()}Z"
        return {"revision": self.revision, "n_commits": self.n_commits, "made_at": made_at}

    def words(self, now: datetime) -> str:
        """Whose order it is and how old, in one line."""
        hours = max((now - self.made_at).total_seconds(), 0.0) / 3600
        age = f"{hours / 24:.0f} days" if hours >= 48 else f"{hours:.0f} h"
        far = f"{self.n_commits} commit{'s' * (self.n_commits > 1)} before" if self.n_commits else "the revision itself"
        return f"in the order of {self.revision[:12]}, {far}: published {self.made_at:%Y-%m-%d %H:%M} UTC, {age} ago"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """What to run now, what to run later, and why.

    Args:
        rest: Left for later: by policy, or for want of room in a budget.
        run_everything: No order of the revision is known; ``run`` holds every known test, by name or in an ancestor's
            order, and there may be others.
        below: Tests below the policy's threshold, in order: what would be left for later had it been earned.
        skipped: Those of them that are left for later on that ground.
        always: Tests below the threshold that run all the same, because a rule says that they always run.
        rule: The threshold in words; empty where policy has none.
        is_by_duration: Whether the threshold depends on what a test takes.
        order_of: Whose order ``run`` has; None: the revision's own, or none.
    """

    run: tuple[RankedTest, ...]
    rest: tuple[RankedTest, ...]
    reasons: tuple[str, ...]
    run_everything: bool
    below: tuple[str, ...] = ()
    skipped: frozenset[str] = frozenset()
    always: frozenset[str] = frozenset()
    rule: str = ""
    is_by_duration: bool = False
    order_of: OrderOf | None = None

    def why_later(self, test: RankedTest) -> str:
        """Why a test of the rest waits, in words."""
        return f"below the threshold: {self.rule}" if test.test_id in self.skipped else "no room in the budget"


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


def rank(
    answer: GateAnswer, policy: Policy, budget: Budget | None = None, *, always: Collection[str] = frozenset()
) -> Ranking:
    """Order the tests of a gate's answer, leave for later what policy lets wait, and cut the others at the budget.

    Args:
        answer: About all tests of a revision.
        policy: What it was judged under.
        budget: How long the run list may take; None: no limit.
        always: Tests that run whatever is predicted.
    """
    ruling, asked = answer.ruling, answer.question
    if ruling.verdict is Verdict.UNKNOWN or ruling.freshness is not Freshness.FRESH:
        return _everything(answer.durations, ruling.reasons[0])
    tests = ordered(answer.predictions, answer.durations)
    if asked is None or asked.on != "low":
        return cut(tests, budget) if budget else _all_in_order(tests)
    rule = effective(policy, asked.decision, asked.action, asked.scope)
    waits = may_wait(rule, asked, (seen(row, answer.durations) for row in answer.predictions))
    low = {str(row["test_id"]) for row, may in zip(answer.predictions, waits, strict=True) if may}
    below = tuple(test.test_id for test in tests if test.test_id in low and test.test_id not in always)
    spared = tests[0].test_id if tests and len(below) == len(tests) else ""
    skipped = frozenset(below) - {spared} if ruling.acts else frozenset()
    now = tuple(test for test in tests if test.test_id not in skipped)
    part = cut(now, budget, of=tests) if budget else _all_in_order(now, "the others" if skipped else "all of them")
    rest = tuple(sorted((*part.rest, *(test for test in tests if test.test_id in skipped)), key=lambda t: t.rank))
    words = skip_rules(rule)
    return replace(
        part,
        rest=rest,
        reasons=(*_about_waiting(answer, tests, below, skipped), *part.reasons),
        below=below,
        skipped=skipped,
        always=frozenset(low & set(always)),
        rule=words[0] if words else "",
        is_by_duration="skip_below" in rule.from_costs,
    )


def left(answer: GateAnswer, ranking: Ranking, budget: str = "") -> Left:
    """What a ranking left for later, as the ledger keeps it: places among the decision's predictions."""
    if ranking.run_everything:
        return Left(budget=budget)
    rows = [row for row in answer.predictions if row.get("prediction_id")]
    names = [str(row["test_id"]) for row in rows]
    rest = [test.test_id for test in ranking.rest]
    return Left(
        n=len(ranking.run) + len(ranking.rest),
        rule=ranking.rule,
        below=places_of(names, ranking.below),
        skipped=places_of(names, ranking.skipped),
        always=places_of(names, ranking.always),
        over_budget=places_of(names, (name for name in rest if name not in ranking.skipped)),
        below_sha256=names_sha256(ranking.below),
        rest_sha256=names_sha256(rest),
        budget=budget,
        durations_ms=tuple(answer.durations.get(name) for name in names) if ranking.is_by_duration else (),
    )


def _all_in_order(tests: tuple[RankedTest, ...], which: str = "all of them") -> Ranking:
    return Ranking(run=tests, rest=(), reasons=(f"no budget: {which}, in order",), run_everything=False)


def _about_waiting(
    answer: GateAnswer, tests: Sequence[RankedTest], below: Sequence[str], skipped: Collection[str]
) -> list[str]:
    """What policy lets wait, and why it does or does not."""
    ruling, n = answer.ruling, f"{len(below)} of {len(tests)} tests"
    if not below:
        return [f"no test may wait: {ruling.reasons[0]}"]
    if skipped or ruling.acts:
        because = "a person said yes" if ruling.level is Level.SUPERVISED else f"{ruling.level} has been earned"
        said = [f"{len(skipped)} of {len(tests)} tests are below the threshold and left for later: {because}"]
        more = "every test is below the threshold: the best placed one runs all the same"
        return [*said, more] if len(below) == len(tests) else said
    if ruling.held_out:
        return [f"{n} would be left for later; drawn into the holdout, so all of them run"]
    if ruling.by == "person":
        return [f"{n} would be left for later; a rule that a person wrote lets all of them run: {ruling.reasons[0]}"]
    if ruling.level is Level.SUPERVISED:
        return [f"{n} would be left for later with a person's yes (weaver-forge approve); all of them run"]
    return [f"{n} would be left for later; level {ruling.level}: it is said, and all of them run"]


def ordered(rows: Sequence[Mapping[str, Any]], durations: Durations) -> tuple[RankedTest, ...]:
    """Highest score first (probability where there is none); equal ones by test id, so that an order is repeatable."""

    def key(row: Mapping[str, Any]) -> float:
        value = row.get("score")
        value = row.get("probability") if value is None else value
        return -value if value is not None and value == value else math.inf  # noqa: PLR0124 - NaN last

    # Sorting twice by one thing each, the second time keeping the order, takes half as long as once by both.
    by_name = sorted(rows, key=itemgetter("test_id"))
    known = sorted(value for value in durations.values() if value is not None)
    median = known[len(known) // 2] if known else 1.0
    ranked = []
    for place, row in enumerate(sorted(by_name, key=key), 1):
        name = row["test_id"]
        duration = durations.get(name)
        expected = duration if duration is not None else median
        ranked.append(RankedTest(name, place, row.get("score"), row.get("probability"), duration, expected))
    return tuple(ranked)


def cut(tests: Sequence[RankedTest], budget: Budget, of: Sequence[RankedTest] | None = None) -> Ranking:
    """Take tests in order while they fit; one that is too long waits, and shorter ones after it may still fit.

    At least one test runs, and it is said when that breaks the budget or when better placed tests had to wait.

    Args:
        tests: To choose from, in order.
        budget: How long they may take.
        of: What a share is a share of; ``tests`` unless it is given.
    """
    n_known = sum(test.duration_ms is not None for test in tests)
    if n_known == 0 and budget.share is None:
        why = "no test's duration is known, so a time cannot be met: all tests are in the run list"
        return Ranking(run=tuple(tests), rest=(), reasons=(why,), run_everything=False)
    total = sum(test.expected_ms for test in tests)
    whole = sum(test.expected_ms for test in of) if of is not None else total
    taken, reasons = _fitting(tests, budget.of(whole)), []
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
    fits = f"{len(run)} of {len(tests)} tests now, {share}; run the other {len(rest)} later"
    reasons.insert(0, fits if rest else f"all {len(tests)} fit into the budget")
    return Ranking(run=run, rest=rest, reasons=tuple(reasons), run_everything=False)


def _fitting(tests: Sequence[RankedTest], allowed_ms: float) -> set[int]:
    """Ranks of the tests that fit, taken greedily in order; rounding must not cost a test."""
    taken, spent = set(), 0.0
    for test in tests:
        if spent + test.expected_ms <= allowed_ms * (1 + 1e-9):
            spent += test.expected_ms
            taken.add(test.rank)
    return taken


def _everything(durations: Durations, why: str) -> Ranking:
    tests = ordered([{"test_id": name} for name in durations], durations)
    n = f"all {len(tests)} known tests, by name" if tests else "no test is known here: run the whole suite"
    return Ranking(run=tests, rest=(), reasons=(f"RUN EVERYTHING: {why}", n), run_everything=True)
