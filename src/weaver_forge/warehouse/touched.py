"""What a change of spans makes stale: which minutes and hours of marts, and which days of service points.

Which minutes of spans changed is counted by ``lake_minutes``. Here is what follows from it: a span may be the parent
of earlier ones, and what is said of a service on one day rests on the week before it.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path

import duckdb
import polars as pl

from weaver_forge.contracts.tables.metric_marts import CORE_SERVICE_RESOURCE_USE
from weaver_forge.contracts.tables.operations import CORE_TRACE_RED_MINUTES, CORE_TRACE_SPANS
from weaver_forge.contracts.tables.traces import (
    CORE_TRACE_DAYS,
    CORE_TRACE_FILE_MINUTES,
    CORE_TRACE_FILE_VERSIONS,
    CORE_TRACE_MINUTES,
)
from weaver_forge.warehouse.lake_minutes import LakeMinutes
from weaver_forge.warehouse.marts import MEMORY_OF_SERVICES, PARENT_LAG, PARENT_REACH, unix_ns
from weaver_forge.warehouse.naming import quoted_list

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

_JOINED_OVER = timedelta(minutes=30)
"""Touched minutes at most this far apart are recomputed in one query: a scattered hour costs one scan, not sixty."""

_MOST_RANGES = 12
"""Minutes scattered over a year are recomputed in as many queries: what lies between them comes out as it was."""

_LONGEST = timedelta(hours=6)
"""Of spans that are recomputed in one query: whole hours."""

AROUND = PARENT_REACH + PARENT_LAG + 2 * HOUR
"""Farther away than this no span matters to the marts of a minute: hours of calls are touched within ``PARENT_REACH``
or ``PARENT_LAG``, and their callers are looked for as far again the other way. Two hours round it up."""

Range = tuple[datetime, datetime]
"""``[start, end)`` in naive UTC."""


SPANS = LakeMinutes(CORE_TRACE_FILE_MINUTES, CORE_TRACE_MINUTES, "start_unix_ns")
"""The spans of every file by minute, and from how many the marts of a minute were computed."""


def count_files(con: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> int:
    """Count the spans of new files by minute and by version; returns how many files are new.

    Args:
        con: A connection in a transaction, for writing; the view of spans may show other files.
        files: The committed files of the lake.
    """
    table = CORE_TRACE_FILE_VERSIONS.name
    new = SPANS.count_files(con, files)
    known = {name for (name,) in con.execute(f"select distinct file from {table}").fetchall()}  # noqa: S608
    present = {path.name: path for path in files}
    for name in known - present.keys():
        con.execute(f"delete from {table} where file = ?", [name])  # noqa: S608
    listed = ", ".join("'" + str(present[n]).replace("'", "''") + "'" for n in sorted(present.keys() - known))
    if listed:
        # Grouped by the plain columns first: a service's key is then put together once a version, not once a span.
        con.execute(f"""
            insert into {table}
            select
              parse_filename(filename),
              service_namespace || '/' || service_name || '/' || deployment_environment_name,
              coalesce(service_version, ''),
              make_timestamp(day * {DAY // timedelta(microseconds=1)}),
              make_timestamp(first_unix_ns // 1000),
              make_timestamp(last_unix_ns // 1000),
              n_spans
            from (
              select
                filename,
                service_namespace,
                service_name,
                deployment_environment_name,
                service_version,
                start_unix_ns // {DAY // timedelta(microseconds=1) * 1000} as day,
                min(start_unix_ns) as first_unix_ns,
                max(start_unix_ns) as last_unix_ns,
                count(*) as n_spans
              from read_parquet([{listed}], filename = true, union_by_name = true)
              group by all
            )
        """)  # noqa: S608
    return new


def files_of(con: duckdb.DuckDBPyConnection, start: datetime, end: datetime) -> set[str]:
    """Names of the counted files that have spans in a range."""
    sql = f"select distinct file from {CORE_TRACE_FILE_MINUTES.name} where minute_at >= ? and minute_at < ?"  # noqa: S608
    return {name for (name,) in con.execute(sql, [start, end]).fetchall()}


def pending_days(con: duckdb.DuckDBPyConnection, start: datetime, end: datetime) -> list[date]:
    """Days of a range that have touched minutes, or whose points were computed from other RED minutes than hold."""
    minutes = SPANS.pending(con, start, end)["minute_at"].dt.date().unique().to_list()
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


def children(
    con: duckdb.DuckDBPyConnection, touched: Sequence[Range], minutes: pl.Series
) -> tuple[list[datetime], list[datetime]]:
    """What spans of touched minutes change elsewhere: they may be the parents of spans that came before them.

    Args:
        con: A connection.
        touched: Ranges that hold all touched minutes.
        minutes: The touched minutes.

    Returns:
        Minutes whose spans without a kind have a parent there (whether such a span is an entry depends on it), and
        hours in which a call begins whose caller is there; those of touched minutes may be left out.
    """
    spans = CORE_TRACE_SPANS.name
    kindless: set[datetime] = set()
    hours: set[datetime] = set()
    for start, end in touched:
        for first, last in _around(start, end, minutes):
            if SPANS.all_of(con, first, last).is_empty():
                continue  # after the newest hour there is nothing yet
            found = con.sql(f"""
                select distinct
                  time_bucket(interval 1 minute, child.started_at) as minute_at,
                  child.kind = 0 as is_kindless,
                  child.service_key <> parent.service_key as is_call
                from {spans} as child
                join {spans} as parent on parent.trace_id = child.trace_id and parent.span_id = child.parent_span_id
                where parent.start_unix_ns >= {unix_ns(start)}
                  and parent.start_unix_ns < {unix_ns(end)}
                  and child.start_unix_ns >= {unix_ns(first)}
                  and child.start_unix_ns < {unix_ns(last)}
                  and (child.kind = 0 or child.service_key <> parent.service_key)
            """).fetchall()  # noqa: S608
            kindless |= {at for at, is_kindless, _ in found if is_kindless}
            hours |= {at.replace(minute=0) for at, _, is_call in found if is_call}
    return sorted(kindless), sorted(hours)


def _around(start: datetime, end: datetime, minutes: pl.Series) -> list[Range]:
    """Where children of a range may be: around it alone if all of it is touched, else in it too."""
    n_touched = int(((minutes >= start) & (minutes < end)).sum())
    if n_touched == (end - start) // MINUTE:
        return [(start - PARENT_LAG, start), (end, end + PARENT_REACH)]
    return [(start - PARENT_LAG, end + PARENT_REACH)]


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


def pieces(found: Iterable[Range]) -> list[Range]:
    """The same ranges, none longer than ``_LONGEST``: memory is bounded by it, however much came in at once."""
    return [
        (start + k * _LONGEST, min(start + (k + 1) * _LONGEST, end))
        for start, end in found
        for k in range(-((start - end) // _LONGEST))
    ]
