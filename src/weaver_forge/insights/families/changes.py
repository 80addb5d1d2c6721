"""Families about changes: which paths, hours and sizes go with bugs that are found later, and with broken tests.

A fix that blames several changes counts for one of them, that with most of the lines it removed, so that one bug is one
event. Nothing is asked about people.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import accumulate

import numpy as np

from weaver_forge.insights.families.properties import Comparison, Property, at_least, shuffle_hits
from weaver_forge.insights.hypothesis import Family, Rows, Tested, literal

CHANGES, FILES, BLAMES = "core_changes__changes", "core_changes__files", "core_changes__blames"
MOST_PATHS = 200
LATE_FROM, LATE_UNTIL = 20, 6
RECENT = timedelta(days=14)

_SELECT = """
select
    c.repo_id, c.revision, c.committed_at, c.n_added + c.n_deleted as n_lines, c.n_files, c.is_fix, f.paths,
    h.revision is not null as is_hit
from core_changes__changes as c
join (
    select repo_id, revision, list(distinct path) as paths from core_changes__files group by all
) as f using (repo_id, revision)
left join hit as h using (repo_id, revision)
where c.committed_at >= $since and c.parent is not null"""

BUGS = f"""-- grain: change
with suspects as (
    select repo_id, revision
    from core_changes__blames
    qualify row_number() over (partition by repo_id, fix_revision order by n_lines desc, revision) = 1
), hit as (
    select repo_id, revision from suspects
    union
    select cause_repo_id, cause_revision from core_incidents__incidents where cause_revision is not null
){_SELECT}
order by c.committed_at, c.revision
"""  # noqa: S608 - a constant

BREAKS = f"""-- grain: change
with seen as (
    select repo_id, test_id, revision, max(run_ended_at) as seen_at, bool_and(verdict = 'failed') as is_failed
    from core_ci__test_verdicts
    where verdict <> 'skipped'
    group by all
), began as (
    select *, lag(is_failed, 1, true) over (partition by repo_id, test_id order by seen_at, revision) as was_failed
    from seen
), hit as (
    select distinct repo_id, revision from began where is_failed and not was_failed
){_SELECT}
and exists (select 1 from seen as s where s.repo_id = c.repo_id and s.revision = c.revision)
order by c.committed_at, c.revision
"""  # noqa: S608 - a constant


def properties(rows: Rows) -> list[Property]:
    """What a change may have: times, sizes, files in motion, and paths with all their folders."""
    return [*_times(rows), *_sizes(rows), *_paths(rows)]


def _times(rows: Rows) -> Iterator[Property]:
    hours = np.array([row["committed_at"].hour for row in rows])
    days = np.array([row["committed_at"].weekday() for row in rows])
    late = (hours >= LATE_FROM) | (hours < LATE_UNTIL)
    yield Property({"hour": "late"}, f"made between {LATE_FROM}:00 and 0{LATE_UNTIL}:00 UTC", late)
    yield Property({"weekday": "weekend"}, "made on a weekend", days >= 5)
    yield Property({"weekday": "friday"}, "made on a Friday", days == 4)


def _sizes(rows: Rows) -> Iterator[Property]:
    lines, has = at_least([row["n_lines"] for row in rows], 0.75)
    yield Property({"size": "lines"}, f"of more than {lines:.0f} lines (the largest quarter)", has)
    files, has = at_least([row["n_files"] for row in rows], 0.75)
    yield Property({"size": "files"}, f"of more than {files:.0f} files", has)
    churn, has = at_least(_recent(rows), 0.75)
    yield Property({"churn": "high"}, f"to files changed more than {churn:.0f} times in the two weeks before", has)
    yield Property({"kind": "fix"}, "that are fixes themselves", np.array([bool(row["is_fix"]) for row in rows]))


def _recent(rows: Rows) -> list[float]:
    """Changes to the files of each change in the two weeks before it, all files together."""
    times: dict[tuple[str, str], list[datetime]] = defaultdict(list)
    found = []
    for row in rows:  # in order of time
        since = row["committed_at"] - RECENT
        named = [(row["repo_id"], path) for path in row["paths"]]
        found.append(float(sum(at >= since for name in named for at in times[name])))
        for name in named:
            times[name].append(row["committed_at"])
    return found


def _paths(rows: Rows) -> Iterator[Property]:
    where: dict[tuple[str, str], set[int]] = defaultdict(set)
    for i, row in enumerate(rows):
        for path in row["paths"]:
            *folders, name = path.split("/")
            for place in (*accumulate(f"{folder}/" for folder in folders), "/".join((*folders, name))):
                where[row["repo_id"], place].add(i)
    most = sorted(where.items(), key=lambda item: (-len(item[1]), -len(item[0][1])))[:MOST_PATHS]
    for (repo, path), members in most:
        has = np.zeros(len(rows), dtype=bool)
        has[list(members)] = True
        yield Property({"repo_id": repo, "path": path}, f"to {path}", has)


def _query(each: Property) -> str:
    """The changes behind a property; of a path, those to it, else all, with what they are compared by."""
    path = each.subject.get("path")
    named = (
        "true"
        if path is None
        else f"starts_with(f.path, {literal(path)}) and f.repo_id = {literal(each.subject['repo_id'])}"
    )
    return (
        "select distinct c.repo_id, c.revision, c.committed_at, c.n_added + c.n_deleted as n_lines, c.n_files, "  # noqa: S608 - literals are quoted
        "b.fix_revision from core_changes__changes c join core_changes__files f using (repo_id, revision) "
        f"left join core_changes__blames b using (repo_id, revision) where {named} order by c.committed_at"
    )


def _compared(*, happened: str, unit: str) -> Callable[[Rows, float], Tested]:
    """Changes with a property against the others, by how often something happened."""
    return Comparison(
        noun="changes",
        happened=happened,
        unit=unit,
        kind="change",
        key="revision",
        at="committed_at",
        hit="is_hit",
        properties=properties,
        query=_query,
    ).test


FAMILIES = (
    Family(
        name="changes_blamed_later",
        category="changes",
        question="Are changes with some property blamed by a later fix, or for an incident, more often than others?",
        unit="changes of a week",
        tables=(CHANGES, FILES, BLAMES, "core_incidents__incidents"),
        sql=BUGS,
        test=_compared(happened="were blamed later", unit="bugs"),
        shuffle=shuffle_hits("committed_at", "is_hit"),
    ),
    Family(
        name="changes_that_break_tests",
        category="changes",
        question="Do tests begin to fail at changes with some property more often than at others?",
        unit="changes of a week",
        tables=(CHANGES, FILES, "core_ci__test_verdicts"),
        sql=BREAKS,
        test=_compared(happened="had a test begin to fail", unit="broken builds"),
        shuffle=shuffle_hits("committed_at", "is_hit"),
    ),
)
