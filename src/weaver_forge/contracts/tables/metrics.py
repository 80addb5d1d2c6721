"""Metrics: data points as OTLP says them. What is computed from them is in ``metric_marts``."""

from weaver_forge.contracts.table import Column, Table

SERVICE_COLUMNS = (
    Column("service_namespace", "VARCHAR", "Resource service.namespace; empty when absent."),
    Column("service_name", "VARCHAR", "Resource service.name; unknown_service when absent."),
    Column("service_version", "VARCHAR", "Resource service.version; null when absent.", nullable=True),
    Column(
        "deployment_environment_name",
        "VARCHAR",
        "Resource deployment.environment.name (or the old deployment.environment).",
    ),
)
SCOPE_COLUMNS = (
    Column("scope_name", "VARCHAR", "Instrumentation scope; empty when absent."),
    Column("scope_version", "VARCHAR", "Its version; empty when absent."),
    Column("scope_attributes", "MAP(VARCHAR, VARCHAR)", "Its attributes; arrays and lists as JSON text."),
)

_DATA = (
    Column("value_int", "BIGINT", "Gauge or sum given as an integer, exact; null otherwise.", nullable=True),
    Column(
        "value_double",
        "DOUBLE",
        "Gauge or sum given as a double (may be NaN or infinite); null otherwise.",
        nullable=True,
    ),
    Column("n_observations", "BIGINT", "Count of a histogram or summary; null for gauges and sums.", nullable=True),
    Column("sum_value", "DOUBLE", "Sum of a histogram or summary; null when not said.", nullable=True),
    Column("min_value", "DOUBLE", "Smallest observation of a histogram; null when not said.", nullable=True),
    Column("max_value", "DOUBLE", "Largest observation of a histogram; null when not said.", nullable=True),
    Column(
        "bucket_counts",
        "BIGINT[]",
        "Observations a bucket of an explicit histogram, one more than bounds; null otherwise.",
        nullable=True,
    ),
    Column(
        "explicit_bounds",
        "DOUBLE[]",
        "Upper, inclusive bounds of all buckets but the last; null where bucket_counts is.",
        nullable=True,
    ),
    Column(
        "exponential_scale", "INTEGER", "Scale s of an exponential histogram: base = 2 ** (2 ** -s).", nullable=True
    ),
    Column("zero_count", "BIGINT", "Observations within zero_threshold of zero; null otherwise.", nullable=True),
    Column("zero_threshold", "DOUBLE", "Width of the zero bucket; null otherwise.", nullable=True),
    Column(
        "positive_offset",
        "INTEGER",
        "Index of the first positive bucket; index i holds (base ** i, base ** (i + 1)].",
        nullable=True,
    ),
    Column("positive_counts", "BIGINT[]", "Observations a positive bucket; null otherwise.", nullable=True),
    Column("negative_offset", "INTEGER", "As positive_offset, of absolute values.", nullable=True),
    Column("negative_counts", "BIGINT[]", "Observations a negative bucket; null otherwise.", nullable=True),
    Column("quantiles", "DOUBLE[]", "Quantiles (0-1) of a summary; null otherwise.", nullable=True),
    Column("quantile_values", "DOUBLE[]", "Their values, in the same order; null otherwise.", nullable=True),
)

RAW_OTLP_METRIC_POINTS = Table(
    layer="raw",
    source="otlp",
    entity="metric_points",
    grain="data point of a metric series, exact duplicates removed",
    columns=(
        Column(
            "series_id",
            "VARCHAR",
            "32 hex digits: hash of resource, scope, metric name, unit, type, temporality and point attributes.",
        ),
        Column(
            "start_unix_ns",
            "BIGINT",
            "Since when sums and counts are counted, nanoseconds since 1970, UTC; 0 when not said.",
        ),
        Column("time_unix_ns", "BIGINT", "When it was observed, nanoseconds since 1970, UTC."),
        Column("metric_name", "VARCHAR", "Name as sent; old names are kept."),
        Column("metric_type", "VARCHAR", "gauge, sum, histogram, exponential_histogram or summary."),
        Column("unit", "VARCHAR", "UCUM unit; empty when not said."),
        Column("description", "VARCHAR", "As sent; empty when not said. No part of the series."),
        Column(
            "temporality",
            "VARCHAR",
            "cumulative or delta; unspecified where a sum or histogram does not say; null for gauges and summaries.",
            nullable=True,
        ),
        Column("is_monotonic", "BOOLEAN", "Whether a sum only grows; null for all other types.", nullable=True),
        Column(
            "has_value",
            "BOOLEAN",
            "False where the source says that nothing was recorded: the series ended here, which is not a zero.",
        ),
        *_DATA,
        Column("exemplars", "VARCHAR", "Exemplars as JSON text; null when there are none.", nullable=True),
        Column("attributes", "MAP(VARCHAR, VARCHAR)", "Point attributes; arrays and lists as JSON text."),
        *SERVICE_COLUMNS,
        Column("resource_attributes", "MAP(VARCHAR, VARCHAR)", "All other resource attributes."),
        *SCOPE_COLUMNS,
    ),
    key=("series_id", "start_unix_ns", "time_unix_ns"),
)
