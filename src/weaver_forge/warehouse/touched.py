"""Which minutes of spans changed since their marts were computed: found by counting, not remembered.

Every committed file of the lake is immutable, so its spans are counted by minute once. A minute whose files have
another sum than the one its marts were computed from is touched. A run killed anywhere therefore loses nothing,
a late span touches what it must, and joining small files to large ones touches nothing.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path

import duckdb
import polars as pl

from weaver_forge.contracts.tables.metric_marts import CORE_SERVICE_RESOURCE_USE
from weaver_forge.contracts.tables.operations import CORE_TRACE_RED_MINUTES, CORE_TRACE_SPANS
from weaver_forge.contracts.tables.traces import CORE_TRACE_DAYS, CORE_TRACE_FILE_MINUTES, CORE_TRACE_MINUTES
from weaver_forge.warehouse.marts import MEMORY_OF_SERVICES, PARENT_LAG, PARENT_REACH, unix_ns
from weaver_forge.warehouse.naming import quoted_list

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

_JOINED_OVER = timedelta(minutes=30)
"""Touched minutes at most this far apart are recomputed in one query: a scattered hour costs one scan, not sixty."""

_MOST_RANGES = 12
"""Minutes scattered over a year are recomputed in as many queries: what lies between them comes out as it was."""

Range = tuple[datetime, datetime]
"""``[start, end)`` in naive UTC."""


def count_files(con: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> int:
    """Count the spans of files that are new by minute, and forget files that are gone; returns how many are new.

    Args:
        con: A connection in a transaction, for writing.
        files: The committed files of the span lake.
    """
    table = CORE_TRACE_FILE_MINUTES.name
    present = pl.DataFrame({"file": [path.name for path in files]}, schema={"file": pl.String})
    con.register("present", present)
    con.execute(f"delete from {table} where file not in (select file from present)")  # noqa: S608 - declared names, here and below
    counted = {name for (name,) in con.execute(f"select distinct file from {table}").fetchall()}  # noqa: S608
    con.unregister("present")
    new = [path for path in files if path.name not in counted]
    if new:
        listed = ", ".join("'" + str(path).replace("'", "''") + "'" for path in new)
        con.execute(f"""
            insert into {table}
            select
              parse_filename(filename) as file,
              time_bucket(interval 1 minute, make_timestamp(start_unix_ns // 1000)) as minute_at,
              count(*) as n_spans
            from read_parquet([{listed}], filename = true, union_by_name = true)
            group by all
        """)  # noqa: S608
    return len(new)


def pending_minutes(con: duckdb.DuckDBPyConnection, start: datetime, end: datetime) -> pl.DataFrame:
    """``minute_at, n_spans`` of the touched minutes of a range, in order; 0 spans where all of them are gone."""
    return con.sql(f"""
        with counted as (
          select minute_at, cast(sum(n_spans) as bigint) as n_spans from {CORE_TRACE_FILE_MINUTES.name} group by all
        )
        select coalesce(counted.minute_at, done.minute_at) as minute_at, coalesce(counted.n_spans, 0) as n_spans
        from counted
        full join {CORE_TRACE_MINUTES.name} as done on done.minute_at = counted.minute_at
        where counted.n_spans is distinct from done.n_spans
          and coalesce(counted.minute_at, done.minute_at) >= timestamp '{start}'
          and coalesce(counted.minute_at, done.minute_at) < timestamp '{end}'
        order by 1
    """).pl()  # noqa: S608


def counted_minutes(con: duckdb.DuckDBPyConnection, start: datetime, end: datetime) -> pl.DataFrame:
    """The same columns for every minute of a range that has spans: to compute it anew on request."""
    return con.sql(f"""
        select minute_at, cast(sum(n_spans) as bigint) as n_spans from {CORE_TRACE_FILE_MINUTES.name}
        where minute_at >= timestamp '{start}' and minute_at < timestamp '{end}' group by all order by 1
    """).pl()  # noqa: S608


def pending_days(con: duckdb.DuckDBPyConnection, start: datetime, end: datetime) -> list[date]:
    """Days of a range that have touched minutes, or whose points were computed from other RED minutes than hold."""
    minutes = pending_minutes(con, start, end)["minute_at"].dt.date().unique().to_list()
    points = con.sql(f"""
        with {_DIGESTS}
        select cast(day_at as date) as day from wanted
        where digest is distinct from points_digest and day_at >= timestamp '{start}' and day_at < timestamp '{end}'
    """).pl()  # noqa: S608
    return sorted({*minutes, *points["day"]})


_USE = quoted_list(CORE_SERVICE_RESOURCE_USE.column_names)

_DIGESTS = f"""
    wanted as (
      select
        d.day_at,
        any_value(d.points_digest) as points_digest,
        string_agg(w.red_digest, ' ' order by w.day_at) as digest
      from {CORE_TRACE_DAYS.name} as d
      join {CORE_TRACE_DAYS.name} as w
        on w.day_at between d.day_at - to_days({MEMORY_OF_SERVICES.days}) and d.day_at + interval 1 day
      group by d.day_at
    )
"""  # noqa: S608
"""Points of a day rest on the RED minutes of it, of the days in which a service is remembered, and of the next."""


def minutes_are_done(con: duckdb.DuckDBPyConnection, minutes: pl.DataFrame) -> None:
    """Write down that the marts of these minutes (``minute_at, n_spans``) were computed from that many spans."""
    table = CORE_TRACE_MINUTES.name
    con.register("minutes", minutes)
    con.execute(f"delete from {table} where minute_at in (select minute_at from minutes)")  # noqa: S608
    con.execute(f"insert into {table} select minute_at, n_spans from minutes where n_spans > 0")  # noqa: S608
    con.unregister("minutes")


def digest_days(con: duckdb.DuckDBPyConnection, days: Iterable[date]) -> None:
    """Write down what RED minutes and resource use of these days are now: their points are then up to date or not."""
    table, red = CORE_TRACE_DAYS.name, CORE_TRACE_RED_MINUTES.name
    for day in days:
        at = datetime.combine(day, time())
        ((points,),) = con.execute(f"select max(points_digest) from {table} where day_at = ?", [at]).fetchall()  # noqa: S608
        con.execute(f"delete from {table} where day_at = ?", [at])  # noqa: S608
        con.execute(
            f"""
            insert into {table}
            select
              ?::timestamp,
              count(*) || ':' || sum(row_hash)::varchar,
              ?
            from (
              select minute_at, hash(service_key, minute_at, n_requests, n_errors, duration_p95_ms) as row_hash
              from {red}
              union all
              select minute_at, hash({_USE}) from {CORE_SERVICE_RESOURCE_USE.name}
            )
            where minute_at >= ? and minute_at < ? having count(*) > 0
            """,  # noqa: S608
            [at, points or "", at, at + DAY],
        )


def points_are_of(con: duckdb.DuckDBPyConnection, days: Iterable[date]) -> None:
    """Write down that the points of these days were computed from the RED minutes that hold."""
    for day in days:
        con.execute(
            f"""
            with {_DIGESTS}
            update {CORE_TRACE_DAYS.name} as d set points_digest = wanted.digest
            from wanted where wanted.day_at = d.day_at and d.day_at = ?
            """,  # noqa: S608
            [datetime.combine(day, time())],
        )


def children(con: duckdb.DuckDBPyConnection, touched: Sequence[Range]) -> tuple[list[datetime], list[datetime]]:
    """What spans of touched minutes change elsewhere: they may be the parents of spans that came before them.

    Returns:
        Minutes whose spans without a kind have a parent there (whether such a span is an entry depends on it), and
        hours in which a call begins whose caller is there.
    """
    spans = CORE_TRACE_SPANS.name
    minutes: set[datetime] = set()
    hours: set[datetime] = set()
    for start, end in touched:
        found = con.sql(f"""
            select distinct
              time_bucket(interval 1 minute, child.started_at) as minute_at,
              child.kind = 0 as is_kindless,
              child.service_key <> parent.service_key as is_call
            from {spans} as child
            join {spans} as parent on parent.trace_id = child.trace_id and parent.span_id = child.parent_span_id
            where parent.start_unix_ns >= {unix_ns(start)}
              and parent.start_unix_ns < {unix_ns(end)}
              and child.start_unix_ns >= {unix_ns(start - PARENT_LAG)}
              and child.start_unix_ns < {unix_ns(end + PARENT_REACH)}
              and (child.kind = 0 or child.service_key <> parent.service_key)
        """).fetchall()  # noqa: S608
        minutes |= {at for at, is_kindless, _ in found if is_kindless}
        hours |= {at.replace(minute=0) for at, _, is_call in found if is_call}
    return sorted(minutes), sorted(hours)


def ranges(steps: Iterable[datetime], length: timedelta) -> list[Range]:
    """The steps as at most ``_MOST_RANGES`` ranges ``[start, end)`` that hold them all, cut at their widest gaps."""
    ordered = sorted(set(steps))
    if not ordered:
        return []
    gaps = [(later - earlier, later, earlier) for earlier, later in pairwise(ordered)]
    cuts = sorted(gap for gap in gaps if gap[0] > _JOINED_OVER + length)[-_MOST_RANGES + 1 :]
    starts = sorted([ordered[0], *(later for _, later, _ in cuts)])
    ends = sorted([*(earlier for _, _, earlier in cuts), ordered[-1]])
    return [(start, end + length) for start, end in zip(starts, ends, strict=True)]
