"""The family about deployments: which services, environments, days and sizes go with rollbacks and incidents.

An incident counts for one deployment: the newest before it of the service that was hurt, or of the culprit where a
review named one, at most a day earlier.
"""

from collections.abc import Iterator

import numpy as np

from weaver_forge.insights.families.properties import Comparison, Property, at_least, shuffle_hits
from weaver_forge.insights.hypothesis import Family, Rows, literal

DEPLOYMENTS, INCIDENTS = "core_deployments__deployments", "core_incidents__incidents"
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
WORK_FROM, WORK_UNTIL = 8, 18

HISTORY = """-- grain: deployment
with blamed as (
    select d.deployment_id
    from core_incidents__incidents as i
    join core_deployments__deployments as d
        on d.service_key = coalesce(i.cause_service_key, i.service_key)
        and d.started_at <= i.started_at and d.started_at > i.started_at - interval 24 hours
    qualify row_number() over (partition by i.incident_id order by d.started_at desc) = 1
), sized as (
    select
        d.*,
        (
            select count(*) from core_changes__changes as c
            where c.repo_id = d.repo_id and c.committed_at <= d.started_at and c.committed_at > lag_at
        ) as n_changes
    from (
        select *, lag(started_at) over (partition by service_key order by started_at) as lag_at
        from core_deployments__deployments
    ) as d
)
select
    service_key, environment, deployment_id, started_at,
    case when lag_at is null then 0 else n_changes end as n_changes,
    rolled_back_at is not null or status = 'failed' or deployment_id in (select deployment_id from blamed) as is_hit
from sized
where started_at >= $since
order by started_at, deployment_id
"""


def properties(rows: Rows) -> list[Property]:
    """What a deployment may have: its service, environment, day, hour, and how many changes went out at once."""
    return [*_named(rows, "service_key", "of {}"), *_named(rows, "environment", "to {}"), *_times(rows), *_sizes(rows)]


def _named(rows: Rows, column: str, words: str) -> Iterator[Property]:
    values = [str(row[column]) for row in rows]
    for value in sorted(set(values)):
        yield Property({column: value}, words.format(value), np.array([each == value for each in values]))


def _times(rows: Rows) -> Iterator[Property]:
    days = np.array([row["started_at"].weekday() for row in rows])
    hours = np.array([row["started_at"].hour for row in rows])
    for number, name in enumerate(_DAYS):
        yield Property({"weekday": name.lower()}, f"on a {name}", days == number)
    away = (hours < WORK_FROM) | (hours >= WORK_UNTIL)
    yield Property({"hour": "away"}, f"outside {WORK_FROM:02}:00 to {WORK_UNTIL}:00 UTC", away)


def _sizes(rows: Rows) -> Iterator[Property]:
    bar, has = at_least([row["n_changes"] for row in rows], 0.75)
    yield Property({"size": "changes"}, f"with more than {bar:.0f} changes at once (the largest quarter)", has)


def _query(each: Property) -> str:
    named = [
        f"{column} = {literal(each.subject[column])}"
        for column in ("service_key", "environment")
        if column in each.subject
    ]
    return (
        "select deployment_id, service_key, environment, version, status, started_at, rolled_back_at "  # noqa: S608 - literals are quoted
        f"from {DEPLOYMENTS} where {' and '.join(named) or 'true'} order by started_at"
    )


FAMILIES = (
    Family(
        name="deployments_that_hurt",
        category="deployments",
        question="Are deployments with some property failed, rolled back or followed by an incident more often?",
        unit="deployments of a week",
        tables=(DEPLOYMENTS, INCIDENTS, "core_changes__changes"),
        sql=HISTORY,
        test=Comparison(
            noun="deployments",
            happened="failed, were rolled back or had an incident within a day",
            unit="bad deployments",
            kind="deployment",
            key="deployment_id",
            at="started_at",
            hit="is_hit",
            properties=properties,
            query=_query,
        ).test,
        shuffle=shuffle_hits("started_at", "is_hit"),
    ),
)
