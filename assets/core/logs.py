"""Log templates and their counts by the minute.

Part of every ingest and not a daily partition: it finds the minutes that changed by itself. The stored templates
are the miner's whole memory; a run that is killed has its minutes counted again by the next one.

Minutes are read in the order of time, and the lines of a minute in the order of their text. So an empty warehouse over
a lake gives one result, whatever order its files came in, and whole minutes that come in the order of time give that
result too, in however many runs. Minutes that come late or in parts do not: their lines meet templates that later
lines made, and a minute that is touched is counted anew with the templates that are known by then. Records by
minute, service and severity are exact all the same; which template has them is not, and no id is ever given away.
"""

from datetime import datetime

import dagster as dg
import polars as pl

from assets.core.metrics import considered, pieces
from assets.resources import Deployment
from assets.tables import Metadata, table_assets
from weaver_forge.contracts.tables.log_marts import (
    CORE_LOG_DONE_MINUTES,
    CORE_LOG_FILE_MINUTES,
    CORE_LOG_MINUTES,
    CORE_LOG_TEMPLATES,
)
from weaver_forge.contracts.tables.logs import RAW_OTLP_LOG_RECORDS
from weaver_forge.decode.log_templates import Miner, Template
from weaver_forge.warehouse import Warehouse, log_marts, touched
from weaver_forge.warehouse.lake_minutes import LakeMinutes

TABLES = (CORE_LOG_TEMPLATES, CORE_LOG_MINUTES, CORE_LOG_FILE_MINUTES, CORE_LOG_DONE_MINUTES)
MINUTES = LakeMinutes(CORE_LOG_FILE_MINUTES, CORE_LOG_DONE_MINUTES, "time_unix_ns")


def _write(_context: dg.AssetExecutionContext, deployment: Deployment) -> dict[str, Metadata]:
    written = compute(deployment.warehouse, *considered(deployment.settings))
    return {name: {"rows_written": rows} for name, rows in written.items()}


def compute(warehouse: Warehouse, start: datetime, end: datetime) -> dict[str, int]:
    """Count the touched minutes of a range anew; returns rows written a table name."""
    with warehouse.writing() as con:
        files = MINUTES.count_files(con, warehouse.show(con, warehouse.log_records))
    with warehouse.connect(read_only=True) as con:
        minutes = MINUTES.pending(con, start, end)
    written = {table.name: 0 for table in TABLES} | {CORE_LOG_FILE_MINUTES.name: files}
    if minutes.is_empty():
        return written
    miner = _miner(warehouse)
    for first, last in touched.ranges(minutes["minute_at"], touched.MINUTE):
        for piece in pieces(first, last):
            with warehouse.connect(read_only=True) as con:
                lines = log_marts.lines(con, *piece)
            counted = log_marts.minutes(lines.with_columns(miner.assign(lines["line"], lines["n"])))
            written[CORE_LOG_MINUTES.name] += warehouse.replace_ranges(CORE_LOG_MINUTES, counted, [piece])
    mined = [(template.template_id, template.text, template.leaf) for template in miner.templates]
    frame = pl.DataFrame(mined, schema=dict.fromkeys(("template_id", "template", "leaf"), pl.String), orient="row")
    with warehouse.connect(read_only=True) as con:
        rows = log_marts.templates(con, frame)
    written[CORE_LOG_TEMPLATES.name] = warehouse.replace(CORE_LOG_TEMPLATES, rows)
    with warehouse.writing() as con:
        MINUTES.are_done(con, minutes)
    return written | {CORE_LOG_DONE_MINUTES.name: minutes.height}


def _miner(warehouse: Warehouse) -> Miner:
    held = warehouse.read(CORE_LOG_TEMPLATES, where="is_held").sort("position")
    stored = held.select("template_id", "template", "n_records", "leaf").iter_rows()
    return Miner(Template(template_id, text.split(" "), n, leaf or "") for template_id, text, n, leaf in stored)


assets = [table_assets("core_log", TABLES, _write, deps=(RAW_OTLP_LOG_RECORDS.name,))]
