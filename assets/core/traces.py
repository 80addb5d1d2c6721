"""The view over the span lake, and the marts computed from it: RED minutes, call edges, metric points."""

from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from time import process_time

import dagster as dg
import duckdb
import polars as pl

from assets.partitions import daily, days_of
from assets.resources import Deployment
from assets.tables import Metadata, table_assets
from weaver_forge.contracts.table import Table
from weaver_forge.contracts.tables.operations import (
    CORE_SERVICE_POINTS,
    CORE_TRACE_EDGES,
    CORE_TRACE_RED_MINUTES,
    CORE_TRACE_SPANS,
    RAW_OTLP_SPANS,
)
from weaver_forge.contracts.tables.traces import (
    CORE_TRACE_DAYS,
    CORE_TRACE_FILE_MINUTES,
    CORE_TRACE_FILE_VERSIONS,
    CORE_TRACE_MINUTES,
    CORE_TRACE_OPERATION_MINUTES,
    CORE_TRACE_VERSION_DAYS,
)
from weaver_forge.settings import Settings
from weaver_forge.warehouse import Warehouse, marts, touched
from weaver_forge.warehouse.connection import transaction
from weaver_forge.warehouse.views import narrow_span_view

MARTS = (
    CORE_TRACE_RED_MINUTES,
    CORE_TRACE_OPERATION_MINUTES,
    CORE_TRACE_EDGES,
    CORE_TRACE_VERSION_DAYS,
    CORE_TRACE_MINUTES,
    CORE_TRACE_DAYS,
    CORE_SERVICE_POINTS,
)

_Compute = Callable[[duckdb.DuckDBPyConnection, datetime, datetime], Sequence[pl.DataFrame]]
"""Makes the rows of one table or more for a range of time."""


def _view(_context: dg.AssetExecutionContext, deployment: Deployment) -> dict[str, Metadata]:
    warehouse = deployment.warehouse
    with warehouse.connect():  # held: DuckDB opens its file once
        new = show_and_count(warehouse)
        pending = pending_days(warehouse, deployment.settings)
    return {
        CORE_TRACE_SPANS.name: {"days_touched": len(pending), "newest_day": str(max(pending, default="none"))},
        CORE_TRACE_FILE_MINUTES.name: {"files_counted": new},
        CORE_TRACE_FILE_VERSIONS.name: {"files_counted": new},
    }


def show_and_count(warehouse: Warehouse) -> int:
    """Have the view show the lake's files and the counts know them; returns how many are new."""
    with warehouse.writing() as con:
        return touched.count_files(con, warehouse.show(con, warehouse.spans))


def pending_days(warehouse: Warehouse, settings: Settings) -> list[date]:
    """Days with partitions whose marts were computed from other spans than are there now.

    A span whose clock is so wrong that no partition has its day stays in the lake and is in no mart.
    """
    first = datetime.fromisoformat(settings.partitions_start)
    end = _midnight(settings.now().date() + timedelta(days=1))
    with warehouse.connect(read_only=True) as con:
        return touched.pending_days(con, first, end)


def _marts(context: dg.AssetExecutionContext, deployment: Deployment) -> dict[str, Metadata]:
    return compute(deployment.warehouse, *(_midnight(day) for day in days_of(context)))


def compute(warehouse: Warehouse, start: datetime, end: datetime) -> dict[str, Metadata]:
    """Recompute what is touched in a range of whole days; where nothing is, all of it: somebody asked for it."""
    with warehouse.connect() as con:  # held to the end: DuckDB opens its file once, and every write below joins in
        return _computed(warehouse, con, start, end)


def _computed(
    warehouse: Warehouse, con: duckdb.DuckDBPyConnection, start: datetime, end: datetime
) -> dict[str, Metadata]:
    minutes = touched.SPANS.pending(con, start, end)
    is_pending = bool(touched.pending_days(con, start, end))
    if not is_pending:
        minutes = touched.SPANS.all_of(con, start, end)
    _narrow(warehouse, con, minutes)
    red = touched.ranges(minutes["minute_at"], touched.MINUTE)
    kindless, called = touched.children(con, red, minutes["minute_at"]) if is_pending else ([], [])
    red = touched.ranges([*minutes["minute_at"], *kindless], touched.MINUTE)
    hours = touched.ranges([*minutes["minute_at"].dt.truncate("1h"), *called], touched.HOUR)
    written = {table.name: 0 for table in MARTS}
    took: dict[str, float] = {}

    def replace(tables: Sequence[Table], steps: list[touched.Range], of: _Compute) -> None:
        if steps:
            begun = process_time()
            found = zip(*(of(con, first, last) for first, last in steps), strict=True)
            for table, frames in zip(tables, found, strict=True):
                written[table.name] = warehouse.replace_ranges(table, pl.concat(frames), steps)
            took[tables[0].name] = process_time() - begun

    red, hours = touched.pieces(red), touched.pieces(hours)
    replace((CORE_TRACE_RED_MINUTES, CORE_TRACE_OPERATION_MINUTES), red, marts.red_minutes)
    replace((CORE_TRACE_EDGES,), hours, _alone(marts.edges))
    days = touched.ranges(minutes["minute_at"].dt.truncate("1d"), touched.DAY)
    replace((CORE_TRACE_VERSION_DAYS,), days, _alone(marts.version_days))
    with transaction(con):
        touched.SPANS.are_done(con, minutes)
        touched.digest_days(con, _days(red))
    stale = touched.pending_days(con, start, end) if is_pending else sorted(set(_days([(start, end)])))
    replace((CORE_SERVICE_POINTS,), touched.ranges(map(_midnight, stale), touched.DAY), _alone(marts.service_points))
    with transaction(con):
        touched.points_are_of(con, stale)
    written |= {CORE_TRACE_MINUTES.name: minutes.height, CORE_TRACE_DAYS.name: len(stale)}
    return {
        name: {"rows_written": n, **({"cpu_seconds": round(took[name], 3)} if name in took else {})}
        for name, n in written.items()
    }


def _alone(of: Callable[[duckdb.DuckDBPyConnection, datetime, datetime], pl.DataFrame]) -> _Compute:
    return lambda con, start, end: (of(con, start, end),)


def _narrow(warehouse: Warehouse, con: duckdb.DuckDBPyConnection, minutes: pl.DataFrame) -> None:
    """Have this connection see the spans that marts of these minutes may depend on, of the files that were counted."""
    if minutes.is_empty():
        return
    first, last = minutes["minute_at"][0] - touched.AROUND, minutes["minute_at"][-1] + touched.AROUND
    names = touched.files_of(con, first, last)
    files = [file for file in warehouse.spans.ranges() if file.path.name in names]
    if len(files) == len(names):  # else some were joined meanwhile: all files are shown, as they were counted
        narrow_span_view(con, files)


def _days(found: list[touched.Range]) -> set[date]:
    return {
        (start + timedelta(days=number)).date()
        for start, end in found
        for number in range((_midnight((end - touched.MINUTE).date()) - _midnight(start.date())).days + 1)
    }


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time())


def trace_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """The span view and its daily marts."""
    view = (CORE_TRACE_SPANS, CORE_TRACE_FILE_MINUTES, CORE_TRACE_FILE_VERSIONS)
    return [
        table_assets("core_trace_spans", view, _view, deps=(RAW_OTLP_SPANS.name,)),
        table_assets(
            "core_trace_marts",
            MARTS,
            _marts,
            deps=tuple(table.name for table in view),
            partitions_def=daily(settings),
        ),
    ]
