"""What metric points say by the minute, in SQL: series, levels, increases and distributions.

Put SQL over ``raw_otlp__metric_points`` here, as pure functions of an open connection and a range of whole minutes
``[start, end)`` in naive UTC; which minutes need it is found in ``lake_minutes``. Buckets become quantiles in
``metric_buckets``, series become resource use in ``resource_use``.

Cumulative points become what was added between two of them. A restart (a later start, or a value that fell) counts
from zero, as Prometheus does it; what lies further apart than :data:`REACH` is a gap and no increase. An increase
belongs to the minute in which its interval ends. What is said of a minute rests on points of it and of ``REACH``
before it alone, so it does not depend on how time is cut into ranges.
"""

from datetime import datetime, timedelta

import duckdb
import polars as pl

from weaver_forge.contracts.tables.metrics import RAW_OTLP_METRIC_POINTS
from weaver_forge.warehouse.marts import unix_ns
from weaver_forge.warehouse.metric_buckets import quantiles_sql

REACH = timedelta(minutes=15)
"""Two points of a series further apart are not compared: longer than any usual export interval."""

LAG = timedelta(seconds=60)
"""Points are taken to be here a minute after they were observed."""

_RAW = RAW_OTLP_METRIC_POINTS.name
_REACH_NS = REACH // timedelta(microseconds=1) * 1000


def affected(start: datetime, end: datetime) -> tuple[datetime, datetime]:
    """The minutes whose rows may change with points of ``[start, end)``: also those that are compared with them."""
    return start - timedelta(minutes=1), end + REACH


def series(con: duckdb.DuckDBPyConnection, start: datetime, end: datetime) -> pl.DataFrame:
    """``core_metric__series`` of the series that have points in a range."""
    return con.sql(f"""
-- grain: metric series
select
  series_id,
  any_value({SERVICE_KEY}) as service_key,
  any_value(metric_name) as metric_name,
  any_value(metric_type) as metric_type,
  any_value(unit) as unit,
  any_value(temporality) as temporality,
  any_value(is_monotonic) as is_monotonic,
  map_entries(any_value(attributes)) as attributes,
  any_value(md5(concat_ws('/', {SERVICE_KEY}, service_version, list_sort(map_entries(resource_attributes))::varchar)))
    as resource_id
from {_RAW}
where time_unix_ns >= {unix_ns(start)}
  and time_unix_ns < {unix_ns(end)}
group by series_id
order by series_id
""").pl()  # noqa: S608 - declared names, here and below


def points(con: duckdb.DuckDBPyConnection, start: datetime, end: datetime) -> pl.DataFrame:
    """``core_metric__points`` of a range."""
    return con.sql(f"""
-- grain: metric series and minute with at least one point that has a value
with {_steps(start, end)},
{quantiles_sql("steps")},
levels as (
  select
    series_id,
    any_value(service_key) as service_key,
    any_value(metric_name) as metric_name,
    level_minute_at as minute_at,
    count(*) as n_points,
    arg_max(value, time_unix_ns) as value_last,
    avg(value) as value_mean,
    max(value) as value_max
  from steps
  where is_level
  group by series_id, level_minute_at
),
added as (
  select
    series_id,
    any_value(service_key) as service_key,
    any_value(metric_name) as metric_name,
    minute_at,
    count(*) as n_points,
    sum(increase) filter (where not is_distribution) as increase,
    nullif(sum(interval_ns) filter (where increase is not null), 0) / 1e9 as interval_s,
    count(*) filter (where step = 'reset') as n_resets,
    cast(sum(increase) filter (where is_distribution) as bigint) as n_observations,
    sum(sum_increase) as sum_value,
    arg_max(summary_p50, time_unix_ns) as summary_p50,
    arg_max(summary_p95, time_unix_ns) as summary_p95,
    arg_max(summary_p99, time_unix_ns) as summary_p99
  from steps
  where not is_level
  group by series_id, minute_at
),
together as (
  select
    series_id, service_key, metric_name, minute_at, n_points, value_last, value_mean, value_max,
    null::double as increase, null::double as interval_s, 0::bigint as n_resets, null::bigint as n_observations,
    null::double as sum_value, null::double as value_p50, null::double as value_p95, null::double as value_p99
  from levels
  union all
  select
    added.series_id, service_key, metric_name, added.minute_at, n_points, null, null, null,
    increase, interval_s, n_resets, n_observations, sum_value,
    coalesce(quantiles.p50, summary_p50), coalesce(quantiles.p95, summary_p95), coalesce(quantiles.p99, summary_p99)
  from added
  left join quantiles on quantiles.series_id = added.series_id and quantiles.minute_at = added.minute_at
)
select
  *,
  minute_at + to_seconds({(timedelta(minutes=1) + LAG) // timedelta(seconds=1)}) as known_at
from together
where minute_at >= timestamp '{start}'
  and minute_at < timestamp '{end}'
order by series_id, minute_at
""").pl()  # noqa: S608


def _resource(name: str) -> str:
    return f"map_extract(resource_attributes, '{name}')[1]"


_OWNER = ", ".join(
    _resource(f"k8s.{kind}.name") for kind in ("deployment", "statefulset", "daemonset", "cronjob", "job", "container")
)
SERVICE_KEY = f"""
    coalesce(nullif(service_namespace, ''), {_resource("k8s.namespace.name")}, '') || '/'
    || case when service_name = 'unknown_service' then coalesce({_OWNER}, service_name) else service_name end
    || '/' || deployment_environment_name
"""
"""Agents that measure containers from outside do not know service.name; the semantic conventions then take it from
the workload, in this order. The namespace is likewise that of Kubernetes."""


def _steps(start: datetime, end: datetime) -> str:
    """CTEs up to ``steps``: every point with a value, and what it adds to the one before it."""
    return f"""
observed as (
  select
    series_id,
    {SERVICE_KEY} as service_key,
    metric_name,
    metric_type,
    temporality,
    is_monotonic,
    start_unix_ns,
    time_unix_ns,
    value_int,
    coalesce(value_int::double, value_double, n_observations::double) as value,
    n_observations,
    sum_value,
    min_value,
    max_value,
    bucket_counts,
    explicit_bounds,
    exponential_scale,
    zero_count,
    zero_threshold,
    positive_offset,
    positive_counts,
    negative_offset,
    negative_counts,
    {_summary(0.5)} as summary_p50,
    {_summary(0.95)} as summary_p95,
    {_summary(0.99)} as summary_p99,
    metric_type in ('histogram', 'exponential_histogram', 'summary') as is_distribution,
    metric_type = 'gauge' or (metric_type = 'sum' and not is_monotonic and temporality <> 'delta') as is_level
  from {_RAW}
  where has_value
    and isfinite(coalesce(value_int::double, value_double, n_observations::double))
    and not (coalesce(temporality, '') = 'unspecified' and coalesce(is_monotonic, true))
    and time_unix_ns >= {unix_ns(start) - _REACH_NS}
    and time_unix_ns <= {unix_ns(end)}
),
paired as (
  select
    *,
    coalesce(temporality, 'cumulative') = 'delta' as is_delta,
    lag(time_unix_ns) over earlier as prev_time,
    lag(start_unix_ns) over earlier as prev_start,
    lag(value) over earlier as prev_value,
    lag(value_int) over earlier as prev_int,
    lag(sum_value) over earlier as prev_sum,
    lag(bucket_counts) over earlier as prev_counts,
    lag(explicit_bounds) over earlier as prev_bounds,
    lag(exponential_scale) over earlier as prev_scale,
    lag(zero_count) over earlier as prev_zero,
    lag(positive_offset) over earlier as prev_positive_offset,
    lag(positive_counts) over earlier as prev_positive,
    lag(negative_offset) over earlier as prev_negative_offset,
    lag(negative_counts) over earlier as prev_negative
  from observed
  window earlier as (partition by series_id order by time_unix_ns, start_unix_ns)
),
classed as (
  select
    *,
    case
      when is_level then null
      when is_delta then 'delta'
      when time_unix_ns - prev_time <= {_REACH_NS} then
        case
          when start_unix_ns > prev_start and start_unix_ns >= prev_time and prev_start > 0 then 'reset'
          when value < prev_value then 'reset'
          else 'difference'
        end
      when start_unix_ns > 0 and time_unix_ns - start_unix_ns between 1 and {_REACH_NS} then 'first'
    end as step
  from paired
),
steps as (
  select
    *,
    time_bucket(interval 1 minute, make_timestamp(time_unix_ns // 1000)) as level_minute_at,
    time_bucket(interval 1 minute, make_timestamp((time_unix_ns - 1) // 1000)) as minute_at,
    case step
      when 'difference' then coalesce((value_int::hugeint - prev_int::hugeint)::double, value - prev_value)
      when 'reset' then value
      when 'first' then value
      when 'delta' then value
    end as increase,
    case step
      when 'difference' then sum_value - prev_sum
      when 'reset' then sum_value
      when 'first' then sum_value
      when 'delta' then sum_value
    end as sum_increase,
    case step
      when 'difference' then time_unix_ns - prev_time
      when 'reset' then time_unix_ns - greatest(start_unix_ns, prev_time)
      when 'first' then time_unix_ns - start_unix_ns
      when 'delta' then time_unix_ns - case when start_unix_ns > 0 then start_unix_ns else prev_time end
    end as interval_ns
  from classed
)"""  # noqa: S608


def _summary(quantile: float) -> str:
    place = f"list_position(quantiles, {quantile}::double)"
    return f"case when metric_type = 'summary' then quantile_values[{place}] end"
