"""Which tests of a revision run now and which later: aim, past runs and rules put together. Pure.

A selection can never silently be empty or total: whatever is cut, kept or not known is said. It acts only as far as the
action of leaving tests for later has earned; below that it is said and recorded, and everything is to run.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from weaver_forge.contracts.values import Freshness, Level, Verdict
from weaver_forge.hooks.ci_gate import GateAnswer
from weaver_forge.hooks.rank_tests import RankedTest, Ranking, cut, left, ordered, rank
from weaver_forge.hooks.selecting.aim import Aim, read_aim
from weaver_forge.hooks.selecting.always import Fired
from weaver_forge.hooks.selecting.past import Estimate, Past
from weaver_forge.policy import Policy
from weaver_forge.policy.leaving import Left

_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What is to run now and later, and what the selection would be where it does not act.

    Args:
        ranking: The lists that hold: all tests in ``run`` where the selection does not act.
        aim: What was asked for.
        chosen: What the selection would run now, in order, whatever has been earned.
        fired: Rules that fired.
        share: Of the expected time up to which the order runs without a gap, for a confidence the share that reaches it
            (tests of this revision may end a little before); None where no order is known.
        cut: The share that reaches a confidence; None for other aims, and where too few runs failed.
        of_tests: Whether shares are of tests, since no duration is known.
        runs: Failing runs of the past that this part would have caught; None where too few failed.
        failures: Failing tests of the past within it.
        past: What that was counted on.
        later_words: Why the others wait.
    """

    ranking: Ranking
    aim: Aim
    chosen: tuple[RankedTest, ...]
    fired: tuple[Fired, ...] = ()
    share: float | None = None
    cut: float | None = None
    of_tests: bool = False
    runs: Estimate | None = None
    failures: Estimate | None = None
    past: Past
    later_words: str = ""


def select(answer: GateAnswer, policy: Policy, aim: Aim, past: Past, fired: Sequence[Fired]) -> Selection:
    """Choose among the tests of a gate's answer.

    Args:
        answer: About all tests of a revision, asked with the aim.
        policy: What it was judged under.
        aim: What to reach.
        past: Past runs of the repository in the order that the answer has.
        fired: Rules that the change fires.
    """
    ruling = answer.ruling
    if ruling.verdict is Verdict.UNKNOWN or ruling.freshness is not Freshness.FRESH:
        everything = rank(answer, policy)
        return Selection(ranking=everything, aim=aim, chosen=everything.run, fired=tuple(fired), past=past)
    tests = ordered(answer.predictions, answer.durations)
    of_tests = all(test.duration_ms is None for test in tests)  # no time is known: shares are of tests then
    share = past.share_for(aim.value, of_tests=of_tests) if aim.kind == "confidence" else None
    waiting = frozenset(waits(tests, aim, share))
    everything_runs = any(rule.is_everything for rule in fired)
    called = {test for rule in fired for test in rule.tests}
    always = waiting if everything_runs else waiting & called
    later = waiting - always
    below = tuple(test.test_id for test in tests if test.test_id in later)
    skipped = later if ruling.acts else frozenset()
    reached = max(_reached(tests, waiting), share or 0.0)  # a part that reaches a confidence is known by its share
    words = _rule(aim, past, share, of_tests=of_tests)
    return Selection(
        ranking=Ranking(
            run=tuple(test for test in tests if test.test_id not in skipped),
            rest=tuple(test for test in tests if test.test_id in skipped),
            reasons=tuple(_reasons(answer, tests, aim, past, share, below, fired, words)),
            run_everything=False,
            below=below,
            skipped=skipped,
            always=always,
            rule=words,
            is_by_duration=True,
        ),
        aim=aim,
        chosen=tuple(test for test in tests if test.test_id not in later),
        fired=tuple(fired),
        share=reached,
        cut=share,
        of_tests=of_tests,
        runs=past.runs_caught(reached, of_tests=of_tests) if past.enough() else None,
        failures=past.failures_caught(reached, of_tests=of_tests) if past.enough() else None,
        past=past,
        later_words=words,
    )


def waits(tests: Sequence[RankedTest], aim: Aim, share: float | None) -> list[str]:
    """What an aim leaves for later, before any rule; never all of it.

    Args:
        tests: In order.
        aim: What to reach.
        share: Of the expected time that reaches a confidence; None: nothing waits.
    """
    if not tests:
        return []
    if aim.kind != "confidence":
        return [test.test_id for test in cut(tests, aim.budget).rest]
    if share is None:
        return []
    total = sum(test.expected_ms for test in tests)
    through, later = 0.0, []
    for place, test in enumerate(tests):
        through += test.expected_ms
        if place and through > (share + _ROUNDING) * total:
            later.append(test.test_id)
    return later


def as_left(answer: GateAnswer, selection: Selection) -> Left:
    """What a selection left for later, as the ledger keeps it; from it and the predictions ``why`` makes it again."""
    ranking = selection.ranking
    runs = selection.runs
    return replace(
        left(answer, ranking),
        aim=selection.aim.words,
        order_name=selection.past.order,
        share=selection.cut,
        caught=runs.words if runs is not None else selection.past.insufficient(),
        fired=tuple(rule.words for rule in selection.fired),
    )


def chosen_again(left: Left, rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> tuple[bool, ...]:
    """Which of the subjects of a record an aim leaves for later, from scores and durations as they were recorded.

    Args:
        left: What was recorded.
        rows: Its predictions.
        names: What each is called.
    """
    durations = dict(zip(names, left.durations_ms or [None] * len(names), strict=True))
    tests = ordered(
        [
            {"test_id": name, "score": row["score"], "probability": row["probability"]}
            for name, row in zip(names, rows, strict=True)
        ],
        durations,
    )
    later = frozenset(waits(tests, read_aim(left.aim), left.share))
    return tuple(name in later for name in names)


def _reached(tests: Sequence[RankedTest], waiting: Collection[str]) -> float:
    """The share of the expected time that the order runs before its first gap: past runs are held against no more."""
    total = sum(test.expected_ms for test in tests)
    through = 0.0
    for test in tests:
        if test.test_id in waiting:
            break
        through += test.expected_ms
    return through / total if total else 1.0


def _rule(aim: Aim, past: Past, share: float | None, *, of_tests: bool) -> str:
    """The aim with what it came to, for the record and for each test that waits."""
    whole = "tests" if of_tests else "expected time"
    if aim.kind != "confidence":
        return f"{aim.words} of the {whole}, in the order {past.order}"
    if share is None:
        return f"{aim.words}: {past.insufficient(aim.value)}"
    return f"{aim.words}: the first {share:.1%} of the {whole} in the order {past.order}"


def _reasons(
    answer: GateAnswer,
    tests: Sequence[RankedTest],
    aim: Aim,
    past: Past,
    share: float | None,
    below: Sequence[str],
    fired: Sequence[Fired],
    words: str,
) -> list[str]:
    """In words: what is chosen and why, first of all why it is everything where it is."""
    everything = [rule.words for rule in fired if rule.is_everything]
    found = []
    if everything:
        found.append(
            f"EVERYTHING RUNS: {everything[0]}" + (f" (and {len(everything) - 1} more)" if everything[1:] else "")
        )
    elif aim.kind == "confidence" and share is None:
        found.append(f"EVERYTHING RUNS: {past.insufficient(aim.value)}, so no part of the order is known to reach it")
    elif not below:
        found.append(f"EVERYTHING RUNS: all {len(tests)} tests are in {words}, or always run")
    else:
        found.append(_acting(answer, len(tests), len(below)))
    kept = sum(len(rule.tests) for rule in fired)
    if kept and not everything:
        found.append(f"{kept} tests always run, as the change touches their files")
    n_known = sum(test.duration_ms is not None for test in tests)
    if n_known == 0:
        found.append("no test's duration is known: shares are of tests, not of time")
    elif n_known < len(tests):
        found.append(f"{len(tests) - n_known} of {len(tests)} tests have no known duration: the median stands in")
    return found


def _acting(answer: GateAnswer, n: int, n_below: int) -> str:
    """Whether the selection acts, and why it does not."""
    ruling, what = answer.ruling, f"{n_below} of {n} tests"
    if ruling.acts:
        because = "a person said yes" if ruling.level is Level.SUPERVISED else f"{ruling.level} has been earned"
        return f"{n - n_below} of {n} tests now, {n_below} left for later: {because}"
    if ruling.held_out:
        return f"EVERYTHING RUNS: {what} would be left for later; drawn into the holdout"
    if ruling.by == "person":
        return f"EVERYTHING RUNS: {what} would be left for later; a rule that a person wrote: {ruling.reasons[0]}"
    if ruling.level is Level.SUPERVISED:
        return f"EVERYTHING RUNS: {what} would be left for later with a person's yes (weaver-forge approve)"
    return f"EVERYTHING RUNS: {what} would be left for later; level {ruling.level}: it is said, not done"
