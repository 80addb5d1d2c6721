"""What spans say about services, in SQL: RED by minute, a service and an operation; edges by hour; metric points.

Put SQL that derives one table from another here, as pure functions of an open connection and a range of time
``[start, end)`` in naive UTC: whole minutes for RED, whole hours for edges, whole days for points. Which ranges
need it is found in ``touched``. Everything is recomputed exactly from the spans of the range: measured, that is
cheaper than keeping sketches, and a late span then changes what it must. When something became known is the end
of its minute or hour plus ``LAG``.
"""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import duckdb
import polars as pl

from weaver_forge.contracts.tables.operations import CORE_TRACE_RED_MINUTES, CORE_TRACE_SPANS
from weaver_forge.contracts.tables.traces import CORE_TRACE_FILE_VERSIONS
from weaver_forge.warehouse.resource_use import resource_points

LAG = timedelta(seconds=60)
"""Spans are taken to be here a minute after they began: exporters and collectors batch for seconds."""

PARENT_REACH = timedelta(hours=6)
"""An edge is found if the caller's span began at most this long before the callee's."""

PARENT_LAG = timedelta(hours=1)
"""The same for a caller whose clock is behind: it seems to begin after its callee."""

PARENT_NEAR = timedelta(minutes=10)
"""Where nearly every caller is."""

MEMORY_OF_SERVICES = timedelta(days=7)
"""A service unseen for longer is no longer known: its silence then is no observation of zero requests."""

QUIET = timedelta(minutes=5)
"""Silence of everything is an observation of zero where something was seen this long before and after it: a thin
night has empty minutes, and leaving them out would make the load look higher than it is. Longer is a gap."""

_SPANS = CORE_TRACE_SPANS.name
_NS = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class RedMinutes(NamedTuple):
    """Requests, errors and exact duration percentiles of entry spans, a minute each.

    Args:
        services: Rows of ``core_trace__red_minutes``.
        operations: Rows of ``core_trace__operation_minutes``: the same, an operation (the entry span's name) each.
    """

    services: pl.DataFrame
    operations: pl.DataFrame


def red_minutes(con: duckdb.DuckDBPyConnection, start: datetime, end: datetime) -> RedMinutes:
    """Both RED marts of a range, from one reading of its spans: that is most of what they cost."""
    found = con.sql(f"""
-- grain: service and minute with at least one entry span, and the same by operation
with entries as (
  select
    service_key,
    name as operation,
    time_bucket(interval 1 minute, started_at) as minute_at,
    is_error,
    duration_ms
  from {_SPANS}
  where is_entry
    and start_unix_ns >= {unix_ns(start)}
    and start_unix_ns < {unix_ns(end)}
),
minutes as (
  select
    service_key,
    operation,
    minute_at,
    grouping(operation) = 1 as is_whole,
    count(*) as n_requests,
    count(*) filter (where is_error) as n_errors,
    quantile_cont(duration_ms, [0.5, 0.95, 0.99]) as percentiles
  from entries
  group by grouping sets ((service_key, minute_at), (service_key, operation, minute_at))
)
select
  is_whole,
  service_key,
  operation,
  minute_at,
  n_requests,
  n_errors,
  percentiles[1] as duration_p50_ms,
  percentiles[2] as duration_p95_ms,
  percentiles[3] as duration_p99_ms,
  minute_at + {_interval(timedelta(minutes=1) + LAG)} as known_at
from minutes
order by service_key, operation, minute_at
""").pl()  # noqa: S608
    is_whole = pl.col("is_whole")
    return RedMinutes(
        services=found.filter(is_whole).drop("is_whole", "operation"),
        operations=found.filter(~is_whole).drop("is_whole"),
    )


def edges(con: duckdb.DuckDBPyConnection, start: datetime, end: datetime) -> pl.DataFrame:
    """``core_trace__edges`` of a day range: calls from a parent span's service to another one's child span.

    Nearly every caller began shortly before its callee. So callers are looked for nearby first, and only for spans
    that have none there in the whole of :data:`PARENT_REACH`; a span has one parent, so that is the same.
    """
    callees = f"""
    select
      trace_id,
      parent_span_id,
      service_key,
      start_unix_ns,
      time_bucket(interval 1 hour, started_at) as hour_at,
      is_error,
      duration_ms
    from {_SPANS}
    where parent_span_id is not null
      and start_unix_ns >= {unix_ns(start)}
      and start_unix_ns < {unix_ns(end)}"""  # noqa: S608
    near = con.sql(_with_callers(callees, start - PARENT_NEAR, end + PARENT_NEAR)).pl()
    alone = near.filter(pl.col("caller_key").is_null()).drop("caller_key")
    calls = near.filter(pl.col("caller_key").is_not_null())
    if not alone.is_empty():
        con.register("alone", alone)
        far = con.sql(_with_callers("from alone", start - PARENT_REACH, end + PARENT_LAG)).pl()
        con.unregister("alone")
        calls = pl.concat([calls, far.filter(pl.col("caller_key").is_not_null())])
    con.register("calls", calls)
    found = con.sql(f"""
-- grain: caller, callee and hour with at least one call
select
  caller_key,
  service_key as callee_key,
  hour_at,
  count(*) as n_calls,
  count(*) filter (where is_error) as n_errors,
  quantile_cont(duration_ms, 0.95) as duration_p95_ms,
  hour_at + {_interval(timedelta(hours=1) + LAG)} as known_at
from calls
group by all
order by caller_key, callee_key, hour_at
""").pl()  # noqa: S608
    con.unregister("calls")
    return found


def _with_callers(callees: str, start: datetime, end: datetime) -> str:
    """Callees that another service called, and those of which no caller began in a range: null, with their ids.

    The ids of the others are let go: they are most of what would have to be carried on.
    """
    return f"""
  select
    case when callers.service_key is null then callees.trace_id end as trace_id,
    case when callers.service_key is null then callees.parent_span_id end as parent_span_id,
    callees.service_key,
    callees.start_unix_ns,
    callees.hour_at,
    callees.is_error,
    callees.duration_ms,
    callers.service_key as caller_key
  from ({callees}
  ) as callees
  left join (
    select trace_id, span_id, start_unix_ns, service_key
    from {_SPANS}
    where start_unix_ns >= {unix_ns(start)} and start_unix_ns < {unix_ns(end)}
  ) as callers
    on callers.trace_id = callees.trace_id
    and callers.span_id = callees.parent_span_id
    and callers.start_unix_ns >= callees.start_unix_ns - {PARENT_REACH // timedelta(microseconds=1)} * 1000
    and callers.start_unix_ns < callees.start_unix_ns + {PARENT_LAG // timedelta(microseconds=1)} * 1000
  where callers.service_key is null or callers.service_key <> callees.service_key"""  # noqa: S608


def version_days(con: duckdb.DuckDBPyConnection, start: datetime, end: datetime) -> pl.DataFrame:
    """``core_trace__version_days`` of whole days: when which version of a service was seen.

    From what was counted of every file once (``touched.count_files``): a day's spans are too many to be read again
    for each hour of it that comes in.
    """
    query = f"""
-- grain: version of a service and day
with seen as (
  select
    service_key,
    version,
    day_at,
    min(first_at) as first_at,
    max(last_at) as last_at,
    cast(sum(n_spans) as bigint) as n_spans
  from {CORE_TRACE_FILE_VERSIONS.name}
  where version <> ''
    and day_at >= {_timestamp(start)}
    and day_at < {_timestamp(end)}
  group by all
)
select *, first_at + {_interval(LAG)} as known_at
from seen
order by service_key, version, day_at
"""  # noqa: S608
    return con.sql(query).pl()


def service_points(con: duckdb.DuckDBPyConnection, start: datetime, end: datetime) -> pl.DataFrame:
    """``core_service__points`` of a day range, from the RED minutes of it and of the seven days before.

    Beside them stands the use of resources as it was measured, a metric a column of ``core_service__resource_use``.

    A minute in which a known service was not observed is zero requests of it, if something was observed in that
    minute, or within :data:`QUIET` before and after it; other minutes are gaps and have no row. A zero that rests
    on a later observation is known only after that. A service is known from its first minute on until seven days
    after its last, so what a point says does not depend on how days are cut into ranges.
    """
    query = f"""
-- grain: metric of a service in a minute
with seen as (
  select
    service_key,
    minute_at,
    n_requests,
    n_errors,
    duration_p95_ms
  from {CORE_TRACE_RED_MINUTES.name}
  where minute_at >= {_timestamp(start - MEMORY_OF_SERVICES)}
    and minute_at < {_timestamp(end + QUIET)}
),
heard as (
  select distinct minute_at from seen where minute_at >= {_timestamp(start - QUIET)}
),
stretches as (
  select minute_at, lead(minute_at) over (order by minute_at) as next_at from heard
),
minutes as (
  select minute_at, true as is_heard from heard
  union all
  select unnest(generate_series(minute_at + interval 1 minute, next_at - interval 1 minute, interval 1 minute)), false
  from stretches
  where next_at - minute_at <= {_interval(QUIET)}
),
grid as (
  select
    services.service_key,
    minutes.minute_at,
    minutes.is_heard
  from (select distinct service_key from seen) as services
  cross join minutes
  where minutes.minute_at >= {_timestamp(start)}
    and minutes.minute_at < {_timestamp(end)}
),
known as (
  select
    grid.service_key,
    grid.minute_at,
    grid.is_heard,
    case when seen.minute_at = grid.minute_at then seen.n_requests else 0 end as n,
    seen.n_errors,
    seen.duration_p95_ms
  from grid
  asof join seen
    on seen.service_key = grid.service_key
    and seen.minute_at <= grid.minute_at
  where grid.minute_at - seen.minute_at <= {_interval(MEMORY_OF_SERVICES)}
),
points as (
  select service_key, 'requests' as metric, minute_at, n::double as value, n, is_heard from known
  union all
  select service_key, 'error_ratio', minute_at, n_errors / n, n, is_heard from known where n > 0
  union all
  select service_key, 'latency_p95_ms', minute_at, duration_p95_ms, n, is_heard from known where n > 0
)
select
  service_key,
  metric,
  minute_at as "at",
  60::integer as step_s,
  value,
  n,
  minute_at + {_interval(timedelta(minutes=1) + LAG)}
    + case when is_heard then {_interval(timedelta(0))} else {_interval(QUIET)} end as known_at
from points
order by service_key, metric, "at"
"""  # noqa: S608
    return pl.concat([con.sql(query).pl(), resource_points(con, start, end)])


def unix_ns(instant: datetime) -> int:
    """Nanoseconds since 1970 of a naive UTC time, without passing a float."""
    return (instant.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1) * (_NS // 1_000_000)


def _timestamp(instant: datetime) -> str:
    return f"timestamp '{instant:%Y-%m-%d %H:%M:%S.%f}'"


def _interval(length: timedelta) -> str:
    return f"to_seconds({length // timedelta(seconds=1)})"
