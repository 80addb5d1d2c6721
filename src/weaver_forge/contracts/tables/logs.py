"""Logs: records as OTLP says them. What is computed from them is in ``log_marts``."""

from weaver_forge.contracts.table import Column, Table
from weaver_forge.contracts.tables.metrics import SCOPE_COLUMNS, SERVICE_COLUMNS

RAW_OTLP_LOG_RECORDS = Table(
    layer="raw",
    source="otlp",
    entity="log_records",
    grain="log record; equal ones in different messages are one that was sent again",
    columns=(
        Column(
            "record_id",
            "VARCHAR",
            "32 hex digits: hash of all that the record says, and of its repeat number within its message.",
        ),
        Column(
            "time_unix_ns",
            "BIGINT",
            "When it happened, nanoseconds since 1970, UTC; where not said, when it was observed.",
        ),
        Column(
            "observed_unix_ns",
            "BIGINT",
            "When a collector or SDK observed it, nanoseconds since 1970, UTC; null when not said.",
            nullable=True,
        ),
        Column("severity_number", "INTEGER", "1 trace to 24 fatal; 0 when not said."),
        Column("severity_text", "VARCHAR", "Severity as the source writes it; empty when not said."),
        Column("body", "VARCHAR", "Text, or a structured body as JSON text; null when there is none.", nullable=True),
        Column("is_structured", "BOOLEAN", "The body is JSON text of an array or a list of keys and values."),
        Column("event_name", "VARCHAR", "Name of the event that the record is; null for plain logs.", nullable=True),
        Column("trace_id", "VARCHAR", "32 lower-case hex digits; null when not said.", nullable=True),
        Column("span_id", "VARCHAR", "16 lower-case hex digits; null when not said.", nullable=True),
        Column("attributes", "MAP(VARCHAR, VARCHAR)", "Attributes; arrays and lists as JSON text."),
        *SERVICE_COLUMNS,
        Column("resource_attributes", "MAP(VARCHAR, VARCHAR)", "All other resource attributes."),
        *SCOPE_COLUMNS,
    ),
    key=("record_id",),
)
