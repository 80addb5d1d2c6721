"""The checks of items: one row with ``n`` and ``value`` since ``$done``, and what the value has to be below.

Put a new check here. A check says that a number came out as it was written down before; why it did is not in it.
"""

from weaver_forge.insights.evolution.item import Check
from weaver_forge.insights.hypothesis import literal

_FLAKY = """
select count(*) as n, avg(case when is_flaky then 1.0 else 0.0 end) as value
from (
    select
        revision,
        bool_or(verdict = 'flaky') or (bool_or(verdict = 'passed') and bool_or(verdict = 'failed')) as is_flaky
    from core_ci__test_verdicts
    where {named} and verdict <> 'skipped' and run_ended_at >= $done
    group by revision
)"""

_FAILING = """
select
    count(distinct revision) as n,
    count(distinct revision) filter (verdict = 'failed') / count(distinct revision) as value
from core_ci__test_verdicts
where {named} and verdict <> 'skipped' and run_ended_at >= $done"""

_DAILY = """
select
    count(distinct day) filter (day >= $done) as n,
    median({column}) filter (day >= $done)
    / nullif(median({column}) filter (day < $done and day >= $done - interval 14 days), 0) as value
from ({query})"""

_BLAMED = """
with ripe as (
    select max(committed_at) - interval 14 days as until from core_changes__changes
), named as (
    select distinct c.repo_id, c.revision, c.committed_at
    from core_changes__changes as c
    join core_changes__files as f using (repo_id, revision)
    cross join ripe
    where c.committed_at <= ripe.until and {named}
), told as (
    select committed_at, case when b.revision is null then 0.0 else 1.0 end as bad
    from named
    left join (select distinct repo_id, revision from core_changes__blames) as b using (repo_id, revision)
)
select
    count(*) filter (committed_at >= $done) as n,
    avg(bad) filter (committed_at >= $done)
    / nullif(avg(bad) filter (committed_at < $done and committed_at >= $done - interval 60 days), 0) as value
from told"""

_DEPLOYED = """
with told as (
    select started_at, case when status in ('failed', 'rolled_back') then 1.0 else 0.0 end as bad
    from core_deployments__deployments
)
select
    count(*) filter (started_at >= $done) as n,
    avg(bad) filter (started_at >= $done)
    / nullif(avg(bad) filter (started_at < $done and started_at >= $done - interval 60 days), 0) as value
from told"""

_FOUND = """
select count(*) as n, avg(case when found.day_at is null then 0.0 else 1.0 end) as value
from (select distinct day_at from core_semantic__quality where day_at >= $done) as days
left join (select distinct day_at from core_semantic__findings where {named}) as found using (day_at)"""

_PEOPLE = """
select sum(n) as n, max(n) / sum(n) as value
from (
    select author, count(*) as n from core_changes__files where {named} and committed_at >= $done group by author
)"""

_BOTH = """
with told as (
    select revision, bool_or(starts_with(path, {first})) as first, bool_or(starts_with(path, {second})) as second
    from core_changes__files
    where repo_id = {repo} and committed_at >= $done
    group by revision
)
select count(*) filter (first) as n, avg(case when second then 1.0 else 0.0 end) filter (first) as value
from told"""

_LATENCY = """
select date_trunc('day', minute_at) as day, median(duration_p50_ms) as duration_p50_ms
from core_trace__operation_minutes
where service_key = {service} and operation = {operation}
group by all"""


def flaky_less(repo: str, test: str, bar: float) -> Check:
    """That a test contradicts itself less often."""
    return Check(
        text=f"both outcomes at less than {100 * bar:.1f} % of the revisions",
        query=_FLAKY.format(named=_test(repo, test)),
        below=bar,
        least=50,
        noun="revisions",
    )


def failing_less(repo: str, test: str, bar: float) -> Check:
    """That a test still fails at few revisions."""
    return Check(
        text=f"it fails at less than {100 * bar:.1f} % of the revisions",
        query=_FAILING.format(named=_test(repo, test)),
        below=bar,
        least=50,
        noun="revisions",
    )


def lower_daily(query: str, column: str) -> Check:
    """That a daily value is lower than in the two weeks before.

    Args:
        query: Gives rows with ``day``.
        column: Of the value, or an expression.
    """
    return Check(
        text="the median of the days since then is below 95 % of that of the two weeks before",
        query=_DAILY.format(query=query, column=column),
        below=0.95,
        least=7,
        noun="days",
    )


def faster(service: str, operation: str) -> Check:
    """That an operation is faster than in the two weeks before."""
    return lower_daily(_LATENCY.format(service=literal(service), operation=literal(operation)), "duration_p50_ms")


def blamed_less(path: str = "", repo: str = "") -> Check:
    """That changes (to a path) are blamed less often than in the sixty days before, as far as that can be known."""
    named = f"starts_with(f.path, {literal(path)}) and f.repo_id = {literal(repo)}" if path else "true"
    return Check(
        text=f"changes{' to ' + path if path else ''} are blamed at less than 80 % of the rate of the 60 days before; "
        "those of the newest two weeks do not count yet",
        query=_BLAMED.format(named=named),
        below=0.8,
        least=12 if path else 30,
        noun="changes",
    )


def deployed_better() -> Check:
    """That fewer deployments fail or are rolled back than in the sixty days before."""
    return Check(
        text="deployments fail or are rolled back at less than 80 % of the rate of the 60 days before",
        query=_DEPLOYED,
        below=0.8,
        least=50,
        noun="deployments",
    )


def found_less(attribute: str, finding: str, bar: float) -> Check:
    """That an attribute's finding is gone; any finding where none is named."""
    named = f"attribute = {literal(attribute)}" + (f" and finding_id = {literal(finding)}" if finding else "")
    return Check(
        text=f"found on less than {100 * bar:.0f} % of the days",
        query=_FOUND.format(named=named),
        below=bar,
        least=7,
        noun="days",
    )


def known_to_more(repo: str, path: str) -> Check:
    """That more than one person works on a file."""
    return Check(
        text="nobody makes more than nine of ten changes to it",
        query=_PEOPLE.format(named=f"repo_id = {literal(repo)} and path = {literal(path)}"),
        below=0.9,
        least=10,
        noun="changes",
    )


def apart(repo: str, first: str, second: str) -> Check:
    """That two folders change together less often."""
    return Check(
        text=f"less than a quarter of the changes to {first} touch {second} too",
        query=_BOTH.format(repo=literal(repo), first=literal(f"{first}/"), second=literal(f"{second}/")),
        below=0.25,
        least=20,
        noun="changes",
    )


def _test(repo: str, test: str) -> str:
    return f"repo_id = {literal(repo)} and test_id = {literal(test)}"
