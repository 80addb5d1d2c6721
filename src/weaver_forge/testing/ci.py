"""The simulated continuous integration: which run tested which commit, and how every test ended.

Values only; the report files are written by ``junit_writer``, the runs by ``runs_writer``.
"""

from dataclasses import dataclass
from datetime import datetime, time, timedelta

import numpy as np

from weaver_forge.testing.cases import Case
from weaver_forge.testing.history import History
from weaver_forge.testing.plan import OrganisationPlan

RERUNS = 2
"""A failing test is tried again so many times, as ``--reruns 2`` and ``rerunFailingTestsCount=2`` do."""

FLAKY_PROBABILITY = 0.10


@dataclass(frozen=True, slots=True)
class Result:
    """A test case in a run: how each attempt ended (True = passed) and how long it took."""

    case: Case
    passed: tuple[bool, ...]
    durations_ms: tuple[float, ...]

    @property
    def ends_passed(self) -> bool:
        """The last attempt counts."""
        return self.passed[-1]


@dataclass(frozen=True, slots=True)
class Run:
    """A CI run of all tests on a commit.

    Args:
        number: Number of the commit in the history.
        event: push or schedule.
        queued_s: Seconds between creation and start.
        job_ends: Service -> end of its job.
    """

    run_id: str
    run_number: int
    number: int
    event: str
    created_at: datetime
    queued_s: int
    ended_at: datetime
    results: tuple[Result, ...]
    job_ends: dict[str, datetime]

    @property
    def started_at(self) -> datetime:
        """When the first job started."""
        return self.created_at + timedelta(seconds=self.queued_s)

    @property
    def broken_services(self) -> frozenset[str]:
        """Services with a test that failed in its last attempt."""
        return frozenset(result.case.service for result in self.results if not result.ends_passed)


def truly_failing(history: History) -> tuple[frozenset[str], ...]:
    """For every commit, the tests that fail on it because of a bug that is in and not yet fixed."""
    fixed_by = history.fixed_by
    failing: list[set[str]] = [set() for _ in history.changes]
    for bug in history.bugs:
        for number in range(bug.number, fixed_by.get(bug.number, len(history.changes))):
            failing[number].update(bug.failing)
    return tuple(frozenset(tests) for tests in failing)


def run_everything(plan: OrganisationPlan, history: History, cases: tuple[Case, ...]) -> tuple[Run, ...]:
    """One run a commit, some minutes after it, and one every night at 02:00; in the order of their creation."""
    rng = plan.rng("ci")
    starts = [
        (change.at + timedelta(seconds=int(rng.integers(40, 240))), change.number, "push") for change in history.changes
    ]
    for day in range(1, plan.days):
        at = datetime.combine(plan.start, time(2)) + timedelta(days=day)
        newest = max(change.number for change in history.changes if change.at < at)
        starts.append((at, newest, "schedule"))
    failing = truly_failing(history)
    runs = []
    for run_number, (at, number, event) in enumerate(sorted(starts), 1):
        present = [case for case in cases if history.born.get(case.test_id, len(history.changes)) <= number]
        results = tuple(_result(case, case.test_id in failing[number], rng) for case in present)
        runs.append(_timed(run_number, at, number, event, results, rng))
    return tuple(run for run in runs if run.ended_at < plan.ends_at)


def _result(case: Case, is_broken: bool, rng: np.random.Generator) -> Result:
    passed: list[bool] = []
    while len(passed) <= RERUNS and not (passed and passed[-1]):
        passed.append(not is_broken and not (case.is_flaky and rng.random() < FLAKY_PROBABILITY))
    durations = case.base_ms * rng.lognormal(0.0, 0.15, size=len(passed))
    return Result(case, tuple(passed), tuple(round(float(value)) + 1.0 for value in durations))


def _timed(
    run_number: int, at: datetime, number: int, event: str, results: tuple[Result, ...], rng: np.random.Generator
) -> Run:
    queued = int(rng.integers(8, 70))
    ends: dict[str, datetime] = {}
    for service in dict.fromkeys(result.case.service for result in results):
        tested = sum(sum(r.durations_ms) for r in results if r.case.service == service) / 1000
        setup = float(rng.uniform(70, 160))
        ends[service] = at + timedelta(seconds=round(queued + setup + tested))
    ended = max(ends.values(), default=at) + timedelta(seconds=int(rng.integers(4, 20)))
    return Run(str(18_000_000_000 + 7919 * run_number), run_number, number, event, at, queued, ended, results, ends)
