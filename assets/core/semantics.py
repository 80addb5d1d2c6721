"""What the conventions say of the telemetry that came in: findings, quality and span classes, a service and day.

Part of every ingest and not a daily partition: it finds the days that changed by itself, and a changed registry or
rule has every day judged again.
"""

import dagster as dg
import polars as pl

from assets.resources import Deployment
from assets.tables import Metadata, table_assets
from weaver_forge.contracts.dtypes import shaped
from weaver_forge.contracts.tables import BY_NAME
from weaver_forge.contracts.tables.logs import RAW_OTLP_LOG_RECORDS
from weaver_forge.contracts.tables.metrics import RAW_OTLP_METRIC_POINTS
from weaver_forge.contracts.tables.operations import RAW_OTLP_SPANS
from weaver_forge.contracts.tables.semconv import (
    CORE_SEMANTIC_DAYS,
    CORE_SEMANTIC_FINDINGS,
    CORE_SEMANTIC_QUALITY,
    CORE_SEMANTIC_SIGNALS,
)
from weaver_forge.semconv.judging import judged_by
from weaver_forge.semconv.renaming import Renaming
from weaver_forge.sources.registries import registry_with
from weaver_forge.warehouse import semantics

TABLES = (CORE_SEMANTIC_FINDINGS, CORE_SEMANTIC_QUALITY, CORE_SEMANTIC_SIGNALS, CORE_SEMANTIC_DAYS)


def _judge(_context: dg.AssetExecutionContext, deployment: Deployment) -> dict[str, Metadata]:
    return judge(deployment)


def judge(deployment: Deployment) -> dict[str, Metadata]:
    """Judge every day that is pending, one after the other; each is stored before the next begins."""
    warehouse = deployment.warehouse
    registry = registry_with(deployment.settings.registries)
    renaming = Renaming(registry)
    warehouse.refresh_lake_views()
    with warehouse.connect(read_only=True) as con:
        pending = semantics.pending_days(con, judged_by(registry))
    written = {table.name: 0 for table in TABLES}
    for row in pending.iter_rows(named=True):
        day = row["day_at"].date()
        end = row["day_at"] + semantics.DAY
        with warehouse.connect(read_only=True) as con:
            frames = semantics.judged(con, day, registry, renaming)
        done = pl.DataFrame([{**row, "registry": judged_by(registry)}])
        frames[CORE_SEMANTIC_DAYS.name] = shaped(CORE_SEMANTIC_DAYS, done)
        for table in TABLES:  # the day's row last: a run killed before it judges the day again
            written[table.name] += warehouse.replace_ranges(table, frames[table.name], [(row["day_at"], end)])
    return {name: {"rows_written": rows, "days_judged": pending.height} for name, rows in written.items()}


_UPSTREAM = [t.name for t in (RAW_OTLP_SPANS, RAW_OTLP_METRIC_POINTS, RAW_OTLP_LOG_RECORDS) if t.name in BY_NAME]

assets = [table_assets("core_semantic", TABLES, _judge, deps=_UPSTREAM)]
