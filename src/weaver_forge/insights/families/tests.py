"""Families about single tests: flaky at a rate, slow and hardly ever failing, getting slower."""

import math
from collections.abc import Mapping

import numpy as np

from weaver_forge.insights import exact, intervals
from weaver_forge.insights.families import test_history
from weaver_forge.insights.families.test_history import HISTORY, LEAST_REVISIONS, VERDICTS
from weaver_forge.insights.families.trends import Growth, Series, shuffle_days
from weaver_forge.insights.hypothesis import Fact, Family, Impact, Rows, Tested, Told, literal
from weaver_forge.insights.intervals import Effect
from weaver_forge.insights.wording import MONTH_DAYS, ends, lacking, milliseconds, percent

SLOWEST_SHARE = 0.1
"""Only tests that take so much of the time are asked whether they are needed at every run."""

DURATIONS = """-- grain: test and day
select
    repo_id, test_id, date_trunc('day', run_ended_at) as day,
    median(duration_ms) as value, sum(duration_ms) as volume
from core_ci__test_verdicts
where verdict = 'passed' and duration_ms > 0 and run_ended_at >= $since
group by all
order by repo_id, test_id, day
"""


def _flaky(rows: Rows, days: float) -> Tested:
    history = test_history.read(rows)
    if short := lacking(history.n_revisions, LEAST_REVISIONS, "revisions with test results"):
        return Tested((), short)
    counts = [len(each) for each in history.flaky]
    p = exact.above_expected(counts, test_history.chances(history.revisions, history.flaky))
    n_flaky, n_all = sum(counts), sum(map(len, history.revisions))

    def tell(i: int, level: float) -> Told:
        k, n, name = counts[i], len(history.revisions[i]), history.tests[i]["test_id"]
        effect = intervals.share(k, n, level)
        rest = (n_flaky - k) / max(n_all - n, 1)
        month = k / days * MONTH_DAYS
        return Told(
            f"{name} passed and failed on the same revision at {k} of {n} revisions, {percent(effect.value)} "
            f"({ends(effect)}); the other tests at {percent(rest)} of theirs.",
            effect,
            Impact(month, "revisions", f"about {month:.0f} revisions a month whose verdict says nothing"),
            (
                Fact(f"both outcomes at {k} of {n} revisions", n, f"test:{name}"),
                Fact(f"other tests: {n_flaky - k} of {n_all - n}", n_all - n),
            ),
            test_history.query_of(history.tests[i]),
        )

    return Tested(test_history.hypotheses(history, range(len(p)), p, tell))


def _rarely_failing(rows: Rows, days: float) -> Tested:
    history = test_history.read(rows)
    if short := lacking(history.n_revisions, LEAST_REVISIONS, "revisions with test results"):
        return Tested((), short)
    spent = history.duration_ms * np.array([len(each) for each in history.revisions])
    slow = np.argsort(-spent, kind="stable")[: max(math.ceil(SLOWEST_SHARE * len(spent)), 1)].tolist()
    counts = [len(each) for each in history.starts]
    chances = test_history.chances(history.revisions, history.starts)
    p = exact.below_expected([counts[i] for i in slow], [chances[i] for i in slow])

    def tell(i: int, level: float) -> Told:
        k, n, name = counts[i], len(history.revisions[i]), history.tests[i]["test_id"]
        effect = intervals.share(k, n, level)
        part = float(spent[i] / spent.sum())
        minutes = float(spent[i]) / 60_000 / days * MONTH_DAYS
        return Told(
            f"{name} takes {milliseconds(history.duration_ms[i])} a run, {percent(part)} of all test time, and began "
            f"to fail at {k} of {n} revisions, {percent(effect.value)} ({ends(effect)}); an average test would have at "
            f"{chances[i].sum():.1f} of them.",
            effect,
            Impact(minutes, "minutes", f"{minutes:.0f} minutes of test time a month, at one run a revision"),
            (
                Fact(f"it began to fail at {k} of {n} revisions", n, f"test:{name}"),
                Fact(f"{percent(part)} of the time of all tests", len(spent)),
            ),
            test_history.query_of(history.tests[i]),
        )

    return Tested(test_history.hypotheses(history, slow, p, tell))


def _more_minutes(series: Series, _effect: Effect, days: float) -> Impact:
    runs = float(series.volume.sum()) / max(float(series.values.mean()), 1e-9)
    minutes = (series.after - series.before) * runs / 60_000 / days * MONTH_DAYS
    return Impact(minutes, "minutes", f"{minutes:.1f} minutes of test time a month more than at the beginning")


def _durations_of(subject: Mapping[str, str]) -> str:
    return (
        "select date_trunc('day', run_ended_at) as day, count(*) as n, median(duration_ms) as duration_ms "  # noqa: S608 - literals are quoted
        f"from {VERDICTS} where verdict = 'passed' and repo_id = {literal(subject['repo_id'])} "
        f"and test_id = {literal(subject['test_id'])} group by all order by day"
    )


FAMILIES = (
    Family(
        name="flaky_tests",
        category="tests",
        question="Does a test pass and fail on the same revision more often than others do?",
        unit="tests within a revision",
        tables=(VERDICTS,),
        sql=HISTORY,
        test=_flaky,
        shuffle=test_history.shuffle_within_revisions,
    ),
    Family(
        name="slow_tests_that_rarely_fail",
        category="tests",
        question="Does one of the slowest tests begin to fail less often than others do?",
        unit="tests within a revision",
        tables=(VERDICTS,),
        sql=HISTORY,
        test=_rarely_failing,
        shuffle=test_history.shuffle_within_revisions,
    ),
    Family(
        name="slowing_tests",
        category="tests",
        question="Does a test get slower by more than 1 % a week?",
        unit="days",
        tables=(VERDICTS,),
        sql=DURATIONS,
        test=Growth(
            keys=("repo_id", "test_id"),
            tolerated=0.01,
            claim=lambda series: f"The time of {series.subject['test_id']}",
            shown=milliseconds,
            impact=_more_minutes,
            query=_durations_of,
            most=50,
        ).test,
        shuffle=shuffle_days(("repo_id", "test_id")),
    ),
)
