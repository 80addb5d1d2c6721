"""Marts of log records: templates, their counts by the minute, and what they were computed from."""

from weaver_forge.contracts.table import Column, Table
from weaver_forge.contracts.tables.changes import KNOWN_AT
from weaver_forge.contracts.tables.operations import SERVICE_KEY

_MINUTE_AT = Column("minute_at", "TIMESTAMP", "Start of the minute, UTC.")

CORE_LOG_TEMPLATES = Table(
    layer="core",
    source="log",
    entity="templates",
    grain="statement that writes log lines, as far as its lines tell",
    columns=(
        Column("template_id", "VARCHAR", "32 hex digits; stays when the template grows more general."),
        Column("template", "VARCHAR", "Its words, with <*> where lines differ."),
        Column("position", "BIGINT", "Order in which templates were found: the miner goes on from them in it."),
        Column("leaf", "VARCHAR", "Where in the miner's tree it stands; null: where its words put it.", nullable=True),
        Column("is_held", "BOOLEAN", "False when the miner gave it up for more frequent ones."),
        Column("first_seen_at", "TIMESTAMP", "Minute of its earliest line, UTC; null without one.", nullable=True),
        Column("last_seen_at", "TIMESTAMP", "Minute of its latest line, UTC; null without one.", nullable=True),
        Column("n_records", "BIGINT", "Lines counted by the minute."),
    ),
    key=("template_id",),
)

CORE_LOG_MINUTES = Table(
    layer="core",
    source="log",
    entity="minutes",
    grain="service, minute, template and severity with at least one record",
    columns=(
        SERVICE_KEY,
        _MINUTE_AT,
        Column("template_id", "VARCHAR", "Template of the lines; empty for records that say nothing."),
        Column("severity", "VARCHAR", "trace, debug, info, warn, error, fatal; unknown when not said."),
        Column("n_records", "BIGINT", "Records of the minute."),
        KNOWN_AT,
    ),
    key=("service_key", "minute_at", "template_id", "severity"),
    day_column="minute_at",
)

CORE_LOG_FILE_MINUTES = Table(
    layer="core",
    source="log",
    entity="file_minutes",
    grain="file of the lake of log records and minute of a record in it",
    columns=(
        Column("file", "VARCHAR", "Name of the file in the lake."),
        _MINUTE_AT,
        Column("n_rows", "BIGINT", "Records of the file in the minute."),
    ),
    key=("file", "minute_at"),
)

CORE_LOG_DONE_MINUTES = Table(
    layer="core",
    source="log",
    entity="done_minutes",
    grain="minute whose records were counted",
    columns=(
        _MINUTE_AT,
        Column("n_rows", "BIGINT", "Records of the minute when they were counted; another count now = touched."),
    ),
    key=("minute_at",),
    day_column="minute_at",
)
