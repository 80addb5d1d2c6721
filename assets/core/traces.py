"""The view over the span lake, and the daily marts computed from it: RED minutes, call edges, metric points."""

from datetime import date, datetime, time

import dagster as dg
import polars as pl

from assets.partitions import daily, days_of
from assets.resources import Deployment
from assets.tables import Metadata, table_assets
from weaver_forge.contracts.table import Table
from weaver_forge.contracts.tables.operations import (
    CORE_SERVICE_POINTS,
    CORE_TRACE_DAYS,
    CORE_TRACE_EDGES,
    CORE_TRACE_RED_MINUTES,
    CORE_TRACE_SPANS,
    RAW_OTLP_SPANS,
)
from weaver_forge.settings import Settings
from weaver_forge.warehouse import Warehouse, marts

MARTS = (CORE_TRACE_RED_MINUTES, CORE_TRACE_EDGES, CORE_SERVICE_POINTS, CORE_TRACE_DAYS)

_COUNTS = f"""
    select date_trunc('day', started_at) as day_at, count(*) as n_spans
    from {CORE_TRACE_SPANS.name} group by 1
"""  # noqa: S608 - a declared name


def _view(_context: dg.AssetExecutionContext, deployment: Deployment) -> dict[str, Metadata]:
    deployment.warehouse.refresh_span_view()
    pending = pending_days(deployment.warehouse)
    return {CORE_TRACE_SPANS.name: {"days_touched": len(pending), "newest_day": str(max(pending, default="none"))}}


def pending_days(warehouse: Warehouse) -> list[date]:
    """Days whose spans are not those that its marts were computed from.

    Found by counting, not remembered: a run killed between ingest and marts loses nothing.
    """
    rows = warehouse.query(f"""
        select cast(spans.day_at as date) as day
        from ({_COUNTS}) as spans
        left join {CORE_TRACE_DAYS.name} as done on done.day_at = spans.day_at
        where done.n_spans is distinct from spans.n_spans
        order by 1
    """)  # noqa: S608 - declared names
    return list(rows["day"])


def _marts(context: dg.AssetExecutionContext, deployment: Deployment) -> dict[str, Metadata]:
    first, end = days_of(context)
    warehouse = deployment.warehouse
    written: dict[str, Metadata] = {}

    def replace(table: Table, frame: pl.DataFrame) -> None:
        written[table.name] = {"rows_written": warehouse.replace_days(table, frame, first, end)}

    with warehouse.connect(read_only=True) as con:
        red, edges = (
            marts.red_minutes(con, _midnight(first), _midnight(end)),
            marts.edges(con, _midnight(first), _midnight(end)),
        )
    replace(CORE_TRACE_RED_MINUTES, red)
    replace(CORE_TRACE_EDGES, edges)
    with warehouse.connect(read_only=True) as con:
        points = marts.service_points(con, _midnight(first), _midnight(end))
    replace(CORE_SERVICE_POINTS, points)
    window = f"day_at >= timestamp '{_midnight(first)}' and day_at < timestamp '{_midnight(end)}'"
    replace(CORE_TRACE_DAYS, warehouse.query(f"select * from ({_COUNTS}) where {window}"))  # noqa: S608 - declared names
    return written


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time())


def trace_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """The span view and its daily marts."""
    return [
        table_assets("core_trace_spans", (CORE_TRACE_SPANS,), _view, deps=(RAW_OTLP_SPANS.name,)),
        table_assets("core_trace_marts", MARTS, _marts, deps=(CORE_TRACE_SPANS.name,), partitions_def=daily(settings)),
    ]
