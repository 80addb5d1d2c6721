"""What services use of CPU, memory and network, from whichever metrics say so, under current and old names.

A service is often measured from several sides (its process, its container, its host). Of each resource the nearest
side that spoke in the minute is taken, never two added up. Names: OpenTelemetry semantic conventions 1.44 and the
ones they replaced. Metrics whose meaning changed without the name (``container.cpu.utilization`` is cores to one
agent and per cent to another) are left out: a wrong number is worse than none.
"""

from datetime import datetime

import duckdb
import polars as pl

from weaver_forge.contracts.tables.metric_marts import (
    CORE_METRIC_POINTS,
    CORE_METRIC_SERIES,
    CORE_SERVICE_RESOURCE_USE,
)

_CPU, _CPU_RATIO, _MEMORY, _MEMORY_RATIO, _NETWORK = "cpu", "cpu_ratio", "memory", "memory_ratio", "network"

_SIDES: dict[str, tuple[tuple[str, ...], ...]] = {
    # resource -> names, nearest side first; names within one side are never sent together
    _CPU: (
        ("process.cpu.time", "dotnet.process.cpu.time", "process.runtime.cpython.cpu_time"),
        ("jvm.cpu.time",),
        ("container.cpu.time", "container.cpu.usage"),
        ("k8s.pod.cpu.time", "k8s.pod.cpu.usage"),
        ("go.cpu.time",),
        ("system.cpu.time",),
    ),
    _CPU_RATIO: (
        ("process.cpu.utilization", "process.runtime.cpython.cpu.utilization"),
        (
            "jvm.cpu.recent_utilization",
            "process.runtime.jvm.cpu.recent_utilization",
            "process.runtime.jvm.cpu.utilization",
        ),
        ("container.cpu.percent",),
        ("k8s.container.cpu.limit_utilization", "k8s.container.cpu.limit.utilization", "k8s.pod.cpu_limit_utilization"),
        ("system.cpu.utilization",),
    ),
    _MEMORY: (
        ("process.memory.usage", "process.memory.physical_usage", "dotnet.process.memory.working_set"),
        ("process.runtime.cpython.memory",),
        ("container.memory.working_set",),
        ("container.memory.usage", "container.memory.usage.total"),
        ("k8s.pod.memory.working_set",),
        ("k8s.pod.memory.usage",),
        ("jvm.memory.used", "process.runtime.jvm.memory.usage", "go.memory.used", "v8js.memory.heap.used"),
        ("system.memory.usage",),
    ),
    _MEMORY_RATIO: (
        ("process.memory.utilization",),
        ("container.memory.percent",),
        ("k8s.pod.memory_limit_utilization",),
        ("system.memory.utilization",),
    ),
    _NETWORK: (
        ("process.network.io",),
        ("container.network.io",),
        ("container.network.io.usage.rx_bytes", "container.network.io.usage.tx_bytes"),
        ("k8s.pod.network.io",),
        ("system.network.io",),
    ),
}
_STATES = ("cpu.mode", "system.cpu.state", "process.cpu.state", "system.memory.state", "state", "type")
"""Attributes that divide a total, current and old."""
_NOT_IN_USE = ("idle", "iowait", "wait", "free", "buffers", "cached", "inactive", "slab_reclaimable", "vms")
_PER_CENT = ("%", "percent")


def resource_use(con: duckdb.DuckDBPyConnection, start: datetime, end: datetime) -> pl.DataFrame:
    """``core_service__resource_use`` of a range of minutes, from the metric points and series of it."""
    names = ",\n    ".join(
        f"('{name}', '{resource}', {side})"
        for resource, sides in _SIDES.items()
        for side, group in enumerate(sides)
        for name in group
    )
    state = "coalesce(" + ", ".join(f"map_extract(attributes, '{name}')[1]" for name in _STATES) + ", '')"
    cpu = "coalesce(map_extract(attributes, 'cpu.logical_number')[1], map_extract(attributes, 'cpu')[1], '')"
    return con.sql(f"""
-- grain: service and minute in which its use of a resource was measured
with names (metric_name, resource, side) as (
  values {names}
),
measured as (
  select
    p.service_key,
    p.minute_at,
    names.resource,
    names.side,
    s.resource_id,
    {cpu} as cpu,
    coalesce(p.value_mean, p.increase / p.interval_s) / case when {_quoted_in("s.unit", _PER_CENT)} then 100 else 1 end
      as value
  from {CORE_METRIC_POINTS.name} as p
  join names on names.metric_name = p.metric_name
  join {CORE_METRIC_SERIES.name} as s on s.series_id = p.series_id
  where p.minute_at >= timestamp '{start}'
    and p.minute_at < timestamp '{end}'
    and not {_quoted_in(state, _NOT_IN_USE)}
),
nearest as (
  select *
  from measured
  where value is not null
  qualify side = min(side) over (partition by service_key, minute_at, resource)
),
instances as (
  select
    service_key,
    minute_at,
    resource,
    resource_id,
    sum(value) as total,
    sum(value) / count(distinct cpu) as share
  from nearest
  group by all
)
select
  service_key,
  minute_at,
  count(distinct resource_id) as n_instances,
  sum(total) filter (where resource = '{_CPU}') as cpu_cores,
  avg(share) filter (where resource = '{_CPU_RATIO}') as cpu_ratio,
  sum(total) filter (where resource = '{_MEMORY}') as memory_bytes,
  avg(share) filter (where resource = '{_MEMORY_RATIO}') as memory_ratio,
  sum(total) filter (where resource = '{_NETWORK}') as network_bytes_per_s,
  minute_at + interval 2 minute as known_at
from instances
group by service_key, minute_at
order by service_key, minute_at
""").pl()  # noqa: S608 - names of ours, here and below


def resource_points(con: duckdb.DuckDBPyConnection, start: datetime, end: datetime) -> pl.DataFrame:
    """Resource use of a range as rows of ``core_service__points``, a metric a column."""
    parts = "\n  union all\n  ".join(
        f"select service_key, '{metric}' as metric, minute_at, {metric} as value, n_instances, known_at from used"  # noqa: S608
        for metric in ("cpu_cores", "cpu_ratio", "memory_bytes", "memory_ratio", "network_bytes_per_s")
    )
    return con.sql(f"""
-- grain: metric of a service in a minute
with used as (
  select *
  from {CORE_SERVICE_RESOURCE_USE.name}
  where minute_at >= timestamp '{start}'
    and minute_at < timestamp '{end}'
),
points as (
  {parts}
)
select service_key, metric, minute_at as "at", 60::integer as step_s, value, n_instances as n, known_at
from points
where value is not null
order by service_key, metric, "at"
""").pl()  # noqa: S608


def _quoted_in(expression: str, values: tuple[str, ...]) -> str:
    listed = ", ".join(f"'{value}'" for value in values)
    return f"{expression} in ({listed})"
