"""Marts of spans beyond those in ``operations``: operations of a service, and what the marts were computed from."""

from weaver_forge.contracts.table import Column, Table
from weaver_forge.contracts.tables.changes import KNOWN_AT
from weaver_forge.contracts.tables.operations import SERVICE_KEY

_MINUTE_AT = Column("minute_at", "TIMESTAMP", "Start of the minute, UTC.")

CORE_TRACE_OPERATION_MINUTES = Table(
    layer="core",
    source="trace",
    entity="operation_minutes",
    grain="operation of a service and minute with at least one entry span",
    columns=(
        SERVICE_KEY,
        Column("operation", "VARCHAR", "Name of the entry span, as the instrumentation gives it (GET /cart/:id)."),
        _MINUTE_AT,
        Column("n_requests", "BIGINT", "Entry spans that started in the minute."),
        Column("n_errors", "BIGINT", "Of these, errors."),
        Column("duration_p50_ms", "DOUBLE", "Exact median duration."),
        Column("duration_p95_ms", "DOUBLE", "Exact 95th percentile of the duration."),
        Column("duration_p99_ms", "DOUBLE", "Exact 99th percentile of the duration."),
        KNOWN_AT,
    ),
    key=("service_key", "operation", "minute_at"),
    day_column="minute_at",
)

CORE_TRACE_FILE_MINUTES = Table(
    layer="core",
    source="trace",
    entity="file_minutes",
    grain="file of the span lake and minute in which a span of it started",
    columns=(
        Column("file", "VARCHAR", "Name of the file in the lake."),
        _MINUTE_AT,
        Column("n_rows", "BIGINT", "Spans of the file that started in the minute."),
    ),
    key=("file", "minute_at"),
)

CORE_TRACE_FILE_VERSIONS = Table(
    layer="core",
    source="trace",
    entity="file_versions",
    grain="file of the span lake, version of a service and day on which spans of the file carried it",
    columns=(
        Column("file", "VARCHAR", "Name of the file in the lake."),
        SERVICE_KEY,
        Column("version", "VARCHAR", "Resource service.version; empty when absent."),
        Column("day_at", "TIMESTAMP", "Start of the day, UTC."),
        Column("first_at", "TIMESTAMP", "Start of the file's first span of it on the day, UTC."),
        Column("last_at", "TIMESTAMP", "Start of the file's last span of it on the day, UTC."),
        Column("n_spans", "BIGINT", "Spans of it in the file on the day."),
    ),
    key=("file", "service_key", "version", "day_at"),
)

CORE_TRACE_MINUTES = Table(
    layer="core",
    source="trace",
    entity="minutes",
    grain="minute whose marts were computed",
    columns=(
        _MINUTE_AT,
        Column("n_rows", "BIGINT", "Spans of the minute when its marts were computed; another count now = touched."),
    ),
    key=("minute_at",),
    day_column="minute_at",
)

CORE_TRACE_DAYS = Table(
    layer="core",
    source="trace",
    entity="days",
    grain="day that has RED minutes",
    columns=(
        Column("day_at", "TIMESTAMP", "Start of the day, UTC."),
        Column("red_digest", "VARCHAR", "Digest of the day's RED minutes and resource use."),
        Column(
            "points_digest",
            "VARCHAR",
            "Digests of all that the day's service points were computed from; another now = touched.",
        ),
    ),
    key=("day_at",),
    day_column="day_at",
)

CORE_TRACE_VERSION_DAYS = Table(
    layer="core",
    source="trace",
    entity="version_days",
    grain="version of a service and day on which spans carried it",
    columns=(
        SERVICE_KEY,
        Column("version", "VARCHAR", "Resource service.version."),
        Column("day_at", "TIMESTAMP", "Start of the day, UTC."),
        Column("first_at", "TIMESTAMP", "Start of the day's first span of it, UTC."),
        Column("last_at", "TIMESTAMP", "Start of the day's last span of it, UTC."),
        Column("n_spans", "BIGINT", "Spans of the day."),
        KNOWN_AT,
    ),
    key=("service_key", "version", "day_at"),
    day_column="day_at",
)
