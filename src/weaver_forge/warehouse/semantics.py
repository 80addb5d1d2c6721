"""The semantic layer over the lakes: which days are to be judged, and a day's telemetry judged in bounded memory."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta

import duckdb
import polars as pl

from weaver_forge.contracts.dtypes import dtype, shaped
from weaver_forge.contracts.table import Table
from weaver_forge.contracts.tables.logs import RAW_OTLP_LOG_RECORDS
from weaver_forge.contracts.tables.metrics import RAW_OTLP_METRIC_POINTS
from weaver_forge.contracts.tables.operations import RAW_OTLP_SPANS
from weaver_forge.contracts.tables.semconv import (
    CORE_SEMANTIC_DAYS,
    CORE_SEMANTIC_FINDINGS,
    CORE_SEMANTIC_QUALITY,
    CORE_SEMANTIC_SIGNALS,
)
from weaver_forge.semconv.judging import Judging
from weaver_forge.semconv.registry import Registry
from weaver_forge.semconv.renaming import Renaming
from weaver_forge.semconv.upgrade import PROMOTED
from weaver_forge.warehouse.naming import quoted, stored_columns

CHUNK_ROWS = 50_000
"""Rows looked at together: memory stays below 200 MB whatever the day; larger is no faster (measured)."""

DAY = timedelta(days=1)

KNOWN_AFTER = DAY + timedelta(seconds=60)
"""A day's findings are of the whole day: they are known when it has ended and its last spans have come."""

_OWNER = ("service_namespace", "service_name", "service_version", "deployment_environment_name", "resource_attributes")
_INPUTS: tuple[tuple[Table, str, tuple[str, ...]], ...] = (
    (RAW_OTLP_SPANS, "start_unix_ns", ("name", "kind", *PROMOTED.values())),
    (RAW_OTLP_METRIC_POINTS, "time_unix_ns", ("metric_name", "metric_type", "is_monotonic", "unit")),
    (RAW_OTLP_LOG_RECORDS, "time_unix_ns", ("event_name",)),
)
_MAP = dtype("MAP(VARCHAR, VARCHAR)")
_DAY_NS = 86_400_000_000_000


def pending_days(con: duckdb.DuckDBPyConnection, judged_by: str) -> pl.DataFrame:
    """Days whose telemetry is not what their findings were computed from, or was judged by other registries or rules.

    Found by counting, not remembered: a run killed in between loses nothing.

    Args:
        con: Open on the warehouse.
        judged_by: The registries and rules that hold now (``judging.judged_by``).

    Returns:
        ``day_at`` and ``n_rows``, in order.
    """
    there = [(table, at) for table, at, _ in _INPUTS if stored_columns(con, table.name)]
    if not there:
        return pl.DataFrame(schema={"day_at": pl.Datetime("us"), "n_rows": pl.Int64})
    counts = " union all ".join(
        f"select {at} // {_DAY_NS} as day, count(*) as n from {quoted(table.name)} group by 1"  # noqa: S608 - declared names
        for table, at in there
    )
    query = f"""
-- grain: day to be judged
with counted as (
  select make_timestamp((day * {_DAY_NS // 1000})::bigint) as day_at, sum(n)::bigint as n_rows
  from ({counts})
  group by 1
)
select counted.day_at, counted.n_rows
from counted
left join {quoted(CORE_SEMANTIC_DAYS.name)} as done using (day_at)
where done.n_rows is distinct from counted.n_rows or done.registry is distinct from ?
order by 1
"""  # noqa: S608 - declared names
    return con.execute(query, [judged_by]).pl()


def judged(
    con: duckdb.DuckDBPyConnection, day: date, registry: Registry, renaming: Renaming
) -> dict[str, pl.DataFrame]:
    """The findings, quality and span classes of one day, by the names of their tables."""
    start = int((datetime.combine(day, time()) - datetime(1970, 1, 1)) / timedelta(microseconds=1)) * 1000  # noqa: DTZ001 - naive UTC
    judging = Judging(registry, renaming)
    for chunk in _chunks(con, *_INPUTS[0], start):
        judging.add_spans(chunk)
    for chunk in _chunks(con, *_INPUTS[1], start):
        judging.add_points(chunk)
    for chunk in _chunks(con, *_INPUTS[2], start):
        judging.add_logs(chunk)
    known = (pl.col("day_at") + KNOWN_AFTER).alias("known_at")
    frames = {
        CORE_SEMANTIC_FINDINGS: judging.findings(),
        CORE_SEMANTIC_QUALITY: judging.quality(),
        CORE_SEMANTIC_SIGNALS: judging.signals(),
    }
    return {table.name: shaped(table, frame.with_columns(known)) for table, frame in frames.items()}


def _chunks(
    con: duckdb.DuckDBPyConnection, table: Table, at: str, columns: tuple[str, ...], start: int
) -> Iterator[pl.DataFrame]:
    """The day's rows of a lake, a bounded number at a time; a lake without a view has none."""
    if not stored_columns(con, table.name):
        return
    wanted = ", ".join(quoted(name) for name in (at, *columns, *_OWNER, "attributes"))
    sql = f"select {wanted} from {quoted(table.name)} where {at} >= ? and {at} < ?"  # noqa: S608 - declared names
    reader = con.execute(sql, [start, start + _DAY_NS]).to_arrow_reader(CHUNK_ROWS)
    for batch in reader:
        frame = pl.from_arrow(batch)
        assert isinstance(frame, pl.DataFrame)
        if frame.height:
            yield frame.cast({"attributes": _MAP, "resource_attributes": _MAP})
