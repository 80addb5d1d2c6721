"""What tests did at each revision: the rows that the families about tests share.

Units are revisions, not runs or attempts: a revision that is built five times tells once what a test makes of it. A
failure counts where it begins: a test that stays broken for ten revisions has failed once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from weaver_forge.insights.exact import Floats, Ints
from weaver_forge.insights.hypothesis import Hypothesis, Rows, Told, literal

VERDICTS = "core_ci__test_verdicts"
LEAST_REVISIONS = 20
MOST_RESULTS = 3_000_000
"""Of a repository, counted from the newest revision back: more would fill the memory and say the same."""

_SEEN = """
with seen as (
    select
        repo_id, test_id, revision, max(run_ended_at) as seen_at,
        bool_or(verdict = 'flaky') or (bool_or(verdict = 'passed') and bool_or(verdict = 'failed')) as is_flaky,
        bool_and(verdict = 'failed') as is_failed,
        avg(duration_ms) as duration_ms
    from core_ci__test_verdicts
    where verdict <> 'skipped' and run_ended_at >= $since
    group by all
), ordered as (
    select *, dense_rank() over (partition by repo_id order by first_at, revision) as number
    from (select *, min(seen_at) over (partition by repo_id, revision) as first_at from seen)
), newest as (
    select repo_id, number
    from (
        select repo_id, number, sum(count(*)) over (partition by repo_id order by number desc) as so_far
        from ordered
        group by repo_id, number
    )
    where so_far <= $most
)"""

HISTORY = f"""-- grain: test{_SEEN}
select
    repo_id, test_id,
    list(number order by number) as revisions,
    list(is_flaky order by number) as flaky,
    list(is_failed and not is_flaky order by number) as failed,
    coalesce(avg(duration_ms), 0) as duration_ms
from ordered
semi join newest using (repo_id, number)
group by all
order by repo_id, test_id
""".replace("$most", str(MOST_RESULTS))  # noqa: S608 - a constant

_BETWEEN = 10_000_000
"""Revisions are numbered apart in each repository."""


@dataclass(frozen=True, slots=True)
class History:
    """Tests with the numbers of their revisions.

    Args:
        tests: repo_id and test_id.
        revisions: Those at which the test ran, in order.
        flaky: Those with both outcomes.
        starts: Those at which it began to fail.
        duration_ms: Mean of a run, shape (n_tests,).
    """

    tests: tuple[Mapping[str, str], ...]
    revisions: tuple[Ints, ...]
    flaky: tuple[Ints, ...]
    starts: tuple[Ints, ...]
    duration_ms: Floats

    @property
    def n_revisions(self) -> int:
        """Revisions at which any test ran."""
        return len(np.unique(np.concatenate(self.revisions))) if self.revisions else 0


def read(rows: Rows) -> History:
    """The rows of HISTORY."""
    repositories = {repo: _BETWEEN * i for i, repo in enumerate(dict.fromkeys(row["repo_id"] for row in rows))}
    numbers = [np.array(row["revisions"], dtype=np.int64) + repositories[row["repo_id"]] for row in rows]
    failed = [np.array(row["failed"], dtype=bool) for row in rows]
    return History(
        tests=tuple({"repo_id": row["repo_id"], "test_id": row["test_id"]} for row in rows),
        revisions=tuple(numbers),
        flaky=tuple(n[np.array(row["flaky"], dtype=bool)] for n, row in zip(numbers, rows, strict=True)),
        starts=tuple(n[f & ~np.concatenate([[False], f[:-1]])] for n, f in zip(numbers, failed, strict=True)),
        duration_ms=np.array([float(row["duration_ms"]) for row in rows]),
    )


def chances(revisions: Sequence[Ints], events: Sequence[Ints]) -> list[Floats]:
    """For each test, the share of tests with the event at each of its revisions."""
    known, place = np.unique(np.concatenate(revisions), return_inverse=True)
    ran = np.bincount(place, minlength=len(known))
    had = np.bincount(np.searchsorted(known, np.concatenate(events)), minlength=len(known))
    return np.split((had / ran)[place], np.cumsum([len(each) for each in revisions])[:-1])


def hypotheses(
    history: History, chosen: Sequence[int], p: Floats, tell: Callable[[int, float], Told]
) -> tuple[Hypothesis, ...]:
    """One a chosen test."""

    def made(i: int, value: float) -> Hypothesis:
        return Hypothesis(history.tests[i], value, len(history.revisions[i]), lambda level: tell(i, level))

    return tuple(made(i, float(value)) for i, value in zip(chosen, p, strict=True))


def query_of(test: Mapping[str, str], *others: str) -> str:
    """The verdicts of a test, and of others of its repository."""
    named = ", ".join(literal(name) for name in (test["test_id"], *others))
    return (
        "select revision, run_id, test_id, verdict, n_attempts, duration_ms, run_ended_at "  # noqa: S608 - literals are quoted
        f"from {VERDICTS} where repo_id = {literal(test['repo_id'])} and test_id in ({named}) "
        "order by run_ended_at, test_id"
    )


def shuffle_within_revisions(rows: Rows, rng: np.random.Generator) -> Rows:
    """Which tests of a revision were flaky and which failed, drawn anew at every revision."""
    made: list[dict[str, Any]] = [dict(row) for row in rows]
    places: dict[tuple[str, int], list[tuple[int, int]]] = {}
    for i, row in enumerate(made):
        for j, number in enumerate(row["revisions"]):
            places.setdefault((row["repo_id"], number), []).append((i, j))
        row["flaky"], row["failed"] = list(row["flaky"]), list(row["failed"])
    for here in places.values():
        order = rng.permutation(len(here)).tolist()
        drawn = [(rows[here[k][0]]["flaky"][here[k][1]], rows[here[k][0]]["failed"][here[k][1]]) for k in order]
        for (i, j), (flaky, failed) in zip(here, drawn, strict=True):
            made[i]["flaky"][j], made[i]["failed"][j] = flaky, failed
    return made


def shuffle_over_revisions(rows: Rows, rng: np.random.Generator) -> Rows:
    """Every test keeps how often it failed, at revisions drawn anew for each test."""
    made = []
    for row in rows:
        order = rng.permutation(len(row["failed"])).tolist()
        made.append({**row, "failed": [row["failed"][k] for k in order], "flaky": [row["flaky"][k] for k in order]})
    return made
