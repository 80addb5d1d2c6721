"""The views of the warehouse over the span lake: made anew over the committed files, never over a glob.

A glob would show half-written and already joined files: duplicates and vanishing rows, seen under load.
"""

from collections.abc import Sequence
from pathlib import Path

import duckdb

from weaver_forge.contracts.table import Table
from weaver_forge.contracts.tables.operations import CORE_TRACE_SPANS, RAW_OTLP_SPANS
from weaver_forge.warehouse.marts import span_view_sql
from weaver_forge.warehouse.naming import quoted, quoted_list


def refresh_span_views(con: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> None:
    """Make ``raw_otlp__spans`` and ``core_trace__spans`` show exactly these files; typed and empty without any."""
    raw = _raw_sql(files) if files else _empty_sql(RAW_OTLP_SPANS)
    core = span_view_sql(files) if files else _empty_sql(CORE_TRACE_SPANS)
    for table, sql in ((RAW_OTLP_SPANS, raw), (CORE_TRACE_SPANS, core)):
        con.execute(f"create or replace view {quoted(table.name)} as {sql}")


def _raw_sql(files: Sequence[Path]) -> str:
    listed = ", ".join("'" + str(path).replace("'", "''") + "'" for path in files)
    # By name: files of an older release may lack a column that was added since.
    return f"select {quoted_list(RAW_OTLP_SPANS.column_names)} from read_parquet([{listed}], union_by_name = true)"  # noqa: S608 - our own paths


def _empty_sql(table: Table) -> str:
    columns = ", ".join(f"cast(null as {c.type}) as {quoted(c.name)}" for c in table.columns)
    return f"select {columns} where false"
