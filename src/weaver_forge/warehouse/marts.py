"""What spans say about services, in SQL: the span view, RED by minute, edges by hour, and metric points.

Put SQL that derives one table from another here, as pure functions of an open connection and a day range
``[start, end)`` in naive UTC. Everything is recomputed exactly from the spans of the range: measured, that is
cheaper than keeping sketches, and a late span then changes what it must. When something became known is the end
of its minute or hour plus ``LAG``.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.parquet as pq

from weaver_forge.contracts.tables.operations import CORE_TRACE_RED_MINUTES, CORE_TRACE_SPANS

LAG = timedelta(seconds=60)
"""Spans are taken to be here a minute after they began: exporters and collectors batch for seconds."""

PARENT_REACH = timedelta(hours=6)
"""An edge is found if the caller's span began at most this long before the day range; after it an hour."""

MEMORY_OF_SERVICES = timedelta(days=7)
"""A service unseen for longer is no longer known: its silence then is no observation of zero requests."""

QUIET = timedelta(minutes=5)
"""Silence of everything is an observation of zero where something was seen this long before and after it: a thin
night has empty minutes, and leaving them out would make the load look higher than it is. Longer is a gap."""

_SPANS = CORE_TRACE_SPANS.name
_NS = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def span_view_sql(files: Sequence[str | Path]) -> str:
    """The SELECT that makes ``core_trace__spans`` out of Parquet files of ``raw_otlp__spans``.

    An entry is a server or consumer span, or an unspecified or internal one without a parent. Some systems
    record no span kinds at all; there a span is an entry too when its parent is in another service or nowhere
    to be found. That needs a look-up among all spans, which costs five to fifty times the plain view (1M
    spans: 0.1 s against 0.7 s for RED), so it is made for those files only whose footer says that they have
    spans of kind 0. Over files of ordinary instrumentation the view has no join.
    """
    kindless = [path for path in files if _may_lack_kinds(Path(path))]
    plain = [path for path in files if path not in kindless]
    parts = []
    if plain:
        parts.append(_spans_sql(plain, _entry("s")))
    if kindless:
        known = f"""s.kind = 0
      and not exists (
        select 1
        from read_parquet({_listed(files)}, union_by_name = true) as p
        where p.trace_id = s.trace_id
          and p.span_id = s.parent_span_id
          and p.service_name = s.service_name
          and p.service_namespace = s.service_namespace
          and p.deployment_environment_name = s.deployment_environment_name
          and s.kind = 0
      )"""  # noqa: S608 - paths and names of ours, here and below
        parts.append(_spans_sql(kindless, f"{_entry('s')} or ({known})"))
    return "\nunion all\n".join(parts)


def red_minutes(con: duckdb.DuckDBPyConnection, start: datetime, end: datetime) -> pl.DataFrame:
    """``core_trace__red_minutes`` of a day range: requests, errors and exact duration percentiles of entry spans."""
    query = f"""
-- grain: service and minute with at least one entry span
with entries as (
  select
    service_key,
    time_bucket(interval 1 minute, started_at) as minute_at,
    is_error,
    duration_ms
  from {_SPANS}
  where is_entry
    and start_unix_ns >= {_unix_ns(start)}
    and start_unix_ns < {_unix_ns(end)}
),
minutes as (
  select
    service_key,
    minute_at,
    count(*) as n_requests,
    count(*) filter (where is_error) as n_errors,
    quantile_cont(duration_ms, [0.5, 0.95, 0.99]) as percentiles
  from entries
  group by all
)
select
  service_key,
  minute_at,
  n_requests,
  n_errors,
  percentiles[1] as duration_p50_ms,
  percentiles[2] as duration_p95_ms,
  percentiles[3] as duration_p99_ms,
  minute_at + {_interval(timedelta(minutes=1) + LAG)} as known_at
from minutes
order by service_key, minute_at
"""  # noqa: S608
    return con.sql(query).pl()


def edges(con: duckdb.DuckDBPyConnection, start: datetime, end: datetime) -> pl.DataFrame:
    """``core_trace__edges`` of a day range: calls from a parent span's service to another one's child span."""
    query = f"""
-- grain: caller, callee and hour with at least one call
with callees as (
  select
    trace_id,
    parent_span_id,
    service_key,
    time_bucket(interval 1 hour, started_at) as hour_at,
    is_error,
    duration_ms
  from {_SPANS}
  where parent_span_id is not null
    and start_unix_ns >= {_unix_ns(start)}
    and start_unix_ns < {_unix_ns(end)}
),
callers as (
  select
    trace_id,
    span_id,
    service_key
  from {_SPANS}
  where start_unix_ns >= {_unix_ns(start - PARENT_REACH)}
    and start_unix_ns < {_unix_ns(end + timedelta(hours=1))}
)
select
  callers.service_key as caller_key,
  callees.service_key as callee_key,
  callees.hour_at,
  count(*) as n_calls,
  count(*) filter (where callees.is_error) as n_errors,
  quantile_cont(callees.duration_ms, 0.95) as duration_p95_ms,
  callees.hour_at + {_interval(timedelta(hours=1) + LAG)} as known_at
from callees
join callers
  on callers.trace_id = callees.trace_id
  and callers.span_id = callees.parent_span_id
  and callers.service_key <> callees.service_key
group by all
order by caller_key, callee_key, hour_at
"""  # noqa: S608
    return con.sql(query).pl()


def service_points(con: duckdb.DuckDBPyConnection, start: datetime, end: datetime) -> pl.DataFrame:
    """``core_service__points`` of a day range, from the RED minutes of it and of the seven days before.

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
    return con.sql(query).pl()


def _spans_sql(files: Sequence[str | Path], is_entry: str) -> str:
    return f"""
-- grain: span
select
  s.service_namespace || '/' || s.service_name || '/' || s.deployment_environment_name as service_key,
  s.trace_id,
  s.span_id,
  s.parent_span_id,
  s.name,
  s.kind,
  s.start_unix_ns,
  (s.end_unix_ns - s.start_unix_ns) / 1e6 as duration_ms,
  s.status_code = 2 or (s.kind = 2 and coalesce(s.http_response_status_code >= 500, false)) as is_error,
  {is_entry} as is_entry,
  s.service_version,
  s.http_route,
  make_timestamp(s.start_unix_ns // 1000) as started_at
from read_parquet({_listed(files)}, union_by_name = true) as s"""  # noqa: S608


def _entry(span: str) -> str:
    return f"{span}.kind in (2, 5) or ({span}.kind in (0, 1) and {span}.parent_span_id is null)"


def _may_lack_kinds(path: Path) -> bool:
    """Whether a file's footer leaves it open that it has spans of kind 0."""
    footer = pq.read_metadata(path)
    leaf = next(i for i in range(footer.num_columns) if footer.schema.column(i).path == "kind")
    for group in range(footer.num_row_groups):
        statistics = footer.row_group(group).column(leaf).statistics
        if statistics is None or not statistics.has_min_max or statistics.min == 0:
            return True
    return False


def _listed(files: Sequence[str | Path]) -> str:
    return "[" + ", ".join("'" + str(path).replace("'", "''") + "'" for path in files) + "]"


def _unix_ns(instant: datetime) -> int:
    """Nanoseconds since 1970 of a naive UTC time, without passing a float."""
    return (instant.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1) * (_NS // 1_000_000)


def _timestamp(instant: datetime) -> str:
    return f"timestamp '{instant:%Y-%m-%d %H:%M:%S.%f}'"


def _interval(length: timedelta) -> str:
    return f"to_seconds({length // timedelta(seconds=1)})"
