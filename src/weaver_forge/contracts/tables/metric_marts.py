"""Marts of metric points: series, series by the minute, resource use, and what they were computed from."""

from weaver_forge.contracts.table import Column, Table
from weaver_forge.contracts.tables.changes import KNOWN_AT
from weaver_forge.contracts.tables.operations import SERVICE_KEY

_MINUTE_AT = Column("minute_at", "TIMESTAMP", "Start of the minute, UTC.")

CORE_METRIC_SERIES = Table(
    layer="core",
    source="metric",
    entity="series",
    grain="metric series",
    columns=(
        Column("series_id", "VARCHAR", "32 hex digits, as in the raw points."),
        SERVICE_KEY,
        Column("metric_name", "VARCHAR", "Name as sent; old names are kept."),
        Column("metric_type", "VARCHAR", "gauge, sum, histogram, exponential_histogram or summary."),
        Column("unit", "VARCHAR", "UCUM unit; empty when not said."),
        Column("temporality", "VARCHAR", "As in the raw points.", nullable=True),
        Column("is_monotonic", "BOOLEAN", "Whether a sum only grows; null for all other types.", nullable=True),
        Column("attributes", "MAP(VARCHAR, VARCHAR)", "Point attributes."),
        Column("resource_id", "VARCHAR", "Hash of the resource: one process, container or host each."),
    ),
    key=("series_id",),
)

CORE_METRIC_POINTS = Table(
    layer="core",
    source="metric",
    entity="points",
    grain="metric series and minute with at least one point that has a value",
    columns=(
        Column("series_id", "VARCHAR", "32 hex digits."),
        SERVICE_KEY,
        Column("metric_name", "VARCHAR", "Name as sent."),
        _MINUTE_AT,
        Column("n_points", "BIGINT", "Points of the minute that say a number. NaN is none."),
        Column("value_last", "DOUBLE", "Level (gauge, up-and-down sum): last of the minute. Else null.", nullable=True),
        Column("value_mean", "DOUBLE", "Level: mean of the points. Else null.", nullable=True),
        Column("value_max", "DOUBLE", "Level: largest of the points. Else null.", nullable=True),
        Column(
            "increase",
            "DOUBLE",
            "What a sum grew by; never negative for one that only grows. Null after a gap, and for levels.",
            nullable=True,
        ),
        Column(
            "interval_s",
            "DOUBLE",
            "Seconds that increase, n_observations and sum_value are of; increase / interval_s is the rate.",
            nullable=True,
        ),
        Column("n_resets", "BIGINT", "Restarts of a cumulative series seen in the minute."),
        Column("n_observations", "BIGINT", "Distribution: new observations. Null after a gap.", nullable=True),
        Column("sum_value", "DOUBLE", "Distribution: their sum; null where not said.", nullable=True),
        Column("value_p50", "DOUBLE", "Distribution: median, wrong by the width of its bucket at most.", nullable=True),
        Column("value_p95", "DOUBLE", "Distribution: 95th percentile, likewise.", nullable=True),
        Column("value_p99", "DOUBLE", "Distribution: 99th percentile, likewise.", nullable=True),
        KNOWN_AT,
    ),
    key=("series_id", "minute_at"),
    day_column="minute_at",
)

CORE_SERVICE_RESOURCE_USE = Table(
    layer="core",
    source="service",
    entity="resource_use",
    grain="service and minute in which its use of a resource was measured",
    columns=(
        SERVICE_KEY,
        _MINUTE_AT,
        Column("n_instances", "BIGINT", "Resources (processes, containers, hosts) that the values are of."),
        Column("cpu_cores", "DOUBLE", "CPU seconds used a second, all instances together.", nullable=True),
        Column("cpu_ratio", "DOUBLE", "Share of the available CPU in use, mean of the instances.", nullable=True),
        Column("memory_bytes", "DOUBLE", "Memory in use, all instances together.", nullable=True),
        Column("memory_ratio", "DOUBLE", "Share of the available memory in use, mean of the instances.", nullable=True),
        Column("network_bytes_per_s", "DOUBLE", "Sent and received a second, all instances together.", nullable=True),
        KNOWN_AT,
    ),
    key=("service_key", "minute_at"),
    day_column="minute_at",
)

CORE_METRIC_FILE_MINUTES = Table(
    layer="core",
    source="metric",
    entity="file_minutes",
    grain="file of the lake of metric points and minute of a point in it",
    columns=(
        Column("file", "VARCHAR", "Name of the file in the lake."),
        _MINUTE_AT,
        Column("n_rows", "BIGINT", "Points of the file in the minute."),
    ),
    key=("file", "minute_at"),
)

CORE_METRIC_DONE_MINUTES = Table(
    layer="core",
    source="metric",
    entity="done_minutes",
    grain="minute whose metric marts were computed",
    columns=(
        _MINUTE_AT,
        Column("n_rows", "BIGINT", "Points of the minute when they were computed; another count now = touched."),
    ),
    key=("minute_at",),
    day_column="minute_at",
)
