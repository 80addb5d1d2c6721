"""Families about traces: operations that get slower or fail more often, calls that fan out, edges that get chattier.

The unit is the day. Latency is the median over the day's minutes of their 95th percentile, so that an incident of an
hour is no trend.
"""

from collections.abc import Mapping

from weaver_forge.insights.families.steady import Steady, flip_days
from weaver_forge.insights.families.trends import Growth, Series, shuffle_days
from weaver_forge.insights.hypothesis import Family, Impact, literal
from weaver_forge.insights.intervals import Effect
from weaver_forge.insights.wording import MONTH_DAYS, milliseconds, percent

OPERATIONS, EDGES, MINUTES = "core_trace__operation_minutes", "core_trace__edges", "core_trace__red_minutes"
FAN_OUT = 2.0
"""Calls a request from which one says that it fans out: half of them or more could be one call."""

LATENCY = """-- grain: operation and day
select
    service_key, operation, date_trunc('day', minute_at) as day,
    median(duration_p95_ms) as value, sum(n_requests) as volume
from core_trace__operation_minutes
where minute_at >= $since and duration_p95_ms > 0
group by all
order by service_key, operation, day
"""

ERRORS = """-- grain: operation and day
select
    service_key, operation, date_trunc('day', minute_at) as day,
    sum(n_errors) / sum(n_requests) as value, sum(n_requests) as volume
from core_trace__operation_minutes
where minute_at >= $since
group by all
order by service_key, operation, day
"""

FAN_OUTS = """-- grain: edge and day
with served as (
    select service_key, date_trunc('day', minute_at) as day, sum(n_requests) as n
    from core_trace__red_minutes
    group by all
), called as (
    select caller_key, callee_key, date_trunc('day', hour_at) as day, sum(n_calls) as n
    from core_trace__edges where hour_at >= $since group by all
)
select called.caller_key, called.callee_key, called.day, called.n / served.n as value, called.n as volume
from called
join served on served.service_key = called.caller_key and served.day = called.day
where called.caller_key <> called.callee_key
order by called.caller_key, called.callee_key, called.day
"""


def _slower(series: Series, _effect: Effect, days: float) -> Impact:
    month = float(series.volume.sum()) / days * MONTH_DAYS
    hours = (series.after - series.before) * month / 3_600_000
    return Impact(hours, "hours of waiting", f"{hours:.1f} hours of waiting a month more, at {month:,.0f} requests")


def _failing(series: Series, _effect: Effect, days: float) -> Impact:
    month = (series.after - series.before) * float(series.volume.sum()) / days * MONTH_DAYS
    return Impact(month, "failed requests", f"about {month:,.0f} failed requests a month more than at the beginning")


def _calls(series: Series, days: float) -> Impact:
    spare = float((series.volume * (1.0 - 1.0 / series.values.clip(1.0))).sum()) / days * MONTH_DAYS
    return Impact(spare, "calls", f"about {spare:,.0f} calls a month beyond one a request")


def _more_calls(series: Series, _effect: Effect, days: float) -> Impact:
    month = float(series.volume.sum()) / days * MONTH_DAYS * (series.after / max(series.before, 1e-9) - 1.0)
    return Impact(month, "calls", f"about {month:,.0f} calls a month more than at the beginning, at the same requests")


def _of_operation(subject: Mapping[str, str]) -> str:
    return (
        "select date_trunc('day', minute_at) as day, sum(n_requests) as n_requests, sum(n_errors) as n_errors, "  # noqa: S608 - literals are quoted
        f"median(duration_p95_ms) as duration_p95_ms from {OPERATIONS} "
        f"where service_key = {literal(subject['service_key'])} and operation = {literal(subject['operation'])} "
        "group by all order by day"
    )


def _of_edge(subject: Mapping[str, str]) -> str:
    caller, callee = literal(subject["caller_key"]), literal(subject["callee_key"])
    return (
        "with served as (select date_trunc('day', minute_at) as day, sum(n_requests) as n_requests "  # noqa: S608 - literals are quoted
        f"from {MINUTES} where service_key = {caller} group by all), "
        "called as (select date_trunc('day', hour_at) as day, sum(n_calls) as n_calls "
        f"from {EDGES} where caller_key = {caller} and callee_key = {callee} group by all) "
        "select day, n_calls, n_requests, n_calls / n_requests as calls_a_request from called join served using (day) "
        "order by day"
    )


def _operation(series: Series) -> str:
    return f"{series.subject['operation']} of {series.subject['service_key']}"


def _fans_out(series: Series, effect: Effect) -> str:
    return (
        f"{series.subject['caller_key']} calls {series.subject['callee_key']} {effect.value:.1f} times a request "
        f"({effect.low:.1f} to {effect.high:.1f})"
    )


_OPERATION, _EDGE = ("service_key", "operation"), ("caller_key", "callee_key")

FAMILIES = (
    Family(
        name="slowing_operations",
        category="traces",
        question="Does an operation get slower by more than 1 % a week?",
        unit="days",
        tables=(OPERATIONS,),
        sql=LATENCY,
        test=Growth(
            keys=_OPERATION,
            tolerated=0.01,
            claim=lambda series: f"The latency (p95) of {_operation(series)}",
            shown=milliseconds,
            impact=_slower,
            query=_of_operation,
        ).test,
        shuffle=shuffle_days(_OPERATION),
    ),
    Family(
        name="failing_operations",
        category="traces",
        question="Does the share of an operation's requests that fail grow?",
        unit="days",
        tables=(OPERATIONS,),
        sql=ERRORS,
        test=Growth(
            keys=_OPERATION,
            tolerated=0.0,
            claim=lambda series: f"The error rate of {_operation(series)}",
            shown=percent,
            impact=_failing,
            query=_of_operation,
            logs=False,
        ).test,
        shuffle=shuffle_days(_OPERATION),
    ),
    Family(
        name="fan_out",
        category="traces",
        question="Does a service call another more than twice a request, on most days?",
        unit="days",
        tables=(EDGES, MINUTES),
        sql=FAN_OUTS,
        test=Steady(
            keys=_EDGE, bar=FAN_OUT, unit="calls_a_request", said=_fans_out, impact=_calls, query=_of_edge
        ).test,
        shuffle=flip_days(FAN_OUT),
    ),
    Family(
        name="chattier_edges",
        category="traces",
        question="Does a service call another ever more often a request, by more than 2 % a week?",
        unit="days",
        tables=(EDGES, MINUTES),
        sql=FAN_OUTS,
        test=Growth(
            keys=_EDGE,
            tolerated=0.02,
            claim=lambda series: (
                f"Calls a request from {series.subject['caller_key']} to {series.subject['callee_key']}"
            ),
            shown=lambda value: f"{value:.2f}",
            impact=_more_calls,
            query=_of_edge,
        ).test,
        shuffle=shuffle_days(_EDGE),
    ),
)
