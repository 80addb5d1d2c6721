"""Metrics by the minute, and what services use of CPU, memory and network.

Part of every ingest and not a daily partition: it finds the minutes that changed by itself.
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta

import dagster as dg

from assets.resources import Deployment
from assets.tables import Metadata, table_assets
from weaver_forge.contracts.tables.metric_marts import (
    CORE_METRIC_DONE_MINUTES,
    CORE_METRIC_FILE_MINUTES,
    CORE_METRIC_POINTS,
    CORE_METRIC_SERIES,
    CORE_SERVICE_RESOURCE_USE,
)
from weaver_forge.contracts.tables.metrics import RAW_OTLP_METRIC_POINTS
from weaver_forge.settings import Settings
from weaver_forge.warehouse import Warehouse, metric_marts, touched
from weaver_forge.warehouse.lake_minutes import LakeMinutes
from weaver_forge.warehouse.resource_use import resource_use

TABLES = (
    CORE_METRIC_SERIES,
    CORE_METRIC_POINTS,
    CORE_SERVICE_RESOURCE_USE,
    CORE_METRIC_FILE_MINUTES,
    CORE_METRIC_DONE_MINUTES,
)
MINUTES = LakeMinutes(CORE_METRIC_FILE_MINUTES, CORE_METRIC_DONE_MINUTES, "time_unix_ns")


def _write(_context: dg.AssetExecutionContext, deployment: Deployment) -> dict[str, Metadata]:
    written = compute(deployment.warehouse, *considered(deployment.settings))
    return {name: {"rows_written": rows} for name, rows in written.items()}


def considered(settings: Settings) -> tuple[datetime, datetime]:
    """First and end of the time whose points count: a point of a clock that is years off stays in the lake alone."""
    end = settings.now().date() + timedelta(days=1)
    return datetime.fromisoformat(settings.partitions_start), datetime.combine(end, time())


def compute(warehouse: Warehouse, start: datetime, end: datetime) -> dict[str, int]:
    """Recompute the touched minutes of a range, and those that are compared with them; returns rows a table name."""
    with warehouse.writing() as con:
        files = MINUTES.count_files(con, warehouse.show(con, warehouse.metric_points))
    with warehouse.connect(read_only=True) as con:
        minutes = MINUTES.pending(con, start, end)
    written = {table.name: 0 for table in TABLES} | {CORE_METRIC_FILE_MINUTES.name: files}
    days: set[date] = set()
    for first, last in touched.ranges(minutes["minute_at"], touched.MINUTE):
        for piece in pieces(*metric_marts.affected(first, last)):
            days.add(piece[0].date())
            for name, rows in _compute(warehouse, piece).items():
                written[name] += rows
    with warehouse.writing() as con:
        touched.digest_days(con, days)
        MINUTES.are_done(con, minutes)
    return written | {CORE_METRIC_DONE_MINUTES.name: minutes.height}


def _compute(warehouse: Warehouse, piece: touched.Range) -> dict[str, int]:
    with warehouse.connect(read_only=True) as con:
        series, points = metric_marts.series(con, *piece), metric_marts.points(con, *piece)
    written = {
        CORE_METRIC_SERIES.name: warehouse.append(CORE_METRIC_SERIES, series),
        CORE_METRIC_POINTS.name: warehouse.replace_ranges(CORE_METRIC_POINTS, points, [piece]),
    }
    with warehouse.connect(read_only=True) as con:
        used = resource_use(con, *piece)
    written[CORE_SERVICE_RESOURCE_USE.name] = warehouse.replace_ranges(CORE_SERVICE_RESOURCE_USE, used, [piece])
    return written


def pieces(start: datetime, end: datetime) -> Iterator[touched.Range]:
    """A range cut into days, so that a first ingest of a year needs the memory of a day."""
    while start < end:
        next_day = datetime.combine(start.date() + timedelta(days=1), time())
        yield start, min(next_day, end)
        start = next_day


assets = [table_assets("core_metric", TABLES, _write, deps=(RAW_OTLP_METRIC_POINTS.name,))]
